//! Servers have priority over clients that didn't know.

use blaze_codec::{Hlc, Role, Version, record};

use crate::subject::{Subject, insert, peer, set};
use crate::{Harness, TestClock};

/// A server's write has its own clock as the epoch; a client's has the epoch of
/// what it saw, 0 if no server wrote the record.
pub async fn versions_carry_the_epoch<H: Harness>(harness: &H) {
    let clock = TestClock::new(10_000);
    let server = Subject::with(harness, clock.settings(Role::Server)).await;
    let client = Subject::with(harness, clock.settings(Role::Client)).await;
    let writes = [insert("notes", 1, record! { "a" => 1, "b" => 1 })];
    let known = server.write(writes).await.operations()[0].version;
    assert_eq!(known.epoch, known.hlc);
    client.pull(&server).await;
    let writes = [set("notes", 1, "b", 2), insert("notes", 2, record! {})];
    let written: Vec<Version> =
        client.write(writes).await.operations().iter().map(|write| write.version).collect();
    assert_eq!(written[0].epoch, known.epoch, "the record's epoch, not only the field's");
    assert_eq!(written[1].epoch, Hlc::ZERO, "a record that no server wrote");
}

/// A server's write beats a later one of a client that hadn't seen it; a client
/// that saw it overwrites it.
pub async fn a_server_beats_clients_that_have_not_seen_it<H: Harness>(harness: &H) {
    let (early, late) = (TestClock::new(10_000), TestClock::new(20_000));
    let server = Subject::with(harness, early.settings(Role::Server)).await;
    let client = Subject::with(harness, late.settings(Role::Client)).await;
    client.write([insert("notes", 1, record! { "title" => "draft" })]).await;
    server.pull(&client).await;
    server.write([set("notes", 1, "title", "server")]).await;
    late.set(30_000);
    client.write([set("notes", 1, "title", "unseen")]).await;
    client.pull(&server).await;
    server.pull(&client).await;
    for database in [&server, &client] {
        assert_eq!(database.record("notes", 1).await, Some(record! { "title" => "server" }));
    }
    client.write([set("notes", 1, "title", "seen")]).await;
    server.pull(&client).await;
    for database in [&server, &client] {
        assert_eq!(database.record("notes", 1).await, Some(record! { "title" => "seen" }));
    }
    assert_eq!(server.states().await, client.states().await);
}

/// A role that is set applies to the commits that follow.
pub async fn a_role_applies_from_when_it_is_set<H: Harness>(harness: &H) {
    let clock = TestClock::new(10_000);
    let database = Subject::with(harness, clock.settings(Role::Client)).await;
    let mut epochs = Vec::new();
    for (key, role) in [(1, Role::Client), (2, Role::Server), (3, Role::Client)] {
        database.set_role(role).await.expect("a role can be set");
        let committed = database.write([insert("notes", key, record! {})]).await;
        epochs.push(committed.operations()[0].version.epoch > Hlc::ZERO);
    }
    assert_eq!(epochs, [false, true, false]);
    // Opened again, it is stamped as it was set last.
    database.set_role(Role::Server).await.expect("a role can be set");
    let Some(database) = database.reopen(clock.settings(Role::Client)).await else { return };
    let committed = database.write([insert("notes", 4, record! {})]).await;
    assert!(committed.operations()[0].version.epoch > Hlc::ZERO, "it is a server");
}

/// Priority is in the version alone: what a server wrote keeps it, whoever
/// passes it on.
pub async fn priority_travels_with_the_operation<H: Harness>(harness: &H) {
    let (early, late) = (TestClock::new(10_000), TestClock::new(20_000));
    let server = Subject::with(harness, early.settings(Role::Server)).await;
    let relay = Subject::with(harness, late.settings(Role::Client)).await;
    let client = Subject::with(harness, late.settings(Role::Client)).await;
    server.write([insert("notes", 1, record! { "title" => "server" })]).await;
    client.write([insert("notes", 1, record! { "title" => "client" })]).await;
    relay.pull(&server).await;
    client.take(peer(1), 1, &relay.whole_feed().await).await;
    assert_eq!(client.record("notes", 1).await, Some(record! { "title" => "server" }));
}
