//! Honest peers: processes that commit through the hub all the time, as their driver sees them.

mod peer;

use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

pub(crate) use peer::{digest, work};

use crate::PATIENCE;
use crate::process::lines;

/// What the peers call themselves: one connects to the Unix socket, one to the TCP port.
pub(crate) const HONEST_NAMES: [&str; 2] = ["honest-unix", "honest-tcp"];

/// The collection that they write.
pub(crate) const HONEST: &str = "honest";

/// What a peer is told when it starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Task {
    path: PathBuf,
    name: String,
    endpoint: String,
    /// Tells its records from the other's.
    lane: i64,
}

/// What a peer is told while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Order {
    /// Tell what happened since the last time; answered by [`Said::Lap`].
    Lap,
    /// Commit no more; answered by [`Said::Quiet`].
    Quiet,
    /// Tell a digest of all that there is; answered by [`Said::Digest`].
    Digest,
    /// Close the link and the database, and end; answered by [`Said::Closed`].
    Close,
}

/// What a peer says.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Said {
    /// It is connected, and commits.
    Ready,
    Lap(Lap),
    Quiet {
        /// How many commits were acknowledged, in all.
        committed: i64,
    },
    Digest(Digest),
    Closed,
}

/// What a peer saw since the last time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Lap {
    /// How long after their commits the other's records were visible here, in µs.
    pub(crate) visible_us: Vec<u64>,
    /// How often its link broke, and why it did last.
    pub(crate) breaks: u64,
    pub(crate) why: String,
}

/// All records of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Digest {
    pub(crate) records: u64,
    pub(crate) digest: u64,
}

/// A peer's process. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Honest {
    child: Child,
    orders: ChildStdin,
    says: Receiver<String>,
    complains: Receiver<String>,
    pub(crate) name: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) lane: i64,
}

impl Honest {
    /// Starts one of the peers, and waits until it is connected.
    pub(crate) fn start(folder: &Path, number: usize, endpoint: String) -> Result<Self> {
        let name = HONEST_NAMES[number];
        let path = folder.join(format!("{name}.blaze"));
        let lane = i64::try_from(number)?;
        let task = Task { path: path.clone(), name: name.to_owned(), endpoint, lane };
        let program = std::env::current_exe().context("can't find this program")?;
        let mut command = Command::new(program);
        command.arg("honest-peer").arg(serde_json::to_string(&task)?);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("can't start an honest peer")?;
        let orders = child.stdin.take().context("no input")?;
        let says = lines(child.stdout.take().context("no output")?);
        let complains = lines(child.stderr.take().context("no errors")?);
        let mut peer = Self { child, orders, says, complains, name, path, lane };
        match peer.hear()? {
            Said::Ready => Ok(peer),
            other => bail!("{name} said {other:?} instead of being ready"),
        }
    }

    /// What happened since the last call.
    pub(crate) fn lap(&mut self) -> Result<Lap> {
        match self.ask(Order::Lap)? {
            Said::Lap(lap) => Ok(lap),
            other => bail!("{} said {other:?} instead of a lap", self.name),
        }
    }

    /// Lets it commit no more, and returns how many commits were acknowledged.
    pub(crate) fn quiet(&mut self) -> Result<i64> {
        match self.ask(Order::Quiet)? {
            Said::Quiet { committed } => Ok(committed),
            other => bail!("{} said {other:?} instead of being quiet", self.name),
        }
    }

    pub(crate) fn digest(&mut self) -> Result<Digest> {
        match self.ask(Order::Digest)? {
            Said::Digest(digest) => Ok(digest),
            other => bail!("{} said {other:?} instead of a digest", self.name),
        }
    }

    pub(crate) fn close(mut self) -> Result<()> {
        match self.ask(Order::Close)? {
            Said::Closed => Ok(()),
            other => bail!("{} said {other:?} instead of closing", self.name),
        }
    }

    fn ask(&mut self, order: Order) -> Result<Said> {
        use std::io::Write as _;
        let told = writeln!(self.orders, "{}", serde_json::to_string(&order)?);
        if told.is_err() {
            bail!("{} is gone: {}", self.name, self.complaint());
        }
        self.hear()
    }

    fn hear(&mut self) -> Result<Said> {
        match self.says.recv_timeout(PATIENCE) {
            Ok(line) => Ok(serde_json::from_str(&line)?),
            Err(RecvTimeoutError::Timeout) => {
                bail!("{} hangs: no answer in {} s", self.name, PATIENCE.as_secs())
            }
            Err(RecvTimeoutError::Disconnected) => {
                let _ = self.child.wait();
                bail!("{} is gone: {}", self.name, self.complaint())
            }
        }
    }

    fn complaint(&self) -> String {
        self.complains.iter().collect::<Vec<_>>().join("; ")
    }
}

impl Drop for Honest {
    fn drop(&mut self) {
        // It has ended already unless something failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
