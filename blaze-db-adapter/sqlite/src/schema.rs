//! The tables, and what is said of the database in `meta`.

use blaze_codec::{History, Hlc, Incarnation, NodeId, Role, Seq, Span, Version};
use rusqlite::types::{FromSql, ValueRef};
use rusqlite::{Connection, OptionalExtension};

use crate::fault::Fault;
use crate::places::Ending;
use blaze_db_adapter::{DatabaseError, Identity, Lineage, LineageChange, RecordState};

/// "Blaz": tells this program's files from those of others.
pub(crate) const APPLICATION_ID: u32 = 0x426c_617a;
/// The version of the tables and of what is in them.
pub(crate) const FORMAT_VERSION: u32 = 3;
/// The oldest version that is known. Its files have no [`SHARES`]; they are given them when
/// they are first opened to be written.
pub(crate) const FORMAT_VERSION_OLDEST: u32 = 2;

/// Bits of a position that number the records of one commit.
const NUMBER_BITS: u32 = 20;
/// The greatest seq that a position can have.
const SEQ_MAX: Seq = Seq((1 << (63 - NUMBER_BITS)) - 1);
/// The latest clock that is believed, in the year 6429: with one near the end of
/// its range, versions could no longer ascend.
pub(crate) const CLOCK_MAX: Hlc = Hlc::from_millis(1 << 47);

const TABLES: &str = "
    CREATE TABLE meta(name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
    CREATE TABLE names(id INTEGER PRIMARY KEY, value TEXT NOT NULL UNIQUE);
    CREATE TABLE nodes(id INTEGER PRIMARY KEY, value BLOB NOT NULL UNIQUE);
    CREATE TABLE records(
        position INTEGER PRIMARY KEY,
        collection INTEGER NOT NULL,
        live INTEGER NOT NULL,
        ending BLOB,
        key BLOB NOT NULL,
        state BLOB NOT NULL
    );
    CREATE INDEX records_by_key ON records(collection, key, live);
    CREATE INDEX tombstones ON records(live) WHERE live = 0;
    CREATE TABLE spans(
        first INTEGER PRIMARY KEY,
        incarnation INTEGER NOT NULL,
        told INTEGER NOT NULL
    );
    CREATE TABLE checkpoints(
        number INTEGER PRIMARY KEY,
        peer BLOB NOT NULL,
        incarnation INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        UNIQUE(peer, incarnation)
    );
    CREATE TABLE peers(
        node BLOB PRIMARY KEY,
        name TEXT NOT NULL,
        settled INTEGER NOT NULL,
        seen_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
";

/// The records that peers were given which don't see all, and the seq at which each was
/// withdrawn last, 0 if never.
const SHARES: &str = "
    CREATE TABLE audiences(
        id INTEGER PRIMARY KEY,
        node BLOB NOT NULL,
        principal TEXT NOT NULL,
        UNIQUE(node, principal)
    );
    CREATE TABLE shares(
        collection INTEGER NOT NULL,
        key BLOB NOT NULL,
        audience INTEGER NOT NULL,
        withdrawn INTEGER NOT NULL,
        PRIMARY KEY(collection, key, audience)
    ) WITHOUT ROWID;
";

/// Who the replica is, as stored.
#[derive(Debug, Clone)]
pub(crate) struct Meta {
    pub(crate) node: NodeId,
    pub(crate) former: Vec<NodeId>,
    pub(crate) database: String,
    pub(crate) role: Role,
}

/// Makes the tables in an empty database, in one transaction.
pub(crate) fn create(conn: &Connection, meta: &Meta) -> rusqlite::Result<()> {
    conn.execute_batch("BEGIN IMMEDIATE")?;
    conn.execute_batch(TABLES)?;
    conn.execute_batch(SHARES)?;
    let mut insert = conn.prepare("INSERT INTO meta(name, value) VALUES (?1, ?2)")?;
    insert.execute(("node", meta.node.as_bytes()))?;
    insert.execute(("database", &meta.database))?;
    insert.execute(("role", role_number(meta.role)))?;
    conn.pragma_update(None, "application_id", APPLICATION_ID)?;
    conn.pragma_update(None, "user_version", FORMAT_VERSION)?;
    conn.execute_batch("COMMIT")
}

/// Brings a file of an older version to this one, in one transaction.
pub(crate) fn upgrade(conn: &Connection) -> rusqlite::Result<()> {
    let version: u32 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == FORMAT_VERSION {
        return Ok(());
    }
    conn.execute_batch("BEGIN IMMEDIATE")?;
    conn.execute_batch(SHARES)?;
    conn.pragma_update(None, "user_version", FORMAT_VERSION)?;
    conn.execute_batch("COMMIT")
}

/// Checks that the schema is the one that [`create`] makes and nothing else, or says
/// what is wrong: a trigger or a view would act in our name.
pub(crate) fn check(conn: &Connection, version: u32) -> rusqlite::Result<Result<(), String>> {
    let model = Connection::open_in_memory()?;
    model.execute_batch(TABLES)?;
    if version > FORMAT_VERSION_OLDEST {
        model.execute_batch(SHARES)?;
    }
    let (found, expected) = (objects(conn)?, objects(&model)?);
    if let Some([kind, name, _]) = found.iter().find(|object| !expected.contains(object)) {
        return Ok(Err(format!("its {kind} {name:?} is none that this program makes")));
    }
    if let Some([kind, name, _]) = expected.iter().find(|object| !found.contains(object)) {
        return Ok(Err(format!("its {kind} {name:?} is missing")));
    }
    Ok(Ok(()))
}

/// Kind, name and definition of all that a schema has. What the name and the
/// definition say of the table needn't be compared besides.
fn objects(conn: &Connection) -> rusqlite::Result<Vec<[String; 3]>> {
    let select = "SELECT type, name, coalesce(sql, '') FROM sqlite_schema";
    let mut select = conn.prepare(select)?;
    let rows = select.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))?;
    rows.collect()
}

