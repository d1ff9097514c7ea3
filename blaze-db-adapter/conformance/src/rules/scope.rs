//! What a peer that is limited to a scope may do depending on values.

use std::sync::Arc;

use blaze_codec::{
    Change, Checkpoint, Condition, Hlc, Incarnation, NodeId, Operation, Record, RecordKey, Rule,
    Scope, Seq, Value, Version, record,
};
use blaze_db_adapter::{Audience, Committed, Incoming, Limit, Merged, Origin};

use crate::subject::{Subject, UNLIMITED, delete, insert, name, peer, set};
use crate::{Harness, Settings};

/// Later than what is written here.
pub(super) const LATER: u64 = 1 << 60;
pub(super) const PLACE: Checkpoint = Checkpoint { incarnation: Incarnation(1), seq: Seq(7) };

/// A write of a peer to a record that it may not see joins nothing, whatever it is, and nothing
/// that is here or came is told to have lost. But it makes a commit, at each attempt, of all
/// that the record is: the peer has something else, and hears from the feed what it may not
/// have. So does a write of its own that is older than what is here.
pub async fn a_write_to_what_a_peer_may_not_see_is_refused<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([insert("notes", 1, note("ben", "his"))]).await;
    database.write([set("notes", 1, "color", "red"), insert("tags", 2, record! {})]).await;
    let (his, feed) = (of_note(&database, 1).await, database.whole_feed().await);
    let states = database.states().await;
    let writes = [
        operation(1, LATER, update("text", "taken")),
        operation(1, LATER, update("text", "taken")),
        operation(1, LATER, update("owner", "anna")),
        operation(1, LATER, Change::Insert(note("anna", "hers"))),
        operation(1, LATER, Change::Delete),
        by(peer(1), operation(1, 1, Change::Insert(note("anna", "of before")))),
    ];
    for (write, seq) in writes.iter().zip(3..) {
        let merged = limited(&database, vec![write.clone()]).await;
        assert_eq!(merged.refused, [(name("notes"), 1.into())], "{write:?}");
        assert!(merged.conflicts.is_empty(), "{write:?}: {:?}", merged.conflicts);
        assert_told(committed(&merged), seq, &his);
        assert_eq!(database.states().await, states, "{write:?}");
        let told = database.changes(Seq(seq - 1), UNLIMITED).await.expect("changes can be read");
        assert_eq!((told.operations, told.through), (his.clone(), Seq(seq)), "{write:?}");
    }
    let moved = database.whole_feed().await;
    assert!(moved.ends_with(&his) && moved.len() == feed.len(), "{moved:?}");
    let Some(database) = database.reopen(Settings::default()).await else { return };
    assert_eq!(database.whole_feed().await, moved);
}

/// What others wrote of a record that a peer may not see, and what it wrote and stands, it may
/// pass on: that is refused only if it was never given the record. It was told what it may not
/// have, and has it by another way since; were it told again, and others with it, two sides
/// could tell each other for ever. But what it wrote and lost is refused each time.
pub async fn what_a_peer_passes_on_is_refused_once<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([insert("notes", 1, note("ben", "his"))]).await;
    let his = of_note(&database, 1).await;
    let its_own = by(peer(1), born(2, LATER, "ben"));
    merge(&database, Incoming { limit: None, ..incoming(vec![its_own.clone()]) }).await;
    let older = operation(1, 1, Change::Insert(note("anna", "of before")));
    let lost = by(peer(1), operation(2, 1, Change::Insert(note("anna", "lost"))));
    for known in [his[0].clone(), its_own.clone()] {
        let merged = limited(&database, vec![known.clone()]).await;
        assert_eq!(refused(&merged), std::slice::from_ref(&known.key), "it was never given it");
        assert_told(committed(&merged), database.feed().head().0, &[known]);
    }
    for known in [&his[0], &its_own, &older] {
        let merged = limited(&database, vec![known.clone()]).await;
        assert!(merged.refused.is_empty() && merged.committed.is_none(), "{known:?}: {merged:?}");
    }
    for _ in 0..2 {
        let merged = limited(&database, vec![its_own.clone(), lost.clone()]).await;
        assert_eq!(refused(&merged), [2.into()]);
        assert_told(committed(&merged), database.feed().head().0, std::slice::from_ref(&its_own));
    }
}

