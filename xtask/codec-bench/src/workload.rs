//! What is encoded: operations as a sync would send them, generated from a seed.

mod words;

use clap::ValueEnum;
use serde::Serialize;

use crate::model::{Change, Id, Key, Operation, Value, Version};

/// The seed of everything.
pub(crate) const SEED: u64 = 0xb1a2_e5ed;
/// How many operations each workload has, whatever the size of its batches.
pub(crate) const OPERATIONS: usize = 1_000;
/// How many operations a batch has.
pub(crate) const BATCHES: [usize; 3] = [1, 10, 1_000];

/// The kinds of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Workload {
    /// A new issue of a bug tracker, six fields.
    Bug,
    /// A new row of eight numbers.
    Sensor,
    /// A change of one field of an issue.
    Update,
    /// A new record with a map, an array and 1 KiB of random bytes.
    Blob,
    /// The four, one after the other.
    Mixed,
}

impl Workload {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bug => "bug",
            Self::Sensor => "sensor",
            Self::Update => "update",
            Self::Blob => "blob",
            Self::Mixed => "mixed",
        }
    }

    /// All operations, in batches of so many.
    pub(crate) fn batches(self, batch: usize) -> Vec<Vec<Operation>> {
        let mut generator = Generator::new();
        let operations: Vec<_> =
            (0..OPERATIONS).map(|number| generator.operation(self, number)).collect();
        operations.chunks(batch).map(<[Operation]>::to_vec).collect()
    }
}

const STATUSES: [&str; 5] = ["open", "triaged", "in progress", "blocked", "closed"];
/// 2025-01-01, in milliseconds since 1970.
const START_MS: u64 = 1_735_689_600_000;
const DAY_MS: u64 = 86_400_000;
const COUNTER_BITS: u32 = 16;
/// A server and two clients write.
const NODES: usize = 3;

/// Makes operations in the order of their commits.
struct Generator {
    rng: fastrand::Rng,
    nodes: [Id; NODES],
    now_ms: u64,
    /// The operation's place in its millisecond.
    counter: u64,
    /// Which node commits, 0 being the server, and how much more of its transaction.
    writer: usize,
    left: usize,
    weather: Weather,
}

/// What the sensor feels, which drifts.
struct Weather {
    temperature: f64,
    humidity: f64,
    pressure: f64,
    voltage: f64,
    light: i64,
    battery: i64,
}

impl Generator {
    fn new() -> Self {
        let mut rng = fastrand::Rng::with_seed(SEED);
        let nodes = std::array::from_fn(|_| Id(rng.u128(..).to_be_bytes()));
        let weather = Weather {
            temperature: 18.0,
            humidity: 55.0,
            pressure: 1013.0,
            voltage: 4.1,
            light: 300,
            battery: 100,
        };
        Self { rng, nodes, now_ms: START_MS, counter: 0, writer: 0, left: 0, weather }
    }

    fn operation(&mut self, workload: Workload, number: usize) -> Operation {
        match workload {
            Workload::Bug => self.bug(),
            Workload::Sensor => self.sensor(number),
            Workload::Update => self.update(),
            Workload::Blob => self.blob(),
            Workload::Mixed => match number % 4 {
                0 => self.bug(),
                1 => self.sensor(number),
                2 => self.update(),
                _ => self.blob(),
            },
        }
    }

    fn bug(&mut self) -> Operation {
        let version = self.version();
        let status = self.pick(&STATUSES);
        let fields = [
            ("assignee", text(self.pick(&words::PEOPLE))),
            ("closed", Value::Bool(status == "closed")),
            ("created", Value::Timestamp(self.now_ms.cast_signed())),
            ("priority", Value::Int(self.rng.i64(1..=5))),
            ("status", text(status)),
            ("title", Value::Text(self.title())),
        ];
        let key = self.key(self.now_ms);
        insert("issues", key, version, fields)
    }

    fn sensor(&mut self, number: usize) -> Operation {
        let version = self.version();
        let measured_ms = self.now_ms - self.rng.u64(5..200);
        self.drift();
        let Weather { temperature, humidity, pressure, voltage, light, battery } = self.weather;
        let rain = if self.rng.u8(..) < 40 { self.rng.i64(1..60) } else { 0 };
        let fields = [
            ("battery", Value::Int(battery)),
            ("humidity", decimal(humidity, 1)),
            ("light", Value::Int(light)),
            ("measured", Value::Timestamp(measured_ms.cast_signed())),
            ("pressure", decimal(pressure, 2)),
            ("rain", Value::Int(rain)),
            ("temperature", decimal(temperature, 1)),
            ("voltage", decimal(voltage, 3)),
        ];
        let row = i64::try_from(number).map_or(i64::MAX, |number| 48_213 + number);
        insert("readings", Key::Int(row), version, fields)
    }

