//! Peers that see and write a part of a database only.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use blaze_codec::{Change, Condition, Mode, RecordKey, Rule, Scope, Seq, record};
use blaze_db_adapter::{Observer, Write, WriteKind};
use blaze_db_adapter_memory::MemoryDatabase;
use blaze_sync_engine::{Admission, ExportPolicy, LinkState, Node, NodeOptions};
use blaze_transport::{Connection, Endpoint, Listener, Transport, TransportError};
use blaze_transport_memory::MemoryTransport;
use common::shop::{
    Shop, UNLIMITED, insert, keys, name, note, notes_of, records, seen, set, settle, told, write,
};
use common::{DEADLINE, connect, endpoint, live, node};
use tokio::time::Instant;

/// Writes that are refused: 256 of them at once, and the others a second each.
const REFUSED: i64 = 300;

#[tokio::test]
async fn a_peer_gets_the_collections_fields_and_records_that_it_may_see() {
    let shop = Shop::open().await;
    insert(&shop.office, "notes", 1, told("hers", "anna")).await;
    insert(&shop.office, "notes", 2, told("his", "ben")).await;
    insert(&shop.office, "salaries", 1, record! { "anna" => 1 }).await;
    let _link = shop.link().await;
    insert(&shop.office, "notes", 3, told("hers, later", "anna")).await;
    insert(&shop.office, "notes", 4, told("his, later", "ben")).await;
    insert(&shop.office, "salaries", 2, record! { "ben" => 1 }).await;
    set(&shop.office, 1, "rating", 4).await;
    shop.settle().await;
    assert_eq!(keys(&shop.phone, "notes").await, [1, 3]);
    assert_eq!(note(&shop.phone, 1).await, Some(seen("hers", "anna")));
    assert!(keys(&shop.phone, "salaries").await.is_empty());
    assert_eq!(keys(&shop.office, "notes").await, [1, 2, 3, 4]);
    assert_eq!(note(&shop.office, 1).await.unwrap().get("rating"), Some(&4.into()));
}

#[tokio::test]
async fn a_record_comes_and_goes_with_what_it_says_and_is_not_deleted() {
    let shop = Shop::open().await;
    insert(&shop.office, "notes", 1, told("ours", "ben")).await;
    let _link = shop.link().await;
    let mut withdrawals = shop.phone.withdrawals();
    let mut observer = Observer::new(Arc::clone(shop.phone.database()), None);
    set(&shop.office, 1, "owner", "anna").await;
    shop.settle().await;
    assert_eq!(note(&shop.phone, 1).await, Some(seen("ours", "anna")), "all of it comes");
    assert!(matches!(observer.next().await.unwrap().change, Change::Insert(_)));

    set(&shop.office, 1, "owner", "ben").await;
    shop.settle().await;
    assert_eq!(note(&shop.phone, 1).await, None);
    assert!(shop.phone.database().collections().await.unwrap().is_empty());
    assert_eq!(note(&shop.office, 1).await, Some(told("ours", "ben")));
    let withdrawn = withdrawals.try_recv().unwrap();
    assert_eq!((withdrawn.key, withdrawn.record), (1.into(), Some(seen("ours", "anna"))));
    // What has come in parts is told in parts.
    let mut change = observer.next().await.unwrap().change;
    while change != Change::Update(Vec::new()) {
        change = observer.next().await.unwrap().change;
    }

    set(&shop.office, 1, "text", "hidden").await;
    set(&shop.office, 1, "owner", "anna").await;
    shop.settle().await;
    assert_eq!(note(&shop.phone, 1).await, Some(seen("hidden", "anna")));
}

