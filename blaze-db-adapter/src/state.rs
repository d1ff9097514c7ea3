//! What a replica knows of a record.

use std::collections::BTreeMap;

use blaze_codec::{Change, Name, NodeId, Operation, Record, RecordKey, Value, Version};

use crate::size;

/// Fields that one operation of a roll names at most, so that it fits into a frame.
const NAMED_FIELDS_MAX: usize = 1024;
/// Below this no limit of an operation can be broken, whatever it holds.
const SUSPECT_BYTES: usize = 1024 * 1024;

/// When and by whom something was written, and what its author had seen of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp {
    /// When and by whom.
    pub version: Version,
    /// What the writer had seen.
    pub base: Version,
}

/// A field's last write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register<'a> {
    /// When and by whom.
    pub stamp: Stamp,
    /// The value; `None` if the field was removed.
    pub value: Option<&'a Value>,
}

/// Whether a record's life began or ended last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Life {
    /// Its latest insert's or its latest delete's, whichever has the greater version; of
    /// [`Version::ZERO`] if only updates were seen. Of one that was withdrawn it ended at
    /// [`Operation::WITHDRAWN`].
    pub stamp: Stamp,
    /// Whether that was an insert.
    pub alive: bool,
}

/// Everything that a replica knows of a record: a [`Life`], and a [`Register`] a field,
/// none that the life hides.
///
/// Most fields were written by the insert that began the life. So the record is kept as
/// it came, names shared with others of its kind, and a stamp only for each field that
/// was written apart from that.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct RecordState {
    life: Life,
    /// The value of each field; null if it was removed.
    record: Record,
    /// The fields that aren't of the life's stamp or were removed, in their order.
    apart: Vec<Apart>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Apart {
    /// The field's place in the record.
    place: usize,
    removed: bool,
    stamp: Stamp,
}

impl Stamp {
    /// An operation's.
    pub(crate) const fn of(operation: &Operation) -> Self {
        Self { version: operation.version, base: operation.base }
    }

    /// Whether the author of this knew of another write. An author knows its own, and that a
    /// record was withdrawn hides nothing from anybody.
    pub(crate) fn knew(&self, other: Version) -> bool {
        other <= self.base.max(Operation::WITHDRAWN)
            || (other.node == self.version.node && other < self.version)
    }

    /// The base of a write by `node` on top of this. Who goes on from a write of its own
    /// has seen no more of the others than that write had: with its version as the base,
    /// all that others wrote meanwhile would be taken for seen.
    pub(crate) fn base_for(&self, node: NodeId) -> Version {
        let own = self.version.node == node || self.version == Operation::WITHDRAWN;
        if own { self.base } else { self.version }
    }
}

impl Life {
    /// Whether a field's write can never be seen again: it lies below this life, or at
    /// its end.
    pub(crate) fn hides(&self, version: Version) -> bool {
        let life = self.stamp.version;
        version < life || (version == life && !self.alive)
    }
}

impl RecordState {
    /// A record whose fields were all written when its life began.
    pub const fn of_insert(stamp: Stamp, record: Record) -> Self {
        Self { life: Life { stamp, alive: true }, record, apart: Vec::new() }
    }

    /// A record whose fields were written when its life began, but for these, in their
    /// order: the place of each in the record, its stamp, and whether it was removed, so
    /// that its value is null. `None` if they aren't in their order, or of the record.
    pub fn of_parts(
        life: Life,
        record: Record,
        apart: impl IntoIterator<Item = (usize, Stamp, bool)>,
    ) -> Option<Self> {
        let apart = apart.into_iter();
        let apart = apart.map(|(place, stamp, removed)| Apart { place, removed, stamp });
        // What was written with the rest isn't apart.
        let apart: Vec<_> =
            apart.filter(|apart| apart.removed || apart.stamp != life.stamp).collect();
        let ascend = apart.is_sorted_by(|a, b| a.place < b.place);
        let fits = |apart: &Apart| {
            let value = record.values().get(apart.place);
            value.is_some_and(|value| !apart.removed || *value == Value::Null)
        };
        (ascend && apart.iter().all(fits)).then_some(Self { life, record, apart })
    }

