//! Paired devices of which each sees and writes its own part of a server's database.

mod common;
#[path = "common/pairing.rs"]
mod pairing;
#[path = "common/policies.rs"]
mod policies;

use std::fs;

use blaze_sync::{KeyPair, TrustStore, TrustedPeer};
use common::{Bench, Running, wait_until};
use serde_json::{Value, json};

use pairing::{connect, endpoint, join, pair, paired, serve_with, state};
use policies::{define, is_refused, is_withdrawal, keys, reason, stop, wait_for_keys};

/// Anna's notes without their prices, and Ben's.
fn by_owner() -> Value {
    json!({
        "anna": { "notes": { "fields": ["text", "owner"], "where": { "owner": "anna" } } },
        "ben": { "notes": { "where": { "owner": { "$in": ["ben"] } } }, "tags": {} },
    })
}

/// A server's database with a note of each, and a tag.
fn shop() -> Bench {
    let bench = Bench::new();
    define(&bench, &by_owner());
    let put =
        |rest: &[&str]| bench.ok(&[&["put", "vault"], rest, &["--database", "ledger"]].concat());
    put(&["notes", "a", "text=hers", "owner=anna", "price=5"]);
    put(&["notes", "b", "text=his", "owner=ben", "price=7"]);
    put(&["tags", "t", "text=red"]);
    bench
}

fn serve(bench: &Bench, endpoint: &str) -> Running {
    serve_with(bench, endpoint, &["--policies", "policies.json"])
}

/// Pairs the server with a file that is called as its policy.
fn phone(bench: &Bench, endpoint: &str, policy: &str) {
    paired(bench, endpoint, policy, &["--name", policy, "--policy", policy]);
}

fn live(bench: &Bench, file: &str) -> Running {
    let mut node = connect(bench, file, &[]);
    node.object(state("live"));
    node
}

/// A server with a phone of Anna's, which is live and has her note.
fn with_anna() -> (Bench, String, Running, Running) {
    let (bench, endpoint) = (shop(), endpoint());
    phone(&bench, &endpoint, "anna");
    let serving = serve(&bench, &endpoint);
    let anna = live(&bench, "anna");
    wait_for_keys(&bench, "anna", "notes", &["a"]);
    (bench, endpoint, serving, anna)
}

#[test]
fn each_phone_sees_its_own_and_a_record_goes_from_one_to_the_other() {
    let bench = shop();
    let endpoint = endpoint();
    phone(&bench, &endpoint, "anna");
    phone(&bench, &endpoint, "ben");
    let serving = serve(&bench, &endpoint);
    let (anna, ben) = (live(&bench, "anna"), live(&bench, "ben"));
    wait_for_keys(&bench, "anna", "notes", &["a"]);
    wait_for_keys(&bench, "ben", "notes", &["b"]);
    wait_for_keys(&bench, "ben", "tags", &["t"]);
    let seen = json!({ "text": "hers", "owner": "anna" });
    assert_eq!(bench.wait_for_record("anna", "notes", "a"), seen, "without the price");
    assert!(keys(&bench, "anna", "tags").is_empty());

    // Anna gives her note away.
    stop(anna);
    bench.ok(&["put", "anna", "notes", "a", "--update", "owner=ben"]);
    let mut anna = connect(&bench, "anna", &[]);
    let withdrawn = anna.object(is_withdrawal);
    assert_eq!((&withdrawn["key"], &withdrawn["from"]), (&json!("a"), &json!("here")));
    wait_for_keys(&bench, "ben", "notes", &["a", "b"]);
    let whole = json!({ "text": "hers", "owner": "ben", "price": 5 });
    assert_eq!(bench.wait_for_record("ben", "notes", "a"), whole);
    assert_eq!(bench.wait_for_record("vault", "notes", "a"), whole, "it isn't deleted");
    wait_for_keys(&bench, "anna", "notes", &[]);

    // Ben gives it back.
    stop(ben);
    bench.ok(&["put", "ben", "notes", "a", "--update", "owner=anna", "text=back"]);
    let ben = live(&bench, "ben");
    wait_for_keys(&bench, "anna", "notes", &["a"]);
    assert_eq!(bench.wait_for_record("anna", "notes", "a")["text"], "back");
    wait_for_keys(&bench, "ben", "notes", &["b"]);
    for node in [anna, ben, serving] {
        stop(node);
    }
    assert_eq!(keys(&bench, "vault", "notes"), ["a", "b"]);
}

