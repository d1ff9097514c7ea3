//! A bug tracker's issues, generated from a seed.
//!
//! An issue has six fields: a title of 4 to 9 words, a body of 10 to 20, one of
//! three states, a priority of 1 to 5, one of 20 assignees, and the moment of its
//! creation. Words are drawn evenly from a list of 32, keys are UUIDs of version 7,
//! and one issue comes every 20 ms or so. Two generators of one seed make the same.

use blaze_codec::{
    Change, Hlc, Name, NodeId, Operation, Record, RecordKey, Timestamp, Uuid, Version, record,
};

/// The seed of every benchmark.
pub(crate) const SEED: u64 = 0xb1a2_e5ed;
/// The collection that issues are in.
const COLLECTION: &str = "issues";

const ASSIGNEES: usize = 20;
/// The first issue's creation: 2025-01-01, in milliseconds since 1970.
const START_MS: u64 = 1_735_689_600_000;
const STATES: [&str; 3] = ["open", "in progress", "closed"];
const WORDS: [&str; 32] = [
    "crash",
    "when",
    "the",
    "window",
    "is",
    "resized",
    "while",
    "a",
    "download",
    "runs",
    "in",
    "background",
    "button",
    "label",
    "shows",
    "wrong",
    "number",
    "after",
    "import",
    "of",
    "large",
    "file",
    "with",
    "empty",
    "rows",
    "slow",
    "search",
    "for",
    "names",
    "and",
    "dates",
    "offline",
];

/// Makes issues and operations on them.
#[derive(Debug, Clone)]
pub(crate) struct Generator {
    rng: fastrand::Rng,
    node: NodeId,
    assignees: Vec<Uuid>,
    now_ms: u64,
}

impl Generator {
    /// A generator with this seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let node = NodeId::from_bytes(rng.u128(..).to_be_bytes());
        let assignees = (0..ASSIGNEES).map(|_| Uuid::from_u128(rng.u128(..))).collect();
        Self { rng, node, assignees, now_ms: START_MS }
    }

    /// The next issue.
    pub(crate) fn issue(&mut self) -> Record {
        self.now_ms += self.rng.u64(1..40);
        let title_words = self.rng.usize(4..=9);
        let body_words = self.rng.usize(10..=20);
        record! {
            "title" => self.words(title_words),
            "body" => self.words(body_words),
            "state" => self.state(),
            "priority" => self.rng.i64(1..=5),
            "assignee" => self.assignees[self.rng.usize(..ASSIGNEES)],
            "created" => Timestamp(self.now_ms.cast_signed()),
        }
    }

    /// Inserts of so many new issues by one node, none of which replaces anything.
    pub(crate) fn inserts(&mut self, count: usize) -> Vec<Operation> {
        (0..count).map(|_| self.insert()).collect()
    }

    /// Updates of one field of each of these inserts, by one node that knew them.
    ///
    /// # Panics
    ///
    /// Never: the field has a name.
    pub(crate) fn updates(&mut self, inserts: &[Operation]) -> Vec<Operation> {
        let state = Name::new("state").expect("a constant name");
        let update = |insert: &Operation| {
            let value = self.state().into();
            let change = Change::Update(vec![(state.clone(), Some(value))]);
            let version = self.version();
            Operation { version, base: insert.version, change, ..insert.clone() }
        };
        inserts.iter().map(update).collect()
    }

    fn insert(&mut self) -> Operation {
        let change = Change::Insert(self.issue());
        Operation {
            collection: Name::new(COLLECTION).expect("a constant name"),
            key: self.key(),
            version: self.version(),
            base: Version::ZERO,
            change,
        }
    }

    fn key(&mut self) -> RecordKey {
        let mut random = [0; 10];
        self.rng.fill(&mut random);
        uuid::Builder::from_unix_timestamp_millis(self.now_ms, &random).into_uuid().into()
    }

    /// The node's next version: a client's, who never saw a server's write.
    fn version(&mut self) -> Version {
        self.now_ms += 1;
        Version { epoch: Hlc::ZERO, hlc: Hlc::from_millis(self.now_ms), node: self.node }
    }

    fn state(&mut self) -> &'static str {
        STATES[self.rng.usize(..STATES.len())]
    }

    fn words(&mut self, count: usize) -> String {
        let words: Vec<_> = (0..count).map(|_| WORDS[self.rng.usize(..WORDS.len())]).collect();
        words.join(" ")
    }
}
