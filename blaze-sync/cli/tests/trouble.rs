//! Endpoints and files that can't work: each error says what is wrong and what to
//! do, and nothing is lost.

mod common;

use std::fmt::Write;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use common::{Bench, bytes, contents};
use serde_json::json;

/// A bench with a database.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.ok(&["put", "db", "c", "k", "text=hello"]);
    bench
}

/// Sees that neither `serve` nor `connect` accepts an endpoint, for this reason.
fn assert_refused(bench: &Bench, endpoint: &str, expected: &[&str]) {
    for args in [&["serve", "db", "--listen", endpoint][..], &["connect", "db", endpoint]] {
        let error = bench.error(args);
        for expected in expected {
            assert!(error.contains(expected), "{args:?}: {error}");
        }
    }
    // It is neither changed nor in use.
    assert_eq!(bench.json(&["get", "db", "c", "k"]), json!({ "text": "hello" }));
    bench.ok(&["put", "db", "c", "k", "text=hello"]);
}

fn make_directory(bench: &Bench, name: &str, mode: u32) {
    fs::create_dir(bench.path(name)).unwrap();
    fs::set_permissions(bench.path(name), PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn a_socket_path_at_which_something_else_is() {
    let bench = bench();
    make_directory(&bench, "directory", 0o700);
    let expected = "directory is a directory, not a socket; not removed";
    assert_refused(&bench, &bench.socket("directory"), &[expected]);
    let expected = "db is a regular file, not a socket; not removed";
    assert_refused(&bench, &bench.socket("db"), &[expected]);
    assert!(bench.path("directory").is_dir());
}

#[test]
fn a_socket_path_that_is_too_long() {
    let bench = bench();
    let expected = ["more than the 10", " that work here; choose a shorter one such as /"];
    assert_refused(&bench, &bench.socket(&"x".repeat(120)), &expected);
}

#[test]
fn a_socket_in_a_directory_that_is_missing() {
    let bench = bench();
    let error = bench.error(&["serve", "db", "--listen", &bench.socket("none/s")]);
    assert!(error.contains("none does not exist; create it with mode 0700"), "{error}");
}

#[test]
fn a_socket_in_a_directory_of_everybody() {
    let bench = bench();
    make_directory(&bench, "open", 0o1777);
    let expected =
        ["open is writable by other users (mode 1777)", "use a 0700 directory such as /"];
    assert_refused(&bench, &bench.socket("open/s"), &expected);
    assert!(fs::read_dir(bench.path("open")).unwrap().next().is_none(), "nothing was made");
}

#[test]
fn a_socket_in_a_directory_that_is_not_writable() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: root may write everywhere");
        return;
    }
    let bench = bench();
    make_directory(&bench, "closed", 0o500);
    let error = bench.error(&["serve", "db", "--listen", &bench.socket("closed/s")]);
    assert!(error.contains("permission denied") && error.contains("closed/s"), "{error}");
}

#[test]
fn a_tcp_port_in_use() {
    let bench = bench();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", other.local_addr().unwrap());
    let error = bench.error(&["serve", "db", "--listen", &endpoint]);
    let expected = "is in use by another server; stop it or choose another endpoint";
    assert!(error.contains(&format!("{endpoint} {expected}")), "{error}");
}

#[test]
fn a_tcp_address_beyond_this_device() {
    let bench = bench();
    for host in ["192.0.2.1", "0.0.0.0", "example.org"] {
        let expected = ["reaches beyond this device", "use 127.0.0.1, [::1] or localhost"];
        assert_refused(&bench, &format!("tcp://{host}:7117"), &expected);
    }
}

/// Sees that a file is neither read nor written, for this reason, and untouched.
fn assert_unusable(bench: &Bench, file: &str, password: Option<&str>, expected: &[&str]) {
    let before = bytes(&bench.path(file));
    for args in [&["export", file, "c"][..], &["put", file, "c", "new", "a=1"]] {
        let error = match password {
            Some(password) => bench.error_with_password(password, args),
            None => bench.error(args),
        };
        assert!(error.contains(file), "{args:?}: {error}");
        for expected in expected {
            assert!(error.contains(expected), "{args:?}: {error}");
        }
    }
    assert!(bytes(&bench.path(file)) == before, "{file} was changed");
}

