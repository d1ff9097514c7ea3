//! No room: what was committed stays, the error says so, and with more room it goes on.

mod common;

use std::fmt::Write;
use std::process::Command;

use blaze_sync::Value;
use common::{Bench, contents};

const ROWS: usize = 20_000;

/// Rows of about 200 bytes, in all more than 4 MiB.
fn rows() -> String {
    let mut rows = String::new();
    for number in 0..ROWS {
        writeln!(rows, r#"{{"_key":{number},"text":"{}"}}"#, "x".repeat(200)).unwrap();
    }
    rows
}

/// How many rows an import says that it committed.
fn committed(error: &str) -> usize {
    let told = error.split_once("the import ended early, ").expect(error).1;
    let count: usize = told.split_once(" rows imported into c").expect(error).0.parse().unwrap();
    assert!((1..ROWS).contains(&count), "{error}");
    count
}

/// How many records there are, which are the first rows, without a gap.
fn whole_rows(bench: &Bench, name: &str) -> usize {
    let all = contents(&bench.path(name), None);
    for (number, (key, record)) in all["c"].iter().enumerate() {
        assert_eq!(key.to_string(), number.to_string());
        assert_eq!(record.get("text"), Some(&Value::from("x".repeat(200))));
    }
    all["c"].len()
}

#[test]
fn an_import_beyond_the_quota_keeps_what_was_committed_and_goes_on_with_a_larger_one() {
    let bench = Bench::new();
    bench.write("rows.jsonl", rows());
    let quota = 1024 * 1024;
    let limited = ["import", "db", "c", "rows.jsonl", "--size-max", "1048576"];
    let error = bench.error(&limited);
    assert!(error.contains("--size-max lets the file grow to 1048576 bytes; raise it"), "{error}");
    assert!(error.contains("no space left for the database"), "{error}");
    let count = committed(&error);
    assert_eq!(whole_rows(&bench, "db"), count);
    assert!(bench.path("db").metadata().unwrap().len() <= quota);

    // Again, for it is not the import's first batch that fails now.
    assert_eq!(committed(&bench.error(&limited)), count);
    let text = format!("text={}", "x".repeat(100_000));
    let put = |key: &str| bench.output(&["put", "db", "c", key, &text, "--size-max", "1048576"]);
    let refused = ["k1", "k2", "k3", "k4"].map(put).into_iter().find(|put| !put.status.success());
    let error = String::from_utf8(refused.expect("400 kB don't fit").stderr).unwrap();
    assert!(error.contains("raise it"), "{error}");
    for key in ["k1", "k2", "k3", "k4"] {
        bench.ok(&["delete", "db", "c", key]);
    }

    bench.ok(&["import", "db", "c", "rows.jsonl", "--size-max", "16777216"]);
    assert_eq!(whole_rows(&bench, "db"), ROWS);
}

/// Fills a file system of 4 MiB, then makes it larger. Each command's exit code
/// and errors go to files outside, for the file system is gone with its shell.
const FULL_DISK: &str = r#"
set -u
mount -t tmpfs -o size=4m none small || exit 42
run() { name=$1; shift; "$BLAZE" "$@" >"$name.out" 2>"$name.err"; echo $? >"$name.code"; }
run import import small/db c rows.jsonl
mkdir full && cp small/* full
run fits put small/db fit k a=1
run list list small/db
run large import small/db other rows.jsonl
mount -o remount,size=64m small || exit 42
run again import small/db c rows.jsonl
mkdir end && cp small/* end
"#;

#[test]
fn a_full_disk_keeps_what_was_committed_and_goes_on_with_more_room() {
    let bench = Bench::new();
    bench.write("rows.jsonl", rows());
    std::fs::create_dir(bench.path("small")).unwrap();
    let shell = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", FULL_DISK])
        .env("BLAZE", env!("CARGO_BIN_EXE_blaze"))
        .current_dir(bench.path(""))
        .output();
    // Elsewhere than on Linux, and where users may make no namespaces.
    let skip = |why: &str| println!("skipped: can't make a small file system: {why}");
    let output = match shell {
        Ok(output) => output,
        Err(error) => return skip(&error.to_string()),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(42) || said.starts_with("unshare: ") {
        return skip(&said);
    }
    assert!(output.status.success(), "{said}");

    let code = |name: &str| bench.read(&format!("{name}.code"));
    let error = bench.read("import.err");
    assert_eq!(code("import"), "1\n", "{error}");
    assert!(error.contains("no space left for the database; free some and try again"), "{error}");
    let count = committed(&error);
    assert_eq!(whole_rows(&bench, "full/db"), count);

    // What is committed is committed, though the log has no room to be written back.
    assert_eq!(code("fits"), "0\n", "{}", bench.read("fits.err"));
    assert_eq!(bench.read("list.out"), format!("c\t{count} records\nfit\t1 record\n"));
    assert_eq!(code("large"), "1\n");
    assert!(bench.read("large.err").contains("no space left"));

    assert_eq!(code("again"), "0\n", "{}", bench.read("again.err"));
    assert_eq!(whole_rows(&bench, "end/db"), ROWS);
    assert_eq!(contents(&bench.path("end/db"), None)["fit"].len(), 1);
}