/// Reads who the replica is, or says what is wrong.
pub(crate) fn meta(conn: &Connection) -> Result<Result<Meta, String>, rusqlite::Error> {
    let node: Option<[u8; 16]> = value(conn, "node")?;
    let former: Vec<u8> = value(conn, "former")?.unwrap_or_default();
    let database: Option<String> = value(conn, "database")?;
    let role = value(conn, "role")?.and_then(role_of);
    let (former, rest) = former.as_chunks();
    let (Some(node), Some(database), Some(role), []) = (node, database, role, rest) else {
        return Ok(Err("what it says of itself is damaged".to_owned()));
    };
    let former = former.iter().copied().map(NodeId::from_bytes).collect();
    Ok(Ok(Meta { node: NodeId::from_bytes(node), former, database, role }))
}

/// Stores another node id, and the ones before.
pub(crate) fn store_node(conn: &Connection, identity: &Identity) -> rusqlite::Result<()> {
    let former: Vec<u8> = identity.former.iter().flat_map(|node| *node.as_bytes()).collect();
    store(conn, "former", former)?;
    store(conn, "node", identity.node.as_bytes())
}

/// Reads the spans of the feed, to which this opening adds what it drew.
pub(crate) fn lineage(conn: &Connection, drawn: Incarnation) -> Result<Lineage, Fault> {
    let select = "SELECT first, incarnation, told FROM spans ORDER BY first";
    let mut select = conn.prepare_cached(select)?;
    let rows = select.query_map([], |row| {
        let (first, incarnation): (i64, i64) = (row.get(0)?, row.get(1)?);
        let (first, incarnation) = (first.cast_unsigned(), incarnation.cast_unsigned());
        let span = Span { incarnation: Incarnation(incarnation), first: Seq(first) };
        Ok((span, row.get::<_, bool>(2)?))
    })?;
    let (spans, told): (Vec<_>, Vec<bool>) =
        rows.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    if !spans.is_empty() && History::new(spans.clone()).is_err() {
        return Err(damaged(conn, "the history of its feed is none"));
    }
    Ok(Lineage::open(spans, told.last().copied().unwrap_or_default(), drawn))
}

