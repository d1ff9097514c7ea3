//! An app of the demo as the demo sees it: a child process.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::wire::{Command, Message, Reply};

/// A child process that runs one app.
#[derive(Debug)]
pub(super) struct App {
    name: &'static str,
    child: Child,
    commands: ChildStdin,
    messages: Lines<BufReader<ChildStdout>>,
}

impl App {
    /// Starts the process; it ends at the latest with the demo.
    pub(super) fn start(name: &'static str) -> Result<Self> {
        let program = std::env::current_exe().context("can't find this program")?;
        let mut child = tokio::process::Command::new(program)
            .arg("demo-app")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("can't start {name}"))?;
        let commands = child.stdin.take().context("the child has no standard input")?;
        let messages = child.stdout.take().context("the child has no standard output")?;
        Ok(Self { name, child, commands, messages: BufReader::new(messages).lines() })
    }

    /// The process's id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Sends a command; its answer is to be awaited with [`Self::done`].
    pub(super) async fn tell(&mut self, command: &Command) -> Result<()> {
        let mut line = serde_json::to_vec(command)?;
        line.push(b'\n');
        self.commands.write_all(&line).await.with_context(|| format!("{} is gone", self.name))
    }

    /// Waits until the app is ready for what it was told to wait for.
    pub(super) async fn ready(&mut self) -> Result<()> {
        match self.message().await? {
            Message::Ready => Ok(()),
            other => bail!("{} said {other:?} instead of being ready", self.name),
        }
    }

    /// Waits for the answer to the last command.
    pub(super) async fn done(&mut self, mut progress: impl FnMut(u64)) -> Result<Reply> {
        loop {
            match self.message().await? {
                Message::Done(reply) => return Ok(reply),
                Message::Progress { rows } => progress(rows),
                Message::Ready => {}
                Message::Failed { error } => bail!("{}: {error}", self.name),
            }
        }
    }

    /// Sends a command and waits for its answer.
    pub(super) async fn ask(&mut self, command: Command) -> Result<Reply> {
        self.tell(&command).await?;
        self.done(|_| ()).await
    }

    /// As [`Self::ask`], for commands that commit.
    pub(super) async fn commit(&mut self, command: Command) -> Result<(u64, Duration)> {
        match self.ask(command).await? {
            Reply::Committed { count, took } => Ok((count, took)),
            other => bail!("{} answered {other:?}", self.name),
        }
    }

    /// Kills the process with SIGKILL, and waits until it is gone.
    pub(super) async fn kill(mut self) -> Result<()> {
        self.child.kill().await.with_context(|| format!("can't kill {}", self.name))
    }

    /// Closes the database and waits until the process has ended well.
    pub(super) async fn close(mut self) -> Result<()> {
        self.ask(Command::Close).await?;
        drop(self.commands);
        let status = self.child.wait().await?;
        if !status.success() {
            bail!("{} ended with {status}", self.name);
        }
        Ok(())
    }

    async fn message(&mut self) -> Result<Message> {
        let line = self.messages.next_line().await?;
        let line = line.with_context(|| format!("{} ended unexpectedly", self.name))?;
        serde_json::from_str(&line).with_context(|| format!("{} said {line:?}", self.name))
    }
}
