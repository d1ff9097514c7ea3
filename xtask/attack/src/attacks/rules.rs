//! Sessions that do what their mode, or the clock, doesn't allow.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use blaze_codec::message::{Ack, Message, Reason, Resume, Start, encode_changes};
use blaze_codec::{Change, Hlc, NodeId, Operation, RecordKey, Seq, Version, record};
use blaze_sync::Mode;

use super::{Attack, Field, Outcome, attack};
use crate::wire::{Wire, resume};

/// The collection that attackers write to.
pub(super) const EVIL: &str = "evil";

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        attack("beyond-mode", "changes on a link that only receives, and the reverse", beyond_mode),
        attack("future-clock", "writes of tomorrow, and of the end of time", future_clock),
        attack("claims", "acks, starts and places of what never was", claims),
    ]
}

/// An insert by the clock of a peer.
pub(super) fn insert(hlc: Hlc, node: u64) -> Operation {
    let node = NodeId::from_bytes(u128::from(node).to_be_bytes());
    Operation {
        collection: EVIL.parse().expect("it is a name"),
        key: RecordKey::from("k"),
        version: Version { epoch: Hlc::ZERO, hlc, node },
        base: Version::ZERO,
        change: Change::Insert(record! { "text" => "hello", "number" => 7 }),
    }
}

/// The body of the frame with one operation.
pub(super) fn changes(operation: Operation) -> Vec<u8> {
    encode_changes(Seq::ZERO, Seq(1), &[operation])[0].to_vec()
}

fn beyond_mode(field: &Field<'_>) -> Result<Outcome> {
    let tried = field.scale(10, 200);
    let mut saw = String::new();
    for _ in 0..tried / 2 {
        let mut reader = field.target.greeted(1, |hello| hello.mode = Mode::ReadOnly)?;
        reader.frame(&changes(insert(Hlc::from_millis(1), 1)));
        saw = reader.refused(Reason::Violation, "changes come only where the mode allows them")?;
        let mut writer = field.target.greeted(1, |hello| hello.mode = Mode::WriteOnly)?;
        writer.say(&resume());
        writer.refused(Reason::Violation, "only where the mode allows them")?;
    }
    Ok(Outcome::new(tried, saw))
}

fn future_clock(field: &Field<'_>) -> Result<Outcome> {
    const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let now = u64::try_from(now)?;
    let clocks = [now + DAY_MS / 24, now + DAY_MS, now + 365 * DAY_MS, (1 << 48) - 1];
    let mut saw = String::new();
    for clock in clocks {
        let mut wire = field.target.started(1)?;
        wire.frame(&changes(insert(Hlc::from_millis(clock), 1)));
        saw = wire.refused(Reason::ClockDrift, "your clock is ahead")?;
    }
    let mut usurped = insert(Hlc::from_millis(1), 1);
    usurped.version.epoch = Hlc::from_bits(u64::MAX);
    let mut wire = field.target.started(1)?;
    wire.frame(&changes(usurped));
    wire.refused(Reason::Violation, "above what its writer saw")?;
    Ok(Outcome::new(clocks.len() as u64 + 1, saw))
}

fn claims(field: &Field<'_>) -> Result<Outcome> {
    let ack = |through| Message::Ack(Ack { through: Seq(through), credit: 0, head: Seq::ZERO });
    let beyond = Resume { after: Seq(1 << 40), last: None, credit: 1 };
    let start = |roll| Message::Start(Start { roll });
    let said: [(&[Message], &str); 8] = [
        (&[resume(), ack(1 << 40)], "an ack covers only what was sent"),
        (&[ack(0)], "an ack answers changes"),
        (&[resume(), resume()], "one resume a session"),
        (&[Message::Resume(beyond)], "holds no more than there is"),
        (&[start(None)], "a start answers a resume"),
        (&[resume(), start(None), start(None)], "one start a session"),
        (&[resume(), start(Some(Seq(1)))], "a roll is of what was merged before"),
        (&[Message::Definitions(vec![255; 64].into())], "can't be decoded"),
    ];
    let mut saw = String::new();
    for (messages, with) in said {
        let mut wire = field.target.greeted(1, |_| ())?;
        wire.hear_until(|message| matches!(message, Message::Resume(_)))?;
        for message in messages {
            wire.say(message);
        }
        saw = wire.refused(Reason::Violation, with)?;
    }
    let mut wire: Wire = field.target.started(1)?;
    wire.frame(&encode_changes(Seq(7), Seq(8), &[])[0]);
    wire.refused(Reason::Violation, "changes follow what was sent before")?;
    Ok(Outcome::new(said.len() as u64 + 1, saw))
}
