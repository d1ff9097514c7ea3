//! A session whose peer is hostile: what it is sent after a proper hello, and when, is told
//! by a script. It must not panic, stay within its memory, its credit and its order, and
//! once it has ended say goodbye and nothing more.

mod driver;
mod scopes;
mod script;

use blaze_codec::message::{
    Ack, BODY_BYTES_MAX, Body, Compression, Goodbye, Message, Range, Reason, Resume, Start,
    encode_roll,
};
use blaze_codec::{Change, Checkpoint, Incarnation, Name, Operation, Seq, Value, record};
use blaze_sync_protocol::Input;
use bytes::Bytes;

use self::driver::{Driver, PEER, WALL_MS};
pub(crate) use self::script::{Script, Step};

use super::{batch, known};
use crate::bound::Bound;
use crate::make::{self, Versions};
use crate::mutate;
use crate::source::Source;

/// What a session may have at once for all the bytes of frames that it has got, its needs
/// while it takes the next one included. A delete takes a byte, and is an operation in a
/// list that grows to twice its room as others join it, while the old one is still there;
/// the frame lies beside it, and again as its pieces are put together. Operations with
/// values take less than that: those are moved as they are. Bytes are those of frames as
/// they are expanded. Beside that are the places of the peer's dictionary, a frame that
/// claims to be compressed and isn't, what is reserved for elements, and the session itself.
pub(super) const SESSION: Bound = Bound {
    what: "a session",
    per_byte: 3 * size_of::<Operation>() + 2,
    fixed: known::DEFINITIONS.fixed + BODY_BYTES_MAX + batch::RESERVED + 64 * 1024,
};

/// A transaction that needs two frames.
const LARGE_BYTES: usize = 1_100_000;

pub(super) fn run(input: &[u8]) {
    play(input).close();
}

/// Goes through a script, as far as the session lives.
fn play(input: &[u8]) -> Driver {
    let mut source = Source::new(input);
    let mut driver = Driver::new(&mut source);
    let mut large = false;
    while !source.is_empty() && !driver.has_ended() {
        let step = Step::of(source.byte());
        let mut part = source.part();
        match step {
            Step::Large if std::mem::replace(&mut large, true) => {}
            _ => take(step, &mut part, &mut driver),
        }
    }
    driver
}

fn take(step: Step, source: &mut Source<'_>, driver: &mut Driver) {
    match step {
        Step::Raw => driver.frame(Bytes::copy_from_slice(source.rest())),
        Step::Changes => changes(source, driver, false),
        Step::Damaged => changes(source, driver, true),
        Step::Defined => defined(source, driver),
        Step::Compressed => {
            let range = range(source, driver);
            let operations = make::operations(&mut source.clone(), Versions::Sane(WALL_MS));
            for frame in range.encode(&operations) {
                let frame = compressed(frame, source);
                driver.frame(if source.one_in(20) { damaged(frame, source) } else { frame });
            }
        }
        Step::Large => {
            let text = Value::from("x".repeat(LARGE_BYTES));
            let range = range(source, driver);
            let operations = make::operations(source, Versions::Sane(WALL_MS));
            let large = |operation: &Operation| Operation {
                change: Change::Insert(record! { "text" => text.clone() }),
                ..operation.clone()
            };
            let operations: Vec<_> = operations.iter().take(1).map(large).collect();
            let frames = range.encode(&operations);
            let sent = if source.one_in(60) { 1 } else { frames.len() };
            for frame in frames.into_iter().take(sent) {
                let frame = if source.one_in(60) { compressed(frame, source) } else { frame };
                driver.frame(frame);
            }
        }
        Step::Roll => {
            let named = |operation: Operation| Operation {
                change: Change::Update(names_of(&operation)),
                ..operation
            };
            let after = driver.rolled;
            let through = Seq(after.0.saturating_add(source.below(6) as u64));
            let operations = make::operations(source, Versions::Sane(WALL_MS));
            let operations: Vec<_> = operations.into_iter().map(named).collect();
            driver.rolled = through;
            if let Some(frame) = encode_roll(after, through, &operations) {
                driver.frame(damaged(frame, source));
            }
        }
        Step::Resume => {
            let last = source.one_in(128).then(|| place(source));
            let after = Seq(source.below(12) as u64);
            let credit = if source.one_in(200) { 1 << 20 } else { source.number() };
            driver.message(&Message::Resume(Resume { after, last, credit }));
        }
        Step::Start => {
            let roll = source.one_in(100).then(|| Seq(source.below(12) as u64));
            driver.message(&Message::Start(Start { roll }));
        }
        Step::Ack => {
            let through = if source.one_in(5) { u64::MAX } else { source.below(40) as u64 };
            let through = Seq(through);
            let (credit, head) = (source.number(), Seq(source.number()));
            driver.message(&Message::Ack(Ack { through, credit, head }));
        }
        Step::Ping => driver.message(&Message::Ping(source.number())),
        Step::Goodbye => {
            let message = String::from_utf8_lossy(source.rest()).into_owned();
            driver.message(&Message::Goodbye(Goodbye { reason: Reason::Busy, message }));
        }
        Step::Time => driver.wait(source.number()),
        Step::Answer => driver.answer(),
        Step::Commit => driver.commit(),
        Step::Hold => driver.hold(source.byte()),
        Step::Local => driver.local(match source.below(5) {
            0 => Input::Disconnected("cut".to_owned()),
            1 => Input::Copied,
            2 => Input::Renewed,
            3 => Input::StorageFailed { reason: "full".to_owned(), retryable: true },
            _ => Input::Close,
        }),
    }
}

