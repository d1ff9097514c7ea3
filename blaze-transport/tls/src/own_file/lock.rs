//! The lock beside a file, under which it's changed.

use std::{
    fs::{File, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process, thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{Mode, OFlags, open},
    io::Errno,
    process::geteuid,
};

use super::{WriteError, beside, folder};

/// How long somebody else's change is waited for. A change takes as long as the disk; a process
/// that is stopped in the middle of one must not stop this one.
const LOCK_WAIT: Duration = Duration::from_secs(5);
const LOCK_POLL: Duration = Duration::from_millis(5);
/// A pid has at most this many digits.
const PID_BYTES_MAX: u64 = 10;

/// Locks a file beside the one that is to be changed, as that one is replaced by each change. It's
/// never removed: two who lock by one name must lock one file.
pub(crate) fn lock(path: &Path) -> Result<File, WriteError> {
    folder::check(path)?;
    lock_within(beside(path, ".lock"), LOCK_WAIT)
}

fn lock_within(path: PathBuf, wait: Duration) -> Result<File, WriteError> {
    let mut file = open_lock(&path)?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if began.elapsed() < wait => thread::sleep(LOCK_POLL),
            Err(TryLockError::WouldBlock) => {
                let waited_ms = wait.as_millis().try_into().unwrap_or(u64::MAX);
                return Err(WriteError::Busy { lock: path, pid: read_pid(&mut file), waited_ms });
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    if read_pid(&mut file) != Some(process::id()) {
        // It's for messages only, so a full disk doesn't matter.
        let _ = write_pid(&mut file);
    }
    Ok(file)
}

/// Opens what is at the path only if it is a regular file of our own.
fn open_lock(path: &Path) -> Result<File, WriteError> {
    let unusable = |problem| WriteError::Lock { lock: path.to_owned(), problem };
    // A pipe at the path must not block, and a symbolic link must not lead elsewhere.
    let flags =
        OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match open(path, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) => return Err(unusable("a symbolic link, not followed")),
        Err(error) => return Err(io::Error::from(error).into()),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.uid() != geteuid().as_raw() {
        return Err(unusable("not a regular file of this user"));
    }
    Ok(file)
}

/// Who had it last.
fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(PID_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim_end().parse().ok()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", process::id())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn who_has_the_lock_is_named_and_not_waited_for_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peers.lock");
        let wait = Duration::from_millis(20);
        let held = lock_within(path.clone(), wait).unwrap();
        let error = lock_within(path.clone(), wait).unwrap_err();
        let own = process::id();
        assert!(
            matches!(error, WriteError::Busy { pid: Some(pid), waited_ms: 20, .. } if pid == own),
            "{error}"
        );
        assert!(error.to_string().contains(&format!("by process {own}")), "{error}");
        drop(held);
        lock_within(path, wait).expect("it was given up");
    }

    #[test]
    fn a_lock_that_is_let_go_of_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peers.lock");
        let held = lock_within(path.clone(), Duration::ZERO).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| lock_within(path.clone(), Duration::from_secs(30)));
            drop(held);
            waiting.join().unwrap().expect("it's waited for");
        });
    }

    #[test]
    fn what_is_no_lock_of_this_user_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peers.lock");
        let target = folder.path().join("target");
        fs::write(&target, "mine").unwrap();
        symlink(&target, &path).unwrap();
        let error = lock_within(path, Duration::ZERO).unwrap_err().to_string();
        assert!(error.contains("symbolic link") && error.contains("remove it"), "{error}");
        assert_eq!(fs::read_to_string(&target).unwrap(), "mine");
        let error = lock_within("/dev/null".into(), Duration::ZERO).unwrap_err().to_string();
        assert!(error.contains("not a regular file"), "{error}");
    }
}
