//! What a user does with the facade, over each transport.

use std::sync::Arc;
use std::time::Duration;

use blaze_sync::{
    Change, Database, DatabaseError, Endpoint, Error, LinkState, MemoryTransport, Mode,
    NodeOptions, Record, RecordKey, Role, Seq, Topology, Value, WriteError, record,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Note {
    title: String,
    stars: u8,
    tags: Vec<String>,
    due: Option<i64>,
}

fn note() -> Note {
    Note { title: "hello".into(), stars: 3, tags: vec!["a".into(), "b".into()], due: None }
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("it takes too long")
}

/// Two apps in topologies of their own, linked over an endpoint.
async fn sync_over(endpoint: &str) {
    let (db1, db2) = (Database::in_memory(), Database::in_memory());
    let (here, there) = (Topology::new(), Topology::new());
    let app1 = here.register(db1.clone(), "App1DB", Role::Server).await.unwrap();
    let app2 = there.register(db2.clone(), "App2DB", Role::Client).await.unwrap();
    let endpoint = here.listen(app1, endpoint).await.unwrap().to_string();
    let mut link = there.connect(app2, &endpoint, Mode::Bidirectional).await.unwrap();
    within(link.wait_for(|status| status.state == LinkState::Live)).await.unwrap();

    let id = db1.collection("notes").insert(&note()).await.unwrap();
    let peers = within(here.synced(app1)).await.unwrap();
    assert_eq!(peers.iter().map(|peer| peer.name.as_str()).collect::<Vec<_>>(), ["App2DB"]);
    let found: Note = db2.collection("notes").get(&id).await.unwrap().unwrap();
    assert_eq!(found, note());

    db2.collection("notes").delete(&id).await.unwrap();
    within(there.synced(app2)).await.unwrap();
    assert_eq!(db1.collection("notes").get::<Record>(&id).await.unwrap(), None);

    let graph = here.graph();
    let (app1, app2) = (graph.find("App1DB").unwrap(), graph.find("App2DB").unwrap());
    assert_eq!(graph.reaches(app1, app2), Some(1));
    there.close().await;
    here.close().await;
}

#[tokio::test]
async fn apps_sync_in_memory() {
    sync_over("mem:facade").await;
}

#[tokio::test]
async fn apps_sync_over_a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    sync_over(&format!("unix:{}", directory.path().join("s.sock").display())).await;
}

#[tokio::test]
async fn apps_sync_over_tcp_on_loopback() {
    sync_over("tcp://127.0.0.1:0").await;
}

#[tokio::test]
async fn encrypted_files_sync_and_are_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let open = |name: &str| Database::open(directory.path().join(name)).password("secret");
    let (db1, db2) = (open("1.blaze").await.unwrap(), open("2.blaze").await.unwrap());
    let topology = Topology::new();
    let a = topology.register(db1.clone(), "a", Role::Client).await.unwrap();
    let b = topology.register(db2.clone(), "b", Role::Client).await.unwrap();
    let path = directory.path().join("ab.sock");
    let mut link = topology.connect_cross_app(a, b, path, Mode::Bidirectional).await.unwrap();
    within(link.wait_for(|status| status.state == LinkState::Live)).await.unwrap();
    let seq = db1
        .transaction()
        .insert("accounts", "alice", record! { "balance" => 70 })
        .unwrap()
        .insert("accounts", "bob", record! { "balance" => 30 })
        .unwrap()
        .commit()
        .await
        .unwrap();
    assert_eq!(within(topology.acknowledged(a, seq)).await.unwrap().len(), 1);
    topology.close().await;
    db1.close().await.unwrap();
    db2.close().await.unwrap();

    let db2 = open("2.blaze").await.unwrap();
    let bob: Record = db2.collection("accounts").get("bob").await.unwrap().unwrap();
    assert_eq!(bob.get("balance"), Some(&Value::Int(30)));
}

#[tokio::test]
async fn observers_see_local_and_remote_changes_in_order() {
    let (db1, db2) = (Database::in_memory(), Database::in_memory());
    let topology = Topology::new();
    let a = topology.register(db1.clone(), "a", Role::Client).await.unwrap();
    let b = topology.register(db2.clone(), "b", Role::Client).await.unwrap();
    let mut changes = db2.observe("notes").unwrap();
    topology.connect_local(a, b, Mode::Bidirectional).await.unwrap();
    db2.collection("other").insert(record! { "n" => 0 }).await.unwrap();
    db2.collection("notes").insert_at(1, record! { "n" => 1 }).await.unwrap();
    let local = within(changes.next()).await.unwrap();
    assert_eq!((local.key, local.origin.unwrap()), (1.into(), blaze_sync::Origin::Local));
    for n in 2..50_i64 {
        db1.collection("notes").insert_at(n, record! { "n" => n }).await.unwrap();
    }
    for n in 2..50_i64 {
        let remote = within(changes.next()).await.unwrap();
        assert_eq!(remote.key, RecordKey::Int(n));
        assert_eq!(remote.change, Change::Insert(record! { "n" => n }));
    }
    // From the start, everything that there is.
    let mut all = db2.observe_all(Seq::ZERO);
    for _ in 0..50 {
        within(all.next()).await.unwrap();
    }
    db2.close().await.unwrap();
    let end = within(changes.next()).await.unwrap_err();
    assert!(matches!(end, DatabaseError::Closed), "{end}");
}

