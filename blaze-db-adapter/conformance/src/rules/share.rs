//! What those were given who don't see all.

use blaze_codec::{Name, RecordKey, Seq, record};
use blaze_db_adapter::Audience;

use super::peers::{purge, register, settle};
use crate::subject::{Subject, delete, insert, name, peer, set};
use crate::{Harness, Settings};

/// What an audience was given is told of each record that is asked for, in that order, and of
/// no other; it may be noted twice, and before there is such a record. Another node, and the
/// same one as somebody else, is another audience.
pub async fn what_was_given_is_told_by_audience<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let (anna, nobody) = (audience(1, "tls:anna"), audience(1, ""));
    let (ben, other) = (audience(1, "tls:ben"), audience(2, "tls:anna"));
    assert_eq!(shared(&database, &anna, &[]).await, []);
    share(&database, &anna, &[]).await;
    database.write([insert("notes", 1, record! {})]).await;
    share(&database, &anna, &[1, 2]).await;
    share(&database, &anna, &[2]).await;
    share(&database, &nobody, &[3]).await;
    let key = RecordKey::Text("Zoë's 📱 \0 'x'".into());
    let odd = vec![(name("tags"), key.clone())];
    database.share(&anna, odd.clone(), None).await.expect("what is given can be noted");
    assert_eq!(shared(&database, &anna, &[3, 2, 1, 2]).await, [false, true, true, true]);
    assert_eq!(shared(&database, &nobody, &[3, 2, 1]).await, [true, false, false]);
    for other in [&ben, &other] {
        assert_eq!(shared(&database, other, &[1, 2, 3]).await, [false; 3]);
    }
    let asked = [odd[0].clone(), (name("notes"), key)];
    let found = database.shared(&anna, &asked).await.expect("what was given can be read");
    assert_eq!(found, [Some(Seq::ZERO), None]);
    // When it was withdrawn last.
    for (seq, expected) in [(Some(Seq(5)), 5), (Some(Seq(3)), 5), (None, 5), (Some(Seq(7)), 7)] {
        database.share(&anna, notes(&[1]), seq).await.expect("it can be noted");
        let found = database.shared(&anna, &notes(&[1])).await.expect("it can be read");
        assert_eq!(found, [Some(Seq(expected))]);
    }
    assert_eq!(database.feed().head().0, 1, "that takes no seq");
}

/// What was given is still known when the database is opened again.
pub async fn what_was_given_survives_reopening<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let (anna, nobody) = (audience(1, "tls:anna"), audience(2, ""));
    share(&database, &anna, &[1]).await;
    share(&database, &nobody, &[2]).await;
    let Some(database) = database.reopen(Settings::default()).await else { return };
    assert_eq!(shared(&database, &anna, &[1, 2]).await, [true, false]);
    assert_eq!(shared(&database, &nobody, &[1, 2]).await, [false, true]);
    share(&database, &anna, &[3]).await;
    let database = database.crash(Settings::default()).await;
    assert_eq!(shared(&database, &anna, &[1, 3]).await, [true, true]);
}

/// What was given is forgotten with the peer that is taken out, whoever it came as, and with
/// the tombstone of its record; not by a delete alone, nor of a record that exists or waits.
pub async fn what_was_given_is_forgotten_with_its_peer_or_tombstone<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let (anna, ben, other) = (audience(1, "tls:anna"), audience(1, ""), audience(2, "tls:anna"));
    database.write([1, 2, 3].map(|key| insert("notes", key, record! {}))).await;
    database.write([insert("tags", 2, record! {})]).await;
    for audience in [&anna, &ben, &other] {
        share(&database, audience, &[1, 2, 3, 9]).await;
        let tag = vec![(name("tags"), 2.into())];
        database.share(audience, tag, None).await.expect("what is given can be noted");
    }
    register(&database, peer(2), 0).await;
    database.write([delete("notes", 2)]).await;
    database.write([set("notes", 1, "n", 1)]).await;
    database.write([delete("notes", 3)]).await;
    assert_eq!(purge(&database, 0).await.0, 0);
    assert_eq!(shared(&database, &anna, &[1, 2, 3, 9]).await, [true; 4]);
    settle(&database, peer(2), 4).await;
    assert_eq!(purge(&database, 0).await.0, 1);
    for audience in [&anna, &ben, &other] {
        let found = shared(&database, audience, &[1, 2, 3, 9]).await;
        assert_eq!(found, [true, false, true, true], "one tombstone is gone");
        let tag = [(name("tags"), RecordKey::Int(2))];
        let found = database.shared(audience, &tag).await.expect("what was given can be read");
        assert_eq!(found, [Some(Seq::ZERO)], "that is another record");
    }
    // It needn't be registered.
    let taken_out = database.unregister(peer(1)).await.expect("a peer can be taken out");
    assert!(!taken_out);
    for audience in [&anna, &ben] {
        assert_eq!(shared(&database, audience, &[1, 2, 3, 9]).await, [false; 4]);
    }
    assert_eq!(shared(&database, &other, &[1, 2, 3, 9]).await, [true, false, true, true]);
    share(&database, &anna, &[2]).await;
    assert_eq!(shared(&database, &anna, &[1, 2]).await, [false, true], "it begins anew");
}

fn audience(node: u8, principal: &str) -> Audience {
    Audience { node: peer(node), principal: principal.to_owned() }
}

pub(super) fn notes(keys: &[i64]) -> Vec<(Name, RecordKey)> {
    keys.iter().map(|key| (name("notes"), RecordKey::Int(*key))).collect()
}

pub(super) async fn share<H: Harness>(
    database: &Subject<'_, H>,
    audience: &Audience,
    keys: &[i64],
) {
    database.share(audience, notes(keys), None).await.expect("what is given can be noted");
}

pub(super) async fn shared<H: Harness>(
    database: &Subject<'_, H>,
    audience: &Audience,
    keys: &[i64],
) -> Vec<bool> {
    let shared = database.shared(audience, &notes(keys)).await.expect("what was given can be read");
    shared.iter().map(Option::is_some).collect()
}
