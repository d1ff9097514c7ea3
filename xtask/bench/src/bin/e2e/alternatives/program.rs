//! Servers of others: started as children that end with whoever started them.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

pub(super) const REDIS: &str = "redis-server";
pub(super) const NATS: &str = "nats-server";

/// How long a server may take until it answers.
pub(super) const START: Duration = Duration::from_secs(10);
const ASKED_EACH: Duration = Duration::from_millis(1);

/// What a process is to become.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Program {
    name: String,
    args: Vec<String>,
    /// Who starts it.
    parent: i32,
}

/// Becomes a server. It is killed when the thread that started this ends, however
/// that happens: a benchmark that is killed leaves none behind.
pub(crate) fn become_program(program: &str) -> Result<()> {
    let Program { name, args, parent } =
        serde_json::from_str(program).context("a program is JSON")?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let starter = getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    ensure!(starter == parent, "who started {name} is gone");
    Err(Command::new(&name).args(args).exec()).with_context(|| format!("can't become {name}"))
}

/// A server that runs; killed when this is dropped.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    name: &'static str,
}

impl Server {
    /// To be called on the process's main thread, or it ends before the process does.
    pub(super) fn start(name: &'static str, args: Vec<String>) -> Result<Self> {
        let parent = std::process::id().try_into().context("process ids are positive")?;
        let program = Program { name: name.to_owned(), args, parent };
        let child = Command::new(std::env::current_exe()?)
            .args(["--program", &serde_json::to_string(&program)?])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("can't start {name}"))?;
        Ok(Self { child, name })
    }

    /// Asks until there is an answer.
    pub(super) fn wait_for<T>(&mut self, mut ask: impl FnMut() -> Result<T>) -> Result<T> {
        let began = Instant::now();
        loop {
            let error = match ask() {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended unexpectedly ({status})", self.name);
            }
            if began.elapsed() > START {
                return Err(error.context(format!("{} doesn't answer", self.name)));
            }
            std::thread::sleep(ASKED_EACH);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Why a program can't be used, if so.
pub(super) fn missing(name: &str) -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if find(name, std::env::split_paths(&path)).is_some() {
        return None;
    }
    Some(format!("{name} isn't on the PATH; install it to have it measured"))
}

fn find(name: &str, mut folders: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    folders.find_map(|folder| {
        let program = folder.join(name);
        is_executable(&program).then_some(program)
    })
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Whether the server that is installed can sync each message, which 2.10 began with.
pub(super) fn nats_syncs_always() -> bool {
    static ALWAYS: LazyLock<bool> = LazyLock::new(|| {
        let output = Command::new(NATS).arg("--version").output();
        output.is_ok_and(|output| {
            version(&String::from_utf8_lossy(&output.stdout)).is_some_and(|found| found >= (2, 10))
        })
    });
    *ALWAYS
}

/// The first two numbers of a text such as `nats-server: v2.9.10`.
fn version(text: &str) -> Option<(u32, u32)> {
    let (_, numbers) = text.trim().rsplit_once('v')?;
    let mut numbers = numbers.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{find, version};

    #[test]
    fn only_what_can_be_run_is_found() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folders = || [first.path().to_owned(), second.path().to_owned()].into_iter();
        let path = second.path().join("server");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(find("server", folders()), None);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(find("server", folders()), Some(path));
        assert_eq!(find("another", folders()), None);
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert_eq!(version("nats-server: v2.9.10\n"), Some((2, 9)));
        assert!(version("nats-server: v2.11.3") > Some((2, 10)));
        assert_eq!(version("something else"), None);
    }
}
