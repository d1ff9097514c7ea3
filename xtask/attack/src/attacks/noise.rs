//! Random bytes, and real ones with a few changed, a case a connection: whatever isn't taken
//! ends the session, so that a connection has no second case.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result};
use blaze_codec::frame::header;
use blaze_codec::limits::BODY_BYTES_MAX;
use blaze_codec::message::{
    Ack, Body, Compression, Goodbye, Message, Reason, Start, encode_changes,
};
use blaze_codec::{Hlc, Seq};
use bytes::Bytes;
use fastrand::Rng;

use super::rules::insert;
use super::{Attack, Field, Outcome, Over};
use crate::wire::{Target, hello, resume};

/// Attackers at a time, each of a node of its own.
const ATTACKERS: u64 = 4;

/// Of so many cases, one goes on after a hello: that makes the hub read and write its database,
/// which takes twenty times as long as the others.
const GREETED: u64 = 10;

/// Their nodes are others than those of changed hellos: of two histories of one node, the hub
/// takes one for a copy's, and is right.
const GREETED_NODES: u64 = 1 << 40;

/// Cases of a quick run and of a full one, over each transport.
const CASES: (u64, u64) = (4_000, 500_000);

pub(super) fn attacks() -> Vec<Attack> {
    vec![Attack {
        name: "noise",
        about: "random bytes, and hellos and messages with a few bytes changed",
        over: Over::Both,
        quickly_over: Over::Both,
        // What an attacker sent, in a buffer that doubles, and what was decoded of it.
        grows_kib: ATTACKERS * 4 * BODY_BYTES_MAX as u64 / 1024,
        run: noise,
    }]
}

fn noise(field: &Field<'_>) -> Result<Outcome> {
    let cases = field.scale(CASES.0, CASES.1);
    let (next, started) = (AtomicU64::new(0), Instant::now());
    let (Field { target, seed, .. }, templates) = (field, templates());
    thread::scope(|scope| {
        let attack = |attacker| {
            let (next, templates) = (&next, &templates);
            move || -> Result<()> {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= cases {
                        return Ok(());
                    }
                    case(target, *seed, templates, attacker, number)
                        .with_context(|| format!("case {number} of seed {seed}"))?;
                }
            }
        };
        let attackers: Vec<_> =
            (1..=ATTACKERS).map(|attacker| scope.spawn(attack(attacker))).collect();
        attackers.into_iter().try_for_each(|attacker| attacker.join().expect("it doesn't panic"))
    })?;
    #[expect(clippy::cast_precision_loss, reason = "it is told without decimals")]
    let rate = cases as f64 / started.elapsed().as_secs_f64();
    Ok(Outcome::new(cases, format!("hung up or goodbye, at {rate:.0} cases a second")))
}

/// Says one thing that is none, and waits until the hub hangs up.
fn case(target: &Target, seed: u64, templates: &[Bytes], attacker: u64, number: u64) -> Result<()> {
    let mut random = Rng::with_seed(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    if number.is_multiple_of(GREETED) {
        let mut wire = target.started(GREETED_NODES + attacker)?;
        let body = changed(&templates[random.usize(..templates.len())], &mut random);
        if !says_copy(&body) {
            wire.frame(&body);
        }
        return wire.end();
    }
    let mut wire = target.connect()?;
    let greeting = Message::Hello(hello(attacker)).encode();
    match number % 3 {
        0 => {
            let mut bytes = vec![0; random.usize(..300)];
            random.fill(&mut bytes);
            wire.write(&bytes);
        }
        1 => {
            wire.frame(&changed(&greeting, &mut random));
        }
        _ => {
            let frame = [&header(&greeting)[..], &greeting].concat();
            wire.write(&changed(&frame, &mut random));
        }
    }
    wire.end()
}

/// Whether it tells the hub that it is a copy. A peer is believed that, and the hub takes another
/// node id, once a minute, for which its links begin anew: no noise, but what is agreed on.
fn says_copy(body: &[u8]) -> bool {
    let message = Message::decode(Bytes::copy_from_slice(body));
    matches!(message, Ok(Message::Goodbye(goodbye)) if goodbye.reason == Reason::SameNode)
}

/// What peers say after their hello.
fn templates() -> Vec<Bytes> {
    let operations: Vec<_> = (0..64).map(|at| insert(Hlc::from_millis(1 + at), 1)).collect();
    let batch = encode_changes(Seq::ZERO, Seq(1), &operations).swap_remove(0);
    let compressed = Body::from(batch.clone()).compressed(Compression::Lz4);
    let goodbye = Goodbye { reason: Reason::Shutdown, message: "bye".into() };
    vec![
        encode_changes(Seq::ZERO, Seq(1), &operations[..1]).swap_remove(0),
        batch,
        compressed,
        resume().encode(),
        Message::Ack(Ack { through: Seq(1), credit: 9, head: Seq(1) }).encode(),
        Message::Start(Start { roll: None }).encode(),
        Message::Ping(7).encode(),
        Message::Goodbye(goodbye).encode(),
        Message::Definitions(vec![1, 2, 3, 4, 5, 6].into()).encode(),
    ]
}

/// The bytes with one to four changes.
fn changed(bytes: &[u8], random: &mut Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..random.usize(1..=4) {
        let at = random.usize(..=bytes.len());
        match random.u8(..6) {
            0 => bytes.insert(at, random.u8(..)),
            1 => bytes.truncate(at),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 => {
                let piece = bytes[at..].to_vec();
                bytes.extend(piece);
            }
            4 if at < bytes.len() => bytes[at] = random.u8(..),
            _ if at < bytes.len() => bytes[at] ^= 1 << random.u8(..8),
            _ => {}
        }
    }
    bytes
}