#[test]
fn a_write_beyond_the_policy_is_refused_and_named_at_both_ends() {
    let (bench, _, mut serving, anna) = with_anna();
    stop(anna);
    // One for another owner, one under the key of a note that she can't see, a field and a
    // collection that are hers alone, and one that is fine.
    bench.ok(&["put", "anna", "notes", "x", "text=for ben", "owner=ben"]);
    bench.ok(&["put", "anna", "notes", "b", "text=taken", "owner=anna"]);
    bench.ok(&["put", "anna", "notes", "a", "--update", "price=1"]);
    bench.ok(&["put", "anna", "drafts", "d", "text=private"]);
    bench.ok(&["put", "anna", "notes", "y", "text=new", "owner=anna"]);
    let mut anna = connect(&bench, "anna", &[]);
    let mut refused = [serving.object(is_withdrawal), serving.object(is_withdrawal)];
    refused.sort_by_key(|line| line["key"].to_string());
    for (line, key) in refused.iter().zip(["b", "x"]) {
        let expected = (&json!(key), &json!("peer"), &json!("anna"), &Value::Null);
        assert_eq!((&line["key"], &line["from"], &line["peer"], &line["record"]), expected);
    }
    let mut lost = [anna.object(is_withdrawal), anna.object(is_withdrawal)];
    lost.sort_by_key(|line| line["key"].to_string());
    for (line, (key, text)) in lost.iter().zip([("b", "taken"), ("x", "for ben")]) {
        let found = (&line["key"], &line["from"], &line["peer"], &line["record"]["text"]);
        assert_eq!(found, (&json!(key), &json!("here"), &json!("vault"), &json!(text)));
    }
    wait_for_keys(&bench, "vault", "notes", &["a", "b", "y"]);
    wait_for_keys(&bench, "anna", "notes", &["a", "y"]);
    assert_eq!(bench.wait_for_record("vault", "notes", "a")["price"], 5);
    assert_eq!(bench.wait_for_record("vault", "notes", "b")["text"], "his");
    assert!(keys(&bench, "vault", "drafts").is_empty());
    assert_eq!(keys(&bench, "anna", "drafts"), ["d"]);
    stop(anna);
    stop(serving);
}

#[test]
fn a_file_that_was_changed_takes_back_and_gives_after_a_restart() {
    let (bench, endpoint, serving, mut anna) = with_anna();
    stop(serving);
    define(&bench, &json!({ "anna": { "notes": { "where": { "owner": "ben" } }, "tags": {} } }));
    let serving = serve(&bench, &endpoint);
    let withdrawn = anna.object(is_withdrawal);
    let record = json!({ "text": "hers", "owner": "anna" });
    assert_eq!((&withdrawn["key"], &withdrawn["record"]), (&json!("a"), &record));
    wait_for_keys(&bench, "anna", "notes", &["b"]);
    wait_for_keys(&bench, "anna", "tags", &["t"]);
    assert_eq!(keys(&bench, "vault", "notes"), ["a", "b"], "nothing is deleted");
    stop(anna);
    stop(serving);
}