/// A peer may make only what it may see: of a new record beyond that nothing is known, but
/// that the peer is to forget it, at each attempt. It isn't deleted, for somebody else may be
/// right to have it. What it deletes of a record that isn't there needs no values.
pub async fn a_new_record_is_what_a_peer_may_see_or_refused<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    for (seq, hlc) in [(1, LATER), (2, LATER + 1)] {
        let merged = limited(&database, vec![born(1, hlc, "ben")]).await;
        assert_eq!(merged.refused, [(name("notes"), 1.into())]);
        assert_told(committed(&merged), seq, &[unmade(1)]);
        assert_eq!(database.whole_feed().await, [unmade(1)]);
        assert_eq!(database.record("notes", 1).await, None);
        let (audience, records) = (anna(), [(name("notes"), 1.into())]);
        let shared = database.shared(&audience, &records).await.expect("it can be read");
        assert_eq!(shared, [Some(Seq(seq))], "it is withdrawn as of that");
    }
    let everybody = Incoming { limit: None, ..incoming(vec![born(1, LATER, "ben")]) };
    assert!(merge(&database, everybody).await.committed.is_some());
    assert_eq!(database.record("notes", 1).await, Some(note("ben", "new")));
    let mine = born(2, LATER, "anna");
    let merged = limited(&database, vec![mine.clone()]).await;
    assert!(merged.refused.is_empty(), "{merged:?}");
    assert_eq!(committed(&merged).operations(), [mine]);
    // One that was deleted here is new, too. (The clock here has followed what came.)
    database.write([insert("notes", 3, note("ben", "his"))]).await;
    database.write([delete("notes", 3)]).await;
    let dead = of_note(&database, 3).await;
    let (hidden, seen) = (born(3, 2 * LATER, "ben"), born(3, 2 * LATER + 1, "anna"));
    let merged = limited(&database, vec![hidden]).await;
    assert_eq!(merged.refused, [(name("notes"), 3.into())]);
    assert_eq!(committed(&merged).operations(), dead, "it stays deleted as it was");
    let merged = limited(&database, vec![seen]).await;
    assert!(merged.refused.is_empty(), "{merged:?}");
    assert_eq!(database.record("notes", 3).await, Some(note("anna", "new")));
    let merged = limited(&database, vec![operation(4, LATER, Change::Delete)]).await;
    assert!(merged.refused.is_empty() && merged.committed.is_some(), "{merged:?}");
}

/// Who sees a record may change it so that it doesn't any more, and delete it. Who may write
/// anything isn't asked for values.
pub async fn a_record_may_be_moved_out_by_who_sees_it<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([1, 2].map(|key| insert("notes", key, note("anna", "hers")))).await;
    let given = operation(1, LATER, update("owner", "ben"));
    let merged = limited(&database, vec![given.clone(), operation(2, LATER, Change::Delete)]).await;
    assert!(merged.refused.is_empty(), "{merged:?}");
    assert_eq!(database.record("notes", 1).await, Some(note("ben", "hers")));
    assert_eq!(database.record("notes", 2).await, None);
    let merged = limited(&database, vec![operation(1, LATER + 1, update("text", "late"))]).await;
    assert_eq!(merged.refused, [(name("notes"), 1.into())], "it is his now");
    let all = Scope::new().with(name("notes"), Rule::all());
    for limit in [None, Some(limit(all))] {
        let text = format!("{}", limit.is_some());
        let operations = vec![operation(1, LATER + 2, update("text", text.as_str()))];
        let incoming = Incoming { peer: peer(1), operations, limit, ..Incoming::default() };
        let merged = merge(&database, incoming).await;
        assert!(merged.refused.is_empty(), "{merged:?}");
    }
}

/// What is refused takes nothing else with it: the other records of the batch are merged in
/// one commit, and the checkpoint is stored, also if nothing else came.
pub async fn what_comes_with_what_is_refused_is_merged<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([insert("notes", 2, note("ben", "his"))]).await;
    let his = database.whole_feed().await.remove(0);
    let hers = |key| born(key, LATER, "anna");
    let other = |key| Operation { collection: name("tags"), ..hers(key) };
    let operations = vec![
        hers(9),
        operation(2, LATER, update("text", "taken")),
        hers(1),
        born(3, LATER, "ben"),
        other(2),
        operation(2, LATER + 1, update("text", "taken again")),
    ];
    let merged = limited(&database, operations).await;
    assert_eq!(refused(&merged), [2.into(), 3.into()]);
    let told = [hers(9), his, hers(1), unmade(3), other(2)];
    assert_told(committed(&merged), 2, &told);
    let checkpoints = database.checkpoints(peer(1)).await.expect("checkpoints can be read");
    assert_eq!(checkpoints, [PLACE]);
    assert_eq!(database.record("notes", 2).await, Some(note("ben", "his")));

    let next = Checkpoint { seq: Seq(8), ..PLACE };
    let operations = vec![operation(2, LATER + 2, Change::Delete)];
    let incoming = Incoming { checkpoint: Some(next), ..incoming(operations) };
    assert_eq!(refused(&merge(&database, incoming).await), [2.into()]);
    let Some(database) = database.reopen(Settings::default()).await else { return };
    let checkpoints = database.checkpoints(peer(1)).await.expect("checkpoints can be read");
    assert_eq!(checkpoints, [next]);
    assert_eq!(database.whole_feed().await.len(), 5);
}

