//! The preloaded library that cuts the power: compiled here, armed for a worker.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How a worker ends when its power was cut.
pub(crate) const EXIT_CUT: i32 = 77;

const SOURCE: &str = include_str!("../powercut/powercut.c");

/// The compiled library.
#[derive(Debug)]
pub(crate) struct Shim {
    library: PathBuf,
    boot: PathBuf,
}

/// What the library does to a worker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trouble {
    /// Draws what of the unsynced writes is kept.
    pub(crate) seed: u64,
    /// The call that changes something at which the power goes, counted from the
    /// failure if there is one; 0 for never.
    pub(crate) cut_at: u64,
    /// A call that fails.
    pub(crate) failure: Option<Failure>,
}

/// A call that fails, once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure {
    /// Which calls are counted.
    pub(crate) call: Call,
    /// Which of them fails, from 1.
    pub(crate) at: u64,
    /// By which error.
    pub(crate) errno: i32,
}

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Sync,
    Write,
    Read,
}

impl Shim {
    /// Compiles the library into a folder; `None` if there is no C compiler or the
    /// system isn't Linux.
    pub(crate) fn build(folder: &Path) -> Result<Option<Self>> {
        if !cfg!(target_os = "linux") {
            return Ok(None);
        }
        let (source, library) = (folder.join("powercut.c"), folder.join("powercut.so"));
        std::fs::write(&source, SOURCE)?;
        let options = ["-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o"];
        let mut compiler = Command::new("cc");
        compiler.args(options).arg(&library).arg(&source).args(["-ldl", "-lpthread"]);
        let output = match compiler.output() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.context("can't start the C compiler `cc`")?,
        };
        if !output.status.success() {
            bail!("can't compile powercut.c: {}", String::from_utf8_lossy(&output.stderr));
        }
        // Another run of the machine than the one that looks at the file afterwards.
        let boot = folder.join("boot_id");
        std::fs::write(&boot, "00000000-0000-4000-8000-000000000000\n")?;
        Ok(Some(Self { library, boot }))
    }

    /// Lets a command meet with trouble in a folder, whose path is absolute and has
    /// no symbolic links.
    pub(crate) fn arm(&self, command: &mut Command, folder: &Path, trouble: Trouble) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("POWERCUT_DIR", folder)
            .env("POWERCUT_BOOT", &self.boot)
            .env("POWERCUT_SEED", trouble.seed.to_string())
            .env("POWERCUT_AT", trouble.cut_at.to_string());
        if let Some(Failure { call, at, errno }) = trouble.failure {
            let call = match call {
                Call::Sync => "sync",
                Call::Write => "write",
                Call::Read => "read",
            };
            command.env("POWERCUT_FAIL", format!("{call}:{at}:{errno}"));
            command.env("POWERCUT_FIRED", fired(folder));
        }
    }
}

/// Whether a failure that was armed came to pass; forgets it.
pub(crate) fn take_fired(folder: &Path) -> bool {
    std::fs::remove_file(fired(folder)).is_ok()
}

/// Ends a process as abruptly as SIGKILL does, but not in the middle of cutting its power:
/// files that are only half put back were never on any disk.
pub(crate) fn end(child: &mut Child) -> Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("no pid")?;
    // Once it is waited for, its id may be another's.
    match child.try_wait()? {
        Some(_) => Ok(()),
        None => Ok(kill_process(pid, Signal::TERM)?),
    }
}

/// Outside the folder, so that it is no file whose writes are lost.
fn fired(folder: &Path) -> PathBuf {
    folder.with_extension("fired")
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[test]
    fn a_process_that_ends_while_its_power_goes_leaves_no_file_half_written() -> Result<()> {
        let scratch = tempfile::tempdir()?;
        let folder = scratch.path().canonicalize()?;
        let Some(shim) = Shim::build(&folder)? else { return Ok(()) };
        let (home, bytes) = (folder.join("home"), 256 << 20);
        std::fs::create_dir(&home)?;
        let path = home.join("file");
        std::fs::File::create(&path)?.set_len(bytes)?;
        let mut command = Command::new("truncate");
        command.arg(format!("--size={}", bytes + 1)).arg(&path).stdin(Stdio::null());
        shim.arm(&mut command, &home, Trouble { seed: 1, cut_at: 1, failure: None });
        let mut child = command.spawn()?;
        // It is being put back from here on.
        while std::fs::metadata(&path)?.len() >= bytes {
            assert_eq!(child.try_wait()?, None, "it was too fast to be seen");
            std::thread::yield_now();
        }
        end(&mut child)?;
        assert_eq!(child.wait()?.code(), Some(EXIT_CUT));
        assert!(std::fs::metadata(&path)?.len() >= bytes);
        Ok(())
    }
}
