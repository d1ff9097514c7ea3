//! What `blaze doctor` finds, and that it changes nothing.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::Bench;

/// A user that owns nothing.
pub const NOBODY: u32 = 65534;

/// Findings, and the exit code.
pub struct Diagnosis {
    findings: Vec<Value>,
    code: Option<i32>,
}

impl Bench {
    /// Runs it in this directory, and sees that no file comes or goes.
    pub fn doctor(&self, args: &[&str]) -> Diagnosis {
        let before = names(&self.path(""));
        let output = self.command(doctor(args)).output().unwrap();
        assert_eq!(names(&self.path("")), before, "doctor {args:?} made or removed something");
        Diagnosis::of(&output)
    }

    /// As [`doctor`](Self::doctor), with a password in the environment.
    pub fn doctor_with_password(&self, password: &str, args: &[&str]) -> Diagnosis {
        let output = self.command(doctor(args)).env("BLAZE_PASSWORD", password).output().unwrap();
        Diagnosis::of(&output)
    }

    /// Runs it as a user that owns nothing. `None` if that can't be had.
    pub fn doctor_as_nobody(&self, args: &[&str]) -> Option<Diagnosis> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can become another user");
            return None;
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_blaze"));
        let command = command.args(doctor(args)).env_clear().current_dir("/").uid(NOBODY);
        let before = names(&self.path(""));
        match command.gid(NOBODY).stdin(Stdio::null()).output() {
            Ok(output) => {
                assert_eq!(
                    names(&self.path("")),
                    before,
                    "doctor {args:?} made or removed something"
                );
                Some(Diagnosis::of(&output))
            }
            Err(error) => {
                eprintln!("skipped: another user can't run the program: {error}");
                None
            }
        }
    }
}

impl Diagnosis {
    /// What the program found that this is the output of.
    pub fn of(output: &Output) -> Self {
        let error = String::from_utf8_lossy(&output.stderr);
        let findings = serde_json::from_slice(&output.stdout);
        let findings = findings.unwrap_or_else(|_| panic!("no findings: {error}"));
        assert!(error.is_empty(), "{error}");
        Self { findings, code: output.status.code() }
    }

    /// The text and the remedy of a fault, of which there is one, so that the exit code is 1.
    pub fn fault(&self, check: &str) -> (String, String) {
        assert_eq!(self.code, Some(1), "{:#?}", self.findings);
        let faults = self.faults();
        assert_eq!(faults.len(), 1, "{faults:#?}");
        self.told(check, "fault")
    }

    /// All faults.
    pub fn faults(&self) -> Vec<&Value> {
        self.findings.iter().filter(|finding| finding["status"] == "fault").collect()
    }

    /// The text and the remedy of a hint among what is well.
    pub fn hint(&self, check: &str) -> (String, String) {
        assert_eq!(self.code, Some(0), "{:#?}", self.findings);
        self.told(check, "hint")
    }

    /// The text of what is well.
    pub fn ok(&self, check: &str) -> String {
        self.told(check, "ok").0
    }

    /// Sees that there is no fault.
    pub fn assert_well(&self) {
        assert_eq!(self.code, Some(0), "{:#?}", self.findings);
    }

    fn told(&self, check: &str, status: &str) -> (String, String) {
        let is_it = |finding: &&Value| finding["check"] == check && finding["status"] == status;
        let Some(found) = self.findings.iter().find(is_it) else {
            panic!("no {status} of {check} in {:#?}", self.findings)
        };
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        assert_eq!(found["remedy"].is_null(), status == "ok", "{found}");
        (text("text"), text("remedy"))
    }
}

/// Every file below a directory, with what a test can compare of it.
pub fn contents_of(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = names(directory).into_iter().filter(|path| path.is_file());
    files.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

fn doctor<'a>(args: &[&'a str]) -> Vec<&'a OsStr> {
    ["doctor", "--json"].iter().chain(args).map(|arg| OsStr::new(*arg)).collect()
}

fn names(directory: &Path) -> Vec<PathBuf> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() {
            names.extend(self::names(&entry.path()));
        }
        names.push(entry.path());
    }
    names.sort();
    names
}
