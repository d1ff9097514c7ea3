//! A little of every attack, as part of the ordinary tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// `blaze` beside the program that attacks it: `cargo test --workspace` has built it, a test of
/// this package alone may have to.
fn blaze() -> PathBuf {
    let blaze = Path::new(env!("CARGO_BIN_EXE_blaze-attack")).with_file_name("blaze");
    if !blaze.exists() {
        let target = blaze.parent().and_then(Path::parent).expect("it is in a profile's folder");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package", "blaze-sync-cli", "--target-dir"]).arg(target);
        assert!(cargo.status().expect("cargo runs").success());
    }
    blaze
}

#[test]
fn every_attack_is_refused_and_nobody_suffers() {
    if !cfg!(target_os = "linux") {
        eprintln!("skipped: what is measured, /proc tells only on Linux");
        return;
    }
    let mut attack = Command::new(env!("CARGO_BIN_EXE_blaze-attack"));
    attack.args(["--quick", "--json", "--seed", "1", "--blaze"]).arg(blaze());
    let output = attack.output().expect("it runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("the figures are JSON");
    assert!(report["committed"].as_u64() > Some(0), "{report}");
    let attacks = report["attacks"].as_array().unwrap();
    assert!(attacks.len() > 30, "{report}");
    for attack in &attacks[1..] {
        let tried = attack["tried"].as_u64() > Some(0) || attack["skipped"].is_string();
        assert!(tried && attack["visible"]["count"].as_u64() > Some(0), "{attack}");
    }
}

#[test]
fn an_attack_that_there_is_not_is_named() {
    let mut attack = Command::new(env!("CARGO_BIN_EXE_blaze-attack"));
    let output = attack.args(["--attack", "magic", "--blaze", "/bin/sh"]).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("there is no attack \"magic\""), "{complaint}");
}
