//! The records that peers were given which don't see all, so that they can be withdrawn.

use blaze_codec::{Name, NodeId, RecordKey, Seq};
use blaze_db_adapter::Audience;
use rusqlite::{Connection, OptionalExtension};

use crate::dictionary::Dictionary;

const AUDIENCE: &str = "SELECT id FROM audiences WHERE node = ?1 AND principal = ?2";
/// When a record was withdrawn from an audience that was given it.
const WITHDRAWN: &str = "SELECT withdrawn FROM shares
    WHERE collection = (SELECT id FROM names WHERE value = ?1) AND key = ?2 AND audience = ?3";
const SHARE: &str = "INSERT INTO shares(collection, key, audience, withdrawn)
    VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT DO UPDATE SET withdrawn = max(withdrawn, excluded.withdrawn)";

/// Notes that an audience is given records, and when they are withdrawn.
pub(crate) fn add(
    conn: &Connection,
    dictionary: &mut Dictionary,
    audience: &Audience,
    records: &[(Name, RecordKey)],
    withdrawn: Seq,
) -> rusqlite::Result<()> {
    let audience = if let Some(id) = id(conn, audience)? {
        id
    } else {
        let insert = "INSERT INTO audiences(node, principal) VALUES (?1, ?2)";
        let Audience { node, principal } = audience;
        conn.prepare_cached(insert)?.insert((node.as_bytes(), principal))?
    };
    let mut share = conn.prepare_cached(SHARE)?;
    for (collection, key) in records {
        let collection = dictionary.names.intern(conn, collection)?.cast_signed();
        share.execute((collection, key.to_bytes(), audience, withdrawn.0.cast_signed()))?;
    }
    Ok(())
}

/// When each record was withdrawn from an audience; `None` if it wasn't given it.
pub(crate) fn find(
    conn: &Connection,
    audience: &Audience,
    records: &[(Name, RecordKey)],
) -> rusqlite::Result<Vec<Option<Seq>>> {
    let Some(audience) = id(conn, audience)? else { return Ok(vec![None; records.len()]) };
    let mut select = conn.prepare_cached(WITHDRAWN)?;
    let found = records.iter().map(|(collection, key)| {
        let name = (collection.as_str(), key.to_bytes(), audience);
        select.query_row(name, |row| Ok(Seq(row.get::<_, i64>(0)?.cast_unsigned()))).optional()
    });
    found.collect()
}

/// Forgets what a peer was given.
pub(crate) fn forget(conn: &Connection, node: NodeId) -> rusqlite::Result<()> {
    let of_node = "DELETE FROM shares
        WHERE audience IN (SELECT id FROM audiences WHERE node = ?1)";
    conn.prepare_cached(of_node)?.execute([node.as_bytes()])?;
    let audiences = "DELETE FROM audiences WHERE node = ?1";
    conn.prepare_cached(audiences)?.execute([node.as_bytes()]).map(drop)
}

/// Forgets who was given the records whose tombstones up to a position are about to go.
pub(crate) fn purge(conn: &Connection, position: i64) -> rusqlite::Result<()> {
    let purge = "DELETE FROM shares WHERE (collection, key) IN (
        SELECT collection, key FROM records INDEXED BY tombstones
        WHERE live = 0 AND position <= ?1)";
    conn.prepare_cached(purge)?.execute([position]).map(drop)
}

fn id(conn: &Connection, audience: &Audience) -> rusqlite::Result<Option<i64>> {
    let Audience { node, principal } = audience;
    let mut select = conn.prepare_cached(AUDIENCE)?;
    select.query_row((node.as_bytes(), principal), |row| row.get(0)).optional()
}
