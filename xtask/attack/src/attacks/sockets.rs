//! Other users at the socket, and what they may have planted where it is to be.

use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};

use super::{Attack, Field, Outcome, Over, Skipped};
use crate::PATIENCE;
use crate::hub::blaze;
use crate::stranger::{NOBODY, Stranger};
use crate::wire::Target;

pub(super) fn attacks() -> Vec<Attack> {
    let attack = |name, about, run: fn(&Field<'_>) -> Result<Outcome>| Attack {
        name,
        about,
        over: Over::Unix,
        quickly_over: Over::Unix,
        grows_kib: 0,
        run,
    };
    vec![
        attack("other-user", "connections of another user, at the socket's mode and past it", user),
        attack("planted", "a link, a file and a directory where a socket is to be made", planted),
        attack("open-folder", "a folder of another user, and one that all may write", open_folder),
        attack("squatter", "another user who listens where the hub is expected", squatter),
    ]
}

fn only_for_root() -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    bail!(Skipped { why: "only root can start a process of another user" })
}

fn user(field: &Field<'_>) -> Result<Outcome> {
    only_for_root()?;
    let Target::Unix(path) = &field.target else { bail!("it is about Unix sockets") };
    let knocks = field.scale(100, 1_000);
    let outside = Stranger::knock(field.folder, path, knocks)?;
    ensure!(outside.denied == knocks, "the socket's mode let somebody in: {outside:?}");
    // As if its owner had opened it: then the hub itself looks who it is.
    fs::set_permissions(path, Permissions::from_mode(0o666))?;
    let inside = Stranger::knock(field.folder, path, knocks);
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    let inside = inside?;
    ensure!(inside.denied == 0, "the mode was open: {inside:?}");
    ensure!(inside.told_bytes == 0, "the hub told a stranger something: {inside:?}");
    let saw = "permission denied; past the mode, hung up on without a byte";
    Ok(Outcome::new(2 * knocks, saw))
}

fn planted(field: &Field<'_>) -> Result<Outcome> {
    let precious = field.folder.join("precious");
    fs::write(&precious, "mine")?;
    let mut saw = Vec::new();
    let link = field.folder.join("link.sock");
    symlink(&precious, &link)?;
    let file = field.folder.join("file.sock");
    fs::write(&file, "mine")?;
    let folder = field.folder.join("folder.sock");
    fs::create_dir(&folder)?;
    let dangling = field.folder.join("dangling.sock");
    symlink(field.folder.join("nowhere"), &dangling)?;
    for path in [&link, &file, &folder, &dangling] {
        saw.push(refusal(field, "serve", path, "not a socket; not removed")?);
    }
    // The lock decides who may remove what, so a link there is one to whatever is to be emptied.
    let locked = field.folder.join("locked.sock");
    symlink(&precious, field.folder.join("locked.sock.lock"))?;
    saw.push(refusal(field, "serve", &locked, "locked.sock.lock")?);
    for kept in [&precious, &file] {
        ensure!(fs::read_to_string(kept)? == "mine", "{} was written", kept.display());
    }
    ensure!(link.is_symlink() && dangling.is_symlink() && folder.is_dir(), "it was removed");
    for path in [link, file, dangling, field.folder.join("locked.sock.lock"), precious] {
        fs::remove_file(path)?;
    }
    fs::remove_dir(folder)?;
    Ok(Outcome::new(saw.len() as u64, saw.swap_remove(0)))
}

fn open_folder(field: &Field<'_>) -> Result<Outcome> {
    let folder = field.folder.join("open");
    fs::create_dir(&folder)?;
    let path = folder.join("hub.sock");
    let mut saw = Vec::new();
    for mode in [0o777, 0o770, 0o1777] {
        fs::set_permissions(&folder, Permissions::from_mode(mode))?;
        for command in ["connect", "serve"] {
            saw.push(refusal(field, command, &path, "is writable by other users")?);
        }
    }
    fs::set_permissions(&folder, Permissions::from_mode(0o755))?;
    if rustix::process::geteuid().is_root() {
        chown(&folder, Some(NOBODY), Some(NOBODY))?;
        for command in ["connect", "serve"] {
            saw.push(refusal(field, command, &path, "is owned by uid")?);
        }
    }
    fs::remove_dir(folder)?;
    Ok(Outcome::new(saw.len() as u64, saw.swap_remove(0)))
}

fn squatter(field: &Field<'_>) -> Result<Outcome> {
    only_for_root()?;
    let folder = field.folder.join("squatted");
    fs::create_dir(&folder)?;
    // It came before its folder was closed; by then all that leads there is in order.
    fs::set_permissions(&folder, Permissions::from_mode(0o777))?;
    let path = folder.join("hub.sock");
    let squatter = Stranger::squat(field.folder, &path)?;
    fs::set_permissions(&folder, Permissions::from_mode(0o755))?;
    let saw = refusal(field, "connect", &path, "refused, nothing was sent")?;
    let robbed = squatter.end()?;
    ensure!(robbed.connections > 0, "nobody came: {robbed:?}");
    ensure!(robbed.bytes == 0, "the client sent it something: {robbed:?}");
    fs::remove_file(path)?;
    fs::remove_dir(folder)?;
    Ok(Outcome::new(robbed.connections, format!("0 bytes; the client: {saw}")))
}

/// Runs an honest program at a path, sees that it gives up and says this, and returns that.
fn refusal(field: &Field<'_>, command: &str, path: &Path, with: &str) -> Result<String> {
    let endpoint = format!("unix:{}", path.display());
    let database: PathBuf = field.folder.join("client.blaze");
    let mut program = blaze(field.blaze, field.folder);
    program.arg(command).arg(&database);
    match command {
        "serve" => program.args(["--listen", &endpoint]),
        _ => program.arg(&endpoint),
    };
    let mut process = program.spawn().context("can't start an honest client")?;
    let started = Instant::now();
    let status = loop {
        if let Some(status) = process.try_wait()? {
            break status;
        }
        if started.elapsed() > PATIENCE {
            process.kill()?;
            process.wait()?;
            bail!("`blaze {command}` goes on at {}", path.display());
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    let mut says = String::new();
    process.stderr.take().context("no errors")?.read_to_string(&mut says)?;
    ensure!(status.code() == Some(1), "`blaze {command}` ended with {status}: {says}");
    ensure!(says.contains(with), "expected {with:?}, found: {says}");
    let folder = field.folder.display().to_string();
    let line = says.lines().find(|line| line.starts_with("error")).unwrap_or_default();
    Ok(line.replace(&folder, "…"))
}
