//! Files of policies, and what nodes tell of them.
#![allow(dead_code, reason = "each test file is a program that uses part of it")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;
use serde_json::Value;

use crate::common::{Bench, Running, wait_until};

/// Writes a file of policies, as only this user may.
pub(crate) fn define(bench: &Bench, policies: &Value) {
    bench.write("policies.json", policies.to_string());
    fs::set_permissions(bench.path("policies.json"), Permissions::from_mode(0o600)).unwrap();
}

/// The keys of a collection, in their order, while others may be at the database.
pub(crate) fn keys(bench: &Bench, database: &str, collection: &str) -> Vec<String> {
    let listed = bench.ok(&["list", database, collection, "--keys-only"]);
    let mut keys: Vec<_> = listed.lines().map(ToOwned::to_owned).collect();
    keys.sort();
    keys
}

/// Waits until a collection has these records.
pub(crate) fn wait_for_keys(bench: &Bench, database: &str, collection: &str, expected: &[&str]) {
    wait_until(&format!("{database} has {expected:?} in {collection}"), || {
        keys(bench, database, collection) == expected
    });
}

/// Whether a line tells of a withdrawal.
pub(crate) fn is_withdrawal(line: &Value) -> bool {
    line["event"] == "withdrawal"
}

pub(crate) fn is_refused(line: &Value) -> bool {
    line["refused"] == true
}

/// Why a link ended, or was refused.
pub(crate) fn reason(line: &Value) -> &str {
    line["reason"].as_str().unwrap_or_else(|| panic!("{line}"))
}

/// Ends a node as ctrl-C does.
pub(crate) fn stop(mut node: Running) {
    node.signal(Signal::INT);
    assert_eq!(node.wait(), Some(0), "{}", node.stderr());
}
