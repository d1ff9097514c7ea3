//! Which process holds a lock or a port, as far as the kernel lets this user see.
//!
//! It is read from `/proc`, which only Linux has; elsewhere nothing is known but what the holder
//! wrote.

use std::fs::{self, Metadata};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// How often a table of the kernel's is read before something is taken not to be in it: while other
/// lines come and go a reading can miss one, as 42 of 20,000 did when two processes did nothing but
/// lock and unlock.
const LOOKS: usize = 8;

/// Who holds a lock file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// Nobody, or nobody whom this process can see.
    Nobody,
    /// This process.
    Process(u32),
    /// The system doesn't tell.
    Unknown,
}

/// Who listens at a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PortHolder {
    pub(super) ip: IpAddr,
    pub(super) uid: u32,
    /// Unless it is another user's.
    pub(super) pid: Option<u32>,
}

/// "pid 12 (blaze)", or "pid 12" of a program that can't be seen.
pub(super) fn described(pid: u32) -> String {
    let program = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    match program.trim_end() {
        "" => format!("pid {pid}"),
        program => format!("pid {pid} ({program})"),
    }
}

/// Who holds the lock of this file. Nothing is locked to find out, as that would keep out whoever
/// locks it just then.
pub(super) fn lock_holder(lock: &Path, noted: Option<u32>) -> Holder {
    let Ok(metadata) = fs::metadata(lock) else { return Holder::Nobody };
    if !Path::new(LOCKS).exists() {
        return Holder::Unknown;
    }
    let read = |_| holder_among(&fs::read_to_string(LOCKS).ok()?, &metadata, noted);
    (0..LOOKS).find_map(read).map_or(Holder::Nobody, Holder::Process)
}

const LOCKS: &str = "/proc/locks";

/// The pid at the beginning of a lock file, of its holder or the last one.
pub(super) fn noted_pid(lock: &Path) -> Option<u32> {
    // Reading a pipe would wait for who writes to it.
    fs::metadata(lock).ok()?.is_file().then_some(())?;
    fs::read_to_string(lock).ok()?.split_ascii_whitespace().next()?.parse().ok()
}

/// A line is `1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE START END`, its numbers of a device in
/// hexadecimal. Some file systems have another device here than for `stat`, so a noted pid does as
/// well. Who waits for a lock has an arrow before the kind.
fn holder_among(locks: &str, metadata: &Metadata, noted: Option<u32>) -> Option<u32> {
    let device = metadata.dev();
    let device = format!("{:02x}:{:02x}", rustix::fs::major(device), rustix::fs::minor(device));
    locks.lines().find_map(|line| {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        let [_, "FLOCK", _, _, pid, file, ..] = words[..] else { return None };
        let (on, inode) = file.rsplit_once(':')?;
        let pid = pid.parse().ok()?;
        let is_it = inode.parse() == Ok(metadata.ino()) && (on == device || noted == Some(pid));
        is_it.then_some(pid)
    })
}

/// Who listens at a TCP port of this device, at an address that fulfils a condition.
pub(super) fn port_holder(port: u16, condition: impl Fn(IpAddr) -> bool) -> Option<PortHolder> {
    (0..LOOKS).find_map(|_| {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
        let mut lines = tables.iter().flatten().flat_map(|table| table.lines());
        lines.find_map(|line| listening(line, port).filter(|holder| condition(holder.ip)))
    })
}

/// The process that has a socket, unless it is another user's.
fn process_of(socket: u64) -> Option<u32> {
    let wanted = format!("socket:[{socket}]");
    let has_it = |pid: &u32| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        files.filter_map(|file| fs::read_link(file.path()).ok()).any(|file| *file == *wanted)
    };
    let entries = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(has_it)
}

/// A line is `N: ADDRESS:PORT PEER STATE QUEUES TIMER RETRANSMITS UID TIMEOUT INODE …`.
fn listening(line: &str, port: u16) -> Option<PortHolder> {
    const LISTEN: &str = "0A";
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    let [_, local, _, LISTEN, _, _, _, uid, _, inode, ..] = words[..] else { return None };
    let (ip, at) = local.split_once(':')?;
    let is_it = u16::from_str_radix(at, 16) == Ok(port);
    let ip = address(ip)?;
    is_it.then_some(())?;
    Some(PortHolder { ip, uid: uid.parse().ok()?, pid: process_of(inode.parse().ok()?) })
}

/// An address in words of 32 bits as they lie in memory.
fn address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(text.get(at..at + 8)?, 16).ok();
    let bytes = |at: usize| word(at).map(u32::to_ne_bytes);
    if text.len() == 8 {
        return bytes(0).map(|bytes| Ipv4Addr::from(bytes).into());
    }
    let words = [bytes(0)?, bytes(8)?, bytes(16)?, bytes(24)?];
    let whole: [u8; 16] = words.concat().try_into().ok()?;
    Some(Ipv6Addr::from(whole).into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_lock_is_found_while_it_is_held() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "4711 and more").unwrap();
        assert_eq!(noted_pid(file.path()), Some(4711));
        assert_eq!(lock_holder(file.path(), None), Holder::Nobody);
        file.as_file().lock().unwrap();
        let own = std::process::id();
        assert_eq!(lock_holder(file.path(), Some(own)), Holder::Process(own));
        file.as_file().unlock().unwrap();
        assert_eq!(lock_holder(file.path(), Some(own)), Holder::Nobody);
        assert_eq!(lock_holder(&file.path().join("none"), None), Holder::Nobody);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_port_is_found_while_it_is_listened_at() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // Not every machine has IPv6.
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let local = listener.local_addr().unwrap();
            let holder = port_holder(local.port(), |ip| ip == local.ip()).unwrap();
            assert_eq!(holder.uid, rustix::process::geteuid().as_raw());
            assert_eq!(holder.pid, Some(std::process::id()));
        }
    }

    #[test]
    fn who_waits_for_a_lock_does_not_hold_it() {
        let metadata = fs::metadata("/").unwrap();
        let inode = metadata.ino();
        let waiting = format!("1: -> FLOCK  ADVISORY  WRITE 7 fe:00:{inode} 0 EOF");
        assert_eq!(holder_among(&waiting, &metadata, Some(7)), None);
        let holding = format!("1: FLOCK  ADVISORY  WRITE 7 fe:00:{inode} 0 EOF");
        assert_eq!(holder_among(&holding, &metadata, Some(7)), Some(7));
        assert_eq!(holder_among("nonsense", &metadata, Some(7)), None);
    }
}