    /// One field of an issue that another node wrote some time ago.
    fn update(&mut self) -> Operation {
        let mut version = self.version();
        let born_ms = START_MS - self.rng.u64(DAY_MS..30 * DAY_MS);
        let author = self.rng.usize(..NODES);
        let hlc = (born_ms + self.rng.u64(..DAY_MS)) << COUNTER_BITS | self.rng.u64(..8);
        let epoch = if author == 0 { hlc } else { 0 };
        let base = Version { epoch, hlc, node: self.nodes[author] };
        if self.writer != 0 {
            version.epoch = base.epoch;
        }
        let (field, value) = match self.rng.u8(..10) {
            0..5 => ("status", text(self.pick(&STATUSES))),
            5..7 => ("assignee", text(self.pick(&words::PEOPLE))),
            7..9 => ("priority", Value::Int(self.rng.i64(1..=5))),
            _ => ("title", Value::Text(self.title())),
        };
        let change = Change::Update(vec![(field.to_owned(), Some(value))]);
        let collection = "issues".to_owned();
        Operation { collection, key: self.key(born_ms), version, base: Some(base), change }
    }

    fn blob(&mut self) -> Operation {
        let version = self.version();
        let mut content = vec![0; 1024];
        self.rng.fill(&mut content);
        let tags = (0..self.rng.usize(2..=5)).map(|_| text(self.pick(&words::TITLE))).collect();
        let zoom = 0.25 * f64::from(self.rng.u8(1..=16));
        let size = map([
            ("height", Value::Int(self.rng.i64(200..2_200))),
            ("width", Value::Int(self.rng.i64(300..4_000))),
        ]);
        let about = map([("size", size), ("tags", Value::Array(tags)), ("zoom", decimal(zoom, 2))]);
        let fields = [
            ("about", about),
            ("content", Value::Bytes(content)),
            ("name", Value::Text(format!("screenshot {}.png", self.rng.u16(..)))),
        ];
        let key = self.key(self.now_ms);
        insert("attachments", key, version, fields)
    }

    /// The next version: a transaction of one node after the other, a few
    /// operations each.
    fn version(&mut self) -> Version {
        self.counter += 1;
        if self.left == 0 {
            self.left = self.rng.usize(1..=12);
            self.now_ms += self.rng.u64(20..4_000);
            self.counter = 0;
            self.writer = self.rng.usize(..NODES);
        }
        self.left -= 1;
        let hlc = self.now_ms << COUNTER_BITS | self.counter;
        let epoch = if self.writer == 0 { hlc } else { 0 };
        Version { epoch, hlc, node: self.nodes[self.writer] }
    }

    /// A UUID of version 7.
    fn key(&mut self, ms: u64) -> Key {
        let mut random = [0; 10];
        self.rng.fill(&mut random);
        let uuid = uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid();
        Key::Uuid(Id(uuid.into_bytes()))
    }

    /// Words of 20 to 60 bytes in all, none of which JSON has to escape; in every
    /// fourth title, a number.
    fn title(&mut self) -> String {
        let bytes = self.rng.usize(20..=49);
        let mut title = self.pick(&words::TITLE_FIRST).to_owned();
        if self.rng.u8(..4) == 0 {
            title.push_str(" #");
            title.push_str(&self.rng.u16(100..).to_string());
        }
        while title.len() < bytes {
            title.push(' ');
            title.push_str(self.pick(&words::TITLE));
        }
        title
    }

    fn drift(&mut self) {
        let mut step = |by: f64| (self.rng.f64() - 0.5) * by;
        let weather = &mut self.weather;
        weather.temperature = (weather.temperature + step(0.6)).clamp(-25.0, 45.0);
        weather.humidity = (weather.humidity + step(2.0)).clamp(5.0, 100.0);
        weather.pressure = (weather.pressure + step(0.4)).clamp(950.0, 1060.0);
        weather.voltage = (weather.voltage + step(0.02)).clamp(3.3, 4.2);
        weather.light = (weather.light + self.rng.i64(-40..=40)).clamp(0, 2_000);
        weather.battery = if self.rng.u8(..) == 0 { weather.battery - 1 } else { weather.battery };
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.rng.usize(..from.len())]
    }
}

fn insert<const N: usize>(
    collection: &str,
    key: Key,
    version: Version,
    fields: [(&str, Value); N],
) -> Operation {
    let change = Change::Insert(named(fields));
    Operation { collection: collection.to_owned(), key, version, base: None, change }
}

fn map<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Map(named(fields))
}

fn named<const N: usize>(fields: [(&str, Value); N]) -> Vec<(String, Value)> {
    fields.map(|(name, value)| (name.to_owned(), value)).into()
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// The nearest float with so many decimals.
fn decimal(number: f64, places: i32) -> Value {
    let scale = 10_f64.powi(places);
    Value::Float((number * scale).round() / scale)
}

#[cfg(test)]
mod tests;
