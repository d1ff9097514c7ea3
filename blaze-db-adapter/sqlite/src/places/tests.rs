//! Where places are kept, and that none is lost or goes back on the way.

use blaze_codec::{Change, Name, Operation, RecordKey, Version, record};
use blaze_db_adapter::{DatabaseAdapter, Durability, Incoming, Write, WriteKind};
use tempfile::TempDir;

use super::*;
use crate::{SqliteDatabase, SqliteOptions};

const OF: Incarnation = Incarnation(u64::MAX);

async fn open(folder: &TempDir) -> SqliteDatabase {
    let options = SqliteOptions::new(folder.path().join("test.db"));
    options.durability(Durability::Process).open().await.unwrap()
}

fn peer(number: u8) -> NodeId {
    NodeId::from_bytes([number; 16])
}

fn notes() -> Name {
    Name::new("notes").unwrap()
}

/// Merges a place of a peer's, with a record that is new if there is a key.
async fn reach(database: &SqliteDatabase, of: u8, seq: u64, key: Option<i64>) {
    let insert = |key: i64| Operation {
        collection: notes(),
        key: RecordKey::Int(key),
        version: Version { hlc: Hlc::from_millis(1_000), node: peer(of), ..Version::ZERO },
        base: Version::ZERO,
        change: Change::Insert(record! { "a" => key }),
    };
    let checkpoint = Some(Checkpoint { incarnation: OF, seq: Seq(seq) });
    let operations = key.map(insert).into_iter().collect();
    let incoming = Incoming { peer: peer(of), checkpoint, operations, ..Incoming::default() };
    database.merge(incoming).await.unwrap();
}

async fn commit(database: &SqliteDatabase, key: i64, kind: WriteKind) {
    let write = Write { collection: notes(), key: RecordKey::Int(key), kind };
    database.commit(vec![write]).await.unwrap();
}

async fn seq(database: &SqliteDatabase, of: u8) -> u64 {
    database.checkpoints(peer(of)).await.unwrap().first().map_or(0, |place| place.seq.0)
}

/// What the table and the last row say of the places.
fn stored(database: &SqliteDatabase) -> (Vec<i64>, Vec<(i64, Seq)>) {
    let conn = Connection::open(database.path()).unwrap();
    let mut select = conn.prepare("SELECT seq FROM checkpoints ORDER BY number").unwrap();
    let table = select.query_map([], |row| row.get(0)).unwrap();
    let (_, ending) = crate::schema::head(&conn).unwrap();
    (table.collect::<Result<_, _>>().unwrap(), ending.carried)
}

#[test]
fn an_ending_reads_as_it_was_written() {
    let mut bytes = Vec::new();
    let places = Places::resume(vec![(1, Seq(300)), (i64::MAX, Seq(u64::MAX))]);
    places.encode(Hlc::from_millis(7), &mut bytes);
    let ending = Ending::decode(&bytes).unwrap();
    assert_eq!(ending, Ending { clock: Hlc::from_millis(7), carried: places.carried });
    assert_eq!(Ending::decode(&bytes[..8]).map(|ending| ending.carried), Some(Vec::new()));
    for cut in (0..8).chain([9, bytes.len() - 1]) {
        assert_eq!(Ending::decode(&bytes[..cut]), None, "{cut} bytes");
    }
}

#[tokio::test]
async fn a_merge_of_a_known_incarnation_writes_no_page_of_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder).await;
    reach(&database, 1, 5, Some(1)).await;
    assert_eq!(stored(&database), (vec![5], vec![]), "the first needs a number");
    reach(&database, 1, 6, Some(2)).await;
    reach(&database, 1, 8, Some(3)).await;
    assert_eq!(stored(&database), (vec![5], vec![(1, Seq(8))]));
    assert_eq!(seq(&database, 1).await, 8);
    // It changes nothing, so that no row could tell.
    reach(&database, 1, 9, None).await;
    assert_eq!((stored(&database).0, seq(&database, 1).await), (vec![9], 9));
    reach(&database, 1, 7, Some(4)).await;
    assert_eq!(seq(&database, 1).await, 9, "what comes late doesn't take it back");
}

#[tokio::test]
async fn what_commits_carry_in_vain_goes_to_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder).await;
    reach(&database, 1, 5, Some(1)).await;
    reach(&database, 1, 6, Some(2)).await;
    for key in 10..10 + i64::from(IDLE_COMMITS_MAX) - 1 {
        commit(&database, key, WriteKind::Insert(record! {})).await;
    }
    assert_eq!(stored(&database), (vec![5], vec![(1, Seq(6))]));
    commit(&database, 99, WriteKind::Insert(record! {})).await;
    assert_eq!(stored(&database), (vec![6], vec![]));
    assert_eq!(seq(&database, 1).await, 6);
}

#[tokio::test]
async fn the_places_of_many_peers_survive_whatever_becomes_of_the_rows() {
    let folder = tempfile::tempdir().unwrap();
    let mut database = open(&folder).await;
    let peers = u8::try_from(CARRIED_MAX).unwrap() + 3;
    let mut rng = 1_u32;
    let mut reached = vec![0_u64; usize::from(peers)];
    for (step, key) in (1_u64..=400).zip(1_i64..) {
        rng = rng.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let of = (rng >> 24) as u8 % peers;
        match rng >> 16 & 15 {
            0 => {
                // Without closing: the log is read.
                drop(database);
                database = open(&folder).await;
            }
            // The last row moves, goes, or is another one's.
            1 | 2 => commit(&database, 0, WriteKind::Put(record! { "a" => key })).await,
            3 => {
                commit(&database, 0, WriteKind::Delete).await;
                database.register(peer(99), "settled", Seq(u64::MAX)).await.unwrap();
                database.settle(&[(peer(99), database.feed().head())]).await.unwrap();
                database.purge(0).await.unwrap();
            }
            kind => {
                reached[usize::from(of)] = step;
                reach(&database, of, step, Some(key).filter(|_| kind > 5)).await;
            }
        }
        for (of, expected) in (0..).zip(&reached) {
            assert_eq!(seq(&database, of).await, *expected, "of {of} at step {step}");
        }
        assert!(stored(&database).1.len() <= CARRIED_MAX);
    }
    assert!(reached.iter().all(|seq| *seq > 300), "all took part: {reached:?}");
}
