//! Two devices, each a process or two with a database: paired by a ticket, they sync, and nobody
//! else gets in.

mod common;
#[path = "common/pairing.rs"]
mod pairing;
#[path = "common/ticket.rs"]
mod ticket;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use common::{Bench, wait_until};
use rustix::process::Signal;
use serde_json::{Value, json};

use pairing::{bench, connect, endpoint, join, pair, paired, serve, state};
use ticket::forged;

/// As [`join`], but it fails; returns standard error.
fn join_in_vain(bench: &Bench, ticket: &str, file: &str) -> String {
    bench.write("ticket", ticket);
    let mut command = bench.command(["join", file, "--database", "ledger"]);
    let output = command.stdin(fs::File::open(bench.path("ticket")).unwrap()).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    error
}

fn refused(line: &Value) -> bool {
    line["refused"] == true
}

#[test]
fn two_commands_each_and_they_sync() {
    let bench = bench();
    let endpoint = endpoint();
    let (mut pair, ticket) = pair(&bench, &endpoint, &[]);
    let args = ["join", "copy", "--database", "ledger"];
    let joined = bench.ok_with_input(format!("  {ticket}\n").as_bytes(), &args);
    assert_eq!(pair.wait(), Some(0));
    let told = pair.stderr();
    let words = |text: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("both devices show: "));
        line.expect("it shows the words").to_owned()
    };
    assert_eq!(words(&joined), words(&told));
    assert_eq!(words(&told).split(' ').count(), 8);
    assert!(told.contains(&format!("next, here: blaze serve vault --listen {endpoint}")), "{told}");

    let mut serve = serve(&bench, &endpoint);
    // It knows where.
    let mut connect = connect(&bench, "copy", &[]);
    let link = connect.object(state("live"));
    assert_eq!((&link["endpoint"], &link["peer"]["name"]), (&json!(endpoint), &json!("vault")));
    let record = bench.wait_for_record("copy", "accounts", "cash");
    assert_eq!(record, json!({ "euros": 5 }));
    for (name, secret) in [("vault.key", 0o600), ("vault.peers", 0o600), ("copy.key", 0o600)] {
        let mode = fs::metadata(bench.path(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, secret, "{name}");
    }
    for node in [&mut connect, &mut serve] {
        node.signal(Signal::INT);
        assert_eq!(node.wait(), Some(0));
    }
}

#[test]
fn pairing_works_while_the_database_is_served() {
    let bench = bench();
    let endpoint = endpoint();
    let mut serve = serve(&bench, &endpoint);
    let (mut pair, ticket) = pair(&bench, &endpoint, &["--name", "phone"]);
    let laptop = join(&bench, &ticket, "copy", &["--name", "laptop"]);
    assert_eq!(pair.wait(), Some(0), "{}", pair.stderr());
    assert_eq!(laptop["endpoint"], endpoint);
    let mut connect = connect(&bench, "copy", &[]);
    connect.object(state("live"));
    bench.wait_for_record("copy", "accounts", "cash");
    let phone = &bench.json_lines(&["peers", "vault", "--json"])[0];
    assert_eq!((&phone["name"], &phone["role"]), (&json!("phone"), &json!("client")));

    let again = join_in_vain(&bench, &ticket, "other");
    assert!(again.contains("refused the ticket: it was used"), "{again}");
    let closed = serve.object(state("closed"));
    let reason = closed["reason"].as_str().unwrap();
    assert!(reason.contains("the ticket was used, withdrawn, burned or has expired"), "{reason}");
    assert_eq!(bench.json_lines(&["peers", "vault", "--json"]).len(), 1);
    serve.signal(Signal::INT);
    let error = (serve.wait(), serve.stderr());
    assert!(error.1.contains(&format!("run `blaze pair vault {endpoint}`")), "{error:?}");
    // Whoever looks at the server sees it, too: `pair` may be gone by then.
    let words = laptop["words"].as_str().unwrap();
    let told = format!("both devices show: {words}");
    assert!(error.1.contains("paired with phone") && error.1.contains(&told), "{error:?}");
}

