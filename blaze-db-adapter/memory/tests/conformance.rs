//! The reference model keeps every rule.

use std::sync::Arc;

use blaze_db_adapter::DatabaseAdapter;
use blaze_db_adapter_conformance::{Harness, Settings, async_trait, database_conformance};
use blaze_db_adapter_memory::MemoryOptions;

struct Memory;

#[async_trait]
impl Harness for Memory {
    type Storage = ();

    const REOPENS: bool = false;

    fn storage(&self) {}

    async fn open(&self, (): &(), settings: Settings) -> Arc<dyn DatabaseAdapter> {
        Arc::new(MemoryOptions::new().role(settings.role).clock(settings.clock).build())
    }
}

database_conformance!(Memory);
