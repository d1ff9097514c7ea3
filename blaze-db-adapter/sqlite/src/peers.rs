//! The peers that are registered, and the removal of tombstones.

use std::collections::BTreeMap;

use blaze_codec::{NodeId, Seq, Version};
use blaze_db_adapter::{Purged, RegisteredPeer, settled};
use rusqlite::{Connection, OptionalExtension, Row};

use crate::dictionary::Dictionary;
use crate::fault::Fault;
use crate::{schema, shares, state};

/// Tombstones that one transaction removes at most: commits wait so long for it.
pub(crate) const PURGE_RECORDS_MAX: u32 = 2048;

const SELECT: &str = "SELECT node, name, settled, seen_ms FROM peers ORDER BY node";
const SELECT_ONE: &str = "SELECT node, name, settled, seen_ms FROM peers WHERE node = ?1";
/// How many of the oldest tombstones up to a position there are, and where they end.
const OLDEST: &str = "SELECT count(*), max(position) FROM (
    SELECT position FROM records INDEXED BY tombstones
    WHERE live = 0 AND position <= ?1 ORDER BY position LIMIT ?2)";
const STATES: &str =
    "SELECT state FROM records INDEXED BY tombstones WHERE live = 0 AND position <= ?1";
const REMOVE: &str = "DELETE FROM records INDEXED BY tombstones WHERE live = 0 AND position <= ?1";

/// A part of a purge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purge {
    pub(crate) purged: Purged,
    /// Whether there may be more.
    pub(crate) more: bool,
    /// The greatest version of what is gone.
    pub(crate) forgotten: Version,
}

/// The peers in the order of their ids.
pub(crate) fn all(conn: &Connection) -> rusqlite::Result<Vec<RegisteredPeer>> {
    conn.prepare_cached(SELECT)?.query_map([], peer)?.collect()
}

/// Notes that a peer's session begins.
pub(crate) fn register(
    conn: &Connection,
    node: NodeId,
    name: &str,
    holds: Seq,
    now_ms: u64,
) -> rusqlite::Result<()> {
    let mut peer = find(conn, node)?.unwrap_or_else(|| RegisteredPeer::new(node));
    peer.begin(name, holds, now_ms);
    store(conn, &peer)
}

/// Notes up to where peers have the feed for good, but for those that aren't registered.
pub(crate) fn settle(
    conn: &Connection,
    settled: &[(NodeId, Seq)],
    now_ms: u64,
) -> rusqlite::Result<()> {
    // All are read before the first is written: one that is damaged changes nothing.
    let mut peers = BTreeMap::new();
    for &(node, seq) in settled {
        let known = match peers.remove(&node) {
            None => find(conn, node)?,
            known => known,
        };
        if let Some(mut peer) = known {
            peer.settle(seq, now_ms);
            peers.insert(node, peer);
        }
    }
    peers.values().try_for_each(|peer| store(conn, peer))
}

/// Takes a peer out, and says whether it was there.
pub(crate) fn unregister(conn: &Connection, node: NodeId) -> rusqlite::Result<bool> {
    shares::forget(conn, node)?;
    let mut delete = conn.prepare_cached("DELETE FROM peers WHERE node = ?1")?;
    Ok(delete.execute([node.as_bytes()])? > 0)
}

/// Removes the oldest tombstones that no registered peer needs, at most
/// [`PURGE_RECORDS_MAX`] and none after a seq.
pub(crate) fn purge(
    conn: &Connection,
    dictionary: &mut Dictionary,
    through: Seq,
    silent_since_ms: u64,
) -> Result<Purge, Fault> {
    let through = settled(&all(conn)?, through, silent_since_ms);
    let before = schema::purged(conn)?;
    let bound = (schema::last_position(through), PURGE_RECORDS_MAX);
    let oldest = conn
        .prepare_cached(OLDEST)?
        .query_row(bound, |row| Ok((row.get::<_, u32>(0)?, row.get::<_, Option<i64>>(1)?)));
    let (found, Some(last)) = oldest? else {
        let purged = Purged { removed: 0, through: before };
        return Ok(Purge { purged, more: false, forgotten: Version::ZERO });
    };
    let mut forgotten = schema::forgotten(conn)?;
    let mut states = conn.prepare_cached(STATES)?;
    let mut states = states.query([last])?;
    while let Some(row) = states.next()? {
        let state = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
        forgotten = forgotten.max(state::decode(state, dictionary, conn)?.version());
    }
    shares::purge(conn, last)?;
    let removed = conn.prepare_cached(REMOVE)?.execute([last])? as u64;
    let through = before.max(schema::seq_of(last));
    schema::store_purged(conn, through)?;
    schema::store_forgotten(conn, forgotten)?;
    let purged = Purged { removed, through };
    Ok(Purge { purged, more: found == PURGE_RECORDS_MAX, forgotten })
}

fn find(conn: &Connection, node: NodeId) -> rusqlite::Result<Option<RegisteredPeer>> {
    conn.prepare_cached(SELECT_ONE)?.query_row([node.as_bytes()], peer).optional()
}

fn store(conn: &Connection, peer: &RegisteredPeer) -> rusqlite::Result<()> {
    let RegisteredPeer { node, name, settled, seen_ms } = peer;
    let upsert =
        "INSERT OR REPLACE INTO peers(node, name, settled, seen_ms) VALUES (?1, ?2, ?3, ?4)";
    let values = (node.as_bytes(), name, settled.0.cast_signed(), seen_ms.cast_signed());
    conn.prepare_cached(upsert)?.execute(values).map(drop)
}

fn peer(row: &Row<'_>) -> rusqlite::Result<RegisteredPeer> {
    let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
    let node = NodeId::from_bytes(row.get(0)?);
    let (settled, seen_ms) = (Seq(number(2)?), number(3)?);
    Ok(RegisteredPeer { node, name: row.get(1)?, settled, seen_ms })
}

#[cfg(test)]
mod tests;
