//! What the two sides of a session limit each other to, and what must hold of that.

use std::sync::Arc;

use blaze_codec::message::Message;
use blaze_codec::{Checkpoint, Condition, Incarnation, Name, Rule, Scope};
use blaze_sync_protocol::Batch;

/// The peer says so of its scope, whatever it is.
const DIGEST: u64 = 0x9abc_def0_1234_5678;

pub(super) struct Scopes {
    /// What the peer is limited to here.
    pub(super) ours: Option<Arc<Scope>>,
    /// What the peer limits this side to, unless it tells that as something else.
    theirs: Option<Scope>,
    /// Whether the peer names a scope.
    named: bool,
    /// What tells the feeds through both from others.
    through: u64,
}

impl Scopes {
    /// By one of eight kinds, of which most are without any; the last is a hello that names a
    /// scope, which the script then tells or not.
    pub(super) fn of(kind: u8, connects: bool) -> Self {
        let ours = [3, 4, 6].contains(&kind).then(|| Arc::new(scope(kind != 3)));
        let theirs = [5, 6].contains(&kind).then(|| scope(false));
        let named = kind >= 5;
        let digests =
            (ours.as_ref().map_or(0, |scope| scope.digest()), if named { DIGEST } else { 0 });
        let (connectors, acceptors) = if connects { digests } else { (digests.1, digests.0) };
        Self { ours, theirs, named, through: connectors.rotate_left(1) ^ acceptors }
    }

    /// What the peer's hello says.
    pub(super) const fn digest(&self) -> u64 {
        if self.named { DIGEST } else { 0 }
    }

    /// What the peer says after it.
    pub(super) fn told(&self) -> Option<Message> {
        self.theirs.as_ref().map(|scope| Message::Scope(scope.encode().into()))
    }

    /// A place as it is known over this link; one was reached over another.
    pub(super) fn seen(&self, place: Checkpoint) -> Checkpoint {
        let elsewhere = place.seq.0 == 9;
        let through = if elsewhere { 0 } else { self.through };
        Checkpoint { incarnation: place.incarnation.through(through), ..place }
    }

    /// What is sent of the own scope says nothing of its conditions.
    pub(super) fn check_told(&self, payload: &[u8]) {
        let told = Scope::decode(payload).expect("a scope is told");
        let ours = self.ours.as_ref().expect("there is a scope");
        assert_eq!(told, ours.told());
    }

    /// Nothing beyond the scope is merged, and all places are those of what is seen.
    pub(super) fn check_merged(&self, batch: &Batch) {
        for operation in batch.operations.iter().filter(|_| self.ours.is_some()) {
            let scope = self.ours.as_ref().expect("there is one");
            let rule = scope.rule(&operation.collection).expect("the collection is within");
            assert_eq!(rule.hidden_field(&operation.change), None);
        }
        let places = batch.checkpoint.iter().chain(&batch.step).chain(&batch.roots);
        let seen = |incarnation: Incarnation| {
            incarnation.view() == Incarnation(0).through(self.through).view()
        };
        for place in places.filter(|_| self.through != 0) {
            assert!(seen(place.incarnation), "{place:?} is of another feed");
        }
    }
}

/// Some of the collections that operations are made for.
fn scope(with_conditions: bool) -> Scope {
    let name = |text| Name::new(text).expect("a name");
    let when = |rule: Rule| {
        let open = Condition::is(name("status"), "open");
        if with_conditions { rule.when(Condition::Not(Box::new(open))) } else { rule }
    };
    let all = ["a", "b", "notes", "title", "status", "created", "essays", "c"];
    let scope = all
        .into_iter()
        .fold(Scope::new(), |scope, collection| scope.with(name(collection), when(Rule::all())));
    let some = ["a", "b", "c", "status", "text", "n"].map(name);
    scope.with(name("z"), when(Rule::all().only(some)))
}
