//! The local feed, encoded for a session: from the ring, or from the database.

use blaze_codec::message::{TRANSACTION_BYTES_MAX, encode_changes};
use blaze_codec::{Operation, Seq};
use blaze_db_adapter::{ChangesLimit, DatabaseAdapter, DatabaseError, LiveFeed, Origin};
use blaze_sync_protocol::{Known, Outgoing, OutgoingItem};

/// Commits that are taken from the ring at once.
const COMMITS_MAX: usize = 256;
/// Records that are read from the database at once.
const RECORDS_MAX: usize = 4096;
/// Stored bytes that are read from the database at once.
const BYTES_MAX: u64 = 512 * 1024;

/// What the ring has after a seq, encoded once for all sessions, but for what the
/// peer knows; `None` if the ring has lost the first.
///
/// A commit in the ring is what it changed. That is enough only for a peer that has
/// all that was before it.
pub(crate) fn from_ring(feed: &LiveFeed, after: Seq, known: Known) -> Option<Outgoing> {
    let commits = feed.after(after, COMMITS_MAX)?;
    let item = |commit: &blaze_db_adapter::Committed| OutgoingItem {
        after: Seq(commit.seq().0 - 1),
        through: commit.seq(),
        frames: match commit.origin() {
            Origin::Peer { node, checkpoint } if known.covers(node, checkpoint) => Vec::new(),
            _ => commit.frames().to_vec(),
        },
    };
    Some(Outgoing { items: commits.iter().map(|commit| item(commit)).collect() })
}

/// What the database has after a seq, and whether there is more.
///
/// Records are in the feed where they last changed. One that changed in this piece's
/// range and again after it is not in the piece, but in a later one: only the last
/// piece makes a peer have all up to its end.
pub(crate) async fn from_database(
    database: &dyn DatabaseAdapter,
    after: Seq,
    bytes: u64,
) -> Result<(Outgoing, bool), DatabaseError> {
    let bytes = usize::try_from(bytes.min(BYTES_MAX)).unwrap_or(usize::MAX);
    let limit = ChangesLimit { records: RECORDS_MAX, bytes };
    let changes = database.changes(after, limit).await?;
    let mut items = Vec::new();
    encode(after, changes.through, &changes.operations, TRANSACTION_BYTES_MAX, &mut items);
    Ok((Outgoing { items }, changes.more))
}

/// Encodes a piece of the feed. What a transaction changed can be larger when it
/// is read back, for records are read whole; a piece over the limit is halved,
/// and then the peer merges it in more than one step.
fn encode(
    after: Seq,
    through: Seq,
    operations: &[Operation],
    bytes_max: usize,
    items: &mut Vec<OutgoingItem>,
) {
    let frames = encode_changes(after, through, operations);
    let bytes: usize = frames.iter().map(bytes::Bytes::len).sum();
    if bytes <= bytes_max || operations.len() < 2 {
        items.push(OutgoingItem { after, through, frames });
        return;
    }
    let (first, rest) = operations.split_at(operations.len() / 2);
    encode(after, after, first, bytes_max, items);
    encode(after, through, rest, bytes_max, items);
}

#[cfg(test)]
mod tests {
    use blaze_codec::{Change, RecordKey, Version, record};

    use super::*;

    #[test]
    fn a_piece_over_the_limit_is_halved_and_only_the_last_part_ends_the_range() {
        let operation = |key| Operation {
            collection: "notes".parse().unwrap(),
            key: RecordKey::Int(key),
            version: Version::ZERO,
            base: Version::ZERO,
            change: Change::Insert(record! { "text" => "x".repeat(1_000) }),
        };
        let operations: Vec<_> = (0..8).map(operation).collect();
        let mut items = Vec::new();
        encode(Seq(3), Seq(9), &operations, 3_000, &mut items);
        assert!(items.len() >= 4);
        let (last, before) = items.split_last().unwrap();
        assert_eq!((last.after, last.through), (Seq(3), Seq(9)));
        assert!(before.iter().all(|item| (item.after, item.through) == (Seq(3), Seq(3))));
    }
}
