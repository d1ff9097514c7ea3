//! A node as the driver sees it: a process that may be killed, and what it said.

use std::io::{BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::ledger::Ledger;
use super::room::Room;
use super::{Command, GUEST, Said, Task, VICTIM};
use crate::plan::mix;
use crate::shim::{self, EXIT_CUT, Shim, Trouble};
use crate::worker;

/// An answer that takes longer than this doesn't come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A database and the process that owns it now.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact by itself")]
pub(super) struct Node {
    pub(super) task: Task,
    pub(super) ledger: Ledger,
    /// Where the database lies, if not on the common disk.
    pub(super) room: Option<Room>,
    /// What couldn't be done for want of room.
    pub(super) refused: u64,
    /// Whether its disk may be full, and whether the database stopped for that.
    pub(super) filled: bool,
    pub(super) halted: bool,
    /// How often its user was told that a database went back: its own, and a peer's.
    pub(super) went_back: u64,
    pub(super) peer_went_back: u64,
    /// The id that the file has.
    pub(super) id: Option<String>,
    /// Whether the file is a copy that wasn't opened yet.
    pub(super) copied: bool,
    process: Option<Process>,
    seed: u64,
    attempt: u64,
    /// Whether the power may be cut.
    armed: bool,
    /// Whether it was cut when its process ended last.
    pub(super) cut: bool,
}

#[derive(Debug)]
struct Process {
    child: Child,
    commands: ChildStdin,
    said: Receiver<Result<Said>>,
}

/// What came of a start.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Started {
    Open,
    /// The database couldn't be opened.
    Unopened(String),
    /// The power went before that.
    Cut,
}

impl Node {
    /// A node that isn't running.
    pub(super) fn new(task: Task, first_lane: u64, room: Option<Room>) -> Self {
        let (seed, ledger) = (task.seed, Ledger::new(first_lane));
        Self {
            task,
            ledger,
            room,
            refused: 0,
            filled: false,
            halted: false,
            went_back: 0,
            peer_went_back: 0,
            id: None,
            copied: false,
            process: None,
            seed,
            attempt: 0,
            armed: false,
            cut: false,
        }
    }

    /// Starts the process and waits until its database is open.
    pub(super) fn start(&mut self, power: Option<(&Shim, Trouble)>) -> Result<Started> {
        self.attempt += 1;
        self.armed = power.is_some();
        self.halted = false;
        self.task.seed = mix(self.seed, self.attempt);
        self.task.lanes = self.ledger.current();
        let mut command = worker::command("app-worker", &self.task)?;
        if let Some((shim, trouble)) = power {
            shim.arm(&mut command, self.folder(), trouble);
        }
        if let Some(room) = &self.room {
            command = room.enter(&command);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        let mut child = command.spawn().context("can't start an app")?;
        let commands = child.stdin.take().context("no input")?;
        let said = listen(BufReader::new(child.stdout.take().context("no output")?));
        self.process = Some(Process { child, commands, said });
        let opened = |said: &Said| matches!(said, Said::Opened { .. } | Said::Unopened { .. });
        match self.wait_for(opened) {
            Ok(Said::Unopened { why }) => {
                self.reap()?;
                Ok(Started::Unopened(why))
            }
            Ok(_) => Ok(Started::Open),
            Err(_) if self.armed && self.was_cut()? => Ok(Started::Cut),
            Err(error) => Err(error),
        }
    }

    /// Starts the process, whose database must open.
    pub(super) fn start_well(&mut self) -> Result<()> {
        match self.start(None)? {
            Started::Open => Ok(()),
            other => bail!("{} can't be started: {other:?}", self.task.name),
        }
    }

    pub(super) const fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Whether the power went; the process is gone then.
    pub(super) fn was_cut(&mut self) -> Result<bool> {
        let Some(process) = &mut self.process else { return Ok(false) };
        let ended = if self.armed { process.child.try_wait()? } else { None };
        // Its output may end a moment before it does.
        let ended = match ended {
            None if self.armed && self.pump()? => {
                self.process.as_mut().map(|process| process.child.wait()).transpose()?
            }
            ended => ended,
        };
        if ended.is_none_or(|status| status.code() != Some(EXIT_CUT)) {
            return Ok(false);
        }
        self.reap()?;
        Ok(true)
    }

    /// Takes in what it said until now. Gives whether its output has ended.
    pub(super) fn pump(&mut self) -> Result<bool> {
        loop {
            let Some(process) = &self.process else { return Ok(true) };
            match process.said.try_recv() {
                Ok(said) => self.note(&said?)?,
                Err(mpsc::TryRecvError::Empty) => return Ok(false),
                Err(mpsc::TryRecvError::Disconnected) => return Ok(true),
            }
        }
    }

    /// Kills it and takes in its last words: by SIGKILL, unless its power may go.
    pub(super) fn kill(&mut self) -> Result<()> {
        if let Some(process) = &mut self.process {
            if self.armed {
                shim::end(&mut process.child)?;
            } else {
                process.child.kill()?;
            }
        }
        self.reap()
    }

    /// Lets it stand still, or go on.
    pub(super) fn signal(&mut self, signal: Signal) -> Result<()> {
        if !self.is_running() {
            return Ok(());
        }
        let pid = i32::try_from(self.pid()?).ok().and_then(Pid::from_raw);
        Ok(kill_process(pid.context("no pid")?, signal)?)
    }

    /// Asks, and waits for what answers.
    pub(super) fn ask(
        &mut self,
        command: Command,
        answers: impl Fn(&Said) -> bool,
    ) -> Result<Said> {
        self.tell(command)?;
        self.wait_for(answers)
    }

    /// Tells it something, and doesn't wait for what answers.
    pub(super) fn tell(&mut self, command: Command) -> Result<()> {
        let process = self.process.as_mut().context("it isn't running")?;
        let mut line = serde_json::to_vec(&command)?;
        line.push(b'\n');
        let written = process.commands.write_all(&line);
        written.with_context(|| format!("{} takes no {command:?}", self.task.name))
    }

    /// What it says next, if it has said something.
    pub(super) fn poll(&mut self) -> Result<Option<Said>> {
        let process = self.process.as_ref().context("it isn't running")?;
        match process.said.try_recv() {
            Ok(said) => {
                let said = said?;
                self.note(&said)?;
                Ok(Some(said))
            }
            Err(mpsc::TryRecvError::Empty) => Ok(None),
            Err(mpsc::TryRecvError::Disconnected) => Err(self.complaint()),
        }
    }

    /// Its process.
    pub(super) fn pid(&self) -> Result<u32> {
        Ok(self.process.as_ref().context("it isn't running")?.child.id())
    }

    /// Closes it and waits until it has ended well.
    pub(super) fn close(&mut self) -> Result<()> {
        self.ask(Command::Close, |said| matches!(said, Said::Done))?;
        self.reap()
    }

    /// What it says next, one by one.
    pub(super) fn wait_for(&mut self, wanted: impl Fn(&Said) -> bool) -> Result<Said> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let process = self.process.as_ref().context("it isn't running")?;
            let left = deadline.saturating_duration_since(Instant::now());
            match process.said.recv_timeout(left) {
                Ok(said) => {
                    let said = said?;
                    self.note(&said)?;
                    if wanted(&said) {
                        return Ok(said);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    bail!("{} hangs: no answer in {} s", self.task.name, PATIENCE.as_secs())
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.complaint()),
            }
        }
    }