/// Several operations of one record are judged together: by what it was, or by what they
/// make if it wasn't there. All of them are refused or none.
pub async fn operations_of_a_record_are_judged_by_their_end<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([insert("notes", 3, note("ben", "his"))]).await;
    let his = database.whole_feed().await.remove(0);
    let moved = |key, owner| operation(key, LATER + 1, update("owner", owner));
    let operations = [
        born(1, LATER, "ben"),
        born(2, LATER, "anna"),
        moved(1, "anna"),
        moved(2, "ben"),
        // Deleted and made anew it would be hers.
        operation(3, LATER, Change::Delete),
        born(3, LATER + 1, "anna"),
        born(4, LATER, "ben"),
        operation(4, LATER + 1, Change::Delete),
    ];
    let merged = limited(&database, operations.to_vec()).await;
    assert_eq!(refused(&merged), [2.into(), 3.into()]);
    let [born, _, moved, _, _, _, short, dead] = operations;
    let told = [born, unmade(2), moved, his, short, dead];
    assert_eq!(committed(&merged).operations(), told);
    assert_eq!(database.record("notes", 1).await, Some(note("anna", "new")));
    assert_eq!(database.record("notes", 2).await, None);
    assert_eq!(database.record("notes", 3).await, Some(note("ben", "his")));
    assert_eq!(database.record("notes", 4).await, None);
}

/// A roll buries nothing that the peer may not see, and what it may as ever: the peer may have
/// of a record what isn't known here without having been told of it.
pub async fn a_roll_does_not_bury_what_its_peer_may_not_see<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([insert("notes", 1, note("ben", "his"))]).await;
    let his = database.whole_feed().await.remove(0);
    database.write([insert("notes", 2, note("anna", "hers"))]).await;
    let named = [1, 2, 3].map(|key| operation(key, LATER, Change::Update(Vec::new())));
    let roll = Incoming { roll: true, checkpoint: None, ..incoming(named.to_vec()) };
    let merged = merge(&database, roll).await;
    assert_eq!(refused(&merged), [1.into()]);
    assert_told(committed(&merged), 3, &[his, buried(2, LATER), buried(3, LATER)]);
    assert_eq!(database.record("notes", 1).await, Some(note("ben", "his")));
    assert_eq!(database.record("notes", 2).await, None);
}

/// What was refused and isn't known stays in the feed as a withdrawal, but isn't one from here:
/// whoever has a record of that name and calls its roll hears that it was deleted, as ever.
pub async fn what_was_refused_is_not_taken_for_withdrawn<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let merged = limited(&database, vec![born(1, 5, "ben"), born(2, 5, "ben")]).await;
    assert_eq!(refused(&merged), [1.into(), 2.into()]);
    let roll = |key| {
        let operations = vec![operation(key, LATER, Change::Update(Vec::new()))];
        Incoming { roll: true, limit: None, checkpoint: None, ..incoming(operations) }
    };
    let merged = merge(&database, roll(1)).await;
    assert_told(committed(&merged), 2, &[buried(1, LATER)]);
    let Some(database) = database.reopen(Settings::default()).await else { return };
    let merged = merge(&database, roll(2)).await;
    assert_told(committed(&merged), 3, &[buried(2, LATER)]);
}

