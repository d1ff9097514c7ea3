//! What apps write: few keys and few fields, so that conflicts are common.

use std::collections::BTreeMap;

use blaze_codec::{Name, Record, RecordKey, Value};
use blaze_db_adapter::{Write, WriteKind};

use crate::fault::Fault;
use crate::node::Job;
use crate::oracle::Facts;
use crate::rng::Rng;
use crate::world::{Event, World};

/// The fields of records; most runs write to the first ones only.
pub(crate) const FIELDS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// The first stream of random numbers of a step.
const STREAM: u64 = 1_000;

/// Between two looks whether a scenario is over that the last step waits for.
const SCENARIO_LOOK_MS: u64 = 20;

impl World {
    /// Does a step: a commit somewhere, or a fault. Each step has random numbers of
    /// its own, so that the others stay as they are when a fault is switched off.
    pub(crate) fn step(&mut self) {
        if self.steps >= self.plan.steps.min(self.config.steps_max) {
            if self.script.is_some() {
                self.schedule(SCENARIO_LOOK_MS, Event::Step);
            } else {
                self.heal();
            }
            return;
        }
        let rng = &mut Rng::new(self.seed, STREAM + self.steps as u64);
        self.steps += 1;
        if rng.below(1_000) < self.plan.faults_permille {
            self.fault(rng);
        } else {
            self.transaction(rng);
        }
        let wait_ms = rng.between(0, self.plan.gap_ms);
        self.schedule(wait_ms, Event::Step);
    }

    fn transaction(&mut self, rng: &mut Rng) {
        if let Some(node) = self.running(rng) {
            self.write(rng, node);
            if self.config.faults.has(Fault::Restore) && rng.percent(10) {
                let image = self.nodes[node].image();
                self.nodes[node].backups.extend(image);
            }
        }
    }

    /// A random node that runs.
    pub(crate) fn running(&self, rng: &mut Rng) -> Option<usize> {
        let running = self.nodes.iter().enumerate().filter(|(_, node)| node.life.is_some());
        rng.pick(&running.map(|(index, _)| index).collect::<Vec<_>>())
    }

    /// Begins a transaction of a node's app.
    pub(crate) fn write(&mut self, rng: &mut Rng, node: usize) {
        let count = rng.between(1, self.plan.writes_max);
        let writes = (0..count).map(|_| self.draw_write(rng, node)).collect();
        self.submit(node, Job::Commit(writes));
    }

    fn draw_write(&mut self, rng: &mut Rng, node: usize) -> Write {
        let key = rng.below(self.plan.keys).cast_signed();
        let outside = self.plan.scopes.second && rng.percent(25);
        let collection = if outside { second() } else { collection() };
        let place = (collection, RecordKey::Int(key));
        let life = self.nodes[node].life.as_ref();
        let facts = life.and_then(|life| life.oracle.facts(&place));
        let exists = facts.is_some_and(Facts::exists);
        let kind = match (exists, rng.below(100)) {
            (true, _) if rng.percent(self.plan.deletes_percent) => WriteKind::Delete,
            (true, 0..55) | (false, 96..) => WriteKind::Update(self.draw_fields(rng)),
            (true, 55..72) | (false, 0..25) => WriteKind::Put(self.draw_record(rng)),
            (true, 72..97) | (false, 90..96) => WriteKind::Delete,
            _ => WriteKind::Insert(self.draw_record(rng)),
        };
        let (collection, key) = place;
        Write { collection, key, kind }
    }

    fn draw_fields(&mut self, rng: &mut Rng) -> BTreeMap<Name, Option<Value>> {
        let count = rng.between(1, self.plan.fields);
        let field = |_| {
            let value = (!rng.percent(10)).then(|| self.draw_value(rng));
            (self.draw_field(rng), value)
        };
        (0..count).map(field).collect()
    }

    fn draw_record(&mut self, rng: &mut Rng) -> Record {
        let count = rng.between(0, self.plan.fields);
        (0..count).map(|_| (self.draw_field(rng), self.draw_value(rng))).collect()
    }

    fn draw_field(&self, rng: &mut Rng) -> Name {
        let count = usize::try_from(self.plan.fields).unwrap_or(1).min(FIELDS.len());
        name(FIELDS[rng.index(count)])
    }

    fn draw_value(&mut self, rng: &mut Rng) -> Value {
        if rng.percent(self.plan.large_values_percent) {
            let bytes = usize::try_from(rng.below(self.plan.value_bytes_max)).unwrap_or(0);
            return Value::Bytes(vec![rng.bytes::<1>()[0]; bytes].into());
        }
        // Some values are written again and again: then a write changes nothing.
        if rng.percent(10) {
            return Value::Null;
        }
        self.values += 1;
        Value::Int(self.values)
    }
}

/// The collection that is written to.
pub(crate) fn collection() -> Name {
    name("notes")
}

/// A second one, in some runs with policies.
pub(crate) fn second() -> Name {
    name("tags")
}

pub(crate) fn name(text: &'static str) -> Name {
    Name::new(text).unwrap_or_else(|error| panic!("{text:?} is a name: {error}"))
}
