//! The tables, and what is said of the database in `meta`.

use blaze_codec::{Hlc, Incarnation, NodeId, Role, Seq};
use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension};

use crate::fault::Fault;

/// "Blaz": tells this program's files from those of others.
pub(crate) const APPLICATION_ID: u32 = 0x426c_617a;
/// The version of the tables and of what is in them.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// Bits of a position that number the records of one commit.
const NUMBER_BITS: u32 = 20;

const TABLES: &str = "
    CREATE TABLE meta(name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
    CREATE TABLE names(id INTEGER PRIMARY KEY, value TEXT NOT NULL UNIQUE);
    CREATE TABLE nodes(id INTEGER PRIMARY KEY, value BLOB NOT NULL UNIQUE);
    CREATE TABLE records(
        position INTEGER PRIMARY KEY,
        collection INTEGER NOT NULL,
        live INTEGER NOT NULL,
        clock INTEGER,
        key BLOB NOT NULL,
        state BLOB NOT NULL
    );
    CREATE INDEX records_by_key ON records(collection, key, live);
    CREATE TABLE checkpoints(
        peer BLOB PRIMARY KEY,
        incarnation INTEGER NOT NULL,
        seq INTEGER NOT NULL
    ) WITHOUT ROWID;
";

/// Who the replica is, as stored.
#[derive(Debug, Clone)]
pub(crate) struct Meta {
    pub(crate) node: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) database: String,
    pub(crate) role: Role,
}

/// Makes the tables in an empty database, in one transaction.
pub(crate) fn create(conn: &Connection, meta: &Meta) -> rusqlite::Result<()> {
    conn.execute_batch("BEGIN IMMEDIATE")?;
    conn.execute_batch(TABLES)?;
    let mut insert = conn.prepare("INSERT INTO meta(name, value) VALUES (?1, ?2)")?;
    insert.execute(("node", meta.node.as_bytes()))?;
    insert.execute(("incarnation", meta.incarnation.0.cast_signed()))?;
    insert.execute(("database", &meta.database))?;
    insert.execute(("role", role_number(meta.role)))?;
    conn.pragma_update(None, "application_id", APPLICATION_ID)?;
    conn.pragma_update(None, "user_version", FORMAT_VERSION)?;
    conn.execute_batch("COMMIT")
}

/// Reads who the replica is, or says what is wrong.
pub(crate) fn meta(conn: &Connection) -> Result<Result<Meta, String>, rusqlite::Error> {
    let node: Option<[u8; 16]> = value(conn, "node")?;
    let incarnation: Option<i64> = value(conn, "incarnation")?;
    let database: Option<String> = value(conn, "database")?;
    let role = value(conn, "role")?.and_then(role_of);
    let (Some(node), Some(incarnation), Some(database), Some(role)) =
        (node, incarnation, database, role)
    else {
        return Ok(Err("what it says of itself is damaged".to_owned()));
    };
    let (node, incarnation) = (NodeId::from_bytes(node), Incarnation(incarnation.cast_unsigned()));
    Ok(Ok(Meta { node, incarnation, database, role }))
}

/// Stores the role of later commits.
pub(crate) fn store_role(conn: &Connection, role: Role) -> rusqlite::Result<()> {
    store(conn, "role", role_number(role))
}

/// Stores the head and the clock, where no row tells them.
pub(crate) fn store_floor(conn: &Connection, seq: Seq, clock: Hlc) -> rusqlite::Result<()> {
    let mut floor = [0; 16];
    floor[..8].copy_from_slice(&seq.0.to_be_bytes());
    floor[8..].copy_from_slice(&clock.to_bits().to_be_bytes());
    store(conn, "floor", floor)
}

/// The seq and the clock of the latest commit.
pub(crate) fn head(conn: &Connection) -> Result<(Seq, Hlc), Fault> {
    let last = "SELECT position, clock FROM records ORDER BY position DESC LIMIT 1";
    let last = conn.prepare_cached(last)?.query_row([], |row| {
        let clock: Option<i64> = row.get(1)?;
        Ok((seq_of(row.get(0)?), Hlc::from_bits(clock.unwrap_or_default().cast_unsigned())))
    });
    let (seq, clock) = last.optional()?.unwrap_or_default();
    let floor: [u8; 16] = value(conn, "floor")?.unwrap_or_default();
    let (floor_seq, floor_clock) = (half(floor, 0), Hlc::from_bits(half(floor, 8)));
    Ok((seq.max(Seq(floor_seq)), clock.max(floor_clock)))
}

/// The rowid of a commit's record.
///
/// # Panics
///
/// After 2^43 commits: 28 years of ten thousand a second.
pub(crate) fn position(seq: Seq, number: usize) -> i64 {
    let number = i64::try_from(number).ok().filter(|number| *number < 1 << NUMBER_BITS);
    let number = number.expect("commits are checked for their number of records");
    let seq = i64::try_from(seq.0).ok().filter(|seq| *seq < 1 << (63 - NUMBER_BITS));
    seq.expect("there are fewer than 2^43 commits") << NUMBER_BITS | number
}

/// The greatest rowid that a record of a commit up to `seq` can have.
pub(crate) fn last_position(seq: Seq) -> i64 {
    let next = i64::try_from(seq.0).ok().and_then(|seq| seq.checked_add(1));
    let next = next.and_then(|next| next.checked_mul(1 << NUMBER_BITS));
    next.map_or(i64::MAX, |next| next - 1)
}

/// The commit of a rowid.
pub(crate) fn seq_of(position: i64) -> Seq {
    Seq(position.max(0).cast_unsigned() >> NUMBER_BITS)
}

fn half(bytes: [u8; 16], at: usize) -> u64 {
    bytes[at..at + 8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A value of `meta`; `None` if it is missing or of another type.
fn value<T: FromSql>(conn: &Connection, name: &str) -> rusqlite::Result<Option<T>> {
    let mut select = conn.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    let value = select.query_row([name], |row| Ok(T::column_result(row.get_ref(0)?).ok()));
    value.optional().map(Option::flatten)
}

fn store(conn: &Connection, name: &str, value: impl rusqlite::ToSql) -> rusqlite::Result<()> {
    let mut upsert =
        conn.prepare_cached("INSERT OR REPLACE INTO meta(name, value) VALUES (?1, ?2)")?;
    upsert.execute((name, value)).map(drop)
}

const fn role_number(role: Role) -> i64 {
    match role {
        Role::Client => 0,
        Role::Server => 1,
    }
}

const fn role_of(number: i64) -> Option<Role> {
    match number {
        0 => Some(Role::Client),
        1 => Some(Role::Server),
        _ => None,
    }
}
