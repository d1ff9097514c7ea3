//! A process that is killed loses no commit that it acknowledged.

mod common;

use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use blaze_codec::{Seq, Value};
use blaze_db_adapter::{DatabaseAdapter, DatabaseError, Durability};
use blaze_db_adapter_sqlite::SqliteOptions;
use common::{Place, put, value, whole_feed};

const PATH: &str = "BLAZE_CRASH_TEST_PATH";
const COMMITS: u64 = 150;

fn options(path: &Path) -> SqliteOptions {
    SqliteOptions::new(path).durability(Durability::Process).password("p")
}

/// Not a test of its own: the process that is killed.
#[tokio::test]
#[ignore = "run by the test below in a process of its own"]
async fn writes_until_it_is_killed() {
    let path = PathBuf::from(std::env::var_os(PATH).expect("the parent names the file"));
    let database = options(&path).open().await.unwrap();
    let mut acknowledged = std::io::stderr();
    let mut round = i64::try_from(database.feed().head().0).unwrap();
    loop {
        round += 1;
        // A record of its own, and one that moves in the feed each time.
        let commit = database.commit(vec![put(round, round), put(0, round)]).await.unwrap();
        writeln!(acknowledged, "seq {}", commit.seq()).unwrap();
    }
}

#[tokio::test]
async fn kill_9_loses_no_acknowledged_commit() {
    let place = Place::new();
    let identity = options(&place.file()).open().await.unwrap().identity();
    let mut before = 0;
    for _ in 0..3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writes_until_it_is_killed", "--ignored", "--nocapture"])
            .env(PATH, place.file())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the test can be run again");
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut seqs = lines.filter_map(|line| line.strip_prefix("seq ")?.parse::<u64>().ok());
        let mut last = 0;
        for seq in seqs.by_ref().take_while(|seq| *seq < before + COMMITS) {
            last = seq;
        }
        let locked = options(&place.file()).open().await.expect_err("the child writes");
        let DatabaseError::InUse { holder, .. } = locked else { panic!("{locked}") };
        assert_eq!(holder, format!("pid {}", child.id()));
        child.kill().expect("the child can be killed");
        child.wait().unwrap();
        // What it said before it died counts as well.
        last = seqs.last().unwrap_or(last).max(last);
        assert!(last >= before + COMMITS - 1, "the child worked");

        let database = options(&place.file()).open().await.expect("the file survives");
        assert_eq!(database.identity(), identity, "peers needn't start over");
        let head = database.feed().head();
        assert!(head >= Seq(last), "head {head}, acknowledged {last}");
        let rounds = i64::try_from(head.0).unwrap();
        for round in 1..=rounds {
            assert_eq!(value(&database, round).await, Some(Value::Int(round)), "round {round}");
        }
        assert_eq!(value(&database, 0).await, Some(Value::Int(rounds)));
        let feed = whole_feed(&database).await;
        assert_eq!((feed.through, feed.more), (head, false));
        let clocks: Vec<_> =
            feed.operations.iter().map(|operation| operation.version.hlc).collect();
        // The moving record has an insert's version besides its update's.
        assert!(clocks.len() >= usize::try_from(rounds).unwrap());
        database.close().await.unwrap();
        before = head.0;
    }
}
