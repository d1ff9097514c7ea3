//! serve and connect: two processes, two files, one socket.

mod common;

use std::os::unix::fs::PermissionsExt;

use common::{Bench, Running};
use rustix::process::Signal;
use serde_json::{Value, json};

fn is_live(line: &Value) -> bool {
    line["event"] == "link" && line["state"] == "live"
}

/// Ends a process with a signal, and returns what it tells at the end.
fn end(mut process: Running, signal: Signal) -> Value {
    process.signal(signal);
    let summary = process.object(|line| line["event"] == "closed");
    assert_eq!(process.wait(), Some(0));
    summary
}

#[test]
fn two_processes_sync_both_ways_at_the_default_endpoint() {
    let bench = Bench::new();
    bench.ok(&["put", "a.blaze", "notes", "from-a", "text=hello"]);
    bench.ok(&["put", "b.blaze", "notes", "from-b", "text=hi"]);
    let mut a = bench.start(&["serve", "a.blaze", "--role", "server", "--json"]);
    let listening = a.object(|line| line["event"] == "listening");
    let socket = bench.path("blaze/main.sock");
    assert_eq!(listening["endpoint"], format!("unix:{}", socket.display()));
    assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let mut b = bench.start(&["connect", "b.blaze", "--name", "tablet", "--json"]);
    let live = b.object(is_live);
    assert_eq!(live["peer"]["name"], "a");
    assert_eq!(live["peer"]["role"], "server");
    assert_eq!(live["direction"], "outgoing");
    assert_eq!(a.object(is_live)["peer"]["name"], "tablet");
    let text = |database, key| bench.wait_for_record(database, "notes", key)["text"].clone();
    assert_eq!(text("b.blaze", "from-a"), "hello");
    assert_eq!(text("a.blaze", "from-b"), "hi");

    let summary = end(b, Signal::INT);
    assert_eq!((&summary["peers"], &summary["changes_received"]), (&json!(1), &json!(1)));
    let gone = a.object(|line| line["state"] == "closed");
    assert_eq!(gone["peer"]["name"], "tablet");
    let summary = end(a, Signal::TERM);
    assert_eq!((&summary["peers"], &summary["changes_received"]), (&json!(1), &json!(1)));
    assert!(!socket.exists());
    // Both were closed: another process may write.
    bench.ok(&["put", "a.blaze", "notes", "later", "text=x"]);
}

#[test]
fn conflicts_are_told() {
    let bench = Bench::new();
    let endpoint = format!("unix:{}", bench.path("s").display());
    bench.ok(&["put", "a", "notes", "k", "text=base"]);
    let sync = || {
        let mut a = bench.start(&["serve", "a", "--listen", &endpoint, "--json"]);
        a.object(|line| line["event"] == "listening");
        let mut b = bench.start(&["connect", "b", &endpoint, "--json"]);
        b.object(is_live);
        a.object(is_live);
        (a, b)
    };
    let (a, b) = sync();
    bench.wait_for_record("b", "notes", "k");
    end(b, Signal::INT);
    end(a, Signal::INT);

    bench.ok(&["put", "a", "notes", "k", "--update", "text=from a"]);
    bench.ok(&["put", "b", "notes", "k", "--update", "text=from b"]);
    // Either side may be the one that merges first, and so tells it.
    let (a, b) = sync();
    let told = end(a, Signal::INT)["conflicts"].as_u64().unwrap()
        + end(b, Signal::INT)["conflicts"].as_u64().unwrap();
    assert!(told > 0, "both wrote one field without knowing of the other");
    assert_eq!(bench.json(&["get", "a", "notes", "k"]), bench.json(&["get", "b", "notes", "k"]));
}

#[test]
fn modes_hold_in_both_directions() {
    let bench = Bench::new();
    let endpoint = format!("unix:{}", bench.path("s").display());
    bench.ok(&["put", "a", "c", "from-a", "x=1"]);
    bench.ok(&["put", "b", "c", "from-b", "x=1"]);
    let mut a = bench.start(&["serve", "a", "--listen", &endpoint, "--allow", "read-only"]);
    a.line(|line| line.starts_with("listening at unix:"));

    let mut refused = bench.start(&["connect", "b", &endpoint]);
    let line = refused.line(|line| line.starts_with("refused"));
    assert!(line.contains("a bidirectional link is not allowed"), "{line}");
    refused.signal(Signal::INT);
    assert_eq!(refused.wait(), Some(0));

    let mut b = bench.start(&["connect", "b", &endpoint, "--mode", "read-only"]);
    b.line(|line| line.starts_with("in sync with a"));
    bench.wait_for_record("b", "c", "from-a");
    b.signal(Signal::INT);
    let summary = b.line(|line| line.starts_with("closed after"));
    assert!(summary.ends_with("1 peer, 1 change received, 0 conflicts"), "{summary}");
    assert_eq!(b.wait(), Some(0));
    a.signal(Signal::INT);
    assert_eq!(a.wait(), Some(0));
    assert!(bench.error(&["get", "a", "c", "from-b"]).contains("doesn't exist"));
}