#[test]
fn who_is_not_paired_learns_only_that_it_is_refused() {
    let bench = bench();
    let endpoint = endpoint();
    paired(&bench, &endpoint, "copy", &["--name", "phone"]);
    let mut serve = serve(&bench, &endpoint);
    let error = bench.error(&["connect", "third", &endpoint]);
    let remedy = format!("run `blaze pair DB {endpoint}` there, and `blaze join third` here");
    assert!(error.contains(&remedy), "{error}");

    // It has found out whom to trust, but isn't trusted itself.
    fs::copy(bench.path("copy.peers"), bench.path("third.peers")).unwrap();
    let args = ["connect", "third", &endpoint, "--database", "main"];
    let output = bench.output(&args);
    let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("the peer refused: it does not trust this node's key"), "{told}");
    assert!(told.contains("pair the two nodes, or ask at the peer"), "{told}");
    for secret in ["vault", "ledger", "accounts", "cash", "phone", "copy"] {
        assert!(!told.contains(secret), "{secret}: {told}");
    }
    let closed = serve.object(state("closed"));
    let reason = closed["reason"].as_str().unwrap();
    assert!(reason.contains("is not trusted here; pair the two nodes"), "{reason}");
    assert_eq!(closed["peer"], Value::Null);
    let records = bench.output(&["get", "third", "accounts", "cash"]);
    assert!(!records.status.success(), "it got nothing");
}

#[test]
fn five_wrong_proofs_burn_a_ticket() {
    let bench = bench();
    let endpoint = endpoint();
    let mut serve = serve(&bench, &endpoint);
    let (mut pair, ticket) = pair(&bench, &endpoint, &[]);
    for attempt in 1..=5 {
        let error = join_in_vain(&bench, &forged(&ticket), "thief");
        assert!(
            error.contains("refused the ticket") && error.contains("ask for another"),
            "{error}"
        );
        let closed = serve.object(state("closed"));
        let expected = format!("the proof of a ticket is wrong, the {attempt}. time of 5");
        assert!(closed["reason"].as_str().unwrap().contains(&expected), "{closed}");
    }
    assert_eq!(pair.wait(), Some(1));
    let error = pair.stderr();
    assert!(
        error.contains("burned by 5 wrong proofs") && error.contains("issue another"),
        "{error}"
    );
    // The right one comes too late.
    join_in_vain(&bench, &ticket, "copy");
    assert_eq!(bench.ok(&["peers", "vault", "--json"]), "");
}

#[test]
fn a_ticket_expires_and_is_withdrawn() {
    let bench = bench();
    let endpoint = endpoint();
    let _serve = serve(&bench, &endpoint);
    let (mut late, ticket) = pair(&bench, &endpoint, &[]);
    let text = bench.read("vault.peers.tickets");
    let expires = text.split(' ').nth(2).unwrap();
    // Whole, as `pair` reads it again and again, and with the rights of the other one.
    fs::copy(bench.path("vault.peers.tickets"), bench.path("late")).unwrap();
    fs::write(bench.path("late"), text.replace(expires, "1")).unwrap();
    fs::rename(bench.path("late"), bench.path("vault.peers.tickets")).unwrap();
    let error = join_in_vain(&bench, &ticket, "copy");
    assert!(error.contains("older than 10 minutes; ask for another"), "{error}");
    assert_eq!(late.wait(), Some(1));
    let error = late.stderr();
    assert!(error.contains("nobody redeemed the ticket within 600 s; issue another"), "{error}");

    let (mut ended, ticket) = pair(&bench, &endpoint, &[]);
    ended.signal(Signal::INT);
    assert_eq!(ended.wait(), Some(1));
    assert!(ended.stderr().contains("the ticket is withdrawn"));
    assert_eq!(bench.read("vault.peers.tickets"), "blaze-tickets-1\n");
    let error = join_in_vain(&bench, &ticket, "copy");
    assert!(error.contains("refused the ticket: it was used, withdrawn"), "{error}");
}

