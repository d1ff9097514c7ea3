//! What a memory database is made with.

use blaze_codec::{Incarnation, NodeId, Role};
use blaze_db_adapter::WallClock;

use crate::MemoryDatabase;

/// Makes a [`MemoryDatabase`].
#[derive(Debug, Clone)]
pub struct MemoryOptions {
    pub(crate) node: Option<NodeId>,
    pub(crate) incarnation: Option<Incarnation>,
    pub(crate) database: String,
    pub(crate) role: Role,
    pub(crate) clock: WallClock,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            node: None,
            incarnation: None,
            database: "main".to_owned(),
            role: Role::default(),
            clock: WallClock::system(),
        }
    }
}

impl MemoryOptions {
    /// The defaults: a client of the database `main` with a random identity.
    pub fn new() -> Self {
        Self::default()
    }

    /// The replica's id. Default: random.
    pub fn node(self, node: NodeId) -> Self {
        Self { node: Some(node), ..self }
    }

    /// Whose its commits are. Default: random.
    pub fn incarnation(self, incarnation: Incarnation) -> Self {
        Self { incarnation: Some(incarnation), ..self }
    }

    /// The database that it is a replica of. Default: `main`.
    pub fn database(self, name: impl Into<String>) -> Self {
        Self { database: name.into(), ..self }
    }

    /// The role by which commits are stamped. Default: [`Role::Client`].
    pub fn role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    /// The wall clock. Default: the system's.
    pub fn clock(self, clock: WallClock) -> Self {
        Self { clock, ..self }
    }

    /// Makes the database, empty.
    ///
    /// # Panics
    ///
    /// If an identity is to be drawn and the system gives no random bytes.
    pub fn build(self) -> MemoryDatabase {
        MemoryDatabase::with_options(self)
    }
}