/// Changes that follow those before, mostly.
fn changes(source: &mut Source<'_>, driver: &mut Driver, damage: bool) {
    let range = range(source, driver);
    let kind = if source.one_in(240) { Versions::Sane(WALL_MS) } else { Versions::Any };
    let mut decisions = if damage { source.part() } else { source.clone() };
    let frames = range.encode(&make::operations(&mut decisions, kind));
    for frame in frames {
        driver.frame(if damage { damaged(frame, source) } else { frame });
    }
}

/// Changes by the peer's dictionary, of which most of what they need is told.
fn defined(source: &mut Source<'_>, driver: &mut Driver) {
    let range = range(source, driver);
    let forgotten = source.one_in(10);
    let operations = make::operations(&mut source.clone(), Versions::Sane(WALL_MS));
    let encoded = driver.peer.encode(&range, &operations);
    for definition in encoded.needs.iter() {
        if !forgotten && driver.defined.insert(definition.entry) {
            driver.frame(definition.frame.clone());
        }
    }
    for frame in encoded.frames {
        driver.frame(frame.bytes().clone());
    }
}

fn compressed(frame: Bytes, source: &mut Source<'_>) -> Bytes {
    let method = source.pick(&[Compression::Lz4, Compression::Lz4, Compression::Zstd]);
    Body::from(frame).compressed(method)
}

fn damaged(frame: Bytes, source: &mut Source<'_>) -> Bytes {
    if source.is_empty() { frame } else { mutate::by_decisions(&frame, source).into() }
}

fn range(source: &mut Source<'_>, driver: &mut Driver) -> Range {
    let gap = if source.one_in(10) { source.below(4) as u64 } else { 0 };
    let after = Seq(driver.told.0.saturating_add(gap));
    let more = if source.one_in(250) { source.below(5) as u64 } else { source.number() };
    let through = Seq(after.0.saturating_add(more));
    driver.told = through;
    let left_out = source.one_in(50);
    let mut roots: Vec<_> = (0..source.below(6)).map(|_| place(source)).collect();
    roots.sort_by_key(|root| root.incarnation);
    roots.dedup_by_key(|root| root.incarnation);
    let roots = if left_out { Vec::new() } else { roots };
    Range { left_out, roots, ..Range::new(after, through) }
}

fn place(source: &mut Source<'_>) -> Checkpoint {
    let incarnation = Incarnation(source.pick(&[PEER, PEER, 1, 2, 77, u64::MAX, 500]));
    Checkpoint { incarnation, seq: Seq(source.below(20) as u64) }
}

/// What a roll tells of a record: names without values.
fn names_of(operation: &Operation) -> Vec<(Name, Option<Value>)> {
    match &operation.change {
        Change::Insert(record) => record.names().iter().map(|name| (name.clone(), None)).collect(),
        Change::Update(fields) => fields.iter().map(|(name, _)| (name.clone(), None)).collect(),
        Change::Delete => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use blaze_codec::{Hlc, NodeId, RecordKey, Version};

    use super::*;
    use crate::bound::Seen;
    use crate::seeds;
    use crate::targets::Target;

    #[test]
    fn the_worst_that_is_known_is_within_the_bound_and_not_far() {
        let deletes = |after: u64, count: i64| {
            let operation = |key: i64| Operation {
                collection: Name::new("c").expect("a name"),
                key: RecordKey::Int(key % 2),
                version: Version {
                    epoch: Hlc::ZERO,
                    hlc: Hlc::from_millis(WALL_MS),
                    node: NodeId::ZERO,
                },
                base: Version::ZERO,
                change: Change::Delete,
            };
            let operations: Vec<_> = (0..count).map(operation).collect();
            // Where some are left out, as many are kept as come.
            let range = Range { left_out: after > 0, ..Range::new(Seq(after), Seq(after + 1)) };
            range.encode(&operations)
        };
        Seen::take();
        let mut driver = Driver::new(&mut Source::new(&[4]));
        driver.hold(1);
        // The first is being merged, the others wait together.
        for (after, count) in [1, 60_000, 4].into_iter().enumerate() {
            for frame in deletes(after as u64, count) {
                driver.frame(frame);
            }
        }
        assert!(!driver.has_ended() && driver.has_merged());
        driver.close();
        let seen = Seen::take();
        eprintln!("{} bytes took {} times that", seen.input, seen.peak / seen.input);
        assert!(seen.share() > 0.5, "the bound could be {} of what it is", seen.share());
    }

    #[test]
    fn the_seeds_get_as_far_as_changes_both_ways_and_as_an_end() {
        let drivers: Vec<_> = seeds::of(Target::Session).iter().map(|seed| play(seed)).collect();
        let count = |is: fn(&Driver) -> bool| drivers.iter().filter(|driver| is(driver)).count();
        let (merged, sent) = (count(Driver::has_merged), count(Driver::has_sent));
        let ended = count(Driver::has_ended);
        assert!(merged > 5 && sent > 5 && ended > 5, "{merged} merged, {sent} sent, {ended} ended");
    }
}