#[test]
fn who_is_revoked_is_gone_at_once() {
    let bench = bench();
    let endpoint = endpoint();
    paired(&bench, &endpoint, "copy", &["--name", "phone"]);
    let mut serve = serve(&bench, &endpoint);
    let mut connect = connect(&bench, "copy", &[]);
    connect.object(state("live"));
    let renamed = bench.ok(&["peers", "vault", "rename", "phone", "mobile"]);
    assert_eq!(renamed, "phone is called mobile from now on\n");
    assert_eq!(bench.json_lines(&["peers", "vault", "list", "--json"])[0]["name"], "mobile");
    let unknown = bench.error(&["peers", "vault", "revoke", "phone"]);
    assert!(unknown.contains("no peer is called \"phone\""), "{unknown}");

    let began = Instant::now();
    assert_eq!(
        bench.ok(&["peers", "vault", "revoke", "mobile"]),
        "mobile is not trusted any more\n"
    );
    let closed = serve.object(state("closed"));
    println!("the session ended {:?} after the command began", began.elapsed());
    let reason = closed["reason"].as_str().unwrap();
    assert!(reason.contains("changed or revoked here"), "{reason}");
    let waiting = connect.object(refused);
    let reason = waiting["reason"].as_str().unwrap();
    assert!(reason.contains("whether this node was revoked"), "{reason}");
    assert_eq!(bench.ok(&["peers", "vault", "--json"]), "");
}

#[test]
fn a_peer_is_held_to_its_role_and_its_mode() {
    let bench = bench();
    let endpoint = endpoint();
    paired(&bench, &endpoint, "copy", &["--mode", "read-only"]);
    let mut serve = serve(&bench, &endpoint);
    let mut upstart = connect(&bench, "copy", &["--role", "server"]);
    let waiting = upstart.object(refused);
    let told = "you come as a server, and were agreed to be a client";
    assert!(waiting["reason"].as_str().unwrap().contains(told), "{waiting}");
    let closed = serve.object(state("closed"));
    let told = "the peer comes as a server, and was agreed to be a client; change its role back";
    assert!(closed["reason"].as_str().unwrap().contains(told), "{closed}");
    upstart.signal(Signal::INT);
    upstart.wait();
    assert!(upstart.stderr().contains("pair them anew"), "it was warned");

    let mut writer = connect(&bench, "copy", &["--role", "client", "--mode", "write-only"]);
    let waiting = writer.object(refused);
    assert!(waiting["reason"].as_str().unwrap().contains("write-only link is not allowed"));
    writer.signal(Signal::INT);
    writer.wait();
    let mut reader = connect(&bench, "copy", &[]);
    assert_eq!(reader.object(state("live"))["peer"]["mode"], "read-only", "as was agreed");
}

#[test]
fn the_ticket_says_what_the_other_side_is() {
    let bench = bench();
    let endpoint = endpoint();
    let (mut pair, ticket) = pair(&bench, &endpoint, &["--role", "server"]);
    let paired = join(&bench, &ticket, "copy", &[]);
    assert_eq!((&paired["role"], &paired["own_role"]), (&json!("client"), &json!("server")));
    assert_eq!(pair.wait(), Some(0));
    assert_eq!(bench.json(&["status", "copy", "--json"])["role"], "server");
    let _serve = serve(&bench, &endpoint);
    connect(&bench, "copy", &[]).object(state("live"));
}

#[test]
fn a_ticket_is_not_for_the_command_line() {
    let bench = Bench::new();
    let ticket = "BLAZE-ticket-1:0123SECRET";
    let glued = format!("--name={ticket}");
    let refused: [&[&str]; 5] = [
        &["join", ticket],
        &["join", "copy", ticket],
        &["join", "copy", "--name", ticket],
        &["join", "copy", &glued],
        &["serve", ticket],
    ];
    for args in refused {
        let output = bench.output(args);
        let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {told}");
        assert!(told.contains("doesn't belong on the command line"), "{args:?}: {told}");
        assert!(!told.contains("0123"), "{args:?}: {told}");
        let made = fs::read_dir(bench.path("")).unwrap().count();
        assert_eq!(made, 0, "{args:?} made a file");
    }
    // It's the text that is refused, not what is called after it.
    bench.ok(&["put", "blaze-ticket-office.blaze", "c", "k", "about=blaze-ticket-"]);
    assert!(!bench.ok(&["join", "--help"]).to_lowercase().contains("[ticket]"));
    let empty = bench.error(&["join", "copy"]);
    assert!(empty.contains("there is no ticket on standard input"), "{empty}");
    let other = join_in_vain(&bench, "hello", "copy");
    assert!(other.contains("this is no ticket"), "{other}");
}

