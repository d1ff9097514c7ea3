//! What of the feed a peer gets that doesn't see all of it.

use std::slice;
use std::sync::Arc;

use blaze_codec::{Change, Name, NodeId, Operation, RecordKey, Rule, Scope, Value, Version};
use blaze_db_adapter::{Audience, DatabaseAdapter, DatabaseError};

#[cfg(feature = "canary")]
use crate::canary::{self, Canary};

/// What is seen of a collection where there is no scope.
static ALL: Rule = Rule::all();

/// What of the feed a peer gets.
#[derive(Debug, Clone)]
pub struct Export {
    /// What it may see; `None` if all.
    pub scope: Option<Arc<Scope>>,
    /// What it accepts, without conditions; `None` if all.
    pub accepted: Option<Arc<Scope>>,
    /// Who it is.
    pub audience: Audience,
    /// Node ids that its file had before it was copied: it has what those were given.
    pub former: Vec<NodeId>,
}

/// What a peer gets of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// It may see it.
    Seen,
    /// It may not, and hears that it may not any more, if it was given it.
    Hidden,
    /// It was deleted, which it hears if it was given it.
    Deleted,
    /// It doesn't accept it.
    Unwanted,
}

impl Export {
    /// What the peer gets of these operations, which describe whole records, those of each one
    /// after the other. What it may see is noted before it is returned.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if the database can't be read, or not store what the peer is given.
    pub async fn part_of(
        &self,
        database: &dyn DatabaseAdapter,
        operations: Vec<Operation>,
    ) -> Result<Vec<Operation>, DatabaseError> {
        let records = by_record(&operations);
        let parts: Vec<_> = records.iter().map(|record| self.judge(record)).collect();
        let names: Vec<_> = records.iter().map(|record| name(&record[0])).collect();
        let was_shared = match self.scope {
            Some(_) => self.share(database, names, &parts).await?,
            None => vec![true; names.len()],
        };
        let mut exported = Vec::with_capacity(operations.len());
        for ((record, part), was_shared) in records.into_iter().zip(parts).zip(was_shared) {
            match part {
                Part::Seen => self.show(record, &mut exported),
                Part::Deleted if was_shared => {
                    // What was written after that shows once it is a record that may be seen.
                    let ends = |it: &&Operation| it.change == Change::Delete || it.is_withdrawal();
                    let end = record.iter().find(ends);
                    if let Some(end) = end {
                        self.show(slice::from_ref(end), &mut exported);
                    }
                }
                #[cfg(feature = "canary")]
                Part::Hidden if canary::is(Canary::WithdrawalForgotten) => {}
                Part::Hidden if was_shared => {
                    let (collection, key) = name(&record[0]);
                    exported.push(Operation::withdrawal(collection, key));
                }
                _ => {}
            }
        }
        Ok(exported)
    }

    /// The names in a roll that the peer is to see: of what it was given and sees still, and
    /// accepts. Of the rest it may have deleted what it might not, and forgotten that.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if the database can't be read.
    pub async fn named(
        &self,
        database: &dyn DatabaseAdapter,
        operations: Vec<Operation>,
    ) -> Result<Vec<Operation>, DatabaseError> {
        let records = by_record(&operations);
        let keys: Vec<_> = records.iter().map(|record| name(&record[0])).collect();
        let shared = match self.scope {
            Some(_) => self.shared(database, &keys).await?,
            None => vec![true; keys.len()],
        };
        let mut named = Vec::with_capacity(operations.len());
        for (record, _) in records.into_iter().zip(shared).filter(|(_, shared)| *shared) {
            if self.rules(&record[0].collection).is_none() || !self.sees(database, record).await? {
                continue;
            }
            let before = named.len();
            self.show(record, &mut named);
            if named.len() == before {
                // It has fields that were written later, and the peer sees none of them.
                let first = &record[0];
                let life = if first.base == Version::ZERO { first.version } else { first.base };
                let (version, base, change) = (life, Version::ZERO, Change::Update(Vec::new()));
                named.push(Operation { version, base, change, ..first.clone() });
            }
        }
        Ok(named)
    }

    /// Whether the peer sees a named record as it is now.
    async fn sees(
        &self,
        database: &dyn DatabaseAdapter,
        named: &[Operation],
    ) -> Result<bool, DatabaseError> {
        let Operation { collection, key, .. } = &named[0];
        let Some(rule) = rule(self.scope.as_ref(), collection) else { return Ok(false) };
        if rule.condition().is_none() {
            return Ok(true);
        }
        let record = database.read(collection, key).await?;
        Ok(record.is_some_and(|record| rule.meets(|field| record.get(field))))
    }

    /// Whether the peer still has these operations, which came from it. Where a condition
    /// decides, their records may have been withdrawn meanwhile, and with them what it had
    /// written.
    pub(crate) fn leaves(&self, operations: &[Operation]) -> bool {
        let Some(scope) = &self.scope else { return true };
        operations.iter().all(|operation| {
            let rule = scope.rule(&operation.collection);
            rule.and_then(Rule::condition).is_none()
        })
    }