/// Stores how the spans change.
pub(crate) fn store_span(conn: &Connection, change: LineageChange) -> rusqlite::Result<()> {
    let LineageChange { last, told, oldest } = change;
    let (first, incarnation) = (last.first.0.cast_signed(), last.incarnation.0.cast_signed());
    conn.prepare_cached(
        "INSERT OR REPLACE INTO spans(first, incarnation, told) VALUES (?1, ?2, ?3)",
    )?
    .execute((first, incarnation, told))?;
    conn.prepare_cached("DELETE FROM spans WHERE first < ?1")?
        .execute([oldest.0.cast_signed()])
        .map(drop)
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

/// The seq up to which tombstones are gone. A damaged one is an error: peers that have
/// missed some would not be told.
pub(crate) fn purged(conn: &Connection) -> rusqlite::Result<Seq> {
    let mut select = conn.prepare_cached("SELECT value FROM meta WHERE name = 'purged'")?;
    let purged = select.query_row([], |row| row.get::<_, i64>(0)).optional()?;
    Ok(Seq(purged.unwrap_or_default().cast_unsigned()))
}

/// Stores up to which seq tombstones are gone.
pub(crate) fn store_purged(conn: &Connection, purged: Seq) -> rusqlite::Result<()> {
    store(conn, "purged", purged.0.cast_signed())
}

/// The greatest version of the tombstones that are gone, but for whose it was.
pub(crate) fn forgotten(conn: &Connection) -> rusqlite::Result<Version> {
    let select = "SELECT
        (SELECT value FROM meta WHERE name = 'forgotten epoch'),
        (SELECT value FROM meta WHERE name = 'forgotten clock')";
    let (epoch, clock): (Option<i64>, Option<i64>) =
        conn.prepare_cached(select)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let hlc = |bits: Option<i64>| Hlc::from_bits(bits.unwrap_or_default().cast_unsigned());
    Ok(Version { epoch: hlc(epoch), hlc: hlc(clock), ..Version::ZERO })
}

/// Stores the greatest version of the tombstones that are gone.
pub(crate) fn store_forgotten(conn: &Connection, version: Version) -> rusqlite::Result<()> {
    store(conn, "forgotten epoch", version.epoch.to_bits().cast_signed())?;
    store(conn, "forgotten clock", version.hlc.to_bits().cast_signed())
}

/// The seq of the latest commit, its clock, and where feeds of peers are merged to beyond
/// what `checkpoints` tells.
pub(crate) fn head(conn: &Connection) -> Result<(Seq, Ending), Fault> {
    let last = "SELECT position, ending FROM records ORDER BY position DESC LIMIT 1";
    let last = conn.prepare_cached(last)?.query_row([], |row| {
        // A row within a commit is the last one after a purge.
        let ending = match row.get_ref(1)? {
            ValueRef::Null => Some(Ending::default()),
            value => value.as_blob().ok().and_then(Ending::decode),
        };
        Ok((row.get(0)?, ending))
    });
    let (position, ending) = last.optional()?.unwrap_or((0, Some(Ending::default())));
    let Some(Ending { clock, carried }) = ending.filter(|_| position >= 0) else {
        return Err(damaged(conn, &format!("it has a damaged record at {position}")));
    };
    let floor: [u8; 16] = value(conn, "floor")?.unwrap_or_default();
    let (floor_seq, floor_clock) = (half(floor, 0), Hlc::from_bits(half(floor, 8)));
    let (seq, clock) = (seq_of(position).max(Seq(floor_seq)), clock.max(floor_clock));
    // The next commit needs a seq as well.
    if seq >= SEQ_MAX {
        return Err(damaged(conn, &format!("its head is {seq}, which no feed reaches")));
    }
    if clock > CLOCK_MAX {
        return Err(damaged(
            conn,
            &format!("its clock is {clock}, the greatest allowed {CLOCK_MAX}"),
        ));
    }
    Ok((seq, Ending { clock, carried }))
}

/// The rowid of a commit's record.
///
/// # Panics
///
/// After 2^43 commits: 28 years of ten thousand a second.
pub(crate) fn position(seq: Seq, number: usize) -> i64 {
    let number = i64::try_from(number).ok().filter(|number| *number < 1 << NUMBER_BITS);
    let number = number.expect("commits are checked for their number of records");
    assert!(seq <= SEQ_MAX, "there are fewer than 2^43 commits");
    seq.0.cast_signed() << NUMBER_BITS | number
}

/// The greatest rowid that a record of a commit up to `seq` can have.
pub(crate) const fn last_position(seq: Seq) -> i64 {
    if seq.0 >= SEQ_MAX.0 { i64::MAX } else { ((seq.0.cast_signed() + 1) << NUMBER_BITS) - 1 }
}

/// What the column `live` has of a record: 1 if it exists, 0 if it is a tombstone that may
/// go one day, 2 if it doesn't exist and fields wait in it, or it was withdrawn or refused.
pub(crate) fn live(state: &RecordState) -> i64 {
    match (state.exists(), state.is_tombstone()) {
        (true, _) => 1,
        (false, true) => 0,
        (false, false) => 2,
    }
}

/// The commit of a rowid.
pub(crate) fn seq_of(position: i64) -> Seq {
    Seq(position.max(0).cast_unsigned() >> NUMBER_BITS)
}

fn damaged(conn: &Connection, found: &str) -> Fault {
    let path = conn.path().unwrap_or_default().into();
    let reason = format!("{found}; restore it from a peer or a backup");
    Fault::Database(DatabaseError::Corrupt { path, reason })
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
