//! doctor: what is wrong with a database file, each fault made for real.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::process::{Command, Output};

use common::doctor::{Diagnosis, NOBODY, contents_of};
use common::{Bench, bytes};

/// A bench with a plain database and an encrypted one.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.ok(&["put", "db", "c", "k", "text=hello"]);
    bench.ok_with_password("secret", &["put", "locked", "c", "k", "text=hello"]);
    bench
}

/// The fault of opening a file, which is as it was afterwards.
fn fault(bench: &Bench, file: &str) -> (String, String) {
    let before = contents_of(&bench.path(""));
    let found = bench.doctor(&[file]).fault("database");
    assert!(contents_of(&bench.path("")) == before, "{file} or what is beside it was changed");
    found
}

#[test]
fn a_database_that_is_well_is_told_and_untouched() {
    let bench = bench();
    let node = bench.json(&["status", "db", "--json"])["node"].as_str().unwrap().to_owned();
    let before = contents_of(&bench.path(""));
    let seen = bench.doctor(&["db"]);
    seen.assert_well();
    let expected = format!(
        "database \"main\", node {node}, a client, at commit 1, not encrypted, with 0 peers"
    );
    assert_eq!(seen.ok("database"), expected);
    assert_eq!(seen.ok("lock"), "nobody has it open for writing");
    assert_eq!(seen.ok("writable"), "this user may write the file and its folder");
    let seen = bench.doctor_with_password("secret", &["locked"]);
    seen.assert_well();
    assert!(seen.ok("database").contains(", encrypted, "));
    assert!(contents_of(&bench.path("")) == before);

    bench.ok(&["put", "named", "c", "k", "a=1", "--database", "shop"]);
    assert!(bench.doctor(&["named"]).ok("database").starts_with("database \"shop\", "));
    let (text, remedy) = bench.doctor(&["named", "--database", "main"]).fault("database");
    assert_eq!(text, "it holds database \"shop\", not \"main\"");
    assert_eq!(remedy, "leave --database out, or give --database shop");
}

#[test]
fn a_password_that_is_wrong_missing_or_too_much_is_told() {
    let bench = bench();
    let (text, remedy) = bench.doctor_with_password("guess", &["locked"]).fault("database");
    assert_eq!(text, "the password, which was taken from BLAZE_PASSWORD, is wrong");
    assert!(remedy.contains("--password-file FILE"), "{remedy}");
    let (text, remedy) = fault(&bench, "locked");
    assert!(text.starts_with("it is encrypted and no password is given"), "{text}");
    assert_eq!(remedy, "give the password by --password-file FILE or BLAZE_PASSWORD");
    let (text, remedy) = bench.doctor_with_password("secret", &["db"]).fault("database");
    assert_eq!(text, "it is not encrypted, and a password is given by BLAZE_PASSWORD");
    assert_eq!(remedy, "leave the password out");
}

#[test]
fn what_is_no_database_or_not_all_of_one_is_told() {
    let bench = bench();
    let whole = bytes(&bench.path("db"));
    bench.write("cut", &whole[..whole.len() - 1]);
    let (text, remedy) = fault(&bench, "cut");
    assert!(text.starts_with("it is cut off: its "), "{text}");
    assert_eq!(remedy, "restore it from a peer or a backup");
    bench.write("short", &whole[..whole.len() - 4_096]);
    assert!(fault(&bench, "short").0.starts_with("it is damaged"));

    bench.write("note.txt", "Dear diary");
    assert!(fault(&bench, "note.txt").0.contains("it has 10 bytes"));
    let mut other = whole.clone();
    other[68..72].fill(0);
    bench.write("other", other);
    let (text, remedy) = fault(&bench, "other");
    assert_eq!(text, "it is another program's SQLite database");
    assert_eq!(remedy, "name another file");

    // The version is the last of the four bytes.
    let mut newer = whole;
    let version = newer[63];
    newer[63] += 7;
    bench.write("newer", newer);
    let (text, remedy) = fault(&bench, "newer");
    let expected = format!("its format version {} is newer than {version}, ", version + 7);
    assert!(text.starts_with(&expected), "{text}");
    assert_eq!(remedy, "update the program");
}