    /// A record of these fields, in the order of their names, each with its stamp and its
    /// value, `None` if it was removed.
    fn of_fields(life: Life, fields: impl Iterator<Item = (Name, Stamp, Option<Value>)>) -> Self {
        let mut apart = Vec::new();
        let fields = fields.enumerate().map(|(place, (name, stamp, value))| {
            if stamp != life.stamp || value.is_none() {
                apart.push(Apart { place, removed: value.is_none(), stamp });
            }
            (name, value.unwrap_or_default())
        });
        let record = fields.collect();
        Self { life, record, apart }
    }

    /// Whether it lives, since when.
    pub const fn life(&self) -> &Life {
        &self.life
    }

    /// Whether the record exists.
    pub const fn exists(&self) -> bool {
        self.life.alive
    }

    /// Whether all that is known of the record is that it was deleted. A field that was
    /// written later isn't seen, but may be again: an insert between the two may come.
    pub fn is_tombstone(&self) -> bool {
        !self.exists() && self.record.is_empty() && !self.is_unknown()
    }

    /// Whether nothing is known of the record, but perhaps that it was withdrawn.
    pub fn is_unknown(&self) -> bool {
        let never_lived = self.life.stamp.version == Version::ZERO;
        self.record.is_empty() && (never_lived || self.is_withdrawn())
    }

    /// Whether all that was known of the record was withdrawn, but for fields that came since.
    /// That is remembered, as who doesn't know a record takes it for deleted.
    pub fn is_withdrawn(&self) -> bool {
        !self.exists() && self.life.stamp.version == Operation::WITHDRAWN
    }

    /// Ends the record's life at a version that somebody else's write has, of which nobody is to
    /// see anything.
    pub(crate) fn bury(&mut self, version: Version) {
        self.begin(Life { stamp: Stamp { version, base: version }, alive: false });
    }

    /// Whether all that an operation wrote stands.
    pub(crate) fn has(&self, operation: &Operation) -> bool {
        let version = operation.version;
        match &operation.change {
            Change::Insert(_) => self.exists() && self.life.stamp.version == version,
            Change::Delete => !self.exists() && self.life.stamp.version == version,
            Change::Update(fields) => fields.iter().all(|(name, _)| {
                self.field(name).is_some_and(|field| field.stamp.version == version)
            }),
        }
    }

    /// Forgets everything: the replica may not see the record any more. Returns whether that
    /// is new.
    pub(crate) fn withdraw(&mut self) -> bool {
        let stamp = Stamp { version: Operation::WITHDRAWN, base: Version::ZERO };
        let withdrawn = Self { life: Life { stamp, alive: false }, ..Self::default() };
        let is_new = *self != withdrawn;
        *self = withdrawn;
        is_new
    }

    /// How many fields have a last write, removed ones among them.
    pub fn len(&self) -> usize {
        self.record.len()
    }

    /// Whether no field has a last write.
    pub fn is_empty(&self) -> bool {
        self.record.is_empty()
    }

    /// The names of the fields that have one, in their order.
    pub fn names(&self) -> &[Name] {
        self.record.names()
    }

    /// The fields' last writes, in the order of their names.
    pub fn fields(&self) -> impl Iterator<Item = (&Name, Register<'_>)> {
        let mut apart = self.apart.iter().peekable();
        self.record.iter().enumerate().map(move |(place, (name, value))| {
            let apart = apart.next_if(|apart| apart.place == place);
            (name, self.register(apart, value))
        })
    }

