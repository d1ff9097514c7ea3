//! Policies at Unix sockets, and files and options that can't be used.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/policies.rs"]
mod policies;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use common::{Bench, Running};
use rustix::process::{Signal, geteuid};
use serde_json::{Value, json};

use policies::{define, is_withdrawal, keys, stop, wait_for_keys};

/// The user whom every system has for those without rights.
const NOBODY: u32 = 65534;

fn by_owner() -> Value {
    let of = |owner: &str| json!({ "notes": { "where": { "owner": owner } } });
    json!({ "anna": of("anna"), "ben": of("ben") })
}

/// A database with a note of each of two owners.
fn shop() -> Bench {
    let bench = Bench::new();
    define(&bench, &by_owner());
    bench.ok(&["put", "hub", "notes", "a", "text=hers", "owner=anna"]);
    bench.ok(&["put", "hub", "notes", "b", "text=his", "owner=ben"]);
    bench
}

fn serve(bench: &Bench, options: &[&str]) -> Running {
    let socket = bench.socket("s");
    let serve = ["serve", "hub", "--listen", &socket, "--policies", "policies.json", "--json"];
    let mut server = bench.start(&[&serve, options].concat());
    server.object(|line| line["event"] == "listening");
    server
}

fn is_live(line: &Value) -> bool {
    line["state"] == "live"
}

