//! Files that are this user's alone to write, and whole whenever they have their name.

mod folder;
mod lock;

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use ring::rand::{SecureRandom, SystemRandom};
use rustix::{
    fs::{Mode, OFlags, open},
    io::Errno,
    process::geteuid,
};
use zeroize::Zeroizing;

pub(crate) use self::{folder::FolderError, lock::lock};

/// Why a file wasn't read.
#[derive(Debug)]
pub(crate) enum ReadError {
    Missing,
    /// Others have one of the rights that they mustn't have.
    TooOpen {
        mode: u32,
    },
    ForeignOwner {
        uid: u32,
        expected: u32,
    },
    /// Others can replace files in its folder: what is wrong with that, and what helps.
    Folder(String),
    /// It's something else.
    Unexpected(String),
    Io(io::Error),
}

impl From<FolderError> for ReadError {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::Unsafe(problem) => Self::Folder(problem),
            FolderError::Io(error) => Self::Io(error),
        }
    }
}

/// Why a file wasn't written. It's as it was, but where a variant says so.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// Others can replace files in its folder: what is wrong with that, and what helps.
    #[error("{0}")]
    Folder(String),
    /// What should be its lock is something else.
    #[error("its lock {} is {problem}; remove it", .lock.display())]
    Lock { lock: PathBuf, problem: &'static str },
    /// Somebody else changes it, and doesn't come to an end.
    #[error(
        "its lock {} has been held{} for {waited_ms} ms and more; wait for that process, or end \
         it", .lock.display(), .pid.map(|pid| format!(" by process {pid}")).unwrap_or_default()
    )]
    Busy { lock: PathBuf, pid: Option<u32>, waited_ms: u64 },
    /// It was written and has its name, but may lose it in a power cut.
    #[error("it was written, but a power cut may undo that: {0}")]
    Unsynced(io::Error),
    #[error("it can not be written: {0}")]
    Io(#[from] io::Error),
}

impl From<FolderError> for WriteError {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::Unsafe(problem) => Self::Folder(problem),
            FolderError::Io(error) => Self::Io(error),
        }
    }
}

/// Reads a text of this user's that nobody else has the rights `forbidden` to.
pub(crate) fn read(
    path: &Path,
    forbidden: u32,
    bytes_max: u32,
) -> Result<Zeroizing<String>, ReadError> {
    let unexpected = |problem: &str| ReadError::Unexpected(problem.to_owned());
    // A pipe at the path must not block, and a symbolic link must not lead elsewhere. What is
    // checked is the file that was opened, whatever becomes of its name meanwhile.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Err(ReadError::Missing),
        Err(Errno::LOOP) => return Err(unexpected("it is a symbolic link, not followed")),
        Err(error) => return Err(ReadError::Io(error.into())),
    };
    folder::check(path)?;
    let metadata = file.metadata().map_err(ReadError::Io)?;
    if !metadata.is_file() {
        return Err(unexpected("it is not a regular file"));
    }
    let (uid, expected) = (metadata.uid(), geteuid().as_raw());
    if uid != expected {
        return Err(ReadError::ForeignOwner { uid, expected });
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & forbidden != 0 {
        return Err(ReadError::TooOpen { mode });
    }
    if metadata.len() > bytes_max.into() {
        let problem = format!("it has {} bytes, the limit is {bytes_max}", metadata.len());
        return Err(ReadError::Unexpected(problem));
    }
    // Its room is taken at once, so that no copy is left where it grew.
    let room = usize::try_from(metadata.len()).unwrap_or(0) + 1;
    let mut text = Zeroizing::new(String::with_capacity(room));
    match file.take(bytes_max.into()).read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(unexpected("it is no text"))
        }
        Err(error) => Err(ReadError::Io(error)),
    }
}

/// What tells one content of a file from another, without reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp(Option<[i128; 5]>);

impl Stamp {
    /// That of whatever is at the path now; of nothing, if nothing can be found there.
    pub(crate) fn of(path: &Path) -> Self {
        let Ok(file) = fs::symlink_metadata(path) else { return Self(None) };
        let time = |seconds: i64, nanos: i64| i128::from(seconds) << 32 | i128::from(nanos);
        // Each change replaces the file, but people may write into it.
        Self(Some([
            file.ino().into(),
            file.len().into(),
            file.mode().into(),
            time(file.mtime(), file.mtime_nsec()),
            time(file.ctime(), file.ctime_nsec()),
        ]))
    }
}

/// The path with something behind its name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

/// Writes a file that didn't exist. It has its name only when it's whole and on disk, so that who
/// finds it finds all of it.
pub(crate) fn create(path: &Path, parts: &[&str]) -> Result<(), WriteError> {
    folder::check(path)?;
    put(path, parts, |temporary| fs::hard_link(temporary, path))
}

/// Writes a file, in the place of the one that may be there: under its [`lock()`].
pub(crate) fn replace(path: &Path, parts: &[&str]) -> Result<(), WriteError> {
    put(path, parts, |temporary| fs::rename(temporary, path))
}

fn put(
    path: &Path,
    parts: &[&str],
    name: impl Fn(&Path) -> io::Result<()>,
) -> Result<(), WriteError> {
    let temporary = temporary(path)?;
    let named = write_new(&temporary, parts).and_then(|()| name(&temporary));
    // By this name nobody needs it any more; if it hasn't it, there's nothing to remove.
    let _ = fs::remove_file(&temporary);
    named?;
    let folder = File::open(folder::of(path));
    folder.and_then(|folder| folder.sync_all()).map_err(WriteError::Unsynced)
}

fn write_new(path: &Path, parts: &[&str]) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut file = File::from(open(path, flags, Mode::RUSR | Mode::WUSR)?);
    for part in parts {
        file.write_all(part.as_bytes())?;
    }
    file.sync_all()
}

/// A name beside `path` that nobody can have foreseen.
fn temporary(path: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    SystemRandom::new().fill(&mut random).map_err(|_| io::Error::other("no randomness"))?;
    Ok(beside(path, &format!(".{:016x}", u64::from_ne_bytes(random))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_has_its_name_but_may_lose_it_is_told_as_that() {
        let folder = tempfile::tempdir().unwrap();
        let (before, after) = (folder.path().join("before"), folder.path().join("after"));
        fs::create_dir(&before).unwrap();
        let path = before.join("peers");
        // The folder can't be synced, as it's elsewhere by then.
        let name = |temporary: &Path| {
            fs::rename(temporary, &path).and_then(|()| fs::rename(&before, &after))
        };
        let unsynced = put(&path, &["new"], name).unwrap_err();
        assert!(matches!(unsynced, WriteError::Unsynced(_)), "{unsynced}");
        assert_eq!(fs::read_to_string(after.join("peers")).unwrap(), "new");
        let failed = put(&path, &["newer"], name).unwrap_err();
        assert!(matches!(failed, WriteError::Io(_)), "{failed}");
    }
}