#[test]
fn a_file_that_is_cut_off() {
    let bench = bench();
    let whole = bytes(&bench.path("db"));
    for length in [7, 50, 4_000, whole.len() - 1] {
        bench.write("cut", &whole[..length]);
        let expected = ["it is cut off: ", "restore it from a peer or a backup"];
        assert_unusable(&bench, "cut", None, &expected);
    }
    // At a page's end it is not seen by its length.
    bench.write("cut", &whole[..whole.len() - 4_096]);
    assert_unusable(&bench, "cut", None, &["it is damaged", "restore it from a peer or a backup"]);
}

#[test]
fn a_file_that_is_another_programs() {
    let bench = Bench::new();
    let mut header = b"SQLite format 3\0".to_vec();
    header.resize(4_096, 0);
    // Pages of 4,096 bytes.
    header[16] = 16;
    bench.write("other", header);
    let expected = "it is another program's SQLite database; name another file";
    assert_unusable(&bench, "other", None, &[expected]);
}

#[test]
fn a_file_that_is_no_database() {
    let bench = Bench::new();
    let mut random = fastrand::Rng::with_seed(7);
    let garbage: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(2 * 4_096).collect();
    bench.write("garbage", &garbage);
    // Encryption makes bytes that can't be told from any others.
    assert_unusable(&bench, "garbage", None, &["is encrypted", "--password-file FILE"]);
    let expected = ["wrong password for ", "it was taken from BLAZE_PASSWORD"];
    assert_unusable(&bench, "garbage", Some("secret"), &expected);
    bench.write("note.txt", "Dear diary");
    assert_unusable(&bench, "note.txt", None, &["is not a usable Blaze database"]);
}

/// A bench with an encrypted database of many pages, and what it holds.
fn encrypted() -> (Bench, String) {
    let bench = Bench::new();
    let mut rows = String::new();
    for number in 0..300 {
        writeln!(rows, r#"{{"_key":{number},"text":"{}"}}"#, "word ".repeat(100)).unwrap();
    }
    bench.write("rows.jsonl", rows);
    bench.ok_with_password("secret", &["import", "db", "c", "rows.jsonl"]);
    let all = bench.ok_with_password("secret", &["export", "db", "c"]);
    assert_eq!(all.lines().count(), 300);
    (bench, all)
}

#[test]
fn a_flipped_bit_in_an_encrypted_file_is_noticed() {
    let (bench, all) = encrypted();
    let whole = bytes(&bench.path("db"));
    let mut noticed = 0;
    let offsets = (0..whole.len()).step_by(whole.len() / 24);
    for offset in offsets.clone() {
        let mut flipped = whole.clone();
        flipped[offset] ^= 4;
        bench.write("db", flipped);
        let args = ["export", "db", "c"];
        let output = bench.command(args).env("BLAZE_PASSWORD", "secret").output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        if output.status.success() {
            // A page that an export doesn't read.
            assert_eq!(String::from_utf8(output.stdout).unwrap(), all, "{offset}");
            continue;
        }
        noticed += 1;
        // In the first page it is as if the password were wrong.
        let expected = if offset < 4_096 { "wrong password" } else { "restore it from a peer" };
        assert!(error.contains(expected), "{offset}: {error}");
        assert_eq!(output.status.code(), Some(1), "{offset}: {error}");
    }
    assert!(noticed > offsets.len() / 2, "{noticed}");
    bench.write("db", whole);
    assert_eq!(bench.ok_with_password("secret", &["export", "db", "c"]), all);
}

#[test]
fn a_header_with_a_flipped_bit_is_noticed() {
    let bench = bench();
    let whole = bytes(&bench.path("db"));
    // The magic, the page size, the format's version, the program's id, the first page.
    for offset in [0, 15, 16, 60, 63, 68, 71, 100] {
        let mut flipped = whole.clone();
        flipped[offset] ^= 4;
        bench.write("flipped", flipped);
        assert_unusable(&bench, "flipped", None, &[]);
    }
}

#[test]
fn a_wrong_password_names_where_it_was_taken_from() {
    let (bench, all) = encrypted();
    assert_unusable(&bench, "db", Some("guess"), &["wrong password for ", "BLAZE_PASSWORD"]);
    bench.write("password", "guess");
    fs::set_permissions(bench.path("password"), PermissionsExt::from_mode(0o600)).unwrap();
    let error = bench.error(&["list", "db", "--password-file", "password"]);
    assert!(error.contains("(it was taken from password)"), "{error}");
    assert_eq!(bench.ok_with_password("secret", &["export", "db", "c"]), all);
    assert_eq!(contents(&bench.path("db"), Some("secret"))["c"].len(), 300);
}
