//! Names and keys that are made to collide in weak hashes: what peers choose must cost no more
//! than what chance does.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use blaze_codec::message::{Message, encode_changes};
use blaze_codec::{Change, Hlc, Operation, Record, RecordKey, Seq, Value};

use super::rules::insert;
use super::{Attack, Field, Outcome, Over};

/// What one operation or field may take while it is decoded, staged, merged, kept for sessions
/// and encoded for them.
const EACH_KIB: u64 = 3;

/// Names of each kind.
const QUICK: usize = 2_000;
const FULL: usize = 24_000;

/// How much longer than by chance it may take, and how long on a busy machine. If all of a full
/// run's collide in a table, they are compared 288 million times, which takes seconds.
const SLOWER_MAX: u32 = 3;
const SLACK: Duration = Duration::from_millis(500);

pub(super) fn attacks() -> Vec<Attack> {
    vec![Attack {
        name: "collisions",
        about: "collections, keys and fields that collide in weak hashes",
        over: Over::Both,
        quickly_over: Over::Both,
        grows_kib: FULL as u64 * EACH_KIB,
        run: collisions,
    }]
}

/// What the names are of.
#[derive(Debug, Clone, Copy)]
enum Of {
    Collections,
    Keys,
    Fields,
}

fn collisions(field: &Field<'_>) -> Result<Outcome> {
    let count = field.scale(QUICK, FULL);
    let mut random = fastrand::Rng::with_seed(field.seed);
    let mut saw = Vec::new();
    let mut tried = 0;
    for of in [Of::Collections, Of::Keys, Of::Fields] {
        let chance = time(field, of, &by_chance(count, &mut random), &mut random)?;
        let mut worst = Duration::ZERO;
        let weak: [fn(usize) -> Vec<String>; 3] = [by_31, by_33, by_fnv];
        for names in weak {
            let mut names = names(count);
            // In order they would be found without a table.
            random.shuffle(&mut names);
            worst = worst.max(time(field, of, &names, &mut random)?);
            tried += 1;
        }
        ensure!(
            worst <= chance * SLOWER_MAX + SLACK,
            "{count} colliding {of:?} took {worst:?}, as many by chance {chance:?}"
        );
        saw.push(format!("{of:?} {} ms ({})", worst.as_millis(), chance.as_millis()));
    }
    let saw = saw.join(", ").to_lowercase();
    Ok(Outcome::new(tried, format!("merged like any {count}, by chance in brackets: {saw}")))
}

/// Sends what has these names as one transaction, and waits until it is merged.
fn time(
    field: &Field<'_>,
    of: Of,
    names: &[String],
    random: &mut fastrand::Rng,
) -> Result<Duration> {
    // Each by a node that nobody knows, so that all of it is new.
    let node = random.u64(1 << 32..);
    let insert_of = |(number, name): (usize, &String)| -> Result<Operation> {
        let mut operation = insert(Hlc::from_millis(1 + number as u64), node);
        match of {
            Of::Collections => operation.collection = name.parse()?,
            _ => operation.key = RecordKey::from(name.as_str()),
        }
        Ok(operation)
    };
    let operations: Vec<_> = if matches!(of, Of::Fields) {
        let mut operation = insert(Hlc::from_millis(1), node);
        operation.key = RecordKey::from(i64::from(random.i32(..)));
        let fields = names.iter().map(|name| Ok((name.parse()?, Value::Int(1))));
        operation.change = Change::Insert(fields.collect::<Result<Record>>()?);
        vec![operation]
    } else {
        names.iter().enumerate().map(insert_of).collect::<Result<_>>()?
    };
    let frames = encode_changes(Seq::ZERO, Seq(1), &operations);
    let mut wire = field.target.started(node)?;
    let started = Instant::now();
    for frame in frames {
        ensure!(wire.frame(&frame), "the hub hung up");
    }
    wire.hear_until(|message| matches!(message, Message::Ack(ack) if ack.through == Seq(1)))?;
    let took = started.elapsed();
    wire.end()?;
    Ok(took)
}

/// Names of the length that the colliding ones have.
fn by_chance(count: usize, random: &mut fastrand::Rng) -> Vec<String> {
    (0..count).map(|_| format!("{:032x}", random.u128(..))).collect()
}

/// Names that collide in `hash * 31 + byte`, as Java's strings have it.
fn by_31(count: usize) -> Vec<String> {
    of_pairs(count, ["Aa", "BB"])
}

/// Names that collide in `hash * 33 + byte`, which is djb2.
fn by_33(count: usize) -> Vec<String> {
    of_pairs(count, ["Ab", "BA"])
}

/// Two texts of equal hash may stand for each other anywhere: sixteen pairs are as many names
/// as there are numbers of 16 bits.
fn of_pairs(count: usize, pairs: [&str; 2]) -> Vec<String> {
    let name = |number: usize| (0..16).map(|bit| pairs[number >> bit & 1]).collect();
    (0..count).map(name).collect()
}

/// Names that fall into one of a thousand buckets by FNV-1a.
fn by_fnv(count: usize) -> Vec<String> {
    let hash = |name: &str| {
        name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        })
    };
    let names = (0_u64..).map(|number| format!("{number:032x}"));
    names.filter(|name| hash(name).is_multiple_of(1 << 10)).take(count).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{by_31, by_33, by_fnv};

    #[test]
    fn names_differ_and_their_weak_hashes_do_not() {
        let polynomial = |factor: u32| {
            move |name: &str| {
                let add = |hash: u32, byte| hash.wrapping_mul(factor).wrapping_add(u32::from(byte));
                name.bytes().fold(0, add)
            }
        };
        for (names, factor) in [(by_31(1_000), 31), (by_33(1_000), 33)] {
            let hashes: BTreeSet<_> = names.iter().map(|name| polynomial(factor)(name)).collect();
            assert_eq!(hashes.len(), 1, "{factor}");
            assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 1_000);
        }
        assert_eq!(by_fnv(10).len(), 10);
    }
}
