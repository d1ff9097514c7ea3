//! A worker as the benchmark sees it: a child process that can't outlive it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use crate::spec::{Message, Outcome, Spec};
use crate::{scale, worker};

/// A child process; killed when this is dropped. Should this process be killed,
/// the child sees its standard input end, and exits.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    commands: ChildStdin,
    messages: BufReader<ChildStdout>,
}

impl Worker {
    pub(crate) fn start(spec: &Spec) -> Result<Self> {
        Self::start_as("--worker", spec)
    }

    /// Starts one that shows how cost grows.
    pub(crate) fn start_scale(spec: &scale::Spec) -> Result<Self> {
        Self::start_as("--scale-worker", spec)
    }

    fn start_as(flag: &str, spec: &impl Serialize) -> Result<Self> {
        let program = std::env::current_exe().context("can't find this program")?;
        let mut child = Command::new(program)
            .args([flag, &serde_json::to_string(spec)?])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("can't start a worker")?;
        let commands = child.stdin.take().context("the worker has no standard input")?;
        let messages = child.stdout.take().context("the worker has no standard output")?;
        Ok(Self { child, commands, messages: BufReader::new(messages) })
    }

    /// Waits until it can be connected to, and returns where.
    pub(crate) fn ready(&mut self) -> Result<String> {
        match self.message()? {
            Message::Ready { endpoint } => Ok(endpoint),
            other => bail!("a worker said {other:?} instead of being ready"),
        }
    }

    /// Tells it that the other worker is done.
    pub(crate) fn finish(&mut self) -> Result<()> {
        writeln!(self.commands, "{}", worker::FINISH).context("a worker is gone")
    }

    /// Waits until its part is done.
    pub(crate) fn done(&mut self) -> Result<Outcome> {
        match self.message()? {
            Message::Done(outcome) => Ok(outcome),
            Message::Failed { error } => bail!("a worker failed: {error}"),
            Message::Ready { .. } => bail!("a worker is ready again instead of done"),
        }
    }

    fn message(&mut self) -> Result<Message> {
        let mut line = String::new();
        if self.messages.read_line(&mut line)? == 0 {
            bail!("a worker ended unexpectedly ({})", self.child.wait()?);
        }
        serde_json::from_str(&line).with_context(|| format!("a worker said {line:?}"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