#[tokio::test]
async fn who_was_away_hears_what_is_withdrawn_and_what_is_deleted() {
    let shop = Shop::open().await;
    for key in 1..=4 {
        insert(&shop.office, "notes", key, told("hers", "anna")).await;
    }
    insert(&shop.office, "notes", 5, told("his", "ben")).await;
    let link = shop.link().await;
    shop.settle().await;
    assert_eq!(keys(&shop.phone, "notes").await, [1, 2, 3, 4]);
    shop.unlink(link).await;
    set(&shop.office, 1, "owner", "ben").await;
    set(&shop.office, 2, "owner", "ben").await;
    for key in [2, 3, 5] {
        write(&shop.office, "notes", key, WriteKind::Delete).await;
    }
    let before = shop.phone.database().changes(Seq::ZERO, UNLIMITED).await.unwrap();
    let _link = shop.link().await;
    shop.settle().await;
    assert_eq!(keys(&shop.phone, "notes").await, [4]);
    let after = shop.phone.database().changes(before.through, UNLIMITED).await.unwrap();
    let changed: BTreeSet<_> = after.operations.into_iter().map(|it| it.key).collect();
    assert_eq!(changed, [1, 2, 3].map(RecordKey::Int).into(), "of 5 it never hears");
}

#[tokio::test]
async fn a_peer_writes_what_it_sees_and_keeps_what_is_its_own() {
    let shop = Shop::open().await;
    insert(&shop.office, "notes", 1, told("hers", "anna")).await;
    let mut link = shop.link().await;
    shop.settle().await;
    set(&shop.phone, 1, "text", "changed").await;
    insert(&shop.phone, "notes", 2, seen("new", "anna")).await;
    insert(&shop.phone, "drafts", 1, record! { "text" => "private" }).await;
    set(&shop.phone, 1, "color", "red").await;
    shop.settle().await;
    let changed = record! { "text" => "changed", "owner" => "anna", "rating" => 5 };
    assert_eq!(note(&shop.office, 1).await, Some(changed), "its own field stays there");
    assert_eq!(note(&shop.office, 2).await, Some(seen("new", "anna")));
    assert!(keys(&shop.office, "drafts").await.is_empty());
    assert_eq!(keys(&shop.phone, "drafts").await, [1]);
    assert_eq!(live(&mut link).await.state, LinkState::Live);

    write(&shop.phone, "notes", 1, WriteKind::Delete).await;
    shop.settle().await;
    assert_eq!(keys(&shop.office, "notes").await, [2]);
    // A note that is given away is gone here, and there for who has it now.
    set(&shop.phone, 2, "owner", "ben").await;
    shop.settle().await;
    assert_eq!(note(&shop.office, 2).await, Some(seen("new", "ben")));
    assert_eq!(note(&shop.phone, 2).await, None);
}

#[tokio::test]
async fn what_a_peer_may_not_write_is_withdrawn_there_and_both_are_told() {
    let shop = Shop::open().await;
    insert(&shop.office, "notes", 7, told("his", "ben")).await;
    let _link = shop.link().await;
    shop.settle().await;
    let (mut here, mut there) = (shop.office.withdrawals(), shop.phone.withdrawals());
    // One of another owner, and one whose key is that of a note which it can't see.
    insert(&shop.phone, "notes", 2, seen("for ben", "ben")).await;
    insert(&shop.phone, "notes", 7, seen("hers", "anna")).await;
    insert(&shop.phone, "notes", 3, seen("fine", "anna")).await;
    let mut told_here = [here.recv().await.unwrap(), here.recv().await.unwrap()];
    told_here.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(told_here.map(|it| (it.key, it.record)), [(2.into(), None), (7.into(), None)]);
    let mut lost_there = [there.recv().await.unwrap(), there.recv().await.unwrap()];
    lost_there.sort_by(|a, b| a.key.cmp(&b.key));
    let lost = [(2.into(), Some(seen("for ben", "ben"))), (7.into(), Some(seen("hers", "anna")))];
    assert_eq!(lost_there.map(|it| (it.key, it.record)), lost);
    shop.settle().await;
    assert_eq!(keys(&shop.office, "notes").await, [3, 7]);
    assert_eq!(note(&shop.office, 7).await, Some(told("his", "ben")));
    assert_eq!(keys(&shop.phone, "notes").await, [3]);
    assert!(here.try_recv().is_err() && there.try_recv().is_err(), "nothing else");
}

