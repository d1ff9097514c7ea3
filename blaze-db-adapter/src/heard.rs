//! What a limited peer was told of the records that it writes to.

use blaze_codec::{Name, RecordKey, Seq};

/// What a peer has heard of records that it sees in part.
#[derive(Debug, Default)]
pub struct Heard {
    /// In their order.
    records: Vec<Told>,
    holds: Seq,
}

/// What a peer has heard of a record.
#[derive(Debug)]
struct Told {
    name: (Name, RecordKey),
    /// When it was withdrawn last, zero if never; `None` if the peer was never given it.
    withdrawn: Option<Seq>,
}

impl Heard {
    /// Of [these](crate::Incoming::shared) records, with what was [noted](crate::DatabaseAdapter::shared)
    /// of each; the peer has acknowledged the feed up to `holds`.
    pub fn new(
        records: Vec<(Name, RecordKey)>,
        withdrawn: impl IntoIterator<Item = Option<Seq>>,
        holds: Seq,
    ) -> Self {
        let records = records.into_iter().zip(withdrawn);
        let records = records.map(|(name, withdrawn)| Told { name, withdrawn });
        Self { records: records.collect(), holds }
    }

    /// The records that it was never given.
    pub fn anew(&self) -> Vec<(Name, RecordKey)> {
        let anew = self.records.iter().filter(|told| told.withdrawn.is_none());
        anew.map(|told| told.name.clone()).collect()
    }

    /// Whether it was never given a record, or is about to lose it.
    pub(crate) fn lacks(&self, collection: &Name, key: &RecordKey) -> bool {
        let lacks = |told: &Told| told.withdrawn.is_none_or(|seq| seq > self.holds);
        self.find(collection, key).is_some_and(lacks)
    }

    pub(crate) fn was_given(&self, collection: &Name, key: &RecordKey) -> bool {
        self.find(collection, key).is_some_and(|told| told.withdrawn.is_some())
    }

    pub(crate) fn was_withdrawn(&self, collection: &Name, key: &RecordKey) -> bool {
        self.find(collection, key).and_then(|told| told.withdrawn) > Some(Seq::ZERO)
    }

    fn find(&self, collection: &Name, key: &RecordKey) -> Option<&Told> {
        let order = |told: &Told| (&told.name.0, &told.name.1).cmp(&(collection, key));
        self.records.binary_search_by(order).ok().map(|at| &self.records[at])
    }
}