    /// A field's last write.
    pub fn field(&self, name: &str) -> Option<Register<'_>> {
        let place = self.record.position(name)?;
        let apart = self.apart.binary_search_by_key(&place, |apart| apart.place);
        let apart = apart.ok().map(|index| &self.apart[index]);
        Some(self.register(apart, &self.record.values()[place]))
    }

    fn register<'a>(&self, apart: Option<&Apart>, value: &'a Value) -> Register<'a> {
        match apart {
            None => Register { stamp: self.life.stamp, value: Some(value) },
            Some(apart) => {
                Register { stamp: apart.stamp, value: (!apart.removed).then_some(value) }
            }
        }
    }

    /// The record, if it exists.
    pub fn record(&self) -> Option<Record> {
        self.exists().then(|| {
            if self.apart.iter().all(|apart| !apart.removed) {
                return self.record.clone();
            }
            self.visible().map(|(name, value)| (name.clone(), value.clone())).collect()
        })
    }

    /// The record, if it exists, moved out.
    pub fn into_record(self) -> Option<Record> {
        if self.exists() && self.apart.iter().all(|apart| !apart.removed) {
            return Some(self.record);
        }
        self.record()
    }

    /// The fields that a reader sees, if the record exists.
    pub fn visible(&self) -> impl Iterator<Item = (&Name, &Value)> {
        let fields = self.exists().then(|| self.fields()).into_iter().flatten();
        fields.filter_map(|(name, register)| Some((name, register.value?)))
    }

    /// What a reader sees of a field, if the record exists.
    pub(crate) fn visible_field(&self, name: &str) -> Option<&Value> {
        self.field(name).filter(|_| self.exists())?.value
    }

    /// The greatest version in the record: what a writer who reads it has seen.
    pub fn version(&self) -> Version {
        self.stamps().map(|stamp| stamp.version).max().unwrap_or_default()
    }

    /// What a write of `node` to the whole record is based on.
    pub(crate) fn base(&self, node: NodeId) -> Version {
        self.stamps().map(|stamp| stamp.base_for(node)).max().unwrap_or_default()
    }

    /// What a write of `node` to one field is based on.
    pub(crate) fn field_base(&self, field: &str, node: NodeId) -> Version {
        self.field(field).map_or(self.life.stamp, |register| register.stamp).base_for(node)
    }

    /// Those of the life and of all fields.
    fn stamps(&self) -> impl Iterator<Item = Stamp> {
        std::iter::once(self.life.stamp).chain(self.apart.iter().map(|apart| apart.stamp))
    }

    /// Makes this write to a field its last.
    pub(crate) fn set(&mut self, name: &Name, stamp: Stamp, value: Option<&Value>) {
        let content = value.cloned().unwrap_or_default();
        let place = if let Some(place) = self.record.position(name) {
            self.record.values_mut()[place] = content;
            place
        } else {
            self.record.insert(name.clone(), content);
            let place = self.record.position(name).expect("it was just put there");
            for apart in self.apart.iter_mut().filter(|apart| apart.place >= place) {
                apart.place += 1;
            }
            place
        };
        let apart = Apart { place, removed: value.is_none(), stamp };
        let is_apart = apart.removed || stamp != self.life.stamp;
        match self.apart.binary_search_by_key(&place, |apart| apart.place) {
            Ok(index) if is_apart => self.apart[index] = apart,
            Ok(index) => drop(self.apart.remove(index)),
            Err(index) if is_apart => self.apart.insert(index, apart),
            Err(_) => {}
        }
    }

    /// Begins or ends the record's life, of whose fields those are kept that the new life
    /// doesn't hide.
    pub(crate) fn begin(&mut self, life: Life) {
        self.begin_with(life, |register| !life.hides(register.stamp.version));
    }

    /// The same, of whose fields these are kept.
    pub(crate) fn begin_with(&mut self, life: Life, kept: impl Fn(Register<'_>) -> bool) {
        if self.is_empty() {
            self.life = life;
            return;
        }
        let fields = self.fields().filter(|(_, register)| kept(*register));
        let fields =
            fields.map(|(name, register)| (name.clone(), register.stamp, register.value.cloned()));
        *self = Self::of_fields(life, fields);
    }

    /// Whether one insert made all of it.
    const fn is_one_insert(&self) -> bool {
        self.life.alive && self.apart.is_empty()
    }

    /// The same as [`operations`](Self::operations), of a state that isn't needed any more;
    /// adds them to `operations`.
    pub fn into_operations(
        self,
        collection: Name,
        key: RecordKey,
        operations: &mut Vec<Operation>,
    ) {
        if self.is_one_insert() {
            let Stamp { version, base } = self.life.stamp;
            let change = Change::Insert(self.record);
            return split(Operation { collection, key, version, base, change }, operations);
        }
        operations.extend(self.operations(&collection, &key));
    }

    /// The operations that make this state when they are merged into nothing:
    /// the record's part of the feed. Of one that was withdrawn, a withdrawal.
    pub fn operations(&self, collection: &Name, key: &RecordKey) -> Vec<Operation> {
        let operation = |stamp: Stamp, change| Operation {
            collection: collection.clone(),
            key: key.clone(),
            version: stamp.version,
            base: stamp.base,
            change,
        };
        let mut operations = Vec::with_capacity(1);
        if self.is_one_insert() {
            self.clone().into_operations(collection.clone(), key.clone(), &mut operations);
            return operations;
        }
        if self.is_unknown() {
            operations.push(Operation::withdrawal(collection.clone(), key.clone()));
            return operations;
        }
        let Life { stamp, alive } = self.life;
        let mut inserted = Vec::new();
        let mut updates: BTreeMap<Stamp, Vec<(Name, Option<Value>)>> = BTreeMap::new();
        for (name, register) in self.fields() {
            match register.value {
                Some(value) if alive && register.stamp == stamp => {
                    inserted.push((name.clone(), value.clone()));
                }
                value => {
                    let fields = updates.entry(register.stamp).or_default();
                    fields.push((name.clone(), value.cloned()));
                }
            }
        }
        let life = match alive {
            true => Some(Change::Insert(inserted.into_iter().collect())),
            false if stamp.version <= Operation::WITHDRAWN => None,
            false => Some(Change::Delete),
        };
        let life = life.map(|change| operation(stamp, change));
        let updates = updates.into_iter();
        let updates = updates.map(|(stamp, fields)| operation(stamp, Change::Update(fields)));
        life.into_iter().chain(updates).for_each(|whole| split(whole, &mut operations));
        operations
    }

    /// Names the record in a roll, if it exists: updates without values, one a version,
    /// of the fields that were written since its life began, and based on that; if there
    /// is none, one of no field at its life's version.
    pub fn named(&self, collection: &Name, key: &RecordKey) -> Vec<Operation> {
        if !self.exists() {
            return Vec::new();
        }
        let life = self.life.stamp.version;
        let operation = |version, base, fields| Operation {
            collection: collection.clone(),
            key: key.clone(),
            version,
            base,
            change: Change::Update(fields),
        };
        let mut later: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let versions = self.fields().map(|(name, register)| (name, register.stamp.version));
        for (name, version) in versions.filter(|(_, version)| *version > life) {
            later.entry(version).or_default().push((name.clone(), None));
        }
        if later.is_empty() {
            return vec![operation(life, Version::ZERO, Vec::new())];
        }
        let parts = later.into_iter().flat_map(|(version, fields)| {
            let parts: Vec<_> = fields.chunks(NAMED_FIELDS_MAX).map(<[_]>::to_vec).collect();
            parts.into_iter().map(move |fields| (version, fields))
        });
        parts.map(|(version, fields)| operation(version, life, fields)).collect()
    }
}