#[tokio::test(start_paused = true)]
async fn who_goes_on_writing_what_it_may_not_is_slowed_down_and_nothing_is_lost() {
    let shop = Shop::open().await;
    let _link = shop.link().await;
    shop.settle().await;
    let mut refused = shop.office.withdrawals();
    let begun = Instant::now();
    for key in 0..REFUSED {
        insert(&shop.phone, "notes", key, seen("for ben", "ben")).await;
        assert_eq!(refused.recv().await.unwrap().key, key.into());
    }
    let waited = begun.elapsed().as_secs();
    assert!((40..80).contains(&waited), "{waited} s for the {} after 256", REFUSED - 256);
    insert(&shop.phone, "notes", REFUSED, seen("hers", "anna")).await;
    shop.settle().await;
    assert_eq!(keys(&shop.office, "notes").await, [REFUSED]);
    assert_eq!(keys(&shop.phone, "notes").await, [REFUSED]);
}

#[tokio::test]
async fn a_write_to_what_was_taken_away_meanwhile_changes_nothing() {
    let shop = Shop::open().await;
    insert(&shop.office, "notes", 1, told("hers", "anna")).await;
    insert(&shop.office, "notes", 2, told("hers", "anna")).await;
    let link = shop.link().await;
    shop.settle().await;
    shop.unlink(link).await;
    set(&shop.office, 1, "owner", "ben").await;
    set(&shop.office, 2, "owner", "ben").await;
    set(&shop.phone, 1, "text", "too late").await;
    write(&shop.phone, "notes", 2, WriteKind::Delete).await;
    let _link = shop.link().await;
    shop.settle().await;
    for key in [1, 2] {
        assert_eq!(note(&shop.office, key).await, Some(told("hers", "ben")));
        assert_eq!(note(&shop.phone, key).await, None);
    }
    // The delete doesn't come back when she sees it again.
    set(&shop.office, 2, "owner", "anna").await;
    shop.settle().await;
    assert_eq!(note(&shop.office, 2).await, Some(told("hers", "anna")));
    assert_eq!(note(&shop.phone, 2).await, Some(seen("hers", "anna")));
}

#[tokio::test]
async fn another_policy_gives_more_and_takes_back_what_it_leaves_out() {
    let (office, phone, transport) = (node("office"), node("phone"), MemoryTransport::new());
    for (key, owner) in [(1, "anna"), (2, "ben"), (3, "anna")] {
        insert(&office, "notes", key, told("text", owner)).await;
    }
    insert(&office, "tags", 1, record! { "text" => "red" }).await;
    let tags = || Scope::new().with(name("tags"), Rule::all());
    let steps = [
        (notes_of("anna"), vec![1, 3], vec![]),
        (notes_of("ben").with(name("tags"), Rule::all()), vec![2], vec![1]),
        (tags(), vec![], vec![1]),
        (notes_of("anna"), vec![1, 3], vec![]),
    ];
    for (step, (scope, notes, tags)) in steps.into_iter().enumerate() {
        let place = endpoint(&format!("office {step}"));
        let admission = Admission::new(Mode::ALL).with_scope(scope);
        office.listen(Arc::new(transport.clone()), &place, admission).await.unwrap();
        let mut link =
            phone.connect(Arc::new(transport.clone()), place, Mode::Bidirectional).await.unwrap();
        live(&mut link).await;
        settle(&[&office, &phone]).await;
        assert_eq!(keys(&phone, "notes").await, notes, "step {step}");
        assert_eq!(keys(&phone, "tags").await, tags, "step {step}");
        link.close().await;
        let mut links = office.links();
        let gone = links.wait_for(BTreeMap::is_empty);
        tokio::time::timeout(DEADLINE, gone).await.expect("the link stays").unwrap();
    }
    assert_eq!(keys(&office, "notes").await, [1, 2, 3]);
}

