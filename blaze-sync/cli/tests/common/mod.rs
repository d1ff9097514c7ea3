//! The program, run in a directory of its own.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "each test file is a program that uses part of it"
)]

mod app;
pub mod doctor;
pub mod fake;
pub mod hostile;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

pub use app::{App, COLLECTION, Collections, contents};

/// How long anything may take; only a bug takes it.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A directory, and the program with nothing of this user's environment.
pub struct Bench {
    directory: tempfile::TempDir,
}

impl Bench {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let program = env!("CARGO_BIN_EXE_blaze");
        // In a session without a terminal, or it would ask whoever runs the tests.
        let mut command = if cfg!(target_os = "linux") {
            let mut command = Command::new("setsid");
            command.arg(program);
            command
        } else {
            Command::new(program)
        };
        let directory = self.directory.path();
        command
            .args(args)
            .env_clear()
            .env("HOME", directory)
            .env("XDG_RUNTIME_DIR", directory)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs it, expects success, and returns standard output.
    pub fn ok(&self, args: &[&str]) -> String {
        succeeded(args, &self.output(args))
    }

    /// As [`ok`](Self::ok), with a password in the environment.
    pub fn ok_with_password(&self, password: &str, args: &[&str]) -> String {
        let output = self.command(args).env("BLAZE_PASSWORD", password).output().unwrap();
        succeeded(args, &output)
    }

    /// As [`ok`](Self::ok), with something on standard input.
    pub fn ok_with_input(&self, input: &[u8], args: &[&str]) -> String {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        succeeded(args, &child.wait_with_output().unwrap())
    }

    pub fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(args)).unwrap()
    }

    /// A JSON object a line.
    pub fn json_lines(&self, args: &[&str]) -> Vec<Value> {
        self.ok(args).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Runs it, expects exit code 1, and returns standard error.
    pub fn error(&self, args: &[&str]) -> String {
        failed(args, &self.output(args))
    }

    /// As [`error`](Self::error), with a password in the environment.
    pub fn error_with_password(&self, password: &str, args: &[&str]) -> String {
        failed(args, &self.command(args).env("BLAZE_PASSWORD", password).output().unwrap())
    }

    /// Starts it and leaves it running.
    pub fn start(&self, args: &[&str]) -> Running {
        Running::new(self.command(args).stdin(Stdio::piped()).spawn().unwrap())
    }

    /// The endpoint of a socket in the directory.
    pub fn socket(&self, name: &str) -> String {
        format!("unix:{}", self.path(name).display())
    }

    /// Waits until a record is there.
    pub fn wait_for_record(&self, database: &str, collection: &str, key: &str) -> Value {
        let args = ["get", database, collection, key, "--json"];
        let started = Instant::now();
        loop {
            let output = self.output(&args);
            if output.status.success() {
                return serde_json::from_slice(&output.stdout).unwrap();
            }
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(started.elapsed() < DEADLINE, "{collection}/{key} never came: {error}");
        }
    }
}

fn succeeded(args: &[&str], output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "blaze {args:?}: {:?}\n{error}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn failed(args: &[&str], output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "blaze {args:?}: {error}");
    assert!(error.contains("error: "), "blaze {args:?}: {error}");
    error
}

/// A program that runs, killed at the end of the test at the latest.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    stdin: Option<ChildStdin>,
    stderr: Option<ChildStderr>,
}

impl Running {
    pub fn new(mut child: Child) -> Self {
        let stdout = child.stdout.take().unwrap();
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
        Self { child, lines, stdin, stderr }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The first line from now on that fulfils a condition.
    pub fn line(&mut self, condition: impl Fn(&str) -> bool) -> String {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(DEADLINE) {
                Ok(line) if condition(&line) => return line,
                Ok(line) => seen.push(line),
                Err(RecvTimeoutError::Timeout) => panic!("no such line among {seen:#?}"),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("it ended after {seen:#?}: {}", self.stderr())
                }
            }
        }
    }

    /// The first JSON object from now on that fulfils a condition.
    pub fn object(&mut self, condition: impl Fn(&Value) -> bool) -> Value {
        let parse = |line: &str| serde_json::from_str::<Value>(line).expect("a line is an object");
        parse(&self.line(|line| condition(&parse(line))))
    }

    /// Writes a line to its standard input.
    pub fn tell(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("it was not waited for");
        writeln!(stdin, "{line}").unwrap_or_else(|error| panic!("can't tell it {line}: {error}"));
    }

    /// Kills it (SIGKILL), and returns the lines that it had written before.
    pub fn kill(&mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines.iter().collect()
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Waits for its end, and returns its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let started = Instant::now();
        drop(self.stdin.take());
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(started.elapsed() < DEADLINE, "it doesn't end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it wrote to standard error; it has ended.
    pub fn stderr(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut stderr) = self.stderr.take() {
            stderr.read_to_string(&mut text).unwrap();
        }
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a condition holds.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < DEADLINE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// All bytes of a file, to see that nothing changed it.
pub fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}
