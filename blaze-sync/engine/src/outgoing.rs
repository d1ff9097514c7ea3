//! The local feed, encoded for a session: from the ring, or from the database.

use blaze_codec::limits::{BATCH_OPERATIONS_MAX, BATCH_VALUES_MAX};
use blaze_codec::message::{Body, Encoded, Range, TRANSACTION_BYTES_MAX, encode_roll};
use blaze_codec::{Operation, Seq};
use blaze_db_adapter::{
    ChangeSet, ChangesLimit, Committed, DatabaseAdapter, DatabaseError, LiveFeed, Origin,
};
use blaze_sync_protocol::{Known, Outgoing, OutgoingItem};

#[cfg(feature = "canary")]
use crate::canary::{self, Canary};
use crate::export::Export;

/// Commits that are taken from the ring at once.
const COMMITS_MAX: usize = 256;
/// Records that are read from the database at once.
const RECORDS_MAX: usize = 4096;
/// Records that are named at once in a roll.
const NAMES_MAX: usize = 8192;
/// Stored bytes that are read from the database at once.
const BYTES_MAX: u64 = 512 * 1024;

/// What the ring has after a seq, encoded once for all sessions, but for what the
/// peer knows; `None` if the ring has lost the first. Not for a session that is
/// [`behind`](blaze_sync_protocol::Output::Read::behind).
pub fn from_ring(feed: &LiveFeed, after: Seq, known: &Known) -> Option<Outgoing> {
    let commits = feed.after(after, COMMITS_MAX)?;
    let item = |commit: &Committed| {
        let known = is_known(commit, known);
        item(commit, if known { Encoded::default() } else { feed.encoded(commit).clone() })
    };
    let items = commits.iter().map(|commit| item(commit)).collect();
    Some(Outgoing { items, behind: false, left_out: false })
}

/// Of what the ring has after a seq, what the peer has anyway and goes on to see, as far as that
/// is all, if there is any; and in how many bytes to read what follows if there is none. For a
/// session whose peer doesn't see all: what came from it isn't sent back, if it is met before it
/// is read.
pub fn passed(
    feed: &LiveFeed,
    (after, bytes): (Seq, u64),
    known: &Known,
    export: &Export,
) -> (Option<Outgoing>, u64) {
    let commits = feed.after(after, COMMITS_MAX).unwrap_or_default();
    let passes = |commit: &Committed| is_known(commit, known) && export.leaves(commit.operations());
    let first = commits.iter().take_while(|commit| passes(commit));
    let items: Vec<_> = first.map(|commit| item(commit, Encoded::default())).collect();
    if !items.is_empty() {
        return (Some(Outgoing { items, behind: false, left_out: false }), bytes);
    }
    let alone = commits.iter().any(|commit| is_known(commit, known));
    (None, if alone { 1 } else { bytes })
}

/// Whether the peer has a commit anyway.
fn is_known(commit: &Committed, known: &Known) -> bool {
    match commit.origin() {
        // Whoever has it by another way is to say whether it was deleted there.
        Origin::Peer { checkpoint: Some(reached), .. } if commit.roots().is_empty() => {
            known.is_of(reached)
        }
        Origin::Peer { checkpoint: Some(reached), .. } if known.covers(reached) => true,
        _ => known.covers_all(commit.roots()),
    }
}

fn item(commit: &Committed, encoded: Encoded) -> OutgoingItem {
    let (after, through) = (Seq(commit.seq().0 - 1), commit.seq());
    OutgoingItem { after, through, encoded, roots: commit.roots().to_vec() }
}

/// What the database has after a seq, in about so many bytes, or what of that a peer gets that
/// doesn't see all, and had or was sent all there was up to `since`. `was_left_out` tells whether
/// something was left out of what was read before.
///
/// # Errors
///
/// [`DatabaseError`] if the database can't be read, or not store what such a peer is given.
pub async fn from_database(
    database: &dyn DatabaseAdapter,
    (after, bytes): (Seq, u64),
    was_left_out: bool,
    since: Seq,
    export: Option<&Export>,
) -> Result<Outgoing, DatabaseError> {
    let bytes = usize::try_from(bytes.min(BYTES_MAX)).unwrap_or(usize::MAX);
    let limit = ChangesLimit { records: RECORDS_MAX, bytes };
    let ChangeSet { mut operations, through, more, left_out } =
        database.changes(after, limit).await?;
    // All of it is there as soon as there is no more.
    let left_out = more && (was_left_out || left_out);
    let mut behind = more;
    if let Some(export) = export {
        operations = export.part_of(database, operations, (since, through)).await?;
        // It is told of whole records only: what follows depends on nothing that it wasn't
        // told, unless that was left out.
        behind = left_out;
        if operations.is_empty() && !was_left_out && !left_out {
            let (encoded, roots) = (Encoded::default(), Vec::new());
            let items = vec![OutgoingItem { after, through, encoded, roots }];
            return Ok(Outgoing { items, behind, left_out });
        }
    }
    let mut items = Vec::new();
    let range = Range { left_out, ..Range::new(after, through) };
    #[cfg(feature = "canary")]
    let range = with_roots(database, range, export);
    encode(&range, &operations, TRANSACTION_BYTES_MAX, &mut items);
    Ok(Outgoing { items, behind, left_out })
}

/// A canary: a range that names where its first commit was written first.
#[cfg(feature = "canary")]
fn with_roots(database: &dyn DatabaseAdapter, range: Range, export: Option<&Export>) -> Range {
    if !canary::is(Canary::RootsOfPart) || range.left_out || export.is_none() {
        return range;
    }
    let commits = database.feed().after(range.after, 1).unwrap_or_default();
    let roots = commits.first().map(|commit| commit.roots().to_vec());
    Range { roots: roots.unwrap_or_default(), ..range }
}

