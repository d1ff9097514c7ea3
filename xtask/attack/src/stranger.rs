//! A process of another user, which only root can start: this program again.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};

/// The user whom every system has for those without rights.
pub(crate) const NOBODY: u32 = 65534;

/// What it is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Task {
    Knock { path: PathBuf, times: u64 },
    Squat { path: PathBuf },
}

/// What came of knocking.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Knocked {
    /// How often the system let it not even connect.
    pub(crate) denied: u64,
    /// What it was told, where it did.
    pub(crate) told_bytes: u64,
}

/// What came of squatting.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Robbed {
    pub(crate) connections: u64,
    pub(crate) bytes: u64,
}

/// The process. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Stranger {
    child: Child,
}

impl Stranger {
    /// Connects to a socket so many times, and says hello.
    pub(crate) fn knock(folder: &Path, path: &Path, times: u64) -> Result<Knocked> {
        let task = Task::Knock { path: path.to_owned(), times };
        Self::start(folder, &task)?.hear()
    }

    /// Listens at a path; returns when it does.
    pub(crate) fn squat(folder: &Path, path: &Path) -> Result<Self> {
        let mut stranger = Self::start(folder, &Task::Squat { path: path.to_owned() })?;
        let out = stranger.child.stdout.as_mut().context("no output")?;
        let mut ready = [0; 1];
        out.read_exact(&mut ready).context("it doesn't squat")?;
        Ok(stranger)
    }

    /// Ends the squatter, and tells what it got.
    pub(crate) fn end(mut self) -> Result<Robbed> {
        drop(self.child.stdin.take());
        self.hear()
    }

    fn start(folder: &Path, task: &Task) -> Result<Self> {
        // Where this program is, others may not look.
        let program = folder.join("stranger");
        if !program.exists() {
            std::fs::copy(std::env::current_exe()?, &program).context("can't copy this program")?;
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
        }
        let mut command = Command::new(program);
        command.arg("stranger").arg(serde_json::to_string(task)?).uid(NOBODY).gid(NOBODY);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).current_dir("/");
        Ok(Self { child: command.spawn().context("can't start a process of another user")? })
    }

    fn hear<T: serde::de::DeserializeOwned>(mut self) -> Result<T> {
        let out = self.child.stdout.take().context("no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        ensure!(!line.is_empty(), "it says nothing");
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        // It has ended already unless something failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Does what a stranger does, in its process.
pub(crate) fn work(task: &str) -> Result<()> {
    match serde_json::from_str(task)? {
        Task::Knock { path, times } => {
            let mut knocked = Knocked::default();
            for _ in 0..times {
                match UnixStream::connect(&path) {
                    Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                        knocked.denied += 1;
                    }
                    Err(error) => bail!(error),
                    Ok(mut stream) => {
                        // It may have hung up already.
                        let _ = stream.write_all(b"let me in");
                        let mut told = Vec::new();
                        let _ = stream.read_to_end(&mut told);
                        knocked.told_bytes += told.len() as u64;
                    }
                }
            }
            println!("{}", serde_json::to_string(&knocked)?);
        }
        Task::Squat { path } => squat(&path)?,
    }
    Ok(())
}

/// Takes whatever it is sent, until its input ends.
fn squat(path: &Path) -> Result<()> {
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    print!("!");
    std::io::stdout().flush()?;
    let taking = std::thread::spawn({
        let listener = listener.try_clone()?;
        move || -> Result<Robbed> {
            let mut robbed = Robbed::default();
            loop {
                let (mut stream, _) = listener.accept()?;
                let mut got = Vec::new();
                let _ = stream.read_to_end(&mut got);
                if got == END {
                    return Ok(robbed);
                }
                robbed.connections += 1;
                robbed.bytes += got.len() as u64;
            }
        }
    });
    std::io::stdin().read_to_end(&mut Vec::new())?;
    UnixStream::connect(path)?.write_all(&END)?;
    let Ok(robbed) = taking.join() else { bail!("it panicked") };
    println!("{}", serde_json::to_string(&robbed?)?);
    Ok(())
}

/// What the squatter tells itself to end.
const END: [u8; 1] = *b".";
