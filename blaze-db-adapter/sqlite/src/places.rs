//! How far the feeds of peers are merged: a merge writes it to the last row of its commit,
//! which it writes anyway, and not to a page of the table `checkpoints` as well.
//!
//! Each commit carries on what the one before it had, so that the last row of the feed
//! tells all that the table doesn't yet. A place never goes back, and a number in
//! `checkpoints` never comes to mean another one: the greater seq of the two counts, and
//! what an older row still says does no harm.

use std::collections::HashMap;

use blaze_codec::{Checkpoint, HISTORY_SPANS_MAX, Hlc, Incarnation, NodeId, Seq, binary};
use rusqlite::{Connection, OptionalExtension};

/// Places that a row has at most.
const CARRIED_MAX: usize = 4;
/// Commits on end that carry places and reach none; then they go to the table.
const IDLE_COMMITS_MAX: u32 = 8;
/// Peers that are remembered.
const LATEST_MAX: usize = 1024;

/// What the last row of a commit keeps beside its record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Ending {
    /// The clock after the commit.
    pub(crate) clock: Hlc,
    /// Where the feeds of peers are merged to, as numbered in `checkpoints`.
    pub(crate) carried: Vec<(i64, Seq)>,
}

/// What the writing connection knows of the places.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// The number and the incarnation of the latest of each peer, where it was asked for.
    latest: HashMap<NodeId, (i64, Incarnation)>,
    /// Those that are, or are to be, on the last row.
    carried: Vec<(i64, Seq)>,
    /// Commits since one was reached.
    idle: u32,
}

impl Ending {
    /// What [`Places::encode`] made these bytes of; `None` if it made none like them.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (clock, mut rest) = bytes.split_first_chunk()?;
        let clock = Hlc::from_bits(u64::from_le_bytes(*clock));
        let mut carried = Vec::new();
        while !rest.is_empty() {
            let mut number = || {
                let (number, length) = binary::decode_varint(rest).ok()?;
                rest = &rest[length..];
                Some(number)
            };
            carried.push((number()?.cast_signed(), Seq(number()?)));
        }
        Some(Self { clock, carried })
    }
}

impl Places {
    /// Goes on with what the last row has.
    pub(crate) fn resume(carried: Vec<(i64, Seq)>) -> Self {
        Self { carried, ..Self::default() }
    }

    /// Notes how far a peer's feed is merged: see [`blaze_db_adapter::reach`]. The next
    /// row is to tell it, or [`store`](Self::store).
    pub(crate) fn reach(
        &mut self,
        conn: &Connection,
        peer: NodeId,
        reached: Checkpoint,
    ) -> rusqlite::Result<()> {
        self.idle = 0;
        let Some((number, _)) =
            self.latest(conn, peer)?.filter(|(_, latest)| *latest == reached.incarnation)
        else {
            return self.begin(conn, peer, reached);
        };
        if let Some((_, seq)) = self.carried.iter_mut().find(|(carried, _)| *carried == number) {
            *seq = reached.seq.max(*seq);
            return Ok(());
        }
        if self.carried.len() >= CARRIED_MAX {
            self.store(conn)?;
        }
        self.carried.push((number, reached.seq));
        Ok(())
    }

    /// Stores in the table what has long been carried for nothing. To be called before a
    /// commit's last row is written.
    pub(crate) fn tend(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        self.idle = self.idle.saturating_add(1);
        if self.idle > IDLE_COMMITS_MAX { self.store(conn) } else { Ok(()) }
    }

    /// Appends what the last row of a commit keeps.
    pub(crate) fn encode(&self, clock: Hlc, out: &mut Vec<u8>) {
        out.extend_from_slice(&clock.to_bits().to_le_bytes());
        for (number, seq) in &self.carried {
            binary::encode_varint(number.cast_unsigned(), out);
            binary::encode_varint(seq.0, out);
        }
    }

    /// Stores in the table what no row is to carry any more.
    pub(crate) fn store(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let update = "UPDATE checkpoints SET seq = max(seq, ?2) WHERE number = ?1";
        for (number, seq) in self.carried.drain(..) {
            conn.prepare_cached(update)?.execute((number, seq.0.cast_signed()))?;
        }
        Ok(())
    }

    /// The number and the incarnation that were merged last.
    fn latest(
        &mut self,
        conn: &Connection,
        peer: NodeId,
    ) -> rusqlite::Result<Option<(i64, Incarnation)>> {
        if let Some(latest) = self.latest.get(&peer) {
            return Ok(Some(*latest));
        }
        let select = "SELECT number, incarnation FROM checkpoints WHERE peer = ?1
            ORDER BY number DESC LIMIT 1";
        let latest = conn.prepare_cached(select)?.query_row([peer.as_bytes()], |row| {
            Ok((row.get(0)?, Incarnation(row.get::<_, i64>(1)?.cast_unsigned())))
        });
        let latest = latest.optional()?;
        if let Some(latest) = latest {
            self.remember(peer, latest);
        }
        Ok(latest)
    }

    /// Another incarnation than the latest: it takes the next number.
    fn begin(
        &mut self,
        conn: &Connection,
        peer: NodeId,
        reached: Checkpoint,
    ) -> rusqlite::Result<()> {
        // So that the table knows how far it was reached under its number before.
        self.store(conn)?;
        let Checkpoint { incarnation, seq } = reached;
        let insert = "INSERT OR REPLACE INTO checkpoints(peer, incarnation, seq) VALUES (?1, ?2,
            max(?3, ifnull((SELECT seq FROM checkpoints WHERE peer = ?1 AND incarnation = ?2), 0)))";
        let values = (peer.as_bytes(), incarnation.0.cast_signed(), seq.0.cast_signed());
        conn.prepare_cached(insert)?.execute(values)?;
        self.remember(peer, (conn.last_insert_rowid(), incarnation));
        let forget = "DELETE FROM checkpoints WHERE peer = ?1 AND number <= (SELECT number
            FROM checkpoints WHERE peer = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)";
        let kept = i64::try_from(HISTORY_SPANS_MAX).expect("they are few");
        conn.prepare_cached(forget)?.execute((peer.as_bytes(), kept)).map(drop)
    }

    fn remember(&mut self, peer: NodeId, latest: (i64, Incarnation)) {
        if self.latest.len() >= LATEST_MAX {
            self.latest.clear();
        }
        self.latest.insert(peer, latest);
    }
}

/// How far the feed of a peer is merged, the latest first; `carried` is on the last row.
pub(crate) fn of(
    conn: &Connection,
    peer: NodeId,
    carried: &[(i64, Seq)],
) -> rusqlite::Result<Vec<Checkpoint>> {
    let select = "SELECT number, incarnation, seq FROM checkpoints WHERE peer = ?1
        ORDER BY number DESC";
    let mut select = conn.prepare_cached(select)?;
    let checkpoints = select.query_map([peer.as_bytes()], |row| {
        let unsigned = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        let (number, incarnation, seq) =
            (row.get(0)?, Incarnation(unsigned(1)?), Seq(unsigned(2)?));
        let later = carried.iter().filter(|(carried, _)| *carried == number).map(|(_, seq)| *seq);
        Ok(Checkpoint { incarnation, seq: later.fold(seq, Seq::max) })
    })?;
    checkpoints.collect()
}

#[cfg(test)]
mod tests;
