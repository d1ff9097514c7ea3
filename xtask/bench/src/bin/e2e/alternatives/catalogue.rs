//! Which alternatives there are, what each promises, and what it can do.

use blaze_sync::Durability;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::program;
use crate::spec::{Case, Transport, Workload};

/// Something that a user could pick instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Alternative {
    /// One `SQLite` file, its reader spinning.
    SqliteSpin,
    /// One `SQLite` file, its reader polling each millisecond.
    SqlitePoll,
    /// A copy of the `SQLite` file.
    SqliteBackup,
    /// `SQLite` session changesets.
    Session,
    /// Redis, with messages to the reader.
    Redis,
    /// Redis, with a server for the reader.
    RedisReplica,
    /// NATS `JetStream`.
    Nats,
    /// Yrs, the port of Yjs.
    Yrs,
    /// Automerge.
    Automerge,
    /// Zenoh.
    Zenoh,
    /// Iroh's documents.
    Iroh,
}

/// What the reader's side has afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Has {
    /// Messages, which nobody stores.
    Messages,
    /// What the writer's side has: there is one store.
    Shared,
    /// A copy of its own, to be read only.
    Copy,
    /// A replica of its own, which can be written to.
    Replica,
}

impl Has {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Shared => "the same store",
            Self::Copy => "a copy",
            Self::Replica => "a replica",
        }
    }
}

use Alternative::{
    Automerge, Iroh, Nats, Redis, RedisReplica, Session, SqliteBackup, SqlitePoll, SqliteSpin, Yrs,
    Zenoh,
};