#[tokio::test]
async fn what_a_peer_sees_in_part_it_passes_on_and_others_take_nothing_for_all() {
    let shop = Shop::open().await;
    let (tablet, transport) = (node("tablet"), shop.transport.clone());
    shop.phone.listen(Arc::new(transport.clone()), &endpoint("phone"), Mode::ALL).await.unwrap();
    insert(&shop.office, "notes", 1, told("hers", "anna")).await;
    insert(&shop.office, "notes", 2, told("his", "ben")).await;
    let _link = shop.link().await;
    let mut passed = connect(&tablet, transport.clone(), "phone", Mode::Bidirectional).await;
    live(&mut passed).await;
    settle(&[&shop.office, &shop.phone, &tablet]).await;
    assert_eq!(keys(&tablet, "notes").await, [1]);

    // A desk that sees all of the office, and is linked to the tablet as well.
    let desk = node("desk");
    desk.listen(Arc::new(transport.clone()), &endpoint("desk"), Mode::ALL).await.unwrap();
    shop.office.listen(Arc::new(transport.clone()), &endpoint("all"), Mode::ALL).await.unwrap();
    let mut desk_link = connect(&desk, transport.clone(), "all", Mode::Bidirectional).await;
    live(&mut desk_link).await;
    let mut tablet_link = connect(&tablet, transport.clone(), "desk", Mode::Bidirectional).await;
    live(&mut tablet_link).await;
    insert(&shop.office, "notes", 3, told("his", "ben")).await;
    insert(&shop.office, "notes", 4, told("hers", "anna")).await;
    set(&shop.office, 1, "text", "again").await;
    settle(&[&shop.office, &shop.phone, &tablet, &desk]).await;
    assert_eq!(records(&desk, "notes").await, records(&shop.office, "notes").await);
    assert_eq!(records(&tablet, "notes").await, records(&shop.office, "notes").await);
    set(&shop.office, 4, "owner", "ben").await;
    settle(&[&shop.office, &shop.phone, &tablet, &desk]).await;
    assert_eq!(records(&desk, "notes").await, records(&shop.office, "notes").await);
    assert_eq!(records(&tablet, "notes").await, records(&shop.office, "notes").await);
}

#[tokio::test]
async fn both_sides_may_limit_each_other() {
    let (a, b, transport) = (node("a"), node("b"), MemoryTransport::new());
    let scope = |collections: &[&str]| {
        collections.iter().fold(Scope::new(), |scope, it| scope.with(name(it), Rule::all()))
    };
    let admission = Admission::new(Mode::ALL).with_scope(scope(&["one", "both"]));
    a.listen(Arc::new(transport.clone()), &endpoint("a"), admission).await.unwrap();
    let policy = ExportPolicy::new(Mode::Bidirectional).with_scope(scope(&["two", "both"]));
    let mut link = b.connect(Arc::new(transport.clone()), endpoint("a"), policy).await.unwrap();
    live(&mut link).await;
    for (key, node) in [(1, &a), (2, &b)] {
        for collection in ["one", "two", "both", "none"] {
            insert(node, collection, key, record! { "at" => key }).await;
        }
    }
    settle(&[&a, &b]).await;
    for (key, node) in [(1, &a), (2, &b)] {
        assert_eq!(keys(node, "both").await, [1, 2]);
        for collection in ["one", "two", "none"] {
            assert_eq!(keys(node, collection).await, [key], "{collection}");
        }
    }
}

#[tokio::test]
async fn many_records_of_a_first_sync_come_by_the_policy() {
    let shop = Shop::open().await;
    for piece in 0..20_i64 {
        let write = |key: i64| Write {
            collection: name("notes"),
            key: RecordKey::Int(piece * 500 + key),
            kind: WriteKind::Insert(told("text", if key % 2 == 0 { "anna" } else { "ben" })),
        };
        shop.office.database().commit((0..500).map(write).collect()).await.unwrap();
    }
    // Some have changed again, so that pieces of the feed leave them out at first.
    for key in (0..2_000).step_by(7) {
        set(&shop.office, key, "owner", if key % 3 == 0 { "anna" } else { "ben" }).await;
    }
    let _link = shop.link().await;
    shop.settle().await;
    let all = records(&shop.office, "notes").await;
    let hers = all.iter().filter(|(_, note)| note.get("owner") == Some(&"anna".into()));
    let hers: Vec<_> = hers.map(|(key, _)| key.clone()).collect();
    let found: Vec<_> = records(&shop.phone, "notes").await.into_keys().collect();
    assert_eq!(found, hers);
}

