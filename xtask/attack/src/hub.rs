//! The hub: `blaze serve` at a Unix socket and a TCP port, and what it says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::Value;

use crate::PATIENCE;
use crate::honest::HONEST_NAMES;
use crate::process::{Descriptors, Memory, lines};
use crate::wire::Target;

/// The hub's process. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Hub {
    child: Child,
    says: Receiver<String>,
    complains: Receiver<String>,
    pub(crate) path: PathBuf,
    pub(crate) unix: Target,
    pub(crate) tcp: Target,
    heard: Heard,
}

/// What the hub said of its links.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Why links of strangers ended, and how often each reason was given.
    pub(crate) reasons: BTreeMap<String, u64>,
    /// Why links of honest peers ended.
    pub(crate) honest_lost: Vec<String>,
}

/// `blaze` with nothing of this user's environment.
pub(crate) fn blaze(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("HOME", folder).env("XDG_RUNTIME_DIR", folder).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Hub {
    /// Starts it, and waits until it listens.
    pub(crate) fn start(program: &Path, folder: &Path) -> Result<Self> {
        Self::start_with(program, folder, &[])
    }

    /// The same with more options.
    pub(crate) fn start_with(program: &Path, folder: &Path, options: &[&str]) -> Result<Self> {
        let path = folder.join("hub.blaze");
        let socket = format!("unix:{}", folder.join("hub.sock").display());
        let mut command = blaze(program, folder);
        command.arg("serve").arg(&path).args(["--listen", &socket]);
        command.args(["--listen", "tcp://127.0.0.1:0", "--durability", "process", "--json"]);
        command.args(options);
        let mut child =
            command.spawn().with_context(|| format!("can't start {}", program.display()))?;
        let says = lines(child.stdout.take().context("no output")?);
        let complains = lines(child.stderr.take().context("no errors")?);
        let mut endpoints = Vec::new();
        while endpoints.len() < 2 {
            let Ok(line) = says.recv_timeout(PATIENCE) else {
                let why: Vec<_> = complains.try_iter().collect();
                bail!("the hub doesn't listen: {}", why.join("; "));
            };
            let line: Value = serde_json::from_str(&line)?;
            let endpoint = line["endpoint"].as_str().filter(|_| line["event"] == "listening");
            endpoints.extend(endpoint.map(str::to_owned));
        }
        let target = |scheme| endpoints.iter().find_map(|text| Target::parse(text, scheme));
        let unix = target("unix:").context("it listens at no Unix socket")?;
        let tcp = target("tcp://").context("it listens at no TCP port")?;
        Ok(Self { child, says, complains, path, unix, tcp, heard: Heard::default() })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Checks that it runs.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let why: Vec<_> = self.complains.try_iter().collect();
            bail!("the hub ended: {status}, {}", why.join("; "));
        }
        Ok(())
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        Memory::of(self.pid())
    }

    pub(crate) fn descriptors(&self) -> Result<Descriptors> {
        Descriptors::of(self.pid())
    }

    /// Takes what it has said since the last call, until it falls silent.
    pub(crate) fn hear(&mut self) -> Result<Heard> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.says.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => self.heard.take(&line)?,
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => bail!("the hub says nothing any more"),
            }
            ensure!(Instant::now() < deadline, "the hub never stops talking");
        }
        Ok(std::mem::take(&mut self.heard))
    }

    /// Sets how many descriptors it may have, and returns how many it might.
    pub(crate) fn limit_descriptors(&self, descriptors: u64) -> Result<u64> {
        let pid = Pid::from_raw(self.pid().cast_signed()).context("no pid")?;
        let before = rustix::process::getrlimit(Resource::Nofile);
        let limit = Rlimit { current: Some(descriptors), maximum: before.maximum };
        let before = prlimit(Some(pid), Resource::Nofile, limit).context("can't set the limit")?;
        Ok(before.current.unwrap_or(u64::MAX))
    }

    /// Stops it as a user would, and waits for its end.
    pub(crate) fn stop(mut self) -> Result<PathBuf> {
        let pid = Pid::from_raw(self.pid().cast_signed()).context("no pid")?;
        kill_process(pid, Signal::INT)?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "the hub ended with {status}");
                return Ok(self.path.clone());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("the hub doesn't end when it is asked to")
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // It has ended already unless something failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Heard {
    fn take(&mut self, line: &str) -> Result<()> {
        let line: Value = serde_json::from_str(line).context("the hub doesn't speak JSON")?;
        if line["event"] != "link" || line["state"] != "closed" {
            return Ok(());
        }
        let reason = line["reason"].as_str().unwrap_or_default().to_owned();
        match line["peer"]["name"].as_str() {
            Some(name) if HONEST_NAMES.contains(&name) => {
                self.honest_lost.push(format!("{name}: {reason}"));
            }
            _ => *self.reasons.entry(without_numbers(&reason)).or_default() += 1,
        }
        Ok(())
    }

    /// The reason that was given most often.
    pub(crate) fn most(&self) -> Option<&str> {
        let most = self.reasons.iter().max_by_key(|(_, count)| **count);
        most.map(|(reason, _)| reason.as_str())
    }
}

/// The text with each number and id as `N`, so that reasons that differ only in them are one.
fn without_numbers(text: &str) -> String {
    let is_number = |word: &str| {
        word.bytes().any(|byte| byte.is_ascii_digit())
            && word.bytes().all(|byte| byte.is_ascii_hexdigit() || b"-:".contains(&byte))
    };
    let words = text.split(' ').map(|word| {
        let bare = word.trim_end_matches([':', ',', ';', ')']);
        if is_number(bare) { word.replacen(bare, "N", 1) } else { word.to_owned() }
    });
    words.collect::<Vec<_>>().join(" ")
}
