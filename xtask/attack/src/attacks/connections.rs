//! Connections without end, and a hub that has no descriptors left for them.

use std::time::Duration;

use anyhow::{Context as _, Result};
use blaze_codec::message::Message;

use super::{Attack, CONNECTION_KIB, Field, Outcome, Over, PLACES};

/// Descriptors that the hub has left when they run out.
const LEFT: u64 = 24;

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack {
            name: "connections",
            about: "10,000 connections that come and go, some with a few bytes",
            over: Over::Both,
            quickly_over: Over::Both,
            grows_kib: PLACES as u64 * CONNECTION_KIB,
            run: connections,
        },
        Attack {
            name: "descriptors",
            about: "more connections than the hub has descriptors (RLIMIT_NOFILE)",
            over: Over::Both,
            quickly_over: Over::Both,
            grows_kib: PLACES as u64 * CONNECTION_KIB,
            run: descriptors,
        },
    ]
}

fn connections(field: &Field<'_>) -> Result<Outcome> {
    let tried = field.scale(1_000, 10_000);
    for number in 0..tried {
        let mut wire = field.target.connect()?;
        if number % 4 == 0 {
            wire.write(b"hello");
        }
    }
    answers(field)?;
    Ok(Outcome::new(tried, "all were taken, and whoever came after them was served"))
}

fn descriptors(field: &Field<'_>) -> Result<Outcome> {
    let open = field.hub.descriptors()?.all() as u64;
    let before = field.hub.limit_descriptors(open + LEFT)?;
    let tried = 4 * LEFT;
    let starved = starve(field, tried);
    field.hub.limit_descriptors(before)?;
    starved?;
    answers(field)?;
    Ok(Outcome::new(tried, format!("waited, with {LEFT} descriptors left; served when there were")))
}

/// Takes all descriptors, for long enough that the honest peers need some.
fn starve(field: &Field<'_>, connections: u64) -> Result<()> {
    let wires = (0..connections).map(|_| field.target.connect()).collect::<Result<Vec<_>>>()?;
    // The hub is to stay in want for a while; nothing tells when that has been long enough.
    std::thread::sleep(Duration::from_secs(field.scale(1, 3)));
    drop(wires);
    Ok(())
}

/// Sees that the hub answers a hello.
fn answers(field: &Field<'_>) -> Result<()> {
    let mut wire = field.target.greeted(1, |_| ())?;
    wire.hear_until(|message| matches!(message, Message::Hello(_)))
        .context("the hub doesn't answer after it")?;
    wire.end()
}
