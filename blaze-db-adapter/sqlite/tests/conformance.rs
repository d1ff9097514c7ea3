//! SQLite keeps every rule, plain and encrypted.

use std::sync::Arc;

use blaze_db_adapter::{DatabaseAdapter, Durability};
use blaze_db_adapter_conformance::{Harness, Settings, async_trait};
use blaze_db_adapter_sqlite::SqliteOptions;
use tempfile::TempDir;

struct Sqlite {
    password: Option<&'static str>,
    durability: Durability,
}

#[async_trait]
impl Harness for Sqlite {
    type Storage = TempDir;

    const REOPENS: bool = true;

    fn storage(&self) -> TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    async fn open(&self, storage: &TempDir, settings: Settings) -> Arc<dyn DatabaseAdapter> {
        let options = SqliteOptions::new(storage.path().join("test.db"))
            .durability(self.durability)
            .role(settings.role)
            .clock(settings.clock);
        let options = match self.password {
            Some(password) => options.password(password),
            None => options,
        };
        Arc::new(options.open().await.expect("the database opens"))
    }
}

mod plain_at_disk {
    use super::{Durability, Sqlite};
    blaze_db_adapter_conformance::database_conformance!(Sqlite {
        password: None,
        durability: Durability::Disk
    });
}

mod encrypted_at_process {
    use super::{Durability, Sqlite};
    blaze_db_adapter_conformance::database_conformance!(Sqlite {
        password: Some("correct horse"),
        durability: Durability::Process
    });
}
