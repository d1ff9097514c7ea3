//! `blaze demo`: what it tells is true, and it leaves nothing behind.

mod common;

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Output;

use common::{Bench, contents};
use serde_json::Value;

/// A bench with a directory for temporary files.
fn bench() -> Bench {
    let bench = Bench::new();
    fs::create_dir(bench.path("temporary")).unwrap();
    bench
}

fn demo(bench: &Bench, args: &[&str]) -> Output {
    let args = ["demo"].iter().chain(args);
    bench.command(args).env("TMPDIR", bench.path("temporary")).output().unwrap()
}

/// Runs it, expects success, and returns the figures.
fn figures(bench: &Bench, args: &[&str]) -> Value {
    let output = demo(bench, args);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert_eq!(error, "", "nothing but figures");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Sees that no file and no process of the demo is left.
fn assert_nothing_left(bench: &Bench) {
    let temporary = bench.path("temporary");
    let left: Vec<_> = fs::read_dir(&temporary).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    // Elsewhere than on Linux the processes can't be told.
    let Ok(processes) = fs::read_dir("/proc") else { return };
    let temporary = temporary.to_str().unwrap();
    for process in processes {
        // One that ends meanwhile is not left, and one of another user not ours.
        let environment = fs::read(process.unwrap().path().join("environ")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&environment).contains(temporary), "a process is left");
    }
}

#[test]
fn the_figures_are_plausible() {
    let bench = bench();
    for durability in ["process", "disk"] {
        let figures = figures(&bench, &["--json", "--durability", durability]);
        let number = |name: &str| figures[name].as_f64().unwrap_or_else(|| panic!("{name}"));
        assert_eq!(figures["durability"], durability);
        assert_eq!(figures["rows_imported"], 418);
        assert_eq!(figures["differences"], Value::Array(Vec::new()));
        // The rows, the probes, and about two of three edits: some delete.
        let records = figures["rows_imported"].as_u64().unwrap()
            + figures["latency_samples"].as_u64().unwrap()
            + figures["crash_written"].as_u64().unwrap() / 2;
        assert!(figures["records_compared"].as_u64().unwrap() > records, "{figures}");
        assert!(number("latency_p50_us") > 0.0);
        assert!(number("latency_p50_us") <= number("latency_p99_us"));
        assert!(number("import_seconds") > 0.0 && number("operations_per_second") > 0.0);
        assert!(number("crash_seen_before") < number("crash_written"));

        let conflicts = figures["conflicts"].as_array().unwrap();
        let apart = |conflict: &&Value| conflict["lost"].as_str().unwrap().contains("apart");
        let apart = conflicts.iter().find(apart).expect("one was made on purpose");
        assert_eq!((&apart["record"], &apart["field"]), (&"notes/shared".into(), &"title".into()));
        assert_ne!(apart["won"], apart["lost"]);
        assert_nothing_left(&bench);
    }
}

#[test]
fn it_imports_a_file() {
    let bench = bench();
    let mut csv = "name,note,größe\n".to_owned();
    for number in 0..300 {
        writeln!(csv, "Zoë {number},\"a \"\"quote\"\",\r\nand a line 中\",{number}").unwrap();
    }
    bench.write("rows.csv", csv);
    // A relative path is one from here, not from where the apps run.
    let figures = figures(&bench, &["--json", "--input", "rows.csv"]);
    assert_eq!(figures["rows_imported"], 300);
    assert_eq!(figures["differences"], Value::Array(Vec::new()));
    assert_nothing_left(&bench);
}

#[test]
fn a_file_that_cannot_be_imported_ends_it() {
    let bench = bench();
    bench.write("bad.csv", "a,b\n1,2\n1,2\n1,2,3\n1,2\n");
    bench.write("bad.jsonl", "{\"a\":1}\n{\"a\":}\n");
    bench.write("rows.txt", "a");
    for (file, expected) in [
        ("missing.csv", "can't read missing.csv"),
        ("bad.csv", "line 4: it has 3 cells and the header 2"),
        ("bad.jsonl", "line 2: expected value"),
        ("rows.txt", "can't tell the format"),
    ] {
        let output = demo(&bench, &["--json", "--input", file]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{file}: {error}");
        assert!(error.contains(expected), "{file}: {error}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{file}: no figures");
        assert_nothing_left(&bench);
    }
}

#[test]
fn databases_that_are_kept_open_with_the_passwords_that_it_tells() {
    let bench = bench();
    let output = demo(&bench, &["--keep"]);
    assert!(output.status.success());
    let story = String::from_utf8(output.stdout).unwrap();
    let told = story.lines().filter_map(|line| line.trim().strip_prefix("BLAZE_PASSWORD="));
    let told: Vec<_> = told.map(|line| line.split_once(" blaze list ").unwrap()).collect();
    assert_kept(&bench, &told);

    let figures = figures(&bench, &["--keep", "--json"]);
    let kept = figures["kept"].as_array().expect("who keeps them wants to open them").iter();
    let text = |place: &'_ Value, name: &str| place[name].as_str().unwrap().to_owned();
    let told: Vec<_> = kept.map(|place| (text(place, "password"), text(place, "path"))).collect();
    let told: Vec<_> = told.iter().map(|(password, path)| (&password[..], &path[..])).collect();
    assert_kept(&bench, &told);
}

/// Sees that there are two files, equal, that only their own passwords open.
fn assert_kept(bench: &Bench, told: &[(&str, &str)]) {
    let [a, b] = told else { panic!("two databases: {told:?}") };
    let [a_all, b_all] = [a, b].map(|(password, path)| contents(Path::new(path), Some(password)));
    assert_eq!(a_all["rows"].len(), 418);
    assert_eq!(a_all, b_all);
    for (place, other) in [(a, b), (b, a)] {
        assert!(bench.error(&["list", place.1]).contains("is encrypted"));
        assert!(bench.error_with_password(other.0, &["list", place.1]).contains("wrong password"));
    }
}
