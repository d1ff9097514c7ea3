//! The file of tickets: a line a ticket, with what its proof is checked by, never its secret.
//!
//! | line | of a ticket that |
//! |---|---|
//! | `open ID EXPIRES WRONG VERIFIER TERMS` | can be redeemed, after so many wrong proofs |
//! | `taken ID EXPIRES` | somebody is redeeming |
//! | `paired ID EXPIRES KEY WORDS TERMS` | was redeemed by that key; the words are joined by hyphens |
//! | `burned ID EXPIRES` | too many proofs were wrong of |
//! | `failed ID EXPIRES REASON` | broke off |

use std::path::{Path, PathBuf};

use super::{
    WRONG_MAX,
    store::{Outcome, State, Stored},
};
use crate::{
    hex,
    own_file::{self, ReadError, WriteError},
    pairing::{Paired, PairingError, proof::Verifier},
    trust::file::{parse_terms, terms},
};

/// The first line: what the file is, and the version of its form.
const HEADER: &str = "blaze-tickets-1";
/// Some hundreds of tickets.
const FILE_BYTES_MAX: u32 = 64 * 1024;
/// Nobody else may even know that there are tickets.
const FORBIDDEN: u32 = 0o077;

/// Reads the tickets; none if there's no file yet.
pub(super) fn read(path: &Path) -> Result<Vec<Stored>, PairingError> {
    let text = match own_file::read(path, FORBIDDEN, FILE_BYTES_MAX) {
        Ok(text) => text,
        Err(ReadError::Missing) => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(path, error)),
    };
    let mut lines = text.lines();
    if lines.next() != Some(HEADER) {
        return Err(unusable(path, format!("its first line is not {HEADER}; remove it")));
    }
    let read = (2..).zip(lines).map(|(number, line)| {
        parse(line).ok_or_else(|| unusable(path, format!("line {number} is no ticket; remove it")))
    });
    read.collect()
}

/// Changes the tickets in the file; nobody else does so meanwhile.
pub(super) fn update<T>(
    path: &Path,
    change: impl FnOnce(&mut Vec<Stored>) -> T,
) -> Result<T, PairingError> {
    let failed = |error: WriteError| unusable(path, error.to_string());
    let _lock = own_file::lock(path).map_err(failed)?;
    let mut tickets = read(path)?;
    let before = lines(&tickets);
    let changed = change(&mut tickets);
    let after = lines(&tickets);
    // A stranger who guesses at tickets mustn't make this disk busy.
    if after != before {
        own_file::replace(path, &[HEADER, "\n", &after]).map_err(failed)?;
    }
    Ok(changed)
}

fn lines(tickets: &[Stored]) -> String {
    tickets.iter().map(line).collect()
}

fn line(ticket: &Stored) -> String {
    let place = format!("{} {}", hex::encode(&ticket.id), ticket.expires_ms);
    let line = match &ticket.state {
        State::Open { wrong, verifier, peer } => {
            let verifier = hex::encode(&*verifier.to_bytes());
            format!("open {place} {wrong} {verifier} {}", terms(peer))
        }
        State::Taken => format!("taken {place}"),
        State::Ended(Outcome::Paired(Paired { key, peer, words })) => {
            format!("paired {place} {key} {} {}", words.replace(' ', "-"), terms(peer))
        }
        State::Ended(Outcome::Burned) => format!("burned {place}"),
        State::Ended(Outcome::Failed(reason)) => {
            format!("failed {place} {}", reason.replace(char::is_control, " "))
        }
        State::Ended(Outcome::Expired) => return String::new(),
    };
    line + "\n"
}

fn parse(line: &str) -> Option<Stored> {
    let mut parts = line.splitn(4, ' ');
    let kind = parts.next()?;
    let id = hex::decode(parts.next()?)?;
    let expires_ms = parts.next()?.parse().ok()?;
    let rest = parts.next();
    let state = match (kind, rest) {
        ("open", Some(rest)) => {
            let mut parts = rest.splitn(3, ' ');
            // With more of them it would have been burned.
            let wrong = parts.next()?.parse().ok().filter(|wrong| *wrong < WRONG_MAX)?;
            let verifier = Verifier::from_bytes(&hex::decode(parts.next()?)?);
            State::Open { wrong, verifier, peer: parse_terms(parts.next()?).ok()? }
        }
        ("taken", None) => State::Taken,
        ("paired", Some(rest)) => {
            let mut parts = rest.splitn(3, ' ');
            let key = parts.next()?.parse().ok()?;
            let words = parts.next()?.replace('-', " ");
            let peer = parse_terms(parts.next()?).ok()?;
            State::Ended(Outcome::Paired(Paired { key, peer, words }))
        }
        ("burned", None) => State::Ended(Outcome::Burned),
        ("failed", Some(reason)) => State::Ended(Outcome::Failed(reason.to_owned())),
        _ => return None,
    };
    Some(Stored { id, expires_ms, state })
}

fn unreadable(path: &Path, error: ReadError) -> PairingError {
    let problem = match error {
        ReadError::TooOpen { mode } => {
            format!("others have rights to it (mode {mode:04o}, expected 0600); remove it")
        }
        ReadError::ForeignOwner { uid, expected } => {
            format!("it belongs to uid {uid}, expected {expected}; remove it")
        }
        ReadError::Folder(problem) => problem,
        ReadError::Unexpected(problem) => format!("{problem}; remove it"),
        ReadError::Missing => "it is missing".to_owned(),
        ReadError::Io(source) => format!("it can not be read: {source}"),
    };
    unusable(path, problem)
}

fn unusable(path: &Path, problem: String) -> PairingError {
    PairingError::TicketFile { path: PathBuf::from(path), problem }
}
