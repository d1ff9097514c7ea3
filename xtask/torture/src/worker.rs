//! Worker processes: this program again, told by one JSON argument what to do.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A worker that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a worker ends that gave up.
pub(crate) const EXIT_HANGS: i32 = 71;

/// What became of a worker.
#[derive(Debug)]
pub(crate) struct Outcome<T> {
    /// What it said, in order.
    pub(crate) said: Vec<T>,
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// What it complained of.
    pub(crate) complaint: String,
}

/// The command that starts this program as a worker.
pub(crate) fn command(mode: &str, task: &impl Serialize) -> Result<Command> {
    let program = std::env::current_exe().context("can't find this program")?;
    let mut command = Command::new(program);
    command.arg(mode).arg(serde_json::to_string(task)?);
    // A worker ends when its input does, so that none outlives the driver.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}

/// Runs a worker to its end. Its last line may be cut off; it was never said then.
pub(crate) fn run<T: DeserializeOwned>(mut command: Command) -> Result<Outcome<T>> {
    let mut child: Child = command.spawn().context("can't start a worker")?;
    let mut out = BufReader::new(child.stdout.take().context("no output")?);
    let mut said = Vec::new();
    let mut line = Vec::new();
    while out.read_until(b'\n', &mut line)? > 0 {
        if line.ends_with(b"\n") {
            said.push(serde_json::from_slice(&line).context("can't understand a worker")?);
        }
        line.clear();
    }
    let mut complaint = String::new();
    child.stderr.take().context("no errors")?.read_to_string(&mut complaint)?;
    let status = child.wait()?;
    Ok(Outcome { said, status, complaint })
}

/// Ends this process when its input does or when it takes too long.
pub(crate) fn end_with_driver() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(EXIT_HANGS);
    });
    std::thread::spawn(|| {
        std::thread::sleep(PATIENCE);
        eprintln!("error: the worker hangs; it ran for {} s", PATIENCE.as_secs());
        std::process::exit(EXIT_HANGS);
    });
}

/// Tells the driver something, as one line.
pub(crate) fn say(message: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    out.flush().context("the driver is gone")
}
