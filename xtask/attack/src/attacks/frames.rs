//! Frames that are none: lengths that can't be, and frames that never end.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use blaze_codec::frame::header;
use blaze_codec::limits::BODY_BYTES_MAX;
use blaze_codec::message::{ChangesFrame, Message, Reason, TRANSACTION_BYTES_MAX};

use super::{Attack, Field, Outcome, Over};
use crate::wire::hello;

/// Connections that begin a large frame at a time.
const BEGUN: usize = 64;

/// Sessions that send a transaction without end at a time.
const ENDLESS: usize = 2;

/// When the hub hangs up on who says nothing: somewhat before its limits, as it began to count
/// before this side did.
const HANDSHAKE: Duration = Duration::from_millis(4_800);
const SILENCE: Duration = Duration::from_secs(44);

const BODY_KIB: u64 = BODY_BYTES_MAX as u64 / 1024;

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack {
            name: "lengths",
            about: "frames of 0 bytes, of 1, of one more than the limit, and of 2 and 4 GiB",
            over: Over::Both,
            quickly_over: Over::Both,
            // Refused by the header, before memory is reserved.
            grows_kib: 0,
            run: lengths,
        },
        Attack {
            name: "half-frames",
            about: "frames that break off at any byte, and large ones that never end",
            over: Over::Both,
            quickly_over: Over::Both,
            // Of each that has said hello, what came is kept, in a buffer that doubles as it
            // grows; of the others nothing, as no hello is so long.
            grows_kib: BEGUN as u64 / 2 * 2 * BODY_KIB,
            run: half_frames,
        },
        Attack {
            name: "endless-transaction",
            about: "a transaction whose last piece never comes",
            over: Over::Both,
            quickly_over: Over::Both,
            // Of each, 128 MiB of pieces, which share the buffers that they were read into, and
            // what is read of the next ones.
            grows_kib: ENDLESS as u64 * (2 * TRANSACTION_BYTES_MAX as u64 / 1024 + 4 * BODY_KIB),
            run: endless_transaction,
        },
    ]
}

fn lengths(field: &Field<'_>) -> Result<Outcome> {
    let over = u32::try_from(BODY_BYTES_MAX)? + 1;
    let lengths = [0, 1, over, i32::MAX.cast_unsigned(), u32::MAX];
    for length in lengths {
        for (is_greeted, waits) in [(false, HANDSHAKE), (true, SILENCE)] {
            let target = &field.target;
            let mut wire =
                if is_greeted { target.greeted(1, |_| ())? } else { target.connect()? };
            wire.write(&[&length.to_le_bytes()[..], &[1; 4]].concat());
            // By its length alone, without waiting for the rest.
            let written = Instant::now();
            wire.ends()?;
            let took = written.elapsed();
            ensure!(took < waits, "it took {took:?} to hang up on a frame of {length} bytes");
        }
    }
    Ok(Outcome::new(2 * lengths.len() as u64, "hung up at once"))
}

fn half_frames(field: &Field<'_>) -> Result<Outcome> {
    let body = Message::Hello(hello(1)).encode();
    let frame = [&header(&body)[..], &body].concat();
    for end in 0..frame.len() {
        let mut wire = field.target.connect()?;
        wire.write(&frame[..end]);
        wire.end()?;
    }
    let large = vec![5; BODY_BYTES_MAX];
    let large = [&header(&large)[..], &large].concat();
    let mut begun = Vec::new();
    for number in 0..BEGUN {
        // Half of them before their hello.
        let mut wire = match number % 2 {
            0 => field.target.connect()?,
            _ => field.target.greeted(1, |_| ())?,
        };
        wire.write(&large[..large.len() - 1]);
        begun.push(wire);
    }
    for wire in begun {
        wire.end()?;
    }
    Ok(Outcome::new((frame.len() + BEGUN) as u64, "hung up"))
}

fn endless_transaction(field: &Field<'_>) -> Result<Outcome> {
    let piece = ChangesFrame { more: true, payload: vec![0; BODY_BYTES_MAX - 2].into() };
    let piece = Message::Changes(piece).encode();
    let pieces = 2 * TRANSACTION_BYTES_MAX / BODY_BYTES_MAX + 1;
    let mut wires = Vec::new();
    for number in 0..ENDLESS {
        wires.push(field.target.started(number as u64 + 1)?);
    }
    for _ in 0..pieces {
        for wire in &mut wires {
            ensure!(wire.frame(&piece), "hung up before the limit");
        }
    }
    let mut saw = String::new();
    for wire in wires {
        saw = wire.refused(Reason::Violation, "a transaction stays within its limit")?;
    }
    Ok(Outcome::new(ENDLESS as u64, saw))
}
