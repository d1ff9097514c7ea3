//! Peers that take their time to say hello.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use blaze_codec::frame::header;
use blaze_codec::message::{Message, Reason};

use super::{Attack, CONNECTION_KIB, Field, Outcome, Over, PLACES};
use crate::wire::{Wire, hello};

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack {
            name: "silence",
            about: "more connections than there are places, of which none says anything",
            over: Over::Both,
            quickly_over: Over::Unix,
            grows_kib: PLACES as u64 * CONNECTION_KIB,
            run: silence,
        },
        Attack {
            name: "dribble",
            about: "hellos that come byte by byte",
            over: Over::Both,
            quickly_over: Over::Tcp,
            grows_kib: PLACES as u64 * CONNECTION_KIB,
            run: dribble,
        },
    ]
}

/// Beyond the places, but not beyond the queue of a Unix socket behind them.
const SILENT: usize = PLACES + 44;

/// A handshake may take 5 s (`Limits::handshake_ms`), and those beyond the places wait for as
/// long before theirs begins.
const REFUSED_MAX: Duration = Duration::from_secs(30);

fn silence(field: &Field<'_>) -> Result<Outcome> {
    let started = Instant::now();
    let count = field.scale(PLACES / 2, SILENT);
    let wires: Result<Vec<_>> = (0..count).map(|_| field.target.connect()).collect();
    refused(wires?, started)
}

fn dribble(field: &Field<'_>) -> Result<Outcome> {
    /// Slow enough that a hello takes longer than a handshake may.
    const PAUSE: Duration = Duration::from_millis(250);
    let started = Instant::now();
    let wires: Result<Vec<_>> = (0..field.scale(64, 200)).map(|_| field.target.connect()).collect();
    let mut wires = wires?;
    let body = Message::Hello(hello(1)).encode();
    let bytes = [&header(&body)[..], &body].concat();
    for byte in bytes.chunks(1) {
        let told = wires.iter_mut().filter_map(|wire| wire.write(byte).then_some(()));
        if told.count() < wires.len() {
            break;
        }
        sleep(PAUSE);
    }
    refused(wires, started)
}

/// Sees each refused for its silence, and all of them soon.
fn refused(wires: Vec<Wire>, started: Instant) -> Result<Outcome> {
    let (tried, mut saw) = (wires.len(), String::new());
    for wire in wires {
        saw = wire.refused(Reason::Timeout, "nothing heard from you for")?;
    }
    let took = started.elapsed();
    ensure!(took < REFUSED_MAX, "the last one was refused after {took:?}");
    Ok(Outcome::new(tried as u64, format!("{saw}, all within {:.1} s", took.as_secs_f64())))
}
