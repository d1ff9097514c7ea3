//! A few dozen cases with fixed seeds, as part of the ordinary tests.

use std::process::Command;

use serde_json::Value;

/// Runs the program and returns its figures, or `None` if this machine can't run it.
fn torture(arguments: &[&str]) -> Option<Value> {
    if !cfg!(target_os = "linux") || Command::new("cc").arg("--version").output().is_err() {
        eprintln!("skipped: it takes Linux and the C compiler `cc`, which is not installed");
        return None;
    }
    let program = env!("CARGO_BIN_EXE_blaze-torture");
    let output = Command::new(program).args(arguments).arg("--json").output().expect("it runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complaint}");
    Some(serde_json::from_slice(&output.stdout).expect("the figures are JSON"))
}

#[test]
fn power_cuts_lose_nothing_at_disk_and_without_syncs_they_do() {
    let arguments = ["--cuts", "--seed", "1", "--count", "30", "--minutes", "2"];
    let Some(report) = torture(&arguments) else { return };
    for level in report["control"].as_array().unwrap() {
        let number = |name: &str| level[name].as_u64().unwrap();
        let spared = number("lost") == 0 && number("corrupt") == 0;
        assert_eq!(spared, level["synchronous"] == "FULL", "{level}");
        assert_eq!(number("corrupt") == 0, level["synchronous"] != "OFF", "{level}");
    }
    let figures = &report["cuts"]["figures"];
    assert!(figures["cuts"].as_u64() >= Some(30), "{figures}");
    let number = |name: &str| figures[name].as_u64().unwrap();
    assert_eq!(number("cuts_disk") + number("cuts_process"), number("cuts"), "{figures}");
    assert!(figures["acknowledged_disk"].as_u64() >= Some(30), "{figures}");
}

#[test]
fn failed_syncs_writes_and_reads_are_never_acknowledged() {
    let arguments = ["--errors", "--seed", "3", "--count", "30", "--minutes", "2"];
    let Some(report) = torture(&arguments) else { return };
    let figures = &report["errors"]["figures"];
    for name in ["sync_errors", "write_errors", "read_errors", "unknown", "cuts"] {
        assert!(figures[name].as_u64() > Some(0), "no {name}: {figures}");
    }
}

#[test]
fn a_few_kills_lose_nothing() {
    let arguments = ["--kills", "--seed", "1", "--count", "12", "--minutes", "2"];
    let Some(report) = torture(&arguments) else { return };
    let figures = &report["kills"]["figures"];
    assert!(figures["kills"].as_u64() >= Some(12), "{figures}");
    assert!(figures["records"].as_u64() > Some(0), "{figures}");
}

#[test]
fn a_receiver_that_stands_still_costs_its_sender_no_more_than_its_credit() {
    let arguments = ["--stalled", "--seed", "1", "--count", "1", "--minutes", "2"];
    let Some(report) = torture(&arguments) else { return };
    let figures = &report["stalled"]["figures"];
    assert!(figures["bytes"].as_u64() >= Some(64 * 1024 * 1024), "{figures}");
    assert!(figures["before_kib"].as_u64() > Some(0), "{figures}");
}