/// What a limited peer writes below a delete brings nothing back, and it is told, whatever it
/// has acknowledged: of a record that it wasn't given, no delete was told it. From then on, it
/// is as with any other peer.
pub async fn a_peer_hears_of_a_delete_that_it_was_not_told<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([insert("notes", 1, note("ben", "his"))]).await;
    let dead = database.write([delete("notes", 1)]).await.operations().to_vec();
    let below = vec![born(1, 5, "anna"), operation(1, 6, update("text", "changed"))];
    // Who sees all is told by the feed.
    let unlimited = Incoming { limit: None, ..incoming(below.clone()) };
    assert!(merge(&database, unlimited.clone()).await.committed.is_none());
    let merged = limited(&database, below.clone()).await;
    assert!(merged.refused.is_empty(), "{merged:?}");
    assert_told(committed(&merged), 3, &dead);
    let told = database.changes(Seq(2), UNLIMITED).await.expect("changes can be read");
    assert_eq!(told.operations, dead, "it is in the feed at the new seq");
    assert_eq!(database.record("notes", 1).await, None);
    assert!(merge(&database, unlimited).await.committed.is_none());
    for (holds, is_told) in [(2, false), (3, true)] {
        let again = Incoming { holds: Seq(holds), ..incoming(below.clone()) };
        assert_eq!(merge(&database, again).await.committed.is_some(), is_told);
    }
}

/// The notes of Anna, and all tags.
pub(super) fn hers() -> Scope {
    let rule = Rule::all().when(Condition::is(name("owner"), "anna"));
    Scope::new().with(name("notes"), rule).with(name("tags"), Rule::all())
}

pub(super) fn note(owner: &str, text: &str) -> Record {
    record! { "owner" => owner, "text" => text }
}

pub(super) fn operation(key: i64, hlc: u64, change: Change) -> Operation {
    let version = Version { hlc: Hlc::from_bits(hlc), node: peer(200), ..Version::ZERO };
    let (collection, base) = (name("notes"), Version::ZERO);
    Operation { collection, key: key.into(), version, base, change }
}

/// The same, by somebody else.
fn by(node: NodeId, operation: Operation) -> Operation {
    Operation { version: Version { node, ..operation.version }, ..operation }
}

/// An insert of a peer.
pub(super) fn born(key: i64, hlc: u64, owner: &str) -> Operation {
    operation(key, hlc, Change::Insert(note(owner, "new")))
}

/// What is told of a new record that a peer may not make.
fn unmade(key: i64) -> Operation {
    Operation::withdrawal(name("notes"), key.into())
}

/// What becomes of a record that a roll names at that version, and that isn't known.
fn buried(key: i64, hlc: u64) -> Operation {
    let dead = operation(key, hlc, Change::Delete);
    Operation { base: dead.version, ..dead }
}

pub(super) fn update(field: &str, value: &str) -> Change {
    Change::Update(vec![(name(field), Some(Value::from(value)))])
}

pub(super) fn incoming(operations: Vec<Operation>) -> Incoming {
    let (limit, roots) = (Some(limit(hers())), vec![PLACE]);
    let checkpoint = Some(PLACE);
    Incoming { peer: peer(1), checkpoint, roots, operations, limit, ..Incoming::default() }
}

fn limit(scope: Scope) -> Arc<Limit> {
    Arc::new(Limit { scope: Arc::new(scope), audience: anna() })
}

/// Whom the peer comes as.
pub(super) fn anna() -> Audience {
    Audience { node: peer(1), principal: "tls:anna".to_owned() }
}

pub(super) async fn limited<H: Harness>(
    database: &Subject<'_, H>,
    operations: Vec<Operation>,
) -> Merged {
    merge(database, incoming(operations)).await
}

pub(super) async fn merge<H: Harness>(database: &Subject<'_, H>, incoming: Incoming) -> Merged {
    database.merge(incoming).await.expect("a merge succeeds")
}

pub(super) fn committed(merged: &Merged) -> &Committed {
    merged.committed.as_ref().expect("it changed something")
}

/// That a commit at a seq is these operations, of which the peer hears, too.
pub(super) fn assert_told(committed: &Committed, seq: u64, operations: &[Operation]) {
    assert_eq!((committed.seq(), committed.operations()), (Seq(seq), operations));
    let origin = Origin::Peer { node: peer(1), checkpoint: None };
    assert_eq!((committed.origin(), committed.roots()), (origin, &[][..]));
}

/// What the feed has of a note.
pub(super) async fn of_note<H: Harness>(database: &Subject<'_, H>, key: i64) -> Vec<Operation> {
    let (collection, key) = (name("notes"), RecordKey::Int(key));
    let mut operations = database.whole_feed().await;
    operations.retain(|it| (&it.collection, &it.key) == (&collection, &key));
    operations
}

/// The keys of the notes that were refused, in their order.
fn refused(merged: &Merged) -> Vec<RecordKey> {
    assert!(merged.refused.iter().all(|(collection, _)| *collection == name("notes")));
    let mut keys: Vec<_> = merged.refused.iter().map(|(_, key)| key.clone()).collect();
    keys.sort_unstable();
    keys
}
