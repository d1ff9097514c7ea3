//! Files that are this user's alone to write, and whole whenever they have their name.

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
    /// It's something else.
    Unexpected(String),
    Io(io::Error),
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

/// Locks a file beside the one that is to be changed, as that one is replaced by each change. It's
/// never removed: two who lock by one name must lock one file.
pub(crate) fn lock(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = open(beside(path, ".lock"), flags, Mode::RUSR | Mode::WUSR)?;
    let file = File::from(file);
    file.lock()?;
    Ok(file)
}

/// The path with something behind its name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

/// Writes a file that didn't exist. It has its name only when it's whole and on disk, so that who
/// finds it finds all of it.
pub(crate) fn create(path: &Path, parts: &[&str]) -> io::Result<()> {
    put(path, parts, |temporary| fs::hard_link(temporary, path))
}

/// Writes a file, in the place of the one that may be there.
pub(crate) fn replace(path: &Path, parts: &[&str]) -> io::Result<()> {
    put(path, parts, |temporary| fs::rename(temporary, path))
}

fn put(path: &Path, parts: &[&str], name: impl Fn(&Path) -> io::Result<()>) -> io::Result<()> {
    let temporary = temporary(path)?;
    let named = write_new(&temporary, parts).and_then(|()| name(&temporary));
    // By this name nobody needs it any more; if it hasn't it, there's nothing to remove.
    let _ = fs::remove_file(&temporary);
    named.and_then(|()| sync_folder(path))
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

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