#[test]
fn a_path_that_leads_nowhere_is_told_and_nothing_made() {
    let bench = bench();
    let (text, remedy) = fault(&bench, "none");
    assert!(text.starts_with("there is no database at /"), "{text}");
    assert_eq!(remedy, "check the path, or make the database: blaze serve none");
    let (text, remedy) = fault(&bench, "folder/none");
    assert!(text.ends_with("the folder folder doesn't exist"), "{text}");
    assert_eq!(remedy, "make it first");
    symlink("nowhere", bench.path("link")).unwrap();
    let (text, remedy) = fault(&bench, "link");
    assert!(text.ends_with("is a symbolic link to nowhere, which doesn't exist"), "{text}");
    assert_eq!(remedy, "name that, or remove the link");
    fs::create_dir(bench.path("folder")).unwrap();
    assert!(fault(&bench, "folder").0.ends_with("folder is a folder"));
}

#[test]
fn who_has_a_database_open_is_named() {
    let bench = bench();
    let socket = bench.socket("s");
    let mut server = bench.start(&["serve", "db", "--listen", &socket, "--json"]);
    server.object(|line| line["event"] == "listening");
    let before = contents_of(&bench.path(""));
    let seen = bench.doctor(&["db"]);
    assert!(contents_of(&bench.path("")) == before, "its log or index was changed");
    assert!(seen.ok("database").contains("at commit 1"));
    if cfg!(target_os = "linux") {
        let (text, remedy) = seen.hint("lock");
        assert_eq!(text, format!("locked by pid {} (blaze), which has it open", server.id()));
        assert!(remedy.contains(&format!("kill {}", server.id())), "{remedy}");
    }

    // What a killed one leaves is nobody's, and is read with what is in the log alone.
    server.kill();
    let before = contents_of(&bench.path(""));
    let seen = bench.doctor(&["db"]);
    seen.assert_well();
    if cfg!(target_os = "linux") {
        assert_eq!(seen.ok("lock"), "nobody has it open for writing");
    }
    assert!(contents_of(&bench.path("")) == before);
}

#[test]
fn a_log_without_its_index_is_told_and_not_touched() {
    let bench = bench();
    let mut server = bench.start(&["serve", "db", "--listen", &bench.socket("s"), "--json"]);
    server.object(|line| line["event"] == "listening");
    let mut client = bench.start(&["connect", "copy", &bench.socket("s"), "--json"]);
    bench.wait_for_record("copy", "c", "k");
    client.kill();
    server.kill();
    fs::remove_file(bench.path("copy-shm")).unwrap();
    let (text, remedy) = fault(&bench, "copy");
    assert!(text.contains("copy-wal has ") && text.contains("copy-shm"), "{text}");
    assert!(remedy.starts_with("have them read once: blaze status /"), "{remedy}");
    bench.ok(&["status", "copy"]);
    bench.doctor(&["copy"]).assert_well();
}

#[test]
fn half_of_a_transaction_is_told_and_not_touched() {
    let bench = bench();
    bench.write("db-journal", [1; 512]);
    let (text, remedy) = fault(&bench, "db");
    assert!(text.contains("db-journal has 512 bytes that undo half of a transaction"), "{text}");
    assert!(remedy.starts_with("have it undone, by opening it once: blaze serve /"), "{remedy}");
    bench.ok(&["put", "db", "c", "k", "a=2"]);
    bench.doctor(&["db"]).assert_well();
}

