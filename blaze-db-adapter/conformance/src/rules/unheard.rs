//! What a limited peer writes to a record of which it hasn't heard, or won't any more.

use std::sync::Arc;

use blaze_codec::{Change, Operation, Seq};
use blaze_db_adapter::{Audience, Incoming, Limit, Merged, Origin};

use super::peers::purge;
use super::scope::{
    LATER, PLACE, anna, assert_told, born, committed, hers, incoming, limited, merge, note,
    of_note, operation, update,
};
use super::share::{notes, share, shared};
use crate::subject::{Subject, delete, insert, peer, set};
use crate::{Harness, Settings};

/// A peer that writes to a record that is here, and that it was never given, is told all of it,
/// also if its write changes nothing: it has passed that in the feed. Once is enough.
pub async fn a_peer_is_told_all_of_what_it_was_not_given<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([1, 2].map(|key| insert("notes", key, note("anna", "hers")))).await;
    database.write([set("notes", 1, "color", "red")]).await;
    share(&database, &anna(), &[2]).await;
    let write = |key, hlc| operation(key, hlc, update("text", "changed"));
    let merged = limited(&database, vec![write(1, LATER), write(1, LATER + 1)]).await;
    let all = of_note(&database, 1).await;
    assert!(all.len() > 1, "it's more than what came: {all:?}");
    assert_told(committed(&merged), 3, &all);
    assert_as_it_came(&limited(&database, vec![write(1, LATER + 2)]).await, &write(1, LATER + 2));
    assert_as_it_came(&limited(&database, vec![write(2, LATER)]).await, &write(2, LATER));
    assert!(limited(&database, vec![write(2, LATER)]).await.committed.is_none(), "it is known");
    // Somebody else at the same node hasn't heard.
    let all = of_note(&database, 2).await;
    for is_told in [true, false] {
        let merged = merge(&database, as_ben(incoming(vec![write(2, LATER)]))).await;
        assert_eq!(merged.committed.is_some(), is_told, "{merged:?}");
        merged.committed.inspect(|committed| assert_told(committed, 6, &all));
    }
    assert_as_it_came(
        &limited(&database, vec![born(3, LATER, "anna")]).await,
        &born(3, LATER, "anna"),
    );
}

/// A roll, too, tells the peer of all that is known of what it names and wasn't given.
pub async fn a_roll_tells_what_its_peer_was_not_given<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([1, 2].map(|key| insert("notes", key, note("anna", "hers")))).await;
    share(&database, &anna(), &[2]).await;
    let named = database.roll(Seq::ZERO, Seq(1), usize::MAX).await.expect("a roll can be read");
    let all = of_note(&database, 1).await;
    for is_told in [true, false] {
        let roll = incoming(named.operations.clone());
        let roll = Incoming { roll: true, checkpoint: None, ..roll };
        let merged = merge(&database, roll).await;
        assert_eq!(merged.committed.is_some(), is_told, "{merged:?}");
        merged.committed.inspect(|committed| assert_told(committed, 2, &all));
    }
    assert_eq!(shared(&database, &anna(), &[1, 2]).await, [true; 2]);
}

/// A merge notes, durably, that its audience has the records of the operations: refused ones,
/// those that changed nothing, and those of a roll. Of who isn't limited nothing is noted.
pub async fn a_merge_notes_what_its_peer_has<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([1, 2].map(|key| insert("notes", key, note("ben", "his")))).await;
    let nothing = |key| operation(key, LATER, Change::Update(Vec::new()));
    let operations = vec![born(4, LATER, "anna"), born(1, LATER, "anna"), born(3, LATER, "ben")];
    let unlimited = Incoming { limit: None, ..incoming(vec![born(8, LATER, "ben")]) };
    merge(&database, unlimited).await;
    limited(&database, operations).await;
    assert!(limited(&database, vec![nothing(5)]).await.committed.is_none());
    let roll = Incoming { roll: true, checkpoint: None, ..incoming(vec![nothing(6)]) };
    merge(&database, roll).await;
    let keys = [1, 2, 3, 4, 5, 6, 8];
    let expected = [true, false, true, true, true, true, false];
    assert_eq!(shared(&database, &anna(), &keys).await, expected);
    assert_eq!(shared(&database, &ben(), &keys).await, [false; 7]);
    if !H::REOPENS {
        return;
    }
    let database = database.crash(Settings::default()).await;
    assert_eq!(shared(&database, &anna(), &keys).await, expected);
}

