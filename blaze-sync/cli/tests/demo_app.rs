//! One app of the demo: it takes large rows, and ends with whoever told it what to do.

mod common;

use std::fmt::Write;

use common::Bench;
use serde_json::{Value, json};

/// The commands that open a database.
fn open(bench: &Bench) -> Value {
    json!({ "Open": {
        "path": bench.path("db"), "password": "x", "durability": "process", "name": "x",
    } })
}

#[test]
fn large_rows_are_imported_in_transactions_of_few() {
    let bench = Bench::new();
    let text = "x".repeat(200_000);
    let mut rows = String::new();
    for number in 0..900 {
        writeln!(rows, r#"{{"_key":{number},"text":"{text}"}}"#).unwrap();
    }
    bench.write("rows.jsonl", rows);
    let mut app = bench.start(&["demo-app"]);
    app.tell(&open(&bench).to_string());
    app.object(|line| line.get("Done").is_some());
    let import = json!({ "collection": "c", "input": bench.path("rows.jsonl") });
    app.tell(&json!({ "Import": import }).to_string());
    let first = app.object(|_| true);
    assert!(first["Progress"]["rows"].as_u64().is_some_and(|rows| rows < 100), "{first}");
    let done = app.object(|line| line.get("Progress").is_none());
    assert_eq!(done["Done"]["Committed"]["count"], 900, "{done}");
}

#[test]
fn an_app_whose_demo_is_gone_ends_even_while_it_waits() {
    let bench = Bench::new();
    let mut app = bench.start(&["demo-app"]);
    app.tell(&open(&bench).to_string());
    app.object(|line| line.get("Done").is_some());
    app.tell(&json!({ "AwaitChanges": { "collection": "c", "count": 1 } }).to_string());
    app.object(|line| line == "Ready");
    // Nothing will ever change; waiting closes its standard input.
    assert_eq!(app.wait(), Some(0));
}
