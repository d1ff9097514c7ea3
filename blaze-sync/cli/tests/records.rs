//! put, get, list, delete, watch, topology: what is printed, and what exit codes say.

mod common;

use std::io::{BufRead, BufReader};

use common::Bench;
use rustix::process::Signal;
use serde_json::json;

#[test]
fn a_record_is_put_got_listed_and_deleted() {
    let bench = Bench::new();
    let db = "notes.blaze";
    assert_eq!(bench.ok(&["put", db, "notes", "hello", "title=Hello, world", "stars=3"]), "");
    let expected = json!({ "title": "Hello, world", "stars": 3 });
    assert_eq!(bench.json(&["get", db, "notes", "hello"]), expected);
    assert_eq!(bench.json(&["get", db, "notes", "hello", "--json"]), expected);

    let key = bench.ok(&["put", db, "notes", r#"{"tags": ["a", null], "done": true}"#]);
    let expected = json!({ "tags": ["a", null], "done": true });
    assert_eq!(bench.json(&["get", db, "notes", key.trim(), "--json"]), expected);

    assert_eq!(bench.ok(&["list", db]), "notes\t2 records\n");
    assert_eq!(bench.json(&["list", db, "--json"]), json!({ "collection": "notes", "records": 2 }));
    assert_eq!(bench.ok(&["list", db, "notes", "--keys-only"]), format!("{key}hello\n"));
    assert_eq!(bench.json_lines(&["list", db, "notes", "--json", "--limit", "1"]).len(), 1);

    assert_eq!(bench.ok(&["delete", db, "notes", "hello", "gone"]), "deleted 1 record\n");
    assert!(bench.error(&["get", db, "notes", "hello"]).contains("notes/hello doesn't exist"));
    let deleted = bench.json(&["delete", db, "notes", key.trim(), "hello", "--json"]);
    assert_eq!(deleted, json!({ "deleted": 1, "missing": 1 }));
    assert_eq!(bench.ok(&["list", db]), "");
}

#[test]
fn a_put_replaces_and_an_update_does_not() {
    let bench = Bench::new();
    bench.ok(&["put", "db", "c", "k", "a=1", "b=2"]);
    let put = bench.json(&["put", "db", "c", "k", "--update", "b=x", "c=", "--json"]);
    assert_eq!(put, json!({ "collection": "c", "key": "k", "seq": 2 }));
    assert_eq!(bench.json(&["get", "db", "c", "k"]), json!({ "a": 1, "b": "x", "c": "" }));
    bench.ok_with_input(br#"{"d": 0.1}"#, &["put", "db", "c", "k", "-"]);
    assert_eq!(bench.json(&["get", "db", "c", "k"]), json!({ "d": 0.1 }));

    let error = bench.error(&["put", "db", "c", "other", "--update", "a=1"]);
    assert!(error.contains("c/other doesn't exist; insert it first"), "{error}");
    assert!(bench.error(&["put", "db", "c", "k"]).contains("there is no data"));
    assert!(bench.error(&["put", "db", "c", "k", "a=1", "a=2"]).contains("given twice"));
}

#[test]
fn keys_of_every_kind_are_found_by_what_is_listed() {
    let bench = Bench::new();
    for key in ["42", "\"42\"", "a b", "0x00", "{\"$hex\":\"00ff\"}"] {
        bench.ok(&["put", "db", "c", "--key", key, &format!("was={key}")]);
    }
    let listed = bench.json_lines(&["list", "db", "c", "--json"]);
    assert_eq!(listed.len(), 5);
    for line in listed {
        let got = bench.json(&["get", "db", "c", line["key"].as_str().unwrap()]);
        assert_eq!(got, line["record"]);
    }
}

#[test]
fn usage_errors_have_exit_code_2_and_commands_that_read_make_no_file() {
    let bench = Bench::new();
    assert_eq!(bench.output(&["put", "db"]).status.code(), Some(2));
    assert_eq!(bench.output(&["nonsense"]).status.code(), Some(2));
    assert_eq!(bench.output(&["put", "db", "", "k", "a=1"]).status.code(), Some(2));
    for args in [
        &["list", "db"][..],
        &["get", "db", "c", "k"],
        &["delete", "db", "c", "k"],
        &["put", "db", "c", "k", "--update", "a=1"],
    ] {
        assert!(bench.error(args).contains("there is no database at"));
    }
    assert!(!bench.path("db").exists());
    assert!(bench.error(&["put", "no/such/db", "c", "k", "a=1"]).contains("make it first"));
}

#[test]
fn a_file_of_another_name_is_opened_unless_another_name_is_asked_for() {
    let bench = Bench::new();
    bench.ok(&["put", "db", "c", "k", "a=1", "--database", "shop"]);
    bench.ok(&["put", "db", "c", "k2", "a=1"]);
    assert_eq!(bench.ok(&["list", "db"]), "c\t2 records\n");
    let error = bench.error(&["list", "db", "--database", "other"]);
    assert!(error.contains(r#"holds database "shop", not "other""#), "{error}");
}

#[test]
fn a_closed_pipe_ends_the_list_quietly() {
    let bench = Bench::new();
    let row = format!("{{\"text\":\"{}\"}}\n", "x".repeat(1000));
    bench.write("rows.jsonl", row.repeat(2000));
    bench.ok(&["import", "db", "c", "rows.jsonl"]);
    for args in [&["list", "db", "c"][..], &["export", "db", "c"], &["list", "db", "c", "--json"]] {
        let mut child = bench.command(args).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(first.contains("xxx"));
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{args:?}: {:?}", output.status);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
    }
}

#[test]
fn what_others_wrote_cannot_steer_the_terminal() {
    let bench = Bench::new();
    bench.ok(&["put", "db", "c", "k\u{1b}[2J", "a=\u{9b}2J\u{7f}"]);
    for args in [&["list", "db", "c"][..], &["get", "db", "c", "k\u{1b}[2J"]] {
        let text = bench.ok(args);
        assert!(
            !text.chars().any(|char| char.is_control() && char != '\n' && char != '\t'),
            "{text:?}"
        );
    }
    let raw = bench.json(&["get", "db", "c", "k\u{1b}[2J", "--json"]);
    assert_eq!(raw, json!({ "a": "\u{9b}2J\u{7f}" }));
}

#[test]
fn the_keys_listed_are_the_keys_deleted() {
    let bench = Bench::new();
    let hard = ["two\nlines", "two", "lines", "tab\there", "-7", "-x", "", "\u{202e}x", "a b"];
    for key in hard {
        bench.ok(&["put", "db", "c", "a=1", "--key", &serde_json::to_string(key).unwrap()]);
    }
    let listed = bench.ok(&["list", "db", "c", "--keys-only"]);
    assert_eq!(listed.lines().count(), hard.len(), "{listed:?}");
    bench.ok(&["put", "db", "c", "kept", "a=1"]);
    let args = ["delete", "db", "c", "--"].into_iter().chain(listed.lines());
    let told = bench.ok(&args.collect::<Vec<_>>());
    assert_eq!(told, format!("deleted {} records\n", hard.len()));
    assert_eq!(bench.ok(&["list", "db", "c", "--keys-only"]), "kept\n");
}

#[test]
fn a_negative_integer_is_a_key() {
    let bench = Bench::new();
    bench.ok(&["put", "db", "c", "-7", "a=1"]);
    bench.ok(&["put", "db", "c", "--key", "-8", "a=2"]);
    bench.ok(&["put", "db", "c", "--key", "-x=y", "a=3"]);
    assert_eq!(bench.json(&["get", "db", "c", "-7"]), json!({ "a": 1 }));
    assert_eq!(bench.json(&["get", "db", "c", "--", "-x=y"]), json!({ "a": 3 }));
    assert_eq!(bench.ok(&["delete", "db", "c", "-7", "-8"]), "deleted 2 records\n");
}

#[test]
fn a_record_is_one_line_whatever_it_holds() {
    let bench = Bench::new();
    bench.ok(&["put", "db", "c", "--key", "k\nx\ty\u{202e}", "a=\u{202e}1\n2"]);
    let line = "\"k\\nx\\ty\\u202e\"\t{\"a\":\"\\u202e1\\n2\"}\n";
    assert_eq!(bench.ok(&["list", "db", "c"]), line);
    let error = bench.error(&["get", "db", "c", "gone\nerror: x"]);
    assert_eq!(error, "error: c/\"gone\\nerror: x\" doesn't exist\n");
}

#[test]
fn changes_are_watched_beside_the_writer() {
    let bench = Bench::new();
    bench.ok(&["put", "db", "c", "old", "a=1"]);
    let mut all = bench.start(&["watch", "db", "--json", "--since", "0"]);
    let mut some = bench.start(&["watch", "db", "c", "--json"]);
    assert_eq!(all.object(|_| true), json!({ "event": "watching", "since": 0 }));
    assert_eq!(some.object(|_| true), json!({ "event": "watching", "since": 1 }));

    bench.ok(&["put", "db", "other", "x", "b=2"]);
    bench.ok(&["delete", "db", "c", "old"]);
    let event = |seq: u64, collection: &str, key: &str, record: serde_json::Value| {
        json!({
            "event": "change", "seq": seq, "collection": collection, "key": key, "record": record,
        })
    };
    let deleted = event(3, "c", "old", json!(null));
    assert_eq!(all.object(|line| line["seq"] == 2), event(2, "other", "x", json!({ "b": 2 })));
    assert_eq!(all.object(|line| line["seq"] == 3), deleted);
    assert_eq!(some.object(|_| true), deleted, "the other collection isn't watched");

    for (mut watch, signal) in [(all, Signal::INT), (some, Signal::TERM)] {
        watch.signal(signal);
        assert_eq!(watch.wait(), Some(0));
    }
}

#[test]
fn topologies_are_drawn() {
    let bench = Bench::new();
    let text = bench.ok(&["topology", "hub", "office", "phone", "laptop"]);
    assert!(text.starts_with("office (server)\n├─↔ phone (client)\n"), "{text}");
    assert!(text.contains("what phone writes reaches office (1 hop), laptop (2 hops)\n"), "{text}");
    let broadcast = bench.ok(&["topology", "broadcast", "source", "screen"]);
    assert!(broadcast.contains("what screen writes reaches nobody\n"), "{broadcast}");
    for pattern in ["mesh", "chain", "tree", "aggregation"] {
        assert!(
            bench.ok(&["topology", pattern, "a", "b", "c", "--format", "dot"]).contains("graph")
        );
        let mermaid = bench.ok(&["topology", pattern, "a", "--format", "mermaid"]);
        assert!(mermaid.contains("graph") || mermaid.contains("flowchart"), "{mermaid}");
    }
    let checked = bench.output(&["topology", "chain", "a", "b", "c", "--check"]);
    let warnings = String::from_utf8(checked.stderr).unwrap();
    assert!(warnings.starts_with("warning: without \"b\""), "{warnings}");
    assert!(bench.error(&["topology", "mesh", "a", "a"]).contains("names must be unique"));
}

#[test]
fn every_command_teaches() {
    let bench = Bench::new();
    let help = bench.ok(&["--help"]);
    assert!(help.contains("Examples:") && !help.contains("demo-app"), "{help}");
    for command in [
        "put", "get", "list", "delete", "watch", "import", "export", "serve", "connect", "topology",
    ] {
        assert!(help.contains(command));
        assert!(bench.ok(&[command, "--help"]).contains("Examples:\n  blaze"), "{command}");
    }
}
