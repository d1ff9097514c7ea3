//! Peers that see a part of a database, and were away, restored or copied.

mod common;

use std::sync::Arc;

use blaze_codec::{Change, Incarnation, RecordKey, Seq};
use blaze_db_adapter::{DatabaseAdapter, WallClock, WriteKind};
use blaze_db_adapter_memory::{MemoryDatabase, Snapshot};
use blaze_sync_engine::Link;
use common::shop::{Shop, UNLIMITED, insert, keys, note, seen, set, told, write};

/// Ends the leases of all who are away.
async fn forget(shop: &Shop) {
    shop.office.database().purge(u64::MAX).await.unwrap();
    let changes = shop.office.database().changes(Seq::ZERO, UNLIMITED).await.unwrap();
    assert!(!changes.operations.iter().any(|it| it.change == Change::Delete), "they are gone");
}

/// Gives the phone so many notes of Anna's, from key 1 on.
async fn begin(shop: &Shop, count: i64) -> Link {
    for key in 1..=count {
        insert(&shop.office, "notes", key, told("hers", "anna")).await;
    }
    let link = shop.link().await;
    shop.settle().await;
    link
}

/// The phone, with an office that went back to a backup.
async fn restored(shop: Shop, backup: &Snapshot) -> Shop {
    let office = Arc::new(backup.open(Incarnation(9), WallClock::system()));
    Shop { phone: shop.phone, ..Shop::of(office, Arc::default()).await }
}

#[tokio::test]
async fn what_was_deleted_and_forgotten_goes_from_a_limited_peer_too() {
    let shop = Shop::open().await;
    for key in [1, 2] {
        insert(&shop.office, "notes", key, told("hers", "anna")).await;
    }
    let link = shop.link().await;
    insert(&shop.phone, "notes", 3, seen("by herself", "anna")).await;
    insert(&shop.phone, "drafts", 4, seen("private", "anna")).await;
    shop.settle().await;
    shop.unlink(link).await;
    for key in [1, 3] {
        write(&shop.office, "notes", key, WriteKind::Delete).await;
    }
    forget(&shop).await;
    insert(&shop.phone, "notes", 5, seen("meanwhile", "anna")).await;
    let _link = shop.link().await;
    shop.settle().await;
    assert!(shop.office.links().borrow().values().any(|status| status.missed_tombstones));
    assert_eq!(keys(&shop.office, "notes").await, [2, 5]);
    assert_eq!(keys(&shop.phone, "notes").await, [2, 5]);
    assert_eq!(keys(&shop.phone, "drafts").await, [4]);
}

#[tokio::test]
async fn a_roll_of_a_limited_peer_buries_nothing_that_it_may_not_see() {
    let shop = Shop::open().await;
    for key in 1..=3 {
        insert(&shop.office, "notes", key, told("hers", "anna")).await;
    }
    insert(&shop.office, "notes", 4, told("his", "ben")).await;
    let link = shop.link().await;
    set(&shop.phone, 2, "text", "changed").await;
    shop.settle().await;
    shop.unlink(link).await;
    set(&shop.office, 1, "owner", "ben").await;
    set(&shop.office, 2, "owner", "ben").await;
    for key in [3, 4] {
        write(&shop.office, "notes", key, WriteKind::Delete).await;
    }
    // A record of its own by the key of one that was hidden and is forgotten.
    forget(&shop).await;
    set(&shop.phone, 1, "text", "too late").await;
    let _link = shop.link().await;
    shop.settle().await;
    assert!(shop.office.links().borrow().values().any(|status| status.missed_tombstones));
    assert_eq!(keys(&shop.office, "notes").await, [1, 2]);
    assert_eq!(note(&shop.office, 1).await, Some(told("hers", "ben")));
    assert_eq!(note(&shop.office, 2).await, Some(told("changed", "ben")));
    assert!(keys(&shop.phone, "notes").await.is_empty());
}

