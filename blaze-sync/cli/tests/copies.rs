//! A backup that is put back, and a copy that runs beside the original: nothing is
//! lost, and the user is told what was found.

mod common;

use common::{Bench, Running, wait_until};
use rustix::process::Signal;
use serde_json::{Value, json};

fn put(bench: &Bench, database: &str, key: &str) {
    bench.ok(&["put", database, "notes", key, "text=x"]);
}

fn start(bench: &Bench, arguments: &[&str]) -> Running {
    bench.start(&[arguments, &["--json"]].concat())
}

fn serve(bench: &Bench) -> Running {
    let mut a = start(bench, &["serve", "a", "--listen", &bench.socket("s")]);
    a.object(|line| line["event"] == "listening");
    a
}

fn connect(bench: &Bench, database: &str) -> Running {
    start(bench, &["connect", database, &bench.socket("s")])
}

fn wait_for(bench: &Bench, database: &str, keys: &[&str]) {
    for key in keys {
        bench.wait_for_record(database, "notes", key);
    }
}

fn end(process: &mut Running) {
    process.signal(Signal::INT);
    process.object(|line| line["event"] == "closed");
    assert_eq!(process.wait(), Some(0));
}

/// `a` and `b` have exchanged what each had.
fn exchange(bench: &Bench, keys: &[&str]) {
    let (mut a, mut b) = (serve(bench), connect(bench, "b"));
    wait_for(bench, "a", keys);
    wait_for(bench, "b", keys);
    end(&mut b);
    end(&mut a);
}

fn node(started: &Value) -> String {
    started["node"].as_str().unwrap().to_owned()
}

#[test]
fn a_backup_that_is_put_back_gets_back_what_it_lost() {
    for replaced in [false, true] {
        let bench = Bench::new();
        put(&bench, "b", "one");
        exchange(&bench, &["one"]);
        let backup = std::fs::read(bench.path("b")).unwrap();
        put(&bench, "b", "two");
        put(&bench, "b", "three");
        exchange(&bench, &["one", "two", "three"]);
        if replaced {
            std::fs::write(bench.path("restored"), &backup).unwrap();
            std::fs::rename(bench.path("restored"), bench.path("b")).unwrap();
        } else {
            std::fs::write(bench.path("b"), &backup).unwrap();
        }
        // More than was lost, so that the number of commits shows nothing.
        let later = ["four", "five", "six", "seven"];
        for (number, key) in later.into_iter().enumerate() {
            let told = bench.output(&["put", "b", "notes", key, "text=x"]).stderr;
            let told = String::from_utf8(told).unwrap();
            // Once, by whoever opens it first.
            assert_eq!(told.contains("b is a copy"), replaced && number == 0, "{told}");
        }

        let (mut a, mut b) = (serve(&bench), connect(&bench, "b"));
        if !replaced {
            let here = b.object(|line| line["event"] == "went_back");
            assert_eq!((&here["here"], &here["held"]), (&json!(true), &json!(3)));
            let there = a.object(|line| line["event"] == "went_back");
            assert_eq!((&there["here"], &there["common"]), (&json!(false), &here["common"]));
        }
        let all = [&["one", "two", "three"][..], &later].concat();
        wait_for(&bench, "a", &all);
        wait_for(&bench, "b", &all);
        end(&mut b);
        end(&mut a);
        assert_eq!(bench.ok(&["export", "a", "notes"]), bench.ok(&["export", "b", "notes"]));
    }
}

#[test]
fn a_copy_beside_the_original_is_a_replica_of_its_own() {
    let bench = Bench::new();
    put(&bench, "b", "one");
    exchange(&bench, &["one"]);
    std::fs::copy(bench.path("b"), bench.path("c")).unwrap();
    let (mut a, mut b) = (serve(&bench), connect(&bench, "b"));
    let original = b.object(|line| line["event"] == "started");
    let mut c = connect(&bench, "c");
    let copy = c.object(|line| line["event"] == "started");
    assert_eq!((&original["copied"], &copy["copied"]), (&json!(false), &json!(true)));
    assert_ne!(node(&original), node(&copy));
    for process in [&mut b, &mut c] {
        process.object(|line| line["event"] == "link" && line["state"] == "live");
        end(process);
    }
    put(&bench, "b", "by-b");
    put(&bench, "c", "by-c");
    let (mut b, mut c) = (connect(&bench, "b"), connect(&bench, "c"));
    for database in ["a", "b", "c"] {
        wait_for(&bench, database, &["one", "by-b", "by-c"]);
    }
    [&mut b, &mut c, &mut a].into_iter().for_each(end);
    let contents = |database| bench.ok(&["export", database, "notes"]);
    assert!(contents("a") == contents("b") && contents("b") == contents("c"));
}

/// Someone watches a terminal, not JSON.
#[test]
fn people_are_told_in_words() {
    let bench = Bench::new();
    put(&bench, "b", "one");
    exchange(&bench, &["one"]);
    let backup = std::fs::read(bench.path("b")).unwrap();
    put(&bench, "b", "two");
    exchange(&bench, &["one", "two"]);
    std::fs::write(bench.path("b"), backup).unwrap();
    let mut a = bench.start(&["serve", "a", "--listen", &bench.socket("s")]);
    a.line(|line| line.starts_with("listening"));
    let mut b = bench.start(&["connect", "b", &bench.socket("s")]);
    b.line(|line| line.contains("this database went back to commit 1, a had 2"));
    a.line(|line| line.contains("the database of b went back to commit 1, this one had 2"));
    wait_until("the lost one is back", || {
        bench.output(&["get", "b", "notes", "two"]).status.success()
    });
}