/// What is withdrawn from a peer as of a seq is told it whenever it writes to it, until it has
/// acknowledged that seq; and from then on whenever it changes it, for that may have been on its
/// way. Neither giving it again nor withdrawing it earlier undoes that.
pub async fn a_peer_hears_of_what_it_is_about_to_lose<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([1, 2].map(|key| insert("notes", key, note("anna", "hers")))).await;
    share(&database, &anna(), &[1, 2]).await;
    withdraw(&database, &[1], 5).await;
    assert_eq!(shared(&database, &anna(), &[1, 2]).await, [true; 2], "it still has it");
    assert_eq!(database.feed().head(), Seq(1), "that takes no seq");
    assert_told_until(&database, 5, LATER).await;
    withdraw(&database, &[1], 3).await;
    assert_told_until(&database, 5, LATER + 10).await;
    withdraw(&database, &[1], 7).await;
    share(&database, &anna(), &[1]).await;
    assert_told_until(&database, 7, LATER + 20).await;
    let other = operation(2, LATER, update("text", "changed"));
    assert_as_it_came(&limited(&database, vec![other.clone()]).await, &other);
    // From somebody else it isn't withdrawn.
    share(&database, &ben(), &[1]).await;
    let write = operation(1, LATER + 30, update("text", "his"));
    assert_as_it_came(&merge(&database, as_ben(incoming(vec![write.clone()]))).await, &write);
}

/// At which seq what was given is withdrawn is still known when the database is opened again,
/// and forgotten with what was given.
pub async fn what_a_peer_is_about_to_lose_is_kept<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([insert("notes", 1, note("anna", "hers"))]).await;
    withdraw(&database, &[1, 2], 5).await;
    let Some(database) = database.reopen(Settings::default()).await else { return };
    assert_eq!(shared(&database, &anna(), &[1, 2]).await, [true; 2]);
    assert_told_until(&database, 5, LATER).await;
    let database = database.crash(Settings::default()).await;
    assert_told_until(&database, 5, LATER + 10).await;
    database.unregister(peer(1)).await.expect("a peer can be taken out");
    share(&database, &anna(), &[1]).await;
    assert_as_it_came(&write(&database, 0, LATER + 20).await, &text(LATER + 20));
    withdraw(&database, &[1], 50).await;
    database.write([delete("notes", 1)]).await;
    assert_eq!(purge(&database, 0).await.0, 1);
    database.write([insert("notes", 1, note("anna", "new"))]).await;
    share(&database, &anna(), &[1]).await;
    assert_as_it_came(&write(&database, 0, 2 * LATER).await, &text(2 * LATER));
}

/// That a peer's writes to a note are answered with all of it, and until it has acknowledged a
/// seq also those that change nothing.
async fn assert_told_until<H: Harness>(database: &Subject<'_, H>, seq: u64, hlc: u64) {
    for (hlc, holds) in (hlc..).zip([0, seq - 1, seq - 1]) {
        let next = database.feed().head().next().0;
        let merged = write(database, holds, hlc).await;
        assert_told(committed(&merged), next, &of_note(database, 1).await);
        assert!(write(database, holds, hlc).await.committed.is_some(), "it is told again");
    }
    for (hlc, holds) in (hlc + 3..).zip([seq, seq + 1]) {
        let next = database.feed().head().next().0;
        let merged = write(database, holds, hlc).await;
        assert_told(committed(&merged), next, &of_note(database, 1).await);
        assert!(write(database, holds, hlc).await.committed.is_none(), "it is known");
    }
}

async fn write<H: Harness>(database: &Subject<'_, H>, holds: u64, hlc: u64) -> Merged {
    let incoming = Incoming { holds: Seq(holds), ..incoming(vec![text(hlc)]) };
    merge(database, incoming).await
}

fn text(hlc: u64) -> Operation {
    operation(1, hlc, update("text", "changed"))
}

/// That a commit is what came, of which the peer needn't hear.
fn assert_as_it_came(merged: &Merged, operation: &Operation) {
    let committed = committed(merged);
    assert_eq!(committed.operations(), std::slice::from_ref(operation));
    let origin = Origin::Peer { node: peer(1), checkpoint: Some(PLACE) };
    assert_eq!((committed.origin(), committed.roots()), (origin, &[PLACE][..]));
}

async fn withdraw<H: Harness>(database: &Subject<'_, H>, keys: &[i64], seq: u64) {
    let withdrawn = database.share(&anna(), notes(keys), Some(Seq(seq))).await;
    withdrawn.expect("what is withdrawn can be noted");
}

/// Somebody else at the node of Anna.
fn ben() -> Audience {
    Audience { principal: "tls:ben".to_owned(), ..anna() }
}

/// The same, from somebody else who may write what Anna may.
fn as_ben(incoming: Incoming) -> Incoming {
    let limit = Limit { scope: Arc::new(hers()), audience: ben() };
    Incoming { limit: Some(Arc::new(limit)), ..incoming }
}
