//! Encrypted databases: where the password comes from, and what happens without it.

mod common;

use std::os::unix::fs::PermissionsExt;

use std::io::Write;
use std::process::{Command, Stdio};

use common::{Bench, bytes};
use serde_json::json;

/// A bench with an encrypted database whose password is "secret".
fn encrypted() -> Bench {
    let bench = Bench::new();
    let args = ["put", "db", "c", "k", "word=plaintext"];
    let output = bench.command(args).env("BLAZE_PASSWORD", "secret").output().unwrap();
    assert!(output.status.success());
    let note = String::from_utf8(output.stderr).unwrap();
    assert_eq!(note, "made db, encrypted\n");
    bench
}

#[test]
fn a_file_made_with_a_password_is_encrypted() {
    let bench = encrypted();
    let content = bytes(&bench.path("db"));
    assert!(!content.starts_with(b"SQLite format 3"));
    assert!(!content.windows(9).any(|window| window == b"plaintext"));
    let got = bench.ok_with_password("secret", &["get", "db", "c", "k", "--json"]);
    assert_eq!(got, "{\"word\":\"plaintext\"}\n");
    bench.ok_with_password("secret", &["delete", "db", "c", "k"]);
    assert_eq!(bench.ok_with_password("secret", &["list", "db"]), "");
}

#[test]
fn a_wrong_password_changes_nothing() {
    let bench = encrypted();
    let before = bytes(&bench.path("db"));
    for args in [&["get", "db", "c", "k"][..], &["put", "db", "c", "k", "a=1"]] {
        let error = bench.error_with_password("wrong", args);
        assert!(error.contains("error: wrong password for "), "{error}");
        assert!(error.contains("(it was taken from BLAZE_PASSWORD)"), "{error}");
    }
    assert_eq!(bytes(&bench.path("db")), before);
}

#[test]
#[cfg(target_os = "linux")]
fn a_terminal_is_asked_even_if_standard_input_is_none() {
    let bench = encrypted();
    // It makes a terminal, which the program has besides its standard input.
    let get = format!("{} get db c k --json < /dev/null", env!("CARGO_BIN_EXE_blaze"));
    let mut child = Command::new("script")
        .args(["-q", "-e", "-c", &get, "/dev/null"])
        .current_dir(bench.path(""))
        .env_remove("BLAZE_PASSWORD")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"secret\n").unwrap();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains("Password for db: "), "{shown}");
    assert!(shown.contains("{\"word\":\"plaintext\"}"), "{shown}");
}

#[test]
fn without_a_terminal_the_ways_to_give_a_password_are_told() {
    let bench = encrypted();
    for args in [
        &["list", "db"][..],
        &["put", "db", "c", "k", "a=1"],
        &["put", "new", "c", "k", "a=1", "--encrypt"],
    ] {
        let error = bench.error(args);
        for way in ["--password-file FILE", "BLAZE_PASSWORD", "terminal"] {
            assert!(error.contains(way), "{error}");
        }
    }
    assert!(!bench.path("new").exists(), "never silently unencrypted");
}

#[test]
fn a_password_file_is_read_without_its_line_break() {
    let bench = encrypted();
    for content in ["secret", "secret\n", "secret\r\n"] {
        bench.write("password", content);
        std::fs::set_permissions(bench.path("password"), PermissionsExt::from_mode(0o600)).unwrap();
        let output =
            bench.output(&["get", "db", "c", "k", "--json", "--password-file", "password"]);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{content:?}");
        let got: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(got, json!({ "word": "plaintext" }));
    }

    std::fs::set_permissions(bench.path("password"), PermissionsExt::from_mode(0o644)).unwrap();
    let output = bench.output(&["list", "db", "--password-file", "password"]);
    let warning = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success());
    assert!(warning.contains("warning: other users may read"), "{warning}");
    assert!(warning.contains("(mode 0644)"), "{warning}");
}

#[test]
fn passwords_that_cannot_be_meant_are_refused() {
    let bench = encrypted();
    bench.write("empty", "\n");
    bench.write("lines", "secret\nmore\n");
    let error = |file| bench.error(&["list", "db", "--password-file", file]);
    assert!(error("empty").contains("is empty"));
    assert!(error("lines").contains("has several lines"));
    assert!(error("missing").contains("can't read the password file missing"));
    assert!(bench.error_with_password("", &["list", "db"]).contains("BLAZE_PASSWORD is empty"));
}

#[test]
fn a_plain_file_with_a_password_is_an_error() {
    let bench = Bench::new();
    bench.ok(&["put", "plain", "c", "k", "a=1"]);
    let error = bench.error_with_password("secret", &["list", "plain"]);
    assert!(error.contains("is not encrypted; open it without a password"), "{error}");
    assert!(error.contains("BLAZE_PASSWORD"), "{error}");
}