#[test]
fn a_link_comes_up_when_its_server_does() {
    let bench = Bench::new();
    let endpoint = format!("unix:{}", bench.path("s").display());
    let mut b = bench.start(&["connect", "b", &endpoint, "--json"]);
    let waiting = b.object(|line| line["state"] == "waiting");
    assert_eq!(waiting["refused"], false);
    assert!(waiting["reason"].as_str().unwrap().contains("nothing listens at"), "{waiting}");
    let a = bench.start(&["serve", "a", "--listen", &endpoint, "--json"]);
    b.object(is_live);
    end(a, Signal::INT);
    b.object(|line| line["state"] == "waiting");
    end(b, Signal::INT);
}

#[test]
fn a_database_in_use_is_read_but_not_written() {
    let bench = Bench::new();
    bench.ok(&["put", "db", "c", "k", "a=1"]);
    let mut serve = bench.start(&["serve", "db", "--json"]);
    serve.object(|line| line["event"] == "listening");
    assert_eq!(bench.json(&["get", "db", "c", "k"]), json!({ "a": 1 }));
    assert_eq!(bench.ok(&["export", "db", "c"]), "{\"_key\":\"k\",\"a\":1}\n");
    let error = bench.error(&["put", "db", "c", "k", "a=2"]);
    let holder = format!("is in use by another process (pid {})", serve.id());
    assert!(error.contains(&holder), "{error}");

    let error = bench.error(&["serve", "other"]);
    assert!(error.contains("is in use by another server"), "{error}");
    end(serve, Signal::INT);
}

#[test]
fn a_terminal_that_closes_ends_it_well() {
    let bench = Bench::new();
    let mut a = bench.start(&["serve", "a", "--listen", &bench.socket("s"), "--json"]);
    a.object(|line| line["event"] == "listening");
    if is_hang_up_ignored() {
        // These tests were started by `nohup`, and so was it: it stays.
        a.signal(Signal::HUP);
        let mut b = bench.start(&["connect", "b", &bench.socket("s"), "--json"]);
        b.object(is_live);
        end(b, Signal::INT);
        end(a, Signal::TERM);
    } else {
        end(a, Signal::HUP);
    }
    assert!(!bench.path("s").exists());
}

/// Whether whoever started this process had it ignore SIGHUP.
fn is_hang_up_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 > 0)
}

#[test]
fn replication_goes_on_when_nobody_reads_what_is_told() {
    let bench = Bench::new();
    let endpoint = bench.socket("s");
    let mut a = bench.command(["serve", "a", "--listen", &endpoint, "--json"]).spawn().unwrap();
    // Closed before anything is told.
    drop(a.stdout.take());
    for key in ["first", "second"] {
        bench.ok(&["put", "b", "notes", key, "text=x"]);
        let mut b = bench.start(&["connect", "b", &endpoint, "--json"]);
        b.object(is_live);
        bench.wait_for_record("a", "notes", key);
        end(b, Signal::INT);
    }
    let pid = rustix::process::Pid::from_child(&a);
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    let output = a.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("error"), "{output:?}");
}

#[test]
fn a_mistyped_endpoint_is_a_usage_error_and_makes_nothing() {
    let bench = Bench::new();
    for (endpoint, expected) in [
        ("nowhere", "names no scheme"),
        ("unx:/tmp/s", "nothing here reaches `unx:` endpoints; write unix:/PATH, tls://"),
        ("mem:x", "nothing here reaches `mem:` endpoints"),
        ("unix:relative", "must be absolute"),
        ("tcp://host", "is no address for the scheme `tcp`"),
    ] {
        for args in [
            &["serve", "db", "--listen", endpoint][..],
            &["serve", "db", "--connect", endpoint],
            &["connect", "db", endpoint],
        ] {
            let output = bench.output(args);
            assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(error.contains(expected), "{args:?}: {error}");
            assert!(!bench.path("db").exists(), "{args:?}");
        }
    }
}

#[test]
fn who_can_connect_over_tcp_is_told() {
    let bench = Bench::new();
    let args = ["serve", "a", "--listen", "tcp://127.0.0.1:0", "--json"];
    let mut a = bench.start(&args);
    a.object(|line| line["event"] == "listening");
    a.signal(Signal::TERM);
    assert_eq!(a.wait(), Some(0));
    let told = a.stderr();
    assert!(told.contains("warning: any user of this device can connect to tcp://127.0.0.1:"));
}

#[test]
fn what_is_sent_over_tcp_is_compressed_as_it_is_told_to() {
    let bench = Bench::new();
    let mut a = bench.start(&["serve", "a", "--listen", "tcp://127.0.0.1:0", "--json"]);
    let listening = a.object(|line| line["event"] == "listening");
    let endpoint = listening["endpoint"].as_str().unwrap();
    let zstd = if cfg!(feature = "zstd") { "zstd" } else { "lz4" };
    for compression in ["none", "lz4", zstd] {
        let args = ["connect", "b", endpoint, "--json", "--compression", compression];
        let mut b = bench.start(&args);
        assert_eq!(b.object(is_live)["peer"]["compression"], compression);
        // Each side decides for itself.
        assert_eq!(a.object(is_live)["peer"]["compression"], "lz4");
        end(b, Signal::TERM);
    }
    end(a, Signal::TERM);

    let mut a = bench.start(&["serve", "a", "--json"]);
    a.object(|line| line["event"] == "listening");
    let mut b = bench.start(&["connect", "b", "--json"]);
    assert_eq!(b.object(is_live)["peer"]["compression"], "none", "it doesn't leave the device");
    end(b, Signal::TERM);
    end(a, Signal::TERM);
}
