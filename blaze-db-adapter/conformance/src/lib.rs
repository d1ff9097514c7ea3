//! The rules that every Blaze database adapter must keep, as tests.
//!
//! Tell the suite how to open your database with a [`Harness`], then let
//! [`database_conformance!`] make one test of each rule in [`rules`]:
//!
//! ```
//! use std::sync::Arc;
//!
//! use blaze_db_adapter::DatabaseAdapter;
//! use blaze_db_adapter_conformance::{Harness, Settings, async_trait, database_conformance};
//! use blaze_db_adapter_memory::{MemoryDatabase, MemoryOptions};
//!
//! struct Memory;
//!
//! #[async_trait]
//! impl Harness for Memory {
//!     // Where one database lives; for a file, a temporary directory.
//!     type Storage = ();
//!
//!     const REOPENS: bool = false;
//!
//!     fn storage(&self) {}
//!
//!     async fn open(&self, (): &(), settings: Settings) -> Arc<dyn DatabaseAdapter> {
//!         Arc::new(MemoryOptions::new().role(settings.role).clock(settings.clock).build())
//!     }
//! }
//!
//! database_conformance!(Memory);
//! # fn main() {}
//! ```

#[expect(clippy::missing_panics_doc, reason = "every rule panics if it is broken")]
pub mod rules;

mod harness;
mod model;
mod random;
mod subject;
mod suite;

pub use async_trait::async_trait;
pub use harness::{Harness, Settings, TestClock, run};
pub use model::agrees_with_the_model;
