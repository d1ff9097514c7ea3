//! What of the feed a peer gets that doesn't see all of it.

use std::sync::Arc;

use blaze_codec::{Change, Name, NodeId, Operation, RecordKey, Rule, Scope, Seq, Value, Version};
use blaze_db_adapter::{Audience, DatabaseAdapter, DatabaseError, Limit};

#[cfg(feature = "canary")]
use crate::canary::{self, Canary};

/// What is seen of a collection where there is no scope.
static ALL: Rule = Rule::all();

/// What of the feed a peer gets.
#[derive(Debug, Clone)]
pub struct Export {
    /// What it may see, and who it is; `None` if it may see all.
    pub limit: Option<Arc<Limit>>,
    /// What it accepts, without conditions; `None` if all.
    pub accepted: Option<Arc<Scope>>,
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
    /// It isn't known here: who made it may not write it so, or it was withdrawn from here.
    Withdrawn,
    /// It doesn't accept it.
    Unwanted,
}

impl Export {
    /// What the peer gets of these operations, which describe whole records that last changed
    /// up to `through`, those of each one after the other. It was told of all that was withdrawn
    /// from it up to `since`. What it is given, and what is withdrawn from it, is noted before
    /// it is returned.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if the database can't be read, or not store what the peer is given.
    pub async fn part_of(
        &self,
        database: &dyn DatabaseAdapter,
        operations: Vec<Operation>,
        (since, through): (Seq, Seq),
    ) -> Result<Vec<Operation>, DatabaseError> {
        let records = by_record(&operations);
        let names: Vec<_> = records.iter().map(|record| name(&record[0])).collect();
        let shared = self.shared(database, &names).await?;
        let (mut given, mut withdrawn) = (Vec::new(), Vec::new());
        let mut exported = Vec::with_capacity(operations.len());
        for ((record, name), shared) in records.into_iter().zip(names).zip(shared) {
            let part = self.judge(record);
            // What it wrote and may not have, it has to forget first.
            let refused = shared.is_some_and(|withdrawn| withdrawn > since);
            let goes = match part {
                #[cfg(feature = "canary")]
                Part::Hidden if canary::is(Canary::WithdrawalForgotten) => false,
                Part::Hidden => shared.is_some(),
                Part::Seen | Part::Deleted | Part::Withdrawn => refused,
                Part::Unwanted => false,
            };
            if goes {
                let (collection, key) = name.clone();
                exported.push(Operation::withdrawal(collection, key));
                withdrawn.push(name.clone());
            }
            match part {
                Part::Seen => {
                    self.show(record, &mut exported);
                    given.extend(shared.is_none().then_some(name));
                }
                Part::Deleted if shared.is_some() => exported.extend(end_of(record)),
                _ => {}
            }
        }
        #[cfg(feature = "canary")]
        if canary::is(Canary::SharesForgotten) {
            given.clear();
        }
        self.note(database, given, None).await?;
        self.note(database, withdrawn, Some(through)).await?;
        Ok(exported)
    }

    /// The names in a roll that the peer is to see: of what it was given, and accepts.
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
        let shared = self.shared(database, &keys).await?;
        let mut named = Vec::with_capacity(operations.len());
        for (record, _) in records.into_iter().zip(shared).filter(|(_, shared)| shared.is_some()) {
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

    /// Whether the peer sees a named record as it is now: who doesn't know it buries it.
    async fn sees(
        &self,
        database: &dyn DatabaseAdapter,
        named: &[Operation],
    ) -> Result<bool, DatabaseError> {
        let Operation { collection, key, .. } = &named[0];
        let Some(rule) = rule(self.scope(), collection) else { return Ok(false) };
        if rule.condition().is_none() {
            return Ok(true);
        }
        let record = database.read(collection, key).await?;
        Ok(record.is_some_and(|record| rule.meets(|field| record.get(field))))
    }

    /// Whether the peer, which has these operations, may see their records as before.
    pub(crate) fn leaves(&self, operations: &[Operation]) -> bool {
        let Some(scope) = self.scope() else { return true };
        operations.iter().all(|operation| {
            let rule = scope.rule(&operation.collection);
            let Some(condition) = rule.and_then(Rule::condition) else { return true };
            match &operation.change {
                Change::Insert(record) => rule.is_some_and(|rule| rule.meets(|it| record.get(it))),
                Change::Update(fields) => !fields.iter().any(|(name, _)| condition.asks(name)),
                Change::Delete => true,
            }
        })
    }

    /// What the peer may see of a record as it is.
    fn judge(&self, record: &[Operation]) -> Part {
        let collection = &record[0].collection;
        if self.accepted.as_ref().is_some_and(|accepted| accepted.rule(collection).is_none()) {
            return Part::Unwanted;
        }
        if record[0].is_withdrawal() {
            return Part::Withdrawn;
        }
        let Some(scope) = self.scope() else { return Part::Seen };
        let exists = matches!(record[0].change, Change::Insert(_));
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

    fn scope(&self) -> Option<&Scope> {
        self.limit.as_ref().map(|limit| &*limit.scope)
    }

    /// The rules of both sides for a collection; `None` if one leaves it out.
    fn rules(&self, collection: &str) -> Option<[&Rule; 2]> {
        Some([rule(self.scope(), collection)?, rule(self.accepted.as_deref(), collection)?])
    }

    /// Notes what the peer is given, or what is withdrawn from it.
    async fn note(
        &self,
        database: &dyn DatabaseAdapter,
        records: Vec<(Name, RecordKey)>,
        withdrawn: Option<Seq>,
    ) -> Result<(), DatabaseError> {
        match &self.limit {
            Some(limit) if !records.is_empty() => {
                database.share(&limit.audience, records, withdrawn).await
            }
            _ => Ok(()),
        }
    }

    /// Which of these the peer was given, and when each was withdrawn last.
    async fn shared(
        &self,
        database: &dyn DatabaseAdapter,
        names: &[(Name, RecordKey)],
    ) -> Result<Vec<Option<Seq>>, DatabaseError> {
        // Who sees all is taken to have all.
        let Some(limit) = &self.limit else { return Ok(vec![Some(Seq::ZERO); names.len()]) };
        let mut shared = database.shared(&limit.audience, names).await?;
        for node in &self.former {
            let former = Audience { node: *node, ..limit.audience.clone() };
            let given = database.shared(&former, names).await?;
            shared.iter_mut().zip(given).for_each(|(shared, given)| *shared = given.max(*shared));
        }
        Ok(shared)
    }
}

/// The rule for a collection, if a scope has one; all of it where there is no scope.
fn rule<'s>(scope: Option<&'s Scope>, collection: &str) -> Option<&'s Rule> {
    scope.map_or(Some(&ALL), |scope| scope.rule(collection))
}

/// The operations of each record that follow each other.
fn by_record(operations: &[Operation]) -> Vec<&[Operation]> {
    let same = |a: &Operation, b: &Operation| (&a.collection, &a.key) == (&b.collection, &b.key);
    operations.chunk_by(same).collect()
}

fn name(operation: &Operation) -> (Name, RecordKey) {
    (operation.collection.clone(), operation.key.clone())
}

/// That a record doesn't exist, and nothing of what was written to it since: nobody can tell
/// whether the peer may see that. It gets all of it if the record comes back.
fn end_of(record: &[Operation]) -> Option<Operation> {
    record.iter().find(|operation| operation.change == Change::Delete).cloned()
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