#[test]
fn whoever_has_no_policy_gets_the_one_for_all_others() {
    let bench = shop();
    let mut server = serve(&bench, &["--policy", "anna"]);
    let mut client = bench.start(&["connect", "copy", &bench.socket("s"), "--json"]);
    client.object(is_live);
    wait_for_keys(&bench, "copy", "notes", &["a"]);
    stop(client);
    bench.ok(&["put", "copy", "notes", "x", "text=forged", "owner=ben"]);
    // For people: what was withdrawn, and from whom.
    let mut client = bench.start(&["connect", "copy", &bench.socket("s")]);
    let line = client.line(|line| line.starts_with("withdrawn"));
    assert_eq!(line, r#"withdrawn by hub: notes/x, here it was {"owner":"ben","text":"forged"}"#);
    assert_eq!(server.object(is_withdrawal)["peer"], "copy");
    client.signal(Signal::INT);
    let closed = client.line(|line| line.starts_with("closed after"));
    assert!(closed.ends_with(", 1 withdrawal"), "{closed}");
    stop(server);
    assert_eq!(keys(&bench, "hub", "notes"), ["a", "b"]);
}

#[test]
fn what_was_agreed_with_a_user_goes_before_the_one_for_all_others() {
    let bench = shop();
    let own = format!("{}=read-only:ben", geteuid().as_raw());
    let server = serve(&bench, &["--policy", "anna", "--allow-user", &own]);
    let args = ["connect", "copy", &bench.socket("s"), "--mode", "read-only", "--json"];
    let mut client = bench.start(&args);
    client.object(is_live);
    wait_for_keys(&bench, "copy", "notes", &["b"]);
    stop(client);
    stop(server);
}

#[test]
fn who_connects_limits_the_server() {
    let bench = shop();
    define(&bench, &json!({ "anna": { "notes": { "fields": ["text", "owner"] } } }));
    bench.ok(&["put", "hub", "tags", "t", "text=red"]);
    bench.ok(&["put", "copy", "diary", "d", "text=secret"]);
    bench.ok(&["put", "copy", "notes", "c", "text=new", "owner=anna", "price=5"]);
    let server = serve(&bench, &[]);
    let options = ["--policies", "policies.json", "--policy", "anna", "--json"];
    let mut client =
        bench.start(&[&["connect", "copy", &bench.socket("s")], &options[..]].concat());
    client.object(is_live);
    wait_for_keys(&bench, "hub", "notes", &["a", "b", "c"]);
    wait_for_keys(&bench, "copy", "notes", &["a", "b", "c"]);
    let seen = json!({ "text": "new", "owner": "anna" });
    assert_eq!(bench.wait_for_record("hub", "notes", "c"), seen);
    assert!(keys(&bench, "hub", "diary").is_empty());
    assert!(keys(&bench, "copy", "tags").is_empty(), "nor does it take more");
    client.signal(Signal::INT);
    assert_eq!(client.wait(), Some(0));
    assert_eq!(client.stderr(), "", "nothing to warn of");
    stop(server);
}

/// A node of another user, with a directory and the program in a place that it can reach.
fn of_user(bench: &Bench, uid: u32, args: &[&str]) -> Running {
    let (home, program) = (bench.path(&format!("home-{uid}")), bench.path("blaze"));
    if !program.exists() {
        fs::set_permissions(bench.path("."), Permissions::from_mode(0o755)).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_blaze"), &program).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    }
    fs::create_dir(&home).unwrap();
    chown(&home, Some(uid), Some(uid)).unwrap();
    let mut command = Command::new(program);
    command.args(args).env_clear().env("HOME", &home).env("XDG_RUNTIME_DIR", &home);
    command.current_dir(&home).uid(uid).gid(uid);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Running::new(command.spawn().unwrap())
}

#[test]
fn each_user_and_group_sees_its_own() {
    if !geteuid().is_root() {
        eprintln!("skipped: only root can start a process of another user");
        return;
    }
    let bench = shop();
    let (user, group) = (format!("{NOBODY}:anna"), format!("{}:ben", NOBODY - 1));
    let server = serve(&bench, &["--allow-user", &user, "--allow-group", &group]);
    let socket = bench.socket("s");
    let args = ["connect", "copy", &socket, "--server-user", "0", "--json"];
    for (uid, expected) in [(NOBODY, "a"), (NOBODY - 1, "b")] {
        let mut client = of_user(&bench, uid, &args);
        client.object(is_live);
        let database = bench.path(&format!("home-{uid}/copy"));
        wait_for_keys(&bench, database.to_str().unwrap(), "notes", &[expected]);
        stop(client);
    }
    stop(server);
}

#[test]
fn a_file_that_can_not_be_used_is_named_with_what_is_wrong() {
    let bench = shop();
    let error = |policies: &str| {
        bench.write("wrong.json", policies);
        fs::set_permissions(bench.path("wrong.json"), Permissions::from_mode(0o600)).unwrap();
        let error = bench.error(&["serve", "hub", "--policies", "wrong.json"]);
        assert!(error.contains("can't use the policies in wrong.json"), "{error}");
        error
    };
    let place = r#"policy "anna", collection "notes": "#;
    for (policies, expected) in [
        (r#"{"anna": "#, "EOF while parsing"),
        (r#"{"anna": {"notes": {"felds": []}}}"#, r#"there is no "felds""#),
        (r#"{"anna": {"notes": {"where": {"n": {"$gt": 1}}}}}"#, r#""$above": value"#),
    ] {
        let error = error(policies);
        assert!(error.contains(expected), "{error}");
        assert!(!policies.contains("notes") || error.contains(place), "{error}");
    }
    let long = json!({ "anna": { "notes": { "where": { "owner": "x".repeat(70_000) } } } });
    let error = error(&long.to_string());
    assert!(error.contains(r#"policy "anna": a scope of"#), "{error}");
    fs::set_permissions(bench.path("policies.json"), Permissions::from_mode(0o666)).unwrap();
    let error = bench.error(&["connect", "hub", "--policies", "policies.json"]);
    assert!(error.contains("others may write it") && error.contains("chmod go-w"), "{error}");
    let error = bench.error(&["serve", "hub", "--policies", "missing.json"]);
    assert!(error.contains("missing.json"), "{error}");
}

#[test]
fn a_policy_that_is_not_there_is_an_error_at_the_start() {
    let bench = shop();
    let with_file = ["serve", "hub", "--policies", "policies.json"];
    let in_vain = |options: &[&str]| bench.error(&[&with_file, options].concat());
    for (options, option) in [
        (["--policy", "clara"], "--policy"),
        (["--allow-user", "7:clara"], "--allow-user"),
        (["--allow-group", "7=read-only:clara"], "--allow-group"),
    ] {
        let error = in_vain(&options);
        assert!(error.contains(option), "{error}");
        assert!(error.contains(r#"no policy is called "clara""#), "{error}");
        assert!(error.contains("policies.json has anna, ben"), "{error}");
    }
    let error = bench.error(&["serve", "hub", "--allow-user", "7:anna"]);
    assert!(error.contains("give --policies FILE"), "{error}");
    let socket = bench.socket("s");
    let usage: [&[&str]; 3] = [
        &["serve", "hub", "--policy", "anna"],
        &["serve", "hub", "--allow-user", "7:an na"],
        &["serve", "hub", "--join", &socket, "--policies", "policies.json", "--policy", "anna"],
    ];
    for args in usage {
        assert_eq!(bench.output(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn the_help_has_an_example() {
    let bench = Bench::new();
    for command in ["serve", "connect"] {
        let help = bench.ok(&[command, "--help"]);
        assert!(help.contains(r#"{"anna": {"notes": {"fields": ["text", "owner"]"#), "{help}");
        assert!(help.contains("--policies policies.json --policy anna"), "{help}");
    }
}