/// The roll of a range, as far as one read goes: what exists of it, and the peer sees.
///
/// # Errors
///
/// [`DatabaseError`] if the database can't be read.
pub async fn roll(
    database: &dyn DatabaseAdapter,
    after: Seq,
    through: Seq,
    export: Option<&Export>,
) -> Result<Outgoing, DatabaseError> {
    let names = database.roll(after, through, NAMES_MAX).await?;
    #[cfg(feature = "canary")]
    let export = export.filter(|_| !canary::is(Canary::RollOfAllCollections));
    let operations = match export {
        Some(export) => export.named(database, names.operations).await?,
        None => names.operations,
    };
    let mut items = Vec::new();
    name(after, names.through, &operations, &mut items);
    Ok(Outgoing { items, ..Outgoing::default() })
}

/// Encodes a piece of the roll; one that doesn't fit into a frame is halved.
fn name(after: Seq, through: Seq, operations: &[Operation], items: &mut Vec<OutgoingItem>) {
    if let Some(frame) = encode_roll(after, through, operations) {
        let encoded = Encoded { frames: vec![frame.into()], ..Encoded::default() };
        items.push(OutgoingItem { after, through, encoded, roots: Vec::new() });
        return;
    }
    let (first, rest) = operations.split_at(operations.len() / 2);
    name(after, after, first, items);
    name(after, through, rest, items);
}

/// Encodes a piece of the feed. What a transaction changed can be larger when it
/// is read back, for records are read whole; a piece over the limit is halved,
/// and then the peer merges it in more than one step.
fn encode(
    range: &Range,
    operations: &[Operation],
    bytes_max: usize,
    items: &mut Vec<OutgoingItem>,
) {
    let frames = range.encode(operations);
    let bytes: usize = frames.iter().map(bytes::Bytes::len).sum();
    // One frame has room for fewer than the limits.
    let fits = bytes <= bytes_max && (frames.len() == 1 || fit_a_batch(operations));
    if fits || operations.len() < 2 {
        let Range { after, through, .. } = *range;
        let frames = frames.into_iter().map(Body::from).collect();
        let encoded = Encoded { frames, ..Encoded::default() };
        items.push(OutgoingItem { after, through, encoded, roots: Vec::new() });
        return;
    }
    let (first, rest) = operations.split_at(middle(operations));
    let part = Range { through: range.after, ..range.clone() };
    encode(&part, first, bytes_max, items);
    encode(range, rest, bytes_max, items);
}

/// Where to halve operations: between two records, if there is such a place, for what a peer
/// may write is judged by what becomes of a record.
fn middle(operations: &[Operation]) -> usize {
    let half = operations.len() / 2;
    let ends = |at: &usize| {
        let (before, behind) = (&operations[*at - 1], &operations[*at]);
        (&before.collection, &before.key) != (&behind.collection, &behind.key)
    };
    let found = (half..operations.len()).find(ends).or_else(|| (1..half).rev().find(ends));
    found.unwrap_or(half)
}

/// Whether a peer decodes so many, and so many values.
fn fit_a_batch(operations: &[Operation]) -> bool {
    operations.len() <= BATCH_OPERATIONS_MAX
        && operations.iter().map(Operation::value_count).sum::<usize>() <= BATCH_VALUES_MAX
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
            change: Change::Insert(record! { "text" => key.to_string().repeat(1_000) }),
        };
        let operations: Vec<_> = (0..8).map(operation).collect();
        let mut items = Vec::new();
        encode(&Range::new(Seq(3), Seq(9)), &operations, 3_000, &mut items);
        assert!(items.len() >= 4);
        let (last, before) = items.split_last().unwrap();
        assert_eq!((last.after, last.through), (Seq(3), Seq(9)));
        assert!(before.iter().all(|item| (item.after, item.through) == (Seq(3), Seq(3))));
    }

    #[test]
    fn a_piece_of_more_values_than_a_batch_has_room_for_is_halved() {
        let many = vec![blaze_codec::Value::from(1 << 20); BATCH_VALUES_MAX / 12];
        let operation = |key| Operation {
            collection: "notes".parse().unwrap(),
            key: RecordKey::Int(key),
            version: Version::ZERO,
            base: Version::ZERO,
            change: Change::Insert(record! { "many" => many.clone() }),
        };
        for (count, pieces) in [(11, 1), (12, 2)] {
            let operations: Vec<_> = (0..count).map(operation).collect();
            let mut items = Vec::new();
            encode(&Range::new(Seq(3), Seq(9)), &operations, TRANSACTION_BYTES_MAX, &mut items);
            assert_eq!(items.len(), pieces, "{count} records");
        }
    }

    #[test]
    fn a_roll_that_does_not_fit_into_a_frame_is_halved() {
        let named = |key: i64| Operation {
            collection: "notes".parse().unwrap(),
            key: RecordKey::Text(format!("{key:0>1000}")),
            version: Version::ZERO,
            base: Version::ZERO,
            change: Change::Update(Vec::new()),
        };
        let operations: Vec<_> = (0..3_000).map(named).collect();
        let mut items = Vec::new();
        name(Seq(3), Seq(9), &operations, &mut items);
        assert!(items.len() >= 3);
        let (last, before) = items.split_last().unwrap();
        assert_eq!((last.after, last.through), (Seq(3), Seq(9)));
        assert!(before.iter().all(|item| (item.after, item.through) == (Seq(3), Seq(3))));
    }
}