impl Alternative {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            SqliteSpin => "SQLite, one file, reader spinning",
            SqlitePoll => "SQLite, one file, polled each ms",
            SqliteBackup => "SQLite backup",
            Session => "SQLite session changesets",
            Redis => "Redis, SET and PUBLISH",
            RedisReplica => "Redis replication",
            Nats => "NATS JetStream",
            Yrs => "yrs",
            Automerge => "automerge",
            Zenoh => "Zenoh",
            Iroh => "iroh-docs",
        }
    }

    /// What the reader's side has afterwards.
    pub(super) const fn has(self) -> Has {
        match self {
            Zenoh => Has::Messages,
            SqliteSpin | SqlitePoll | Redis | Nats => Has::Shared,
            SqliteBackup | RedisReplica => Has::Copy,
            Session | Yrs | Automerge | Iroh => Has::Replica,
        }
    }

    /// How it is used, and what it keeps.
    pub(crate) const fn promise(self) -> &'static str {
        match self {
            SqliteSpin => {
                "a file in WAL mode that both processes open; the reader asks for `data_version` \
                 without a pause, which takes a core, and reads the new rows; synchronous NORMAL \
                 (process) or FULL (disk)"
            }
            SqlitePoll => {
                "a file in WAL mode that both processes open; the reader asks for `data_version` \
                 each millisecond, and reads the new rows; synchronous NORMAL (process) or FULL \
                 (disk)"
            }
            SqliteBackup => {
                "the file copied page by page by the backup API; each time all of it is copied \
                 again"
            }
            Session => {
                "a file each; a changeset a transaction over a Unix socket, applied in one \
                 transaction; the first sync is the difference from an empty table; synchronous \
                 NORMAL (process) or FULL (disk); conflicts are the app's to decide, and a \
                 changeset that is lost on the way is its to send again"
            }
            Redis => {
                "one server on a Unix socket; SET (MSET), and PUBLISH of the same rows, which only \
                 who listens at that moment gets; without persistence (memory; requests are \
                 pipelined), with appendfsync everysec (process) or always (disk; each \
                 transaction's reply is awaited before the next)"
            }
            RedisReplica => {
                "a server each, the replica over TCP on loopback, as Redis has no other; the \
                 reader hears of what its own server has; asynchronous; persistence on both as \
                 with SET and PUBLISH"
            }
            Nats => {
                "one server over TCP on loopback, a stream in its file store, which the reader \
                 consumes in order and without acknowledgements; there are no transactions: 1,000 \
                 messages in flight stand for one; sync_interval as it is by default, two minutes \
                 (process), or always (disk, from nats-server 2.10 on)"
            }
            Yrs => {
                "a document each, a record a map's entry; an update a transaction over a Unix \
                 socket; nothing is stored"
            }
            Automerge => {
                "a document each, a record a map's entry; a change a transaction over a Unix \
                 socket, the first sync by save and load; nothing is stored"
            }
            Iroh => {
                "a node each, over QUIC on loopback, as it has no Unix sockets; a record an entry \
                 with a blob as its content, which the reader waits for; there are no \
                 transactions; what it stored in the last half second may be lost with the \
                 process, so that it promises less than Blaze with process"
            }
            Zenoh => {
                "two peers over a Unix socket, a message a transaction; delivery only: there is \
                 no store, and who doesn't listen at that moment gets nothing"
            }
        }
    }

    /// Whether it does what the case asks for, as durably.
    pub(crate) fn does(self, case: Case) -> bool {
        let durability = case.store.durability();
        let as_durable = match self {
            SqliteSpin | SqlitePoll | SqliteBackup | Session => durability != Durability::Memory,
            Redis | RedisReplica => true,
            Nats => match durability {
                Durability::Memory => false,
                Durability::Process => true,
                Durability::Disk => program::nats_syncs_always(),
            },
            Iroh => durability == Durability::Process,
            Yrs | Automerge | Zenoh => durability == Durability::Memory,
        };
        let works = match case.workload {
            Workload::Stream { per_transaction, .. } if self == Iroh => per_transaction == 1,
            Workload::Latency { .. } | Workload::Stream { .. } => self != SqliteBackup,
            // Where both use one store, or none, there is nothing to bring anywhere.
            Workload::Sync { .. } => !matches!(self, SqliteSpin | SqlitePoll | Redis | Zenoh),
            Workload::Connect { .. } => false,
        };
        let comparable = case.transport == Transport::Unix && !case.store.encrypted();
        comparable && case.store.stores() && as_durable && works
    }

    /// How much of a workload it does: what takes it long is measured on less.
    pub(crate) fn share(self, workload: Workload) -> Workload {
        let part = match (self, workload) {
            (Automerge | Iroh, Workload::Stream { .. }) => 20,
            (Iroh, Workload::Sync { .. }) => 10,
            _ => 1,
        };
        match workload {
            Workload::Stream { operations, per_transaction } => {
                let operations = (operations / part).max(per_transaction);
                Workload::Stream { operations, per_transaction }
            }
            Workload::Sync { records } => Workload::Sync { records: (records / part).max(1) },
            other => other,
        }
    }

    /// Why it can't be measured here, if so.
    pub(crate) fn missing(self) -> Option<String> {
        let (feature, built) = match self {
            SqliteSpin | SqlitePoll | SqliteBackup => return None,
            Redis | RedisReplica => return program::missing(program::REDIS),
            Session => ("session", cfg!(feature = "session")),
            Nats => ("nats", cfg!(feature = "nats")),
            Yrs => ("yrs", cfg!(feature = "yrs")),
            Automerge => ("automerge", cfg!(feature = "automerge")),
            Zenoh => ("zenoh", cfg!(feature = "zenoh")),
            Iroh => ("iroh", cfg!(feature = "iroh")),
        };
        if !built {
            let needs = if self == Session { ", which needs libclang" } else { "" };
            return Some(format!("it isn't built in; build with --features {feature}{needs}"));
        }
        if self == Nats { program::missing(program::NATS) } else { None }
    }

    /// Why it can't be measured at each durability that it could have, if so.
    pub(super) fn incomplete(self) -> Option<&'static str> {
        let why = "with disk: nats-server is older than 2.10, which can sync each message";
        (self == Nats && !program::nats_syncs_always()).then_some(why)
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::Alternative;
    use crate::spec::{Case, Store, Transport, Workload};

    fn does(alternative: Alternative, store: Store, workload: Workload) -> bool {
        alternative.does(Case { workload, transport: Transport::Unix, store })
    }

    #[test]
    fn none_stands_beside_what_promises_more_or_less() {
        let latency = Workload::Latency { warm_up: 1, count: 1 };
        assert!(does(Alternative::SqliteSpin, Store::Disk, latency));
        assert!(!does(Alternative::SqliteSpin, Store::Memory, latency));
        assert!(!does(Alternative::SqliteSpin, Store::DiskEncrypted, latency));
        assert!(does(Alternative::Yrs, Store::Memory, latency));
        assert!(!does(Alternative::Yrs, Store::Process, latency));
        for &alternative in Alternative::value_variants() {
            assert!(!does(alternative, Store::Nothing, latency), "{alternative:?}");
            let tcp = Case { workload: latency, transport: Transport::Tcp, store: Store::Process };
            assert!(!alternative.does(tcp), "{alternative:?}");
        }
    }

    #[test]
    fn what_has_one_store_for_both_has_no_first_sync() {
        let sync = Workload::Sync { records: 1 };
        assert!(!does(Alternative::SqliteSpin, Store::Process, sync));
        assert!(does(Alternative::SqliteBackup, Store::Process, sync));
        let latency = Workload::Latency { warm_up: 1, count: 1 };
        assert!(!does(Alternative::SqliteBackup, Store::Process, latency));
    }

    #[test]
    fn a_share_of_a_stream_is_whole_transactions() {
        let stream = Workload::Stream { operations: 10_000, per_transaction: 1_000 };
        let Workload::Stream { operations, per_transaction } = Alternative::Automerge.share(stream)
        else {
            panic!("a stream's share is a stream");
        };
        assert_eq!((operations, per_transaction), (1_000, 1_000));
        assert_eq!(Alternative::SqliteSpin.share(stream), stream);
    }
}