#[test]
fn a_file_that_may_not_be_written_is_told() {
    let bench = bench();
    fs::set_permissions(bench.path("db"), PermissionsExt::from_mode(0o444)).unwrap();
    let seen = if rustix::process::geteuid().is_root() {
        // Its lock is another's, too, which comes first.
        fs::remove_file(bench.path("db.lock")).unwrap();
        fs::set_permissions(bench.path(""), PermissionsExt::from_mode(0o755)).unwrap();
        bench.doctor_as_nobody(&[bench.path("db").to_str().unwrap()])
    } else {
        Some(bench.doctor(&["db"]))
    };
    let Some(seen) = seen else { return };
    let (text, remedy) = seen.fault("writable");
    let path = bench.path("db").canonicalize().unwrap().display().to_string();
    assert_eq!(text, format!("this user may not write {path}"));
    assert!(remedy.starts_with(&format!("chmod u+w {path} as its owner, uid ")), "{remedy}");

    fs::set_permissions(bench.path("db"), PermissionsExt::from_mode(0o000)).unwrap();
    let path = bench.path("db");
    let path = path.to_str().unwrap();
    let seen = bench.doctor_as_nobody(&[path]);
    let Some(seen) = seen else { return };
    assert!(seen.faults().iter().any(|fault| {
        fault["check"] == "database" && fault["text"].as_str().unwrap().contains("may not open")
    }));
}

#[test]
fn a_lock_file_of_another_user_is_told() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give a file to another user");
        return;
    }
    let bench = bench();
    chown(bench.path("db.lock"), Some(NOBODY), None).unwrap();
    let (text, remedy) = bench.doctor(&["db"]).fault("writable");
    assert!(text.ends_with("db.lock is no file of uid 0, but of uid 65534"), "{text}");
    assert!(remedy.starts_with("run as uid 65534, or have root run: chown 0 /"), "{remedy}");
}

/// Runs commands where root may mount: `small` is a file system of 2 MiB with a copy of the
/// database. `None` elsewhere than on Linux, and where users may make no namespaces.
fn in_small_file_system(bench: &Bench, script: &str) -> Option<Output> {
    fs::create_dir(bench.path("small")).unwrap();
    let mount = "mount -t tmpfs -o size=2m none small && cp db small/ || exit 42\n";
    let shell = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &format!("{mount}{script}")])
        .env("BLAZE", env!("CARGO_BIN_EXE_blaze"))
        .current_dir(bench.path(""))
        .output();
    let output = match shell {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: can't make a small file system: {error}");
            return None;
        }
    };
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(42) || said.starts_with("unshare: ") {
        eprintln!("skipped: can't make a small file system: {said}");
        return None;
    }
    Some(output)
}

#[test]
fn a_disk_that_is_full_or_nearly_is_told() {
    let bench = bench();
    let nearly = "exec \"$BLAZE\" doctor --json small/db";
    let Some(output) = in_small_file_system(&bench, nearly) else { return };
    let (text, _) = Diagnosis::of(&output).hint("room");
    assert!(text.starts_with("the disk is nearly full: ") && text.contains("small"), "{text}");

    fs::remove_dir(bench.path("small")).unwrap();
    let full = "head -c 1500000 /dev/zero >small/filler; exec \"$BLAZE\" doctor --json small/db";
    let Some(output) = in_small_file_system(&bench, full) else { return };
    let (text, remedy) = Diagnosis::of(&output).fault("room");
    assert!(text.starts_with("the disk is full: "), "{text}");
    assert!(remedy.starts_with("free some: df -h "), "{remedy}");
}

#[test]
fn a_read_only_file_system_is_told() {
    let bench = bench();
    let script = "mount -o remount,ro small || exit 42; exec \"$BLAZE\" doctor --json small/db";
    let Some(output) = in_small_file_system(&bench, script) else { return };
    let seen = Diagnosis::of(&output);
    assert!(seen.ok("database").contains("at commit 1"), "it is read all the same");
    assert!(seen.faults().iter().any(|fault| {
        let remedy = fault["remedy"].as_str().unwrap();
        fault["text"] == "it lies on a read-only file system, so it can only be read"
            && remedy.contains("mount -o remount,rw /")
            && remedy.contains("small,")
    }));
}