#[test]
fn a_peer_whose_policy_is_not_in_the_file_is_refused_and_both_ends_say_why() {
    let bench = shop();
    let endpoint = endpoint();
    phone(&bench, &endpoint, "anna");
    define(&bench, &json!({ "ben": {}, "carla": {} }));
    let args = ["serve", "vault", "--listen", &endpoint, "--policies", "policies.json", "--json"];
    let told = fs::File::create(bench.path("told")).unwrap();
    let mut serving = Running::new(bench.command(args).stderr(told).spawn().unwrap());
    serving.object(|line| line["event"] == "listening");
    let told = bench.read("told");
    assert!(told.contains("warning: links with anna are refused: "), "{told}");
    assert!(told.contains(r#"no policy is called "anna"; policies.json has ben, carla"#), "{told}");

    let mut anna = connect(&bench, "anna", &[]);
    let line = anna.object(is_refused);
    assert!(reason(&line).contains("the other side has lost the policy"), "{line}");
    let line = serving.object(|line| line["state"] == "closed");
    assert!(reason(&line).contains(r#"the policy "anna" was agreed"#), "{line}");
    assert!(bench.output(&["list", "anna", "notes"]).stdout.is_empty());

    // The way is shown, and it is one.
    let doctor = bench.output(&["doctor", "anna", &endpoint]);
    let found = String::from_utf8(doctor.stdout).unwrap();
    assert!(found.contains("refuses this node for its policy"), "{found}");
    stop(serving);
    define(&bench, &by_owner());
    let serving = serve(&bench, &endpoint);
    anna.object(state("live"));
    wait_for_keys(&bench, "anna", "notes", &["a"]);
    stop(anna);
    stop(serving);
}

#[test]
fn a_session_ends_when_the_peer_gets_another_policy() {
    let (bench, _, serving, mut anna) = with_anna();
    let told = bench.ok(&["peers", "vault", "policy", "anna", "ben"]);
    let expected = r#"anna is a client that sends and receives, under the policy "ben""#;
    assert_eq!(told.trim_end(), expected);
    let withdrawn = anna.object(is_withdrawal);
    assert_eq!(withdrawn["key"], "a");
    wait_for_keys(&bench, "anna", "notes", &["b"]);
    let told = bench.json(&["peers", "vault", "policy", "anna", "--none", "--json"]);
    assert_eq!(told["policy"], Value::Null);
    wait_for_keys(&bench, "anna", "notes", &["a", "b"]);
    stop(anna);
    stop(serving);
}

#[test]
fn tickets_and_lists_of_peers_name_the_policy() {
    let bench = shop();
    let endpoint = endpoint();
    let options = ["--name", "phone", "--policy", "anna", "--mode", "read-only"];
    let (mut pairing, ticket) = pair(&bench, &endpoint, &options);
    let joined = join(&bench, &ticket, "phone", &[]);
    assert_eq!(pairing.wait(), Some(0));
    let told = pairing.stderr();
    let text = r#"paired with phone, a client that only receives, under the policy "anna""#;
    assert!(told.contains(text), "{told}");
    assert!(told.contains("--policies FILE"), "{told}");
    assert_eq!((&joined["own_policy"], &joined["name"].is_string()), (&json!("anna"), &true));
    let listed = bench.ok(&["peers", "vault"]);
    assert!(listed.contains(r#", under the policy "anna""#), "{listed}");
    assert_eq!(bench.json(&["peers", "vault", "--json"])["policy"], "anna");
    let theirs = bench.json(&["peers", "phone", "--json"]);
    assert_eq!(theirs["policy"], Value::Null, "it is told, and not bound to what it exports");

    let mut pairing = bench.start(&["pair", "vault", &endpoint, "--policy", "ben", "--json"]);
    let ticket = pairing.object(|line| line["event"] == "ticket");
    assert_eq!(ticket["policy"], "ben");
    let ticket = ticket["ticket"].as_str().unwrap().as_bytes();
    let joined = bench.ok_with_input(ticket, &["join", "tablet", "--database", "ledger"]);
    assert!(
        joined.contains(r#"this database is a client, under the policy "ben" there"#),
        "{joined}"
    );
    assert_eq!(pairing.object(|line| line["event"] == "paired")["policy"], "ben");
    assert_eq!(pairing.wait(), Some(0));
}

#[test]
fn who_connects_holds_the_peer_to_its_policy_too() {
    let bench = shop();
    let endpoint = endpoint();
    paired(&bench, &endpoint, "phone", &["--name", "phone"]);
    bench.ok(&["put", "phone", "notes", "p", "text=mine", "owner=anna"]);
    bench.ok(&["put", "phone", "diary", "d", "text=secret"]);
    let name = bench.json(&["peers", "phone", "--json"])["name"].as_str().unwrap().to_owned();
    bench.ok(&["peers", "phone", "policy", &name, "office"]);
    define(&bench, &json!({ "office": { "notes": {} } }));
    let mut serving = serve(&bench, &endpoint);
    let mut phone = connect(&bench, "phone", &[]);
    let line = phone.object(is_refused);
    assert!(reason(&line).contains(r#"the policy "office" was agreed"#), "{line}");
    let line = serving.object(|line| line["state"] == "closed");
    assert!(reason(&line).contains("has lost the policy"), "{line}");
    phone.kill();
    let phone = connect(&bench, "phone", &["--policies", "policies.json"]);
    wait_for_keys(&bench, "vault", "notes", &["a", "b", "p"]);
    wait_for_keys(&bench, "phone", "notes", &["a", "b", "p"]);
    assert!(keys(&bench, "vault", "diary").is_empty());
    assert!(keys(&bench, "phone", "tags").is_empty(), "nor does it take more");
    stop(phone);
    stop(serving);
}

#[test]
fn names_that_are_none_are_refused_before_anything_is_done() {
    let bench = shop();
    for name in ["", "an na", "a:b", &"x".repeat(65)] {
        let output = bench.output(&["pair", "vault", "tls://127.0.0.1:0", "--policy", name]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains("is no name for a policy: one has 1 to 64 characters"), "{error}");
    }
    for rest in [&["policy", "phone", "a b"][..], &["policy", "phone"], &["policy"]] {
        let output = bench.output(&[&["peers", "vault"], rest].concat());
        assert_eq!(output.status.code(), Some(2), "{rest:?}");
    }
    let store = TrustStore::open(bench.path("vault.peers")).unwrap();
    let peer = TrustedPeer::new("phone").with_policy("anna");
    store.trust(KeyPair::generate().unwrap().public(), peer).unwrap();
    let text = bench.read("vault.peers").replace(":anna", ":an\u{1b}na");
    fs::write(bench.path("vault.peers"), text).unwrap();
    let error = bench.error(&["peers", "vault"]);
    assert!(error.contains("line 2: its policy's name can be none"), "{error}");
    wait_until("nothing was made", || !bench.path("vault.key").exists());
}