    /// What the peer may see of a record as it is.
    fn judge(&self, record: &[Operation]) -> Part {
        let collection = &record[0].collection;
        if self.accepted.as_ref().is_some_and(|accepted| accepted.rule(collection).is_none()) {
            return Part::Unwanted;
        }
        let exists = matches!(record[0].change, Change::Insert(_));
        // What was withdrawn here is none of the business of who sees all; and who limits this
        // side may be the one that withdrew it, and has it.
        if record[0].is_withdrawal() && (self.scope.is_none() || self.accepted.is_some()) {
            return Part::Unwanted;
        }
        let Some(scope) = &self.scope else { return Part::Seen };
        match scope.rule(collection) {
            Some(rule) if exists && rule.meets(|field| value(record, field)) => Part::Seen,
            Some(_) if !exists => Part::Deleted,
            _ => Part::Hidden,
        }
    }

    /// Adds what the peer sees of a record's operations, by the fields.
    fn show(&self, record: &[Operation], exported: &mut Vec<Operation>) {
        let Some(rules) = self.rules(&record[0].collection) else { return };
        for operation in record {
            let part = |change, rule: &&Rule| rule.part_of(change);
            let change = rules.iter().try_fold(operation.change.clone(), part);
            if let Some(change) = change {
                let Operation { collection, key, version, base, .. } = operation.clone();
                exported.push(Operation { collection, key, version, base, change });
            }
        }
    }

    /// The rules of both sides for a collection; `None` if one leaves it out.
    fn rules(&self, collection: &str) -> Option<[&Rule; 2]> {
        let ours = rule(self.scope.as_ref(), collection)?;
        Some([ours, rule(self.accepted.as_ref(), collection)?])
    }

    /// Notes what the peer is given; tells what it was given before.
    async fn share(
        &self,
        database: &dyn DatabaseAdapter,
        names: Vec<(Name, RecordKey)>,
        parts: &[Part],
    ) -> Result<Vec<bool>, DatabaseError> {
        let shared = self.shared(database, &names).await?;
        let new = names.into_iter().zip(parts).zip(&shared);
        let new = new.filter(|((_, part), shared)| **part == Part::Seen && !**shared);
        let new: Vec<_> = new.map(|((name, _), _)| name).collect();
        #[cfg(feature = "canary")]
        let new = if canary::is(Canary::SharesForgotten) { Vec::new() } else { new };
        if !new.is_empty() {
            database.share(&self.audience, new).await?;
        }
        Ok(shared)
    }

    /// Which of these the peer was given.
    async fn shared(
        &self,
        database: &dyn DatabaseAdapter,
        names: &[(Name, RecordKey)],
    ) -> Result<Vec<bool>, DatabaseError> {
        let mut shared = database.shared(&self.audience, names).await?;
        for node in &self.former {
            let former = Audience { node: *node, ..self.audience.clone() };
            let given = database.shared(&former, names).await?;
            shared.iter_mut().zip(given).for_each(|(shared, given)| *shared |= given);
        }
        Ok(shared)
    }
}

/// The rule for a collection, if a scope has one; all of it where there is no scope.
fn rule<'s>(scope: Option<&'s Arc<Scope>>, collection: &str) -> Option<&'s Rule> {
    scope.map_or(Some(&ALL), |scope| scope.rule(collection))
}

/// Notes that a peer has the records that it sends.
///
/// # Errors
///
/// [`DatabaseError`] if the database can't be read, or not store it.
pub async fn share(
    database: &dyn DatabaseAdapter,
    audience: &Audience,
    operations: &[Operation],
) -> Result<(), DatabaseError> {
    let names: Vec<_> = by_record(operations).iter().map(|record| name(&record[0])).collect();
    if names.is_empty() {
        return Ok(());
    }
    let shared = database.shared(audience, &names).await?;
    let new = names.into_iter().zip(shared).filter(|(_, shared)| !shared);
    let new: Vec<_> = new.map(|(name, _)| name).collect();
    if new.is_empty() { Ok(()) } else { database.share(audience, new).await }
}

/// The operations of each record that follow each other.
fn by_record(operations: &[Operation]) -> Vec<&[Operation]> {
    let same = |a: &Operation, b: &Operation| (&a.collection, &a.key) == (&b.collection, &b.key);
    operations.chunk_by(same).collect()
}

fn name(operation: &Operation) -> (Name, RecordKey) {
    (operation.collection.clone(), operation.key.clone())
}

/// The value of a field of the record that these operations describe.
fn value<'o>(record: &'o [Operation], field: &str) -> Option<&'o Value> {
    for operation in record.iter().rev() {
        match &operation.change {
            Change::Insert(record) => return record.get(field),
            Change::Update(fields) => {
                if let Some((_, value)) = fields.iter().find(|(name, _)| *name == *field) {
                    return value.as_ref();
                }
            }
            Change::Delete => return None,
        }
    }
    None
}
