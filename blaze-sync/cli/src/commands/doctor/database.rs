//! A database file: whether it can be opened, and who has it open.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use blaze_sync::{Database, DatabaseError, Error, Identity};
use rustix::process::{Pid, test_kill_process};

use super::finding::{Finding, parted, with_causes};
use super::process::{self, Holder};
use super::room;
use crate::args::AccessArgs;
use crate::open::beside;
use crate::output::count;
use crate::password::{self, Password};

const CHECK: &str = "database";

/// What is known of a file.
pub(super) struct Looked {
    pub(super) findings: Vec<Finding>,
    /// What the database is, if the file can be opened.
    pub(super) identity: Option<Identity>,
}

/// Looks at a database file.
///
/// # Errors
///
/// If a password is given in a way that can't work.
pub(super) async fn check(path: &Path, access: &AccessArgs) -> Result<Looked> {
    let mut password = password::given(access)?;
    let mut opened = open(path, access, password.as_ref()).await;
    if let (Err(DatabaseError::PasswordRequired { .. }), None) = (&opened, &password) {
        // Without a terminal the finding says what is missing.
        password = password::ask(path).ok();
        if password.is_some() {
            opened = open(path, access, password.as_ref()).await;
        }
    }
    let file = file(path);
    let shown = file.as_deref().unwrap_or(path);
    let (finding, identity) = match opened {
        Ok(db) => (told(shown, &db, password.is_some()).await, Some(db.identity())),
        Err(error) => (fault(shown, &error, password.as_ref()), None),
    };
    let mut findings = vec![finding];
    if let Some(file) = &file {
        findings.push(writer(file));
        findings.extend(room::check(file));
    }
    Ok(Looked { findings, identity })
}

/// The file's one name, beside which its lock and its log lie.
fn file(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok().filter(|path| path.is_file())
}

async fn open(
    path: &Path,
    access: &AccessArgs,
    password: Option<&Password>,
) -> Result<Database, DatabaseError> {
    let name = access.database.as_deref();
    match attempt(path, password, name).await {
        // Nobody asked for another name: it is what the file says.
        Err(DatabaseError::OtherDatabase { found, .. }) if name.is_none() => {
            attempt(path, password, Some(&found)).await
        }
        // Who began to write it meanwhile may have been seen half-way.
        Err(DatabaseError::Corrupt { .. } | DatabaseError::Stored(_))
            if beside(path, "-wal").exists() =>
        {
            attempt(path, password, name).await
        }
        opened => opened,
    }
}

async fn attempt(
    path: &Path,
    password: Option<&Password>,
    name: Option<&str>,
) -> Result<Database, DatabaseError> {
    let mut options = Database::open(path).without_trace(true);
    if let Some(password) = password {
        options = options.password(password.text());
    }
    if let Some(name) = name {
        options = options.name(name);
    }
    options.await.map_err(|error| match error {
        Error::Database(error) => error,
        other => DatabaseError::Failed { action: "open its file", source: other.into() },
    })
}

async fn told(path: &Path, db: &Database, encrypted: bool) -> Finding {
    let (identity, head) = (db.identity(), db.head());
    let peers = db.peers().await.map(|peers| peers.len() as u64);
    let _ = db.close().await;
    let encrypted = if encrypted { "encrypted" } else { "not encrypted" };
    let mut text = format!(
        "database {:?}, node {}, a {}, at commit {head}, {encrypted}",
        identity.database, identity.node, identity.role
    );
    match peers {
        Ok(peers) => {
            let _ = write!(text, ", with {}", count(peers, "peer"));
            Finding::ok(CHECK, path.display(), text)
        }
        Err(error) => {
            let text = format!("its peers can't be read: {}", with_causes(&error));
            Finding::fault(CHECK, path.display(), text, "restore it from a peer or a backup")
        }
    }
}

fn fault(path: &Path, error: &DatabaseError, password: Option<&Password>) -> Finding {
    let source = password.map_or("", Password::source);
    let (text, remedy) = match error {
        DatabaseError::WrongPassword { .. } => (
            format!("the password, which was taken from {source}, is wrong"),
            "give the right one by --password-file FILE or BLAZE_PASSWORD; if it is the right \
             one, the file is damaged, or no database: restore it from a peer or a backup"
                .to_owned(),
        ),
        DatabaseError::PasswordRequired { .. } => (
            "it is encrypted and no password is given, or it is no database at all: the two look \
             the same"
                .to_owned(),
            "give the password by --password-file FILE or BLAZE_PASSWORD".to_owned(),
        ),
        DatabaseError::NotEncrypted { .. } => (
            format!("it is not encrypted, and a password is given by {source}"),
            "leave the password out".to_owned(),
        ),
        DatabaseError::Corrupt { reason, .. } => {
            parted(reason, "restore it from a peer or a backup")
        }
        DatabaseError::OtherDatabase { found, asked, .. } => (
            format!("it holds database {found:?}, not {asked:?}"),
            format!("leave --database out, or give --database {found}"),
        ),
        DatabaseError::Setting { setting: "the log", reason } => {
            (parted(reason, "").0, format!("have them read once: blaze status {}", path.display()))
        }
        DatabaseError::Setting { setting: "the journal", reason } => (
            parted(reason, "").0,
            format!("have it undone, by opening it once: blaze serve {}", path.display()),
        ),
        DatabaseError::Setting { reason, .. } => parted(
            reason,
            &format!("check the path, or make the database: blaze serve {}", path.display()),
        ),
        DatabaseError::Stored(_) => {
            parted(&with_causes(error), "restore it from a peer or a backup")
        }
        other => parted(&with_causes(other), "look at what the system says, and at the disk"),
    };
    Finding::fault(CHECK, path.display(), text, remedy)
}

/// Who has it open for writing, which only one process can.
fn writer(path: &Path) -> Finding {
    const CHECK: &str = "lock";
    let lock = beside(path, ".lock");
    let noted = process::noted_pid(&lock);
    let hint = |text: String, pid| {
        let remedy = format!(
            "others can only read it meanwhile; to write it, end that process (kill {pid}), or let \
             each app have a file of its own and sync the two"
        );
        Finding::hint(CHECK, path.display(), text, remedy)
    };
    match (process::lock_holder(&lock, noted), noted) {
        (Holder::Process(pid), _) => {
            hint(format!("locked by {}, which has it open", process::described(pid)), pid)
        }
        (Holder::Unknown, Some(pid)) if is_alive(pid) => {
            hint(format!("perhaps locked by pid {pid}, which had it open last and lives"), pid)
        }
        _ if fs::symlink_metadata(&lock).is_err() => {
            Finding::ok(CHECK, path.display(), "nobody has it open, and nobody had")
        }
        _ => Finding::ok(CHECK, path.display(), "nobody has it open for writing"),
    }
}

fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}
