//! status and forget: which peers a database waits for.

mod common;

use common::{Bench, Running};
use rustix::process::Signal;
use serde_json::{Value, json};

fn end(mut process: Running) {
    process.signal(Signal::INT);
    process.object(|line| line["event"] == "closed");
    assert_eq!(process.wait(), Some(0));
}

fn peers(bench: &Bench, database: &str) -> Vec<Value> {
    bench.json(&["status", database, "--json"])["peers"].as_array().unwrap().clone()
}

/// `a`, and `b` that was linked to it by the name `tablet`, and is away.
fn acquainted() -> Bench {
    let bench = Bench::new();
    bench.ok(&["put", "a", "notes", "k", "text=x"]);
    let a = bench.start(&["serve", "a", "--listen", &bench.socket("s"), "--json"]);
    let b = bench.start(&["connect", "b", &bench.socket("s"), "--name", "tablet", "--json"]);
    bench.wait_for_record("b", "notes", "k");
    end(b);
    end(a);
    bench
}

#[test]
fn peers_are_listed_and_the_one_that_is_waited_for_is_named() {
    let bench = acquainted();
    bench.ok(&["delete", "a", "notes", "k"]);
    let status = bench.json(&["status", "a", "--json"]);
    assert_eq!((&status["database"], &status["head"]), (&json!("main"), &json!(2)));
    let [peer] = &peers(&bench, "a")[..] else { panic!("{status}") };
    assert_eq!((&peer["name"], &peer["waited_for"]), (&json!("tablet"), &json!(true)));
    let of_b = bench.json(&["status", "b", "--json"]);
    assert_eq!(peer["node"], of_b["node"]);
    assert_eq!(of_b["peers"][0]["node"], status["node"]);

    let text = bench.ok(&["status", "a"]);
    assert!(text.contains("tablet, last there"), "{text}");
    assert!(text.contains("deleted records are kept for it"), "{text}");
}

#[test]
fn a_peer_that_is_forgotten_is_not_waited_for() {
    let bench = acquainted();
    let text = bench.error(&["forget", "a", "phone"]);
    assert!(text.contains("no peer is called \"phone\"; `blaze status` lists them"), "{text}");
    assert_eq!(peers(&bench, "a").len(), 1);
    let forgotten = bench.json(&["forget", "a", "tablet", "--json"]);
    assert_eq!(forgotten["name"], "tablet");
    assert!(peers(&bench, "a").is_empty());

    // By its id, too; and it comes back as it went.
    let a = bench.json(&["status", "a", "--json"])["node"].as_str().unwrap().to_owned();
    bench.ok(&["forget", "b", &a]);
    assert!(peers(&bench, "b").is_empty());
    bench.ok(&["put", "b", "notes", "later", "text=y"]);
    let serving = bench.start(&["serve", "a", "--listen", &bench.socket("s"), "--json"]);
    let tablet = bench.start(&["connect", "b", &bench.socket("s"), "--name", "tablet", "--json"]);
    bench.wait_for_record("a", "notes", "later");
    end(tablet);
    end(serving);
    assert_eq!(peers(&bench, "a").len(), 1);
}