#[test]
fn a_ticket_is_taken_from_a_pipe_that_stays_open() {
    let bench = bench();
    let endpoint = endpoint();
    let (mut pair, ticket) = pair(&bench, &endpoint, &[]);
    let mut join = bench.start(&["join", "copy", "--database", "ledger", "--json"]);
    join.tell("");
    // It may be broken where a mail was.
    let (begin, rest) = ticket.split_at(40);
    join.tell(begin);
    join.tell(rest);
    assert_eq!(join.object(|_| true)["event"], "paired");
    assert_eq!((pair.wait(), join.wait()), (Some(0), Some(0)));

    let mut other = bench.start(&["join", "copy", "--database", "ledger"]);
    other.tell("{\"event\": \"ticket\"}");
    wait_until("it ends without the end of its input", || !other.is_alive());
    assert!(other.stderr().contains("this is no ticket"));
}

#[test]
fn files_that_others_could_use_are_refused_with_a_remedy() {
    let bench = bench();
    let endpoint = endpoint();
    paired(&bench, &endpoint, "copy", &[]);
    let commands: [&[&str]; 3] = [
        &["serve", "vault", "--listen", &endpoint],
        &["connect", "vault", &endpoint],
        &["pair", "vault", &endpoint],
    ];
    let expect = |file: &str, mode: u32, commands: &[&[&str]], expected: &str| {
        let set = |mode| fs::set_permissions(bench.path(file), PermissionsExt::from_mode(mode));
        set(mode).unwrap();
        for args in commands {
            let error = bench.error(args);
            assert!(error.contains(file) && error.contains(expected), "{args:?}: {error}");
        }
        set(0o600).unwrap();
    };
    expect("vault.key", 0o644, &commands, "chmod 0600");
    expect("vault.peers", 0o666, &commands, "chmod 0600");
    expect("vault.peers", 0o666, &[&["peers", "vault"]], "chmod 0600");
    expect("vault.peers.tickets", 0o644, &commands[2..], "expected 0600");
    fs::rename(bench.path("vault.key"), bench.path("away")).unwrap();
    for args in commands {
        let error = bench.error(args);
        assert!(error.contains("know this database by a key that is gone; put it back"), "{error}");
    }
    // Elsewhere is as good.
    let mut serve = bench.start(&["serve", "vault", "--listen", &endpoint, "--key-file", "away"]);
    serve.line(|line| line.starts_with("listening at tls://"));
}

#[test]
fn where_pairing_can_not_work_the_remedy_is_told() {
    let bench = bench();
    let error = bench.error(&["pair", "vault", "tls://0.0.0.0:7117"]);
    assert!(error.contains("name this device's, and give --listen tls://0.0.0.0:7117"), "{error}");
    let output = bench.output(&["pair", "vault", "tcp://127.0.0.1:7117"]);
    assert_eq!(output.status.code(), Some(2));

    let (other, endpoint) = (TcpListener::bind("127.0.0.1:0").unwrap(), "tls://");
    let endpoint = format!("{endpoint}{}", other.local_addr().unwrap());
    // It speaks no TLS, and then hangs up on whoever asks who it is.
    std::thread::spawn(move || {
        let mut first = other.accept().unwrap().0;
        assert!(first.read(&mut [0; 4096]).unwrap() > 0);
        first.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        drop(other.accept());
    });
    let error = bench.error(&["pair", "vault", &endpoint]);
    assert!(error.contains("something else than this node listens"), "{error}");
    let error = bench.error(&["pair", "vault", &endpoint]);
    assert!(error.contains("the peer hung up during the handshake"), "{error}");
}
