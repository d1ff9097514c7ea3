//! Devices after they were paired: what each asks of which other, and what they are told to run.

mod common;
#[path = "common/pairing.rs"]
mod pairing;

use std::net::TcpListener;
use std::{fs, process};

use blaze_sync::{KeyPair, TrustStore, TrustedPeer};
use common::{Bench, Running, wait_until};
use rustix::process::Signal;

use pairing::{bench, connect, endpoint, join, paired, serve, state};

#[test]
fn who_joins_an_endpoint_asks_for_what_was_agreed() {
    let bench = bench();
    let endpoint = endpoint();
    paired(&bench, &endpoint, "copy", &["--mode", "read-only"]);
    let _serve = serve(&bench, &endpoint);
    let mut joined = bench.start(&["serve", "copy", "--join", &endpoint, "--json"]);
    let link = joined.object(|line| line["state"] == "live" || line["refused"] == true);
    assert_eq!(link["peer"]["mode"], "read-only", "{link}");
}

#[test]
fn one_peer_that_refuses_or_is_silent_keeps_no_other_away() {
    let bench = bench();
    let (endpoint, upset) = (endpoint(), endpoint());
    paired(&bench, &endpoint, "copy", &["--name", "phone"]);
    bench.ok(&["put", "upset", "accounts", "cash", "euros=5", "--database", "ledger"]);
    let mut pair = bench.start(&["pair", "upset", &upset, "--name", "phone"]);
    let ticket = pair.line(|_| true);
    join(&bench, &ticket, "copy", &[]);
    assert_eq!(pair.wait(), Some(0));
    bench.ok(&["peers", "upset", "revoke", "phone"]);
    let mut refusing = bench.start(&["serve", "upset", "--listen", &upset, "--json"]);
    refusing.object(|line| line["event"] == "listening");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = format!("tls://{}", silent.local_addr().unwrap());
    let (key, peers) = (KeyPair::generate().unwrap().public(), bench.path("copy.peers"));
    let peers = TrustStore::open(peers).unwrap();
    let peer = TrustedPeer::new("silent").with_endpoint(place.parse().unwrap());
    peers.trust(key, peer).unwrap();

    let mut serving = serve(&bench, &endpoint);
    let mut command = bench.command(["connect", "copy", "--json"]);
    let told = fs::File::create(bench.path("told")).unwrap();
    let mut connect = Running::new(command.stderr(told).spawn().unwrap());
    assert_eq!(connect.object(state("live"))["endpoint"], endpoint);
    let expected = format!("going on without the peer at {upset}: ");
    wait_until("the refusal is told", || bench.read("told").contains(&expected));
    assert!(bench.read("told").contains("it does not trust this node's key"));
    connect.signal(Signal::INT);
    assert_eq!(connect.wait(), Some(0));

    // Nobody is left.
    peers.revoke(&key).unwrap();
    bench.ok(&["peers", "vault", "revoke", "phone"]);
    let output = bench.output(&["connect", "copy"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert_eq!(told.matches("it does not trust this node's key").count(), 2, "{told}");
    serving.signal(Signal::INT);
    serving.wait();
}

#[test]
fn a_device_that_got_another_key_is_asked_for_what_was_agreed_with_either() {
    let bench = bench();
    let endpoint = endpoint();
    let pair_anew = |mode| {
        for file in ["vault.key", "vault.peers"] {
            let _ = fs::remove_file(bench.path(file));
        }
        paired(&bench, &endpoint, "copy", &["--mode", mode]);
    };
    pair_anew("read-only");
    pair_anew("bidirectional");
    let mut serving = serve(&bench, &endpoint);
    let mut reader = connect(&bench, "copy", &[]);
    assert_eq!(reader.object(state("live"))["peer"]["mode"], "read-only");
    reader.signal(Signal::INT);
    assert_eq!(reader.wait(), Some(0));
    let is_end = |line: &&String| line.contains("\"closed\"") && line.contains("\"link\"");
    assert_eq!(reader.kill().iter().filter(is_end).count(), 1, "one link to one place");
    let told = reader.stderr();
    assert!(told.contains("so this one is read-only; revoke the one that isn't there"), "{told}");
    let mut writer = connect(&bench, "copy", &["--mode", "bidirectional"]);
    writer.object(state("live"));
    writer.signal(Signal::INT);
    assert_eq!((writer.wait(), writer.stderr().as_str()), (Some(0), ""));
    serving.signal(Signal::INT);
    serving.wait();

    pair_anew("write-only");
    let error = bench.error(&["connect", "copy"]);
    assert!(error.contains("for links of other modes; revoke"), "{error}");
}

#[test]
fn a_port_that_is_found_goes_with_the_host_that_was_named() {
    let bench = bench();
    let options = ["--listen", "tls://127.0.0.1:0", "--json"];
    let mut pair = bench.start(&[&["pair", "vault", "tls://localhost:0"], &options[..]].concat());
    let ticket = pair.object(|line| line["event"] == "ticket");
    let endpoint = ticket["endpoint"].as_str().unwrap();
    let port = endpoint.strip_prefix("tls://localhost:").expect("it's the host that was named");
    assert_ne!(port, "0");
    let joined = join(&bench, ticket["ticket"].as_str().unwrap(), "copy", &[]);
    assert_eq!(joined["endpoint"], endpoint);
    assert_eq!(pair.wait(), Some(0));

    let mut pair = bench.start(&["pair", "vault", "tls://localhost:0", options[0], options[1]]);
    join(&bench, &pair.line(|_| true), "other", &[]);
    assert_eq!(pair.wait(), Some(0));
    let told = pair.stderr();
    let at = told.split_once("next, here: blaze serve vault --listen tls://127.0.0.1:");
    let (_, port) = at.unwrap_or_else(|| panic!("it listens where it did: {told}"));
    assert_ne!(port.trim().parse::<u16>().unwrap(), 0);
}

#[test]
fn the_commands_that_are_told_work_as_they_are() {
    let bench = Bench::new();
    let vault = "my vault's";
    bench.ok(&["put", vault, "accounts", "cash", "euros=5", "--database", "ledger"]);
    let files = ["--key-file", "a key", "--peers-file", "all peers"];
    let endpoint = endpoint();
    let args = [&["pair", vault, &endpoint, "--name", "my phone"], &files[..]].concat();
    let mut pair = bench.start(&args);
    let ticket = pair.line(|_| true);
    let args = ["join", "copy", "--database", "ledger", "--name=-x", "--peers-file=-y"];
    bench.write("ticket", ticket);
    let ticket = fs::File::open(bench.path("ticket")).unwrap();
    let joined = bench.command(args).stdin(ticket).output().unwrap();
    assert_eq!(pair.wait(), Some(0));
    let paired = pair.stderr();
    let joined = String::from_utf8(joined.stderr).unwrap();
    let told = |text: &str, before: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(before));
        found.unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    let shell = |line: &str| {
        let program = format!("'{}'", env!("CARGO_BIN_EXE_blaze"));
        let line = line.replacen("blaze", &program, 1);
        process::Command::new("sh").args(["-c", &line]).current_dir(bench.path("")).output()
    };
    let serving = told(&paired, "next, here: ");
    assert!(serving.ends_with(" --key-file 'a key' --peers-file 'all peers'"), "{serving}");
    assert_eq!(told(&joined, "next: "), "blaze connect copy --peers-file ./-y");
    for text in [paired, joined] {
        let revoking = told(&text, "if the other one shows other words: ");
        let output = shell(&revoking).unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{revoking}: {error}");
        let done = String::from_utf8(output.stdout).unwrap();
        assert!(done.ends_with(" is not trusted any more\n"), "{done}");
    }
}