impl std::fmt::Debug for RecordState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        /// The fields, each with its last write.
        struct Fields<'a>(&'a RecordState);
        impl std::fmt::Debug for Fields<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_map().entries(self.0.fields()).finish()
            }
        }
        f.debug_tuple("RecordState").field(&self.life).field(&Fields(self)).finish()
    }
}

/// Adds an operation, in parts if it breaks a limit that those which it was put
/// together from kept: a peer may write one version many times, in different fields.
fn split(operation: Operation, parts: &mut Vec<Operation>) {
    if size::bytes_max(&operation) <= SUSPECT_BYTES || operation.check().is_ok() {
        return parts.push(operation);
    }
    let part = |change| Operation { change, ..operation.clone() };
    match &operation.change {
        Change::Insert(record) if record.len() > 1 => {
            let mut fields = record.iter().map(|(name, value)| (name.clone(), value.clone()));
            let first: Record = fields.by_ref().take(record.len() / 2).collect();
            let rest = fields.map(|(name, value)| (name, Some(value))).collect();
            split(part(Change::Insert(first)), parts);
            split(part(Change::Update(rest)), parts);
        }
        Change::Update(fields) if fields.len() > 1 => {
            let (first, rest) = fields.split_at(fields.len() / 2);
            split(part(Change::Update(first.to_vec())), parts);
            split(part(Change::Update(rest.to_vec())), parts);
        }
        _ => parts.push(operation),
    }
}
