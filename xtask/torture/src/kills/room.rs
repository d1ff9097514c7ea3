//! A small file system of a user's own, to be filled and made read-only: a tmpfs in a
//! namespace, for which no privilege is needed where user namespaces are allowed.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

const SIZE: &str = "64m";

/// The namespace; gone when this is dropped, or when this process ends.
#[derive(Debug)]
pub(super) struct Room {
    holder: Child,
    at: PathBuf,
}

impl Room {
    /// Makes a room at a folder, which others see empty; `None` if that isn't allowed.
    pub(super) fn open(at: &Path) -> Result<Option<Self>> {
        std::fs::create_dir(at)?;
        let script = format!(
            "mount -t tmpfs -o size={SIZE},mode=0700 room \"$0\" && echo ready && exec cat"
        );
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]).arg(at);
        // The holder ends with its input.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let Ok(mut holder) = command.spawn() else { return Ok(None) };
        let mut line = String::new();
        let out = holder.stdout.as_mut().context("no output")?;
        BufReader::new(out).read_line(&mut line)?;
        let room = Self { holder, at: at.to_owned() };
        // Whoever can't enter it again has no use for it.
        let usable = line == "ready\n" && room.run(&["true"]).is_ok();
        Ok(usable.then_some(room))
    }

    /// A command that does inside what `command` does.
    pub(super) fn enter(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        let holder = self.holder.id().to_string();
        inside.args(["--user", "--mount", "--preserve-credentials", "--target", &holder, "--"]);
        inside.arg(command.get_program()).args(command.get_args());
        inside
    }

    /// Makes the file system read-only, or writable again.
    pub(super) fn set_read_only(&self, read_only: bool) -> Result<()> {
        let option = if read_only { "remount,ro" } else { "remount,rw" };
        self.run(&["mount", "-o", option, &self.at.display().to_string()])
    }

    /// Removes a file of the room, if it is there.
    pub(super) fn remove(&self, path: &Path) -> Result<()> {
        self.run(&["rm", "-f", &path.display().to_string()])
    }

    fn run(&self, command: &[&str]) -> Result<()> {
        let mut inside = Command::new(command[0]);
        inside.args(&command[1..]);
        let output = self.enter(&inside).stdin(Stdio::null()).output()?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{command:?} failed in the room: {}", complaint.trim());
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