    /// The folder of the database.
    pub(super) fn folder(&self) -> &std::path::Path {
        self.task.path.parent().expect("it lies in a folder")
    }

    /// The file of the socket that it listens at.
    pub(super) fn socket(&self) -> Option<PathBuf> {
        self.task.listen.as_ref().and_then(|at| at.strip_prefix("unix:")).map(PathBuf::from)
    }

    /// Waits for the end of a process that ends, and takes in its last words.
    fn reap(&mut self) -> Result<()> {
        while let Some(process) = &self.process {
            let Ok(said) = process.said.recv() else { break };
            self.note(&said?)?;
        }
        if let Some(mut process) = self.process.take() {
            // The power may have gone the moment before it was to be killed.
            let status = process.child.wait()?;
            self.cut = self.armed && status.code() == Some(EXIT_CUT);
            if self.cut && !self.task.disk {
                self.ledger.renew();
            }
        }
        Ok(())
    }

    fn note(&mut self, said: &Said) -> Result<()> {
        let keeps = self.task.disk || !self.armed;
        let noted = match said {
            Said::Opened { lanes, incarnation, head, node, copied } => {
                self.identify(node, *copied)?;
                self.ledger.opened(self.task.seed, lanes, (*incarnation, *head))
            }
            Said::Acked { lane, number, seq, incarnation } => {
                self.ledger.acked((*lane, *number), (*incarnation, *seq), keeps)
            }
            Said::Synced { lanes, peers } => {
                if peers.iter().any(|peer| ![VICTIM, GUEST].contains(&peer.as_str())) {
                    self.ledger.synced(lanes);
                }
                Ok(())
            }
            Said::WentBack { here } => {
                *(if *here { &mut self.went_back } else { &mut self.peer_went_back }) += 1;
                Ok(())
            }
            Said::Refused { full: true, .. } => {
                self.refused += 1;
                Ok(())
            }
            // Where SQLite's index of the log finds no room, the log has the commit.
            Said::Refused { halted: true, .. } if self.filled => {
                self.refused += u64::from(!self.halted);
                self.halted = true;
                Ok(())
            }
            Said::Refused { why, .. } => Err(anyhow!("a commit failed: {why}")),
            _ => Ok(()),
        };
        noted.with_context(|| self.task.name.clone())
    }

    /// Checks what the user is told of the file: a copy, and nothing else, has an id of
    /// its own from its first opening on.
    fn identify(&mut self, id: &str, copied: bool) -> Result<()> {
        let (name, expected) = (&self.task.name, std::mem::take(&mut self.copied));
        ensure!(
            copied == expected,
            "{name} is told that its file is a copy: {copied}, but it is one: {expected}"
        );
        let before = self.id.replace(id.to_owned());
        let same = before.as_deref().is_none_or(|before| before == id);
        ensure!(same != copied, "{name} has id {id} after {before:?}, and is a copy: {copied}");
        Ok(())
    }

    /// Why a process ended that shouldn't have.
    fn complaint(&mut self) -> anyhow::Error {
        let Some(process) = &mut self.process else { return anyhow!("it isn't running") };
        let mut complaint = String::new();
        if let Some(errors) = &mut process.child.stderr {
            let _ = errors.read_to_string(&mut complaint);
        }
        anyhow!("{} ended by itself: {}", self.task.name, complaint.trim())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}

/// Reads what a process says, on a thread that ends with it.
fn listen(mut out: impl std::io::BufRead + Send + 'static) -> Receiver<Result<Said>> {
    let (sender, said) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = Vec::new();
        // A last line that is cut off was never said.
        while out.read_until(b'\n', &mut line).is_ok() && line.ends_with(b"\n") {
            let message = serde_json::from_slice(&line).context("can't understand an app");
            if sender.send(message).is_err() {
                return;
            }
            line.clear();
        }
    });
    said
}
