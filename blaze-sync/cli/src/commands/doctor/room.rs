//! Whether a database can be written: its file, what lies beside it, and room for more.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use indicatif::HumanBytes;
use rustix::fs::{Access, StatVfs, StatVfsMountFlags, access, statvfs};
use rustix::process::geteuid;

use super::finding::Finding;
use crate::open::beside;

/// With less than this nothing can be committed soon.
const ROOM_BYTES_MIN: u64 = 1024 * 1024;
/// What a log may take before it is written back into the file.
const LOG_BYTES: u64 = 64 * 1024 * 1024;

/// Looks at a database file, whose path has no symbolic links.
pub(super) fn check(path: &Path) -> Vec<Finding> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let place = match statvfs(folder) {
        Ok(place) => place,
        Err(error) => {
            let remedy = "look at the disk";
            let text = format!("can't look at {}: {error}", folder.display());
            return vec![Finding::fault("room", path.display(), text, remedy)];
        }
    };
    vec![writable(path, folder, &place), room(path, folder, &place)]
}

fn writable(path: &Path, folder: &Path, place: &StatVfs) -> Finding {
    let fault =
        |text: String, remedy: String| Finding::fault("writable", path.display(), text, remedy);
    if place.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return fault(
            "it lies on a read-only file system, so it can only be read".to_owned(),
            format!("as root: mount -o remount,rw {}, or copy the file elsewhere", mount(folder)),
        );
    }
    let lock = beside(path, ".lock");
    if let Ok(found) = fs::symlink_metadata(&lock)
        && (!found.is_file() || found.uid() != geteuid().as_raw())
    {
        let (owner, user) = (found.uid(), geteuid().as_raw());
        return fault(
            format!("{} is no file of uid {user}, but of uid {owner}", lock.display()),
            format!("run as uid {owner}, or have root run: chown {user} {}*", path.display()),
        );
    }
    // Beside the file there are its lock, its log and its log's index.
    for needed in [path, folder] {
        if access(needed, Access::WRITE_OK).is_err() {
            let owner = fs::metadata(needed).map_or(0, |metadata| metadata.uid());
            return fault(
                format!("this user may not write {}", needed.display()),
                format!("chmod u+w {} as its owner, uid {owner}, or run as it", needed.display()),
            );
        }
    }
    Finding::ok("writable", path.display(), "this user may write the file and its folder")
}

fn room(path: &Path, folder: &Path, place: &StatVfs) -> Finding {
    let free = place.f_bavail.saturating_mul(place.f_frsize);
    let log = fs::metadata(beside(path, "-wal")).map_or(0, |metadata| metadata.len());
    judged(path, folder, free, log)
}

/// Judges what is free beside a log, all of which may have to go into the file.
fn judged(path: &Path, folder: &Path, free: u64, log: u64) -> Finding {
    let (subject, folder) = (path.display(), folder.display());
    let text =
        format!("{} are free in {folder}, the log has {}", HumanBytes(free), HumanBytes(log));
    let remedy = format!("free some: df -h {folder}, du -xh {folder} | sort -h | tail");
    if free < ROOM_BYTES_MIN || free < log {
        let text = format!("the disk is full: {text}");
        return Finding::fault("room", subject, text, remedy);
    }
    if free < LOG_BYTES {
        let text =
            format!("the disk is nearly full: {text}, and may grow to {}", HumanBytes(LOG_BYTES));
        return Finding::hint("room", subject, text, remedy);
    }
    Finding::ok("room", subject, text)
}

/// Where the file system of a folder is mounted.
fn mount(folder: &Path) -> String {
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    let own = device(folder);
    let within = folder.ancestors().take_while(|part| device(part) == own);
    within.last().unwrap_or(folder).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Status;

    #[test]
    fn room_is_judged_by_the_log_as_well() {
        let (path, folder) = (Path::new("/f/db"), Path::new("/f"));
        let status = |free, log| judged(path, folder, free, log).status;
        assert_eq!(status(LOG_BYTES, 0), Status::Ok);
        assert_eq!(status(LOG_BYTES - 1, 0), Status::Hint);
        assert_eq!(status(ROOM_BYTES_MIN, ROOM_BYTES_MIN), Status::Hint);
        assert_eq!(status(ROOM_BYTES_MIN, ROOM_BYTES_MIN + 1), Status::Fault);
        assert_eq!(status(ROOM_BYTES_MIN - 1, 0), Status::Fault);
        assert_eq!(status(2 * LOG_BYTES, 3 * LOG_BYTES), Status::Fault);
    }

    #[test]
    fn a_file_is_looked_at_without_a_trace() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        fs::write(&path, "").unwrap();
        let findings = check(&path);
        assert_eq!(findings[0].status, Status::Ok, "{findings:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
