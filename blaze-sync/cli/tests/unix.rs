//! serve and connect at Unix sockets: whose programs are let in, abstract names, and sockets
//! that a service manager made.
#![cfg(target_os = "linux")]

mod common;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use common::{Bench, Running};
use rustix::process::{Signal, geteuid};
use serde_json::Value;

fn is_live(line: &Value) -> bool {
    line["event"] == "link" && line["state"] == "live"
}

fn is_refused(line: &Value) -> bool {
    line["event"] == "link" && line["refused"] == true
}

fn stop(mut process: Running) {
    process.signal(Signal::INT);
    assert_eq!(process.wait(), Some(0));
}

#[test]
fn a_user_gets_no_more_than_its_mode() {
    let bench = Bench::new();
    let (socket, allowed) = (bench.socket("s"), format!("{}=read-only", geteuid().as_raw()));
    bench.ok(&["put", "hub", "notes", "k", "text=hello"]);
    let serve = ["serve", "hub", "--listen", &socket, "--allow-user", &allowed, "--json"];
    let mut server = bench.start(&serve);
    server.object(|line| line["event"] == "listening");

    let mut writer = bench.start(&["connect", "writer", &socket, "--json"]);
    let refused = writer.object(is_refused);
    let reason = refused["reason"].as_str().unwrap();
    assert!(reason.contains("bidirectional link is not allowed"), "{reason}");
    stop(writer);

    let mode = ["--mode", "read-only", "--json"];
    let mut reader = bench.start(&[&["connect", "reader", &socket], &mode[..]].concat());
    reader.object(is_live);
    assert_eq!(bench.wait_for_record("reader", "notes", "k")["text"], "hello");
    stop(reader);
    stop(server);

    let output = bench.output(&["serve", "hub", "--allow-user", "root"]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("is no number") && error.contains("id -u NAME"), "{error}");
}

#[test]
fn a_server_of_another_user_is_refused_before_anything_is_sent() {
    let bench = Bench::new();
    let (socket, other) = (bench.socket("s"), (geteuid().as_raw() + 1).to_string());
    let mut server = bench.start(&["serve", "hub", "--listen", &socket, "--json"]);
    server.object(|line| line["event"] == "listening");
    let error = bench.error(&["connect", "copy", &socket, "--server-user", &other]);
    assert!(error.contains("refused, nothing was sent"), "{error}");
    stop(server);
}

#[test]
fn abstract_names_need_no_file() {
    let bench = Bench::new();
    let endpoint = format!("unix-abstract:{}", bench.path("name").display());
    bench.ok(&["put", "hub", "notes", "k", "text=hello"]);
    let mut server = bench.start(&["serve", "hub", "--listen", &endpoint, "--json"]);
    server.object(|line| line["event"] == "listening");
    let mut client = bench.start(&["connect", "copy", &endpoint, "--json"]);
    client.object(is_live);
    assert_eq!(bench.wait_for_record("copy", "notes", "k")["text"], "hello");
    stop(client);
    stop(server);
}

#[test]
fn a_server_listens_with_the_socket_that_it_was_started_with() {
    let bench = Bench::new();
    let path = bench.path("passed");
    let passed = UnixListener::bind(&path).unwrap();
    bench.ok(&["put", "hub", "notes", "k", "text=hello"]);
    // As a service manager does it: the socket is descriptor 3, and the variables name the
    // process that has it.
    let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\"";
    let folder = bench.path(".");
    let mut shell = Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_blaze"), "serve", "hub", "--json"]);
    shell.env_clear().env("HOME", &folder).env("XDG_RUNTIME_DIR", &folder).current_dir(&folder);
    shell.stdin(Stdio::from(OwnedFd::from(passed))).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut server = Running::new(shell.spawn().unwrap());
    let listening = server.object(|line| line["event"] == "listening");
    let endpoint = format!("unix:{}", path.display());
    assert_eq!(listening["endpoint"], endpoint);

    let mut client = bench.start(&["connect", "copy", &endpoint, "--json"]);
    client.object(is_live);
    assert_eq!(bench.wait_for_record("copy", "notes", "k")["text"], "hello");
    stop(client);
    stop(server);
    assert!(path.exists(), "it is the manager's");
}
