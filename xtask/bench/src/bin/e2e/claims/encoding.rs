//! BlazeBinary beside JSON, in a small way: `cargo xtask bench codec` tells more.

use std::hint::black_box;
use std::time::{Duration, Instant};

use blaze_codec::batch::Encoder;
use blaze_codec::{
    Change, Hlc, Name, NodeId, Operation, Record, RecordKey, Timestamp, Value, Version, record,
};
use serde::ser::{Error as _, Serialize, SerializeMap as _, SerializeStruct as _, Serializer};

const OPERATIONS: usize = 1_000;
/// For how long each way is repeated.
const BUDGET: Duration = Duration::from_millis(200);
/// 2025-01-01, in milliseconds since 1970.
const START_MS: u64 = 1_735_689_600_000;

const STATUSES: [&str; 4] = ["open", "triaged", "in progress", "closed"];
const PEOPLE: [&str; 4] = ["ana", "birgit", "chen", "dmitri"];
const WORDS: [&str; 12] = [
    "crash", "on", "start", "when", "offline", "list", "is", "empty", "after", "second", "login",
    "slow",
];

/// How the operations are handed to the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Batch,
    Single,
    /// With a dictionary of names and nodes that the reader has already.
    Session,
}

/// What all operations took, in time and bytes.
#[derive(Debug)]
pub(super) struct Encoding {
    way: Way,
    blaze: (Duration, usize),
    json: (Duration, usize),
}

impl Encoding {
    pub(super) fn measure() -> [Self; 3] {
        let operations = operations();
        let json = measure(|out| {
            let written = operations
                .iter()
                .try_for_each(|operation| serde_json::to_writer(&mut *out, &Json(operation)));
            written.expect("an issue can be JSON");
        });
        [Way::Batch, Way::Single, Way::Session].map(|way| {
            let size = if way == Way::Batch { OPERATIONS } else { 1 };
            let mut encoder =
                if way == Way::Session { Encoder::with_dictionary() } else { Encoder::new() };
            let blaze = measure(|out| {
                operations.chunks(size).for_each(|batch| encoder.encode(batch, out));
            });
            Self { way, blaze, json }
        })
    }

    pub(super) const fn with(&self) -> &'static str {
        match self.way {
            Way::Batch => "1,000 operations",
            Way::Single => "one",
            Way::Session => "one, in a session",
        }
    }

    /// How many times as long JSON took.
    pub(super) fn times_faster(&self) -> f64 {
        self.json.0.as_secs_f64() / self.blaze.0.as_secs_f64()
    }

    /// How many bytes less than JSON's it took.
    #[expect(clippy::cast_precision_loss, reason = "a figure to be printed")]
    pub(super) fn percent_less(&self) -> f64 {
        100.0 - 100.0 * self.blaze.1 as f64 / self.json.1 as f64
    }
}

/// The median time of encoding everything into a buffer that is used again, and its bytes.
fn measure(mut encode: impl FnMut(&mut Vec<u8>)) -> (Duration, usize) {
    let mut bytes = Vec::new();
    let mut times = Vec::new();
    // The first one grows the buffers.
    encode(&mut bytes);
    let end = Instant::now() + BUDGET;
    while times.is_empty() || Instant::now() < end {
        bytes.clear();
        let began = Instant::now();
        encode(black_box(&mut bytes));
        times.push(began.elapsed());
    }
    times.sort_unstable();
    (times[times.len() / 2], bytes.len())
}

/// New issues, as one node would commit them.
fn operations() -> Vec<Operation> {
    let mut rng = fastrand::Rng::with_seed(7);
    let node = NodeId::from_bytes([7; 16]);
    let issues = (START_MS..).take(OPERATIONS).map(|now_ms| Operation {
        collection: Name::new("issues").expect("a name"),
        key: RecordKey::unique(),
        version: Version { epoch: Hlc::ZERO, hlc: Hlc::from_millis(now_ms), node },
        base: Version::ZERO,
        change: Change::Insert(issue(&mut rng, now_ms)),
    });
    issues.collect()
}

fn issue(rng: &mut fastrand::Rng, now_ms: u64) -> Record {
    let mut pick = |from: &[&'static str]| from[rng.usize(..from.len())];
    let status = pick(&STATUSES);
    let assignee = pick(&PEOPLE);
    let title: Vec<_> = std::iter::repeat_with(|| pick(&WORDS)).take(7).collect();
    record! {
        "assignee" => assignee,
        "closed" => status == "closed",
        "created" => Value::Timestamp(Timestamp(now_ms.cast_signed())),
        "priority" => rng.i64(1..=5),
        "status" => status,
        "title" => title.join(" "),
    }
}

/// An operation as an app would write it in JSON.
struct Json<'a, T>(&'a T);

impl Serialize for Json<'_, Operation> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Operation { collection, key, version, change, .. } = self.0;
        let Change::Insert(record) = change else {
            return Err(S::Error::custom("only inserts are compared"));
        };
        let mut operation = to.serialize_struct("Operation", 4)?;
        operation.serialize_field("collection", collection.as_str())?;
        operation.serialize_field("key", &Json(key))?;
        operation.serialize_field("version", &Json(version))?;
        operation.serialize_field("insert", &Json(record))?;
        operation.end()
    }
}

impl Serialize for Json<'_, RecordKey> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self.0)
    }
}

impl Serialize for Json<'_, Version> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut version = to.serialize_struct("Version", 3)?;
        version.serialize_field("epoch", &self.0.epoch.to_bits())?;
        version.serialize_field("hlc", &self.0.hlc.to_bits())?;
        version.serialize_field("node", &format_args!("{}", self.0.node))?;
        version.end()
    }
}

impl Serialize for Json<'_, Record> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = to.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            fields.serialize_entry(name.as_str(), &Json(value))?;
        }
        fields.end()
    }
}

impl Serialize for Json<'_, Value> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Bool(truth) => to.serialize_bool(*truth),
            Value::Int(number) => to.serialize_i64(*number),
            Value::Timestamp(moment) => to.serialize_i64(moment.0),
            Value::Text(text) => to.serialize_str(text.as_str()),
            other => Err(S::Error::custom(format_args!("no issue has a {}", other.kind()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same() {
        let operations = operations();
        let operation = &operations[0];
        let json = serde_json::to_value(Json(operation)).expect("an issue can be JSON");
        let Change::Insert(record) = &operation.change else { panic!("{operation:?}") };
        assert_eq!(json["collection"], "issues");
        assert_eq!(json["key"], operation.key.to_string());
        assert_eq!(json["version"]["node"], operation.version.node.to_string());
        assert_eq!(json["insert"].as_object().map(serde_json::Map::len), Some(record.len()));
        let Some(Value::Int(priority)) = record.get("priority") else { panic!("{record:?}") };
        assert_eq!(json["insert"]["priority"], *priority);
    }

    #[test]
    fn ratios_are_of_json() {
        let encoding = Encoding {
            way: Way::Batch,
            blaze: (Duration::from_micros(20), 250),
            json: (Duration::from_micros(100), 1_000),
        };
        assert!((encoding.times_faster() - 5.0).abs() < 1e-9);
        assert!((encoding.percent_less() - 75.0).abs() < 1e-9);
    }
}