#[tokio::test]
async fn a_limited_peer_that_was_restored_gets_back_what_it_lost_and_no_more() {
    let phone = Arc::new(MemoryDatabase::new());
    let shop = Shop::of(Arc::default(), phone.clone()).await;
    let link = begin(&shop, 3).await;
    let backup = phone.snapshot();
    insert(&shop.phone, "notes", 4, seen("lost", "anna")).await;
    insert(&shop.phone, "notes", 5, seen("lost, then his", "anna")).await;
    set(&shop.phone, 2, "text", "lost").await;
    insert(&shop.office, "notes", 6, told("came later", "anna")).await;
    shop.settle().await;
    shop.unlink(link).await;
    for key in [1, 5, 6] {
        set(&shop.office, key, "owner", "ben").await;
    }
    write(&shop.office, "notes", 3, WriteKind::Delete).await;

    let restored = Arc::new(backup.open(Incarnation(9), WallClock::system()));
    let shop = Shop { phone: common::with_adapter("phone", restored), ..shop };
    set(&shop.phone, 2, "color", "red").await;
    let _link = shop.link().await;
    shop.settle().await;
    assert_eq!(keys(&shop.phone, "notes").await, [2, 4]);
    assert_eq!(note(&shop.phone, 4).await, Some(seen("lost", "anna")));
    let mut second = seen("lost", "anna");
    second.insert(common::shop::name("color"), "red".into());
    assert_eq!(note(&shop.phone, 2).await, Some(second));
    assert_eq!(keys(&shop.office, "notes").await, [1, 2, 4, 5, 6]);
}

#[tokio::test]
async fn an_owner_that_was_restored_has_what_its_peer_may_give_back_and_both_agree() {
    let office = Arc::new(MemoryDatabase::new());
    let shop = Shop::of(office.clone(), Arc::default()).await;
    insert(&shop.office, "notes", 1, told("hers", "anna")).await;
    insert(&shop.office, "notes", 2, told("his", "ben")).await;
    let link = shop.link().await;
    shop.settle().await;
    let backup = office.snapshot();
    insert(&shop.office, "notes", 3, told("made later", "anna")).await;
    set(&shop.office, 2, "owner", "anna").await;
    set(&shop.office, 1, "text", "changed").await;
    shop.settle().await;
    assert_eq!(keys(&shop.phone, "notes").await, [1, 2, 3]);
    shop.unlink(link).await;
    shop.office.close().await;

    let shop = restored(shop, &backup).await;
    let _link = shop.link().await;
    shop.settle().await;
    // What it may not see where all is as it was it can't give back.
    assert_eq!(note(&shop.office, 2).await, Some(told("his", "ben")));
    assert_eq!(note(&shop.phone, 2).await, None);
    assert_eq!(note(&shop.office, 3).await, Some(seen("made later", "anna")));
    assert_eq!(note(&shop.office, 1).await, Some(told("changed", "anna")));
    assert_eq!(keys(&shop.phone, "notes").await, [1, 3]);
}

#[tokio::test]
async fn what_an_owner_withdrew_and_was_restored_to_share_comes_back() {
    let office = Arc::new(MemoryDatabase::new());
    let shop = Shop::of(office.clone(), Arc::default()).await;
    let link = begin(&shop, 2).await;
    let backup = office.snapshot();
    set(&shop.office, 1, "owner", "ben").await;
    shop.settle().await;
    assert_eq!(keys(&shop.phone, "notes").await, [2]);
    shop.unlink(link).await;
    shop.office.close().await;

    let shop = restored(shop, &backup).await;
    let _link = shop.link().await;
    shop.settle().await;
    assert_eq!(keys(&shop.office, "notes").await, [1, 2]);
    assert_eq!(keys(&shop.phone, "notes").await, [1, 2], "they are hers there");
}

#[tokio::test]
async fn from_a_copied_peer_goes_what_its_original_was_given() {
    let phone = Arc::new(MemoryDatabase::new());
    let shop = Shop::of(Arc::default(), phone.clone()).await;
    let link = begin(&shop, 3).await;
    shop.unlink(link).await;
    let copy = Arc::new(phone.snapshot().open(Incarnation(9), WallClock::system()));
    copy.renew(blaze_codec::NodeId::from_bytes([7; 16])).await.unwrap();
    set(&shop.office, 1, "owner", "ben").await;
    write(&shop.office, "notes", 2, WriteKind::Delete).await;

    let shop = Shop { phone: common::with_adapter("copy", copy.clone()), ..shop };
    let link = shop.link().await;
    shop.settle().await;
    assert_eq!(keys(&shop.phone, "notes").await, [3]);
    // What it was given before the copying goes from it later, too.
    set(&shop.office, 3, "owner", "ben").await;
    shop.settle().await;
    assert!(keys(&shop.phone, "notes").await.is_empty());
    shop.unlink(link).await;
    let told = copy.changes(Seq::ZERO, UNLIMITED).await.unwrap().operations;
    let withdrawn: Vec<_> = told.iter().filter(|it| it.is_withdrawal()).map(|it| &it.key).collect();
    assert_eq!(withdrawn, [&RecordKey::Int(1), &RecordKey::Int(3)]);
}