#[tokio::test]
async fn a_server_beats_a_client_that_did_not_know() {
    let (server, client) = (Database::in_memory(), Database::in_memory());
    let topology = Topology::new();
    let s = topology.register(server.clone(), "server", Role::Server).await.unwrap();
    let c = topology.register(client.clone(), "client", Role::Client).await.unwrap();
    let (theirs, ours) = (server.collection("notes"), client.collection("notes"));
    theirs.insert_at(1, record! { "text" => "server" }).await.unwrap();
    ours.insert_at(1, record! { "text" => "client, later" }).await.unwrap();
    let mut conflicts = topology.conflicts(c).unwrap();
    topology.connect_local(c, s, Mode::Bidirectional).await.unwrap();
    let conflict = within(conflicts.recv()).await.unwrap();
    assert_eq!(conflict.winner.value, Some("server".into()));
    assert_eq!(conflict.loser.value, Some("client, later".into()));

    // Who saw the server's write may overwrite it.
    ours.update(1, record! { "text" => "client, knowing" }).await.unwrap();
    within(topology.synced(c)).await.unwrap();
    let note: Record = theirs.get(1).await.unwrap().unwrap();
    assert_eq!(note.get("text"), Some(&"client, knowing".into()));
}

#[tokio::test]
async fn mistakes_are_named() {
    let db = Database::in_memory();
    let topology =
        Topology::with_transports(vec![Arc::new(MemoryTransport::new())], NodeOptions::default());
    let a = topology.register(db.clone(), "a", Role::Client).await.unwrap();
    let error = topology.register(db.clone(), "a", Role::Client).await.unwrap_err();
    assert!(error.to_string().contains("\"a\""), "{error}");
    let error = topology.connect(a, "unix:/x", Mode::ReadOnly).await.unwrap_err();
    assert!(matches!(&error, Error::NoTransport { scheme, .. } if scheme == "unix"), "{error}");
    let error = topology.connect(a, "nonsense", Mode::ReadOnly).await.unwrap_err();
    assert!(matches!(error, Error::Endpoint(_)), "{error}");
    let error = topology.connect_local(a, a, Mode::ReadOnly).await.unwrap_err();
    assert!(matches!(error, Error::Topology(_)), "{error}");

    let notes = db.collection("notes");
    notes.insert_at(1, record! { "n" => 1 }).await.unwrap();
    let error = notes.insert_at(1, record! { "n" => 2 }).await.unwrap_err();
    let exists = |error: &Error| {
        matches!(error, Error::Database(DatabaseError::Write(WriteError::Exists { .. })))
    };
    assert!(exists(&error), "{error}");
    assert!(notes.update(2, record! { "n" => 2 }).await.is_err());
    assert!(notes.get::<Note>(1).await.is_err(), "a record without a title is no note");
    assert!(matches!(db.collection("").insert(record! {}).await.unwrap_err(), Error::Name(_)));
}

#[tokio::test]
async fn a_failed_link_can_be_made_again() {
    let topology = Topology::new();
    let a = topology.register(Database::in_memory(), "a", Role::Client).await.unwrap();
    let b = topology.register(Database::in_memory(), "b", Role::Client).await.unwrap();
    let missing = "/nonexistent-directory/blaze.sock";
    assert!(topology.connect_cross_app(a, b, missing, Mode::Bidirectional).await.is_err());
    for _ in 0..2 {
        let mut link = topology.connect_local(a, b, Mode::Bidirectional).await.unwrap();
        within(link.wait_for(|status| status.state == LinkState::Live)).await.unwrap();
        let again = topology.connect_local(a, b, Mode::Bidirectional).await;
        assert!(matches!(again.unwrap_err(), Error::Topology(_)), "linked already");
        link.close().await;
        // The other side learns of it a moment later.
        let mut links = topology.links(b).unwrap();
        within(links.wait_for(std::collections::BTreeMap::is_empty)).await.unwrap();
    }
    assert!(Endpoint::unix("relative").is_err());
}