/// Whom it connects or accepts has this policy.
#[derive(Debug, Clone)]
struct Agreed(MemoryTransport, &'static str);

#[async_trait::async_trait]
impl Transport for Agreed {
    fn scheme(&self) -> &'static str {
        self.0.scheme()
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn Listener>, TransportError> {
        self.0.listen(endpoint).await
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Connection, TransportError> {
        let mut connection = self.0.connect(endpoint).await?;
        connection.peer = connection.peer.with_policy(self.1);
        Ok(connection)
    }
}

#[tokio::test]
async fn what_was_agreed_with_a_peer_goes_before_what_the_link_says() {
    let transport = MemoryTransport::new();
    let policies = [("anna".to_owned(), Arc::new(notes_of("anna")))].into();
    let options = NodeOptions { policies, ..NodeOptions::default() };
    let office = Node::new(Arc::new(MemoryDatabase::new()), "office", options);
    let phone = node("phone");
    phone.listen(Arc::new(transport.clone()), &endpoint("phone"), Mode::ALL).await.unwrap();
    insert(&office, "notes", 1, told("hers", "anna")).await;
    insert(&office, "notes", 2, told("his", "ben")).await;
    let policy = ExportPolicy::new(Mode::Bidirectional).with_scope(notes_of("ben"));
    let agreed = Arc::new(Agreed(transport.clone(), "anna"));
    let mut link = office.connect(agreed, endpoint("phone"), policy).await.unwrap();
    live(&mut link).await;
    settle(&[&office, &phone]).await;
    assert_eq!(keys(&phone, "notes").await, [1]);

    let unknown = Arc::new(Agreed(transport, "clara"));
    let mut link = office.connect(unknown, endpoint("phone"), Mode::Bidirectional).await.unwrap();
    let refused = |state: &LinkState| matches!(state, LinkState::Waiting { refused: true, .. });
    let refused = link.wait_for(|link| refused(&link.state));
    let status = tokio::time::timeout(DEADLINE, refused).await.unwrap().unwrap();
    let LinkState::Waiting { reason, .. } = status.state else { panic!("{status:?}") };
    assert!(reason.contains("\"clara\""), "{reason}");
}

#[tokio::test]
async fn a_scope_beyond_its_limits_is_refused_before_anything_is_done() {
    let office = node("office");
    let long = Condition::is(name("owner"), "x".repeat(Scope::BYTES_MAX));
    let scope = Scope::new().with(name("notes"), Rule::all().when(long));
    let transport = Arc::new(MemoryTransport::new());
    let admission = Admission::new(Mode::ALL).with_scope(scope.clone());
    let error = office.listen(transport.clone(), &endpoint("a"), admission).await.unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("too long"), "{error}");
    let policy = ExportPolicy::new(Mode::Bidirectional).with_scope(scope.clone());
    office.connect(transport.clone(), endpoint("a"), policy).await.unwrap_err();
    // So is one by whose name a peer may be known.
    let policies = BTreeMap::from([("sales".to_owned(), Arc::new(scope))]);
    let options = NodeOptions { policies, ..NodeOptions::default() };
    let office = Node::new(Arc::new(MemoryDatabase::new()), "office", options);
    let error = office.listen(transport, &endpoint("a"), &[Mode::ReadOnly]).await.unwrap_err();
    assert!(error.to_string().contains("the policy sales"), "{error}");
}

#[tokio::test]
async fn who_listens_keeps_what_it_has_unless_it_yields() {
    for yields in [false, true] {
        let (hub, client, transport) = (node("hub"), node("client"), MemoryTransport::new());
        let admission = Admission::new(Mode::ALL);
        let admission = if yields { admission.yielding() } else { admission };
        hub.listen(Arc::new(transport.clone()), &endpoint("hub"), admission).await.unwrap();
        insert(&hub, "notes", 1, seen("his", "ben")).await;
        insert(&hub, "notes", 2, seen("hers", "anna")).await;
        // It takes no note of another owner's, and says so.
        let policy = ExportPolicy::new(Mode::Bidirectional).with_scope(notes_of("anna"));
        let mut link = client.connect(Arc::new(transport), endpoint("hub"), policy).await.unwrap();
        live(&mut link).await;
        settle(&[&hub, &client]).await;
        assert_eq!(keys(&client, "notes").await, [2]);
        assert_eq!(keys(&hub, "notes").await, if yields { vec![2] } else { vec![1, 2] });
    }
}
