//! Cuts the power of bare workers and counts what each level loses.

use std::path::Path;

use anyhow::{Result, bail};
use rusqlite::{Connection, OptionalExtension as _};
use serde::Serialize;

use super::{Acked, Task};
use crate::plan::{self, COUNTER, Content, Size, State, mix};
use crate::shim::{EXIT_CUT, Shim, Trouble};
use crate::worker;

/// What became of one level.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Level {
    /// SQLite's name for it.
    pub(crate) synchronous: &'static str,
    /// How often the power was cut.
    pub(crate) cuts: u64,
    /// Commits that were acknowledged.
    pub(crate) acknowledged: u64,
    /// Those of them that were gone.
    pub(crate) lost: u64,
    /// Files that were damaged, or held something else than a first part of the commits.
    pub(crate) corrupt: u64,
}

impl Level {
    /// What is wrong with it, if anything.
    pub(crate) fn violation(&self) -> Option<String> {
        let Self { synchronous, lost, corrupt, cuts, .. } = self;
        let says = match *synchronous {
            "OFF" if *lost == 0 && *corrupt == 0 => "lost nothing: the cuts prove nothing",
            "NORMAL" if *corrupt > 0 => "damaged files",
            "FULL" if *corrupt > 0 || *lost > 0 => "lost commits or damaged files",
            _ => return None,
        };
        Some(format!(
            "control: {synchronous} {says} in {cuts} cuts ({lost} lost, {corrupt} corrupt)"
        ))
    }
}

/// Runs each level through so many cuts.
pub(crate) fn run(shim: &Shim, folder: &Path, seed: u64, cuts: u64) -> Result<Vec<Level>> {
    let mut levels = Vec::new();
    for synchronous in ["OFF", "NORMAL", "FULL"] {
        let mut level = Level { synchronous, cuts: 0, acknowledged: 0, lost: 0, corrupt: 0 };
        let mut history = 0;
        while level.cuts < cuts {
            history += 1;
            if history > 10 + cuts {
                bail!(
                    "the power isn't cut: the library powercut.so can't be loaded from {}",
                    folder.display()
                );
            }
            follow(shim, folder, mix(seed, history), cuts, &mut level)?;
        }
        levels.push(level);
    }
    Ok(levels)
}

/// One file through several cuts, until one of them damages it.
fn follow(shim: &Shim, folder: &Path, seed: u64, cuts: u64, level: &mut Level) -> Result<()> {
    let folder = tempfile::tempdir_in(folder)?;
    let folder = folder.path().canonicalize()?;
    let path = folder.join("bare.db");
    let (mut state, mut done) = (State::new(), 0);
    for round in 0..8 {
        if level.cuts >= cuts {
            break;
        }
        let seed = mix(seed, round);
        let mut rng = fastrand::Rng::with_seed(seed);
        let (path, synchronous) = (path.clone(), level.synchronous.to_owned());
        let task = Task { path: path.clone(), synchronous, seed, commits: 400 };
        let mut command = worker::command("bare-worker", &task)?;
        let trouble = Trouble { seed, cut_at: rng.u64(1..1500), failure: None };
        shim.arm(&mut command, &folder, trouble);
        let outcome = worker::run::<Acked>(command)?;
        match outcome.status.code() {
            Some(EXIT_CUT) => level.cuts += 1,
            Some(0) => {}
            _ => bail!("a bare worker ended with {}: {}", outcome.status, outcome.complaint),
        }
        level.acknowledged += outcome.said.len() as u64;
        let acked = outcome.said.last().map_or(done, |Acked(number)| *number);
        let Some((found, survived)) = read(&path) else {
            (level.corrupt, level.lost) = (level.corrupt + 1, level.lost + acked - done);
            break;
        };
        level.lost += acked.saturating_sub(survived);
        for number in done + 1..=survived.min(acked + 1) {
            plan::apply(&mut state, &plan::writes(seed, 0, number, Size::Small));
        }
        // A loss of what an earlier cut had left counts as damage too.
        if found != state || survived < done || survived > acked + 1 {
            level.corrupt += 1;
            break;
        }
        done = survived;
    }
    Ok(())
}

/// What a database holds and its last commit; `None` if it is damaged.
fn read(path: &Path) -> Option<(State, u64)> {
    let conn = Connection::open(path).ok()?;
    let check: String = conn.pragma_query_value(None, "integrity_check", |row| row.get(0)).ok()?;
    if check != "ok" {
        return None;
    }
    let survived = counter(&conn).ok()?;
    let mut state = State::new();
    if survived == 0 {
        return Some((state, survived));
    }
    let mut select = conn.prepare("SELECT key, mark, padding FROM t WHERE key <> ?1").ok()?;
    let mut rows = select.query([COUNTER]).ok()?;
    while let Some(row) = rows.next().ok()? {
        let padding: Vec<u8> = row.get(2).ok()?;
        let content = Content { mark: row.get(1).ok()?, bytes: padding.len() };
        if padding != plan::padding(content) {
            return None;
        }
        state.insert(row.get(0).ok()?, content);
    }
    Some((state, survived))
}

/// The number of the last commit, 0 before the first.
pub(super) fn counter(conn: &Connection) -> rusqlite::Result<u64> {
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 't'";
    if conn.query_row(tables, [], |row| row.get::<_, i64>(0))? == 0 {
        return Ok(0);
    }
    let select = "SELECT mark FROM t WHERE key = ?1";
    let found = conn.query_row(select, [COUNTER], |row| row.get::<_, i64>(0)).optional()?;
    Ok(found.unwrap_or_default().cast_unsigned())
}
