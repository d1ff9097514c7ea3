//! Two apps and more, each a process with an encrypted database: they end up equal,
//! whoever is killed in between.

mod common;

use std::thread;

use blaze_sync::RecordKey;
use common::{App, Bench, Collections, contents, wait_until};
use serde_json::{Value, json};

/// The records of an app's file.
fn file(bench: &Bench, name: &str) -> Collections {
    contents(&bench.path(name), Some(name))
}

/// Closes both, and compares every record of their files.
fn assert_equal(bench: &Bench, a: App, b: App) -> Collections {
    a.close();
    b.close();
    let (a, b) = (file(bench, "a"), file(bench, "b"));
    assert_eq!(a, b);
    a
}

/// `a` listens and `b` is connected to it.
fn linked(bench: &Bench, durability: &str) -> (App, App) {
    let mut a = App::open(bench, "a", durability);
    a.listen(&bench.socket("s"));
    let mut b = App::open(bench, "b", durability);
    b.connect(&bench.socket("s"));
    (a, b)
}

fn settle(a: &mut App, b: &mut App) {
    a.settle();
    b.settle();
}

/// The command that commits so many edits, one a transaction.
fn edits(count: u64) -> Value {
    json!({ "Edit": { "collection": "notes", "author": "somebody", "count": count } })
}

#[test]
fn inserts_updates_and_deletes_arrive_in_both_directions() {
    let bench = Bench::new();
    let (mut a, mut b) = linked(&bench, "process");
    write_and_see("by-a", &mut a, &mut b);
    write_and_see("by-b", &mut b, &mut a);

    // Each changes and deletes what the other made.
    a.update("by-b", json!({ "stars": 1 }));
    a.delete("by-b gone");
    b.update("by-a", json!({ "stars": 2 }));
    b.delete("by-a gone");
    settle(&mut a, &mut b);
    let all = assert_equal(&bench, a, b);
    let notes: Vec<_> = all["notes"].iter().map(|(key, note)| (key.clone(), json!(note))).collect();
    let note = |key: &str, stars: u8| {
        (RecordKey::from(key), json!({ "stars": stars, "text": "edited", "title": "héllo" }))
    };
    assert_eq!(notes, [note("by-a", 2), note("by-b", 1)]);
}

/// Inserts, updates and deletes at one side, and sees each at the other.
fn write_and_see(key: &str, here: &mut App, there: &mut App) {
    let gone = format!("{key} gone");
    here.put(key, json!({ "title": "héllo", "text": "new" }));
    here.put(&gone, json!({ "title": "soon gone" }));
    here.settle();
    assert_eq!(there.read(key), json!({ "title": "héllo", "text": "new" }));
    assert_eq!(there.read(&gone), json!({ "title": "soon gone" }));

    here.update(key, json!({ "text": "edited" }));
    here.delete(&gone);
    here.settle();
    assert_eq!(there.read(key), json!({ "title": "héllo", "text": "edited" }));
    assert_eq!(there.read(&gone), Value::Null);
    here.put(&gone, json!({ "title": "back" }));
    here.settle();
    assert_eq!(there.read(&gone), json!({ "title": "back" }));
}

#[test]
fn the_connecting_side_catches_up_after_it_was_killed() {
    let bench = Bench::new();
    let (mut a, mut b) = linked(&bench, "process");
    b.tell(&json!({ "AwaitChanges": { "collection": "notes", "count": 300 } }));
    b.ready();
    a.tell(&edits(1_500));
    b.done();
    b.kill();
    let before = file(&bench, "b");
    assert!(!before["notes"].is_empty(), "what it had seen is in its file");
    a.done();

    let mut b = App::open(&bench, "b", "process");
    b.put("while apart", json!({ "by": "b" }));
    b.connect(&bench.socket("s"));
    settle(&mut a, &mut b);
    let all = assert_equal(&bench, a, b);
    // Besides the one that was put while they were apart.
    assert!(all["notes"].len() > before["notes"].len() + 1, "it was killed in mid-stream");
}

#[test]
fn the_connecting_side_reconnects_after_the_listening_one_was_killed() {
    let bench = Bench::new();
    let (mut a, mut b) = linked(&bench, "process");
    a.tell(&json!({ "AwaitChanges": { "collection": "notes", "count": 300 } }));
    a.ready();
    b.tell(&edits(1_500));
    a.done();
    a.kill();
    let before = file(&bench, "a");
    b.done();

    let mut a = App::open(&bench, "a", "process");
    a.put("while apart", json!({ "by": "a" }));
    a.listen(&bench.socket("s"));
    // Nobody tells b to connect again.
    settle(&mut a, &mut b);
    let all = assert_equal(&bench, a, b);
    // Besides the one that was put while they were apart.
    assert!(all["notes"].len() > before["notes"].len() + 1, "it was killed in mid-stream");
}

#[test]
fn the_listening_side_may_restart_while_the_other_keeps_writing() {
    let bench = Bench::new();
    let (mut a, mut b) = linked(&bench, "process");
    let mut written = 0;
    let mut write = |b: &mut App| {
        b.put(&format!("{written:04}"), json!({ "number": written }));
        written += 1;
    };
    for _ in 0..3 {
        (0..50).for_each(|_| write(&mut b));
        a.kill();
        (0..20).for_each(|_| write(&mut b));
        a = thread::scope(|scope| {
            let restarted = scope.spawn(|| {
                let mut a = App::open(&bench, "a", "process");
                a.listen(&bench.socket("s"));
                a
            });
            while !restarted.is_finished() {
                write(&mut b);
            }
            restarted.join().unwrap()
        });
        (0..20).for_each(|_| write(&mut b));
    }
    settle(&mut a, &mut b);
    assert_eq!(assert_equal(&bench, a, b)["notes"].len(), written);
}

/// Kills an app while it commits, again and again: whatever it had answered is
/// there, and nothing that it was not told. Then a peer gets all of it.
fn acknowledged_writes_survive(durability: &str) {
    const WRITES: usize = 250;
    let bench = Bench::new();
    let (mut a, mut b) = linked(&bench, durability);
    for (round, killed_after) in [1, 40, 200].into_iter().enumerate() {
        for number in 0..WRITES {
            let key = format!("{round} {number:03}");
            b.tell(&App::write_command(&key, &json!({ "number": number })));
        }
        (0..killed_after).for_each(|_| drop(b.done()));
        let acknowledged = killed_after + b.kill();

        let prefix = format!("{round} ");
        let notes = &file(&bench, "b")["notes"];
        let there: Vec<_> = notes
            .iter()
            .filter(|(key, _)| key.to_string().starts_with(&prefix))
            .map(|(_, note)| json!(note)["number"].clone())
            .collect();
        assert!(there.len() >= acknowledged, "{} of {acknowledged}", there.len());
        let expected: Vec<_> = (0..there.len()).map(Value::from).collect();
        assert_eq!(there, expected, "commits survive in their order, without a gap");

        b = App::open(&bench, "b", durability);
        b.connect(&bench.socket("s"));
        settle(&mut a, &mut b);
    }
    assert_equal(&bench, a, b);
}

#[test]
fn every_acknowledged_write_survives_a_kill_with_durability_process() {
    acknowledged_writes_survive("process");
}

#[test]
fn every_acknowledged_write_survives_a_kill_with_durability_disk() {
    acknowledged_writes_survive("disk");
}

#[test]
fn a_transaction_arrives_whole() {
    const RECORDS: usize = 2_500;
    const TRANSACTIONS: usize = 6;
    let bench = Bench::new();
    let (mut a, mut b) = linked(&bench, "process");
    let whole = |count: u64| {
        assert_eq!(count % RECORDS as u64, 0, "{count} records: a part of a transaction");
        count
    };
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            // About 1.2 MB: more than a frame.
            let text = "x".repeat(450);
            for transaction in 0..TRANSACTIONS {
                let record = |number| json!([format!("{transaction} {number}"), { "text": text }]);
                let records: Vec<_> = (0..RECORDS).map(record).collect();
                a.ask(json!({ "Write": { "collection": "notes", "records": records } }));
            }
            a
        });
        wait_until("a transaction is there", || whole(b.count()) > 0);
        b.kill();
        whole(file(&bench, "b")["notes"].len() as u64);
        // Started again, a has nothing in memory: the rest comes out of its file.
        writer.join().unwrap().close();
        let mut a = App::open(&bench, "a", "process");
        a.listen(&bench.socket("s"));
        let mut b = App::open(&bench, "b", "process");
        b.connect(&bench.socket("s"));
        let all = (RECORDS * TRANSACTIONS) as u64;
        wait_until("all are there", || whole(b.count()) == all);
        assert_equal(&bench, a, b);
    });
}

#[test]
fn three_apps_around_a_hub_converge() {
    let bench = Bench::new();
    let mut hub = App::open(&bench, "hub", "process");
    hub.listen(&bench.socket("s"));
    hub.put("shared", json!({ "by": "hub" }));
    let names = ["x", "y", "z"];
    let mut spokes = names.map(|name| App::open(&bench, name, "process"));
    for (name, spoke) in names.iter().zip(&mut spokes) {
        spoke.put(&format!("before {name}"), json!({ "by": name }));
        spoke.connect(&bench.socket("s"));
    }
    for (name, spoke) in names.iter().zip(&mut spokes) {
        spoke.tell(&edits(200));
        spoke.tell(&App::write_command("shared", &json!({ "by": name, *name: true })));
    }
    for spoke in &mut spokes {
        spoke.done();
        spoke.done();
    }
    hub.update("shared", json!({ "hub": true }));
    spokes.iter_mut().for_each(App::settle);
    hub.settle();
    spokes.into_iter().for_each(App::close);
    hub.close();

    let expected = file(&bench, "hub");
    for name in names {
        let key = RecordKey::from(format!("before {name}").as_str());
        assert!(expected["notes"].iter().any(|(found, _)| *found == key), "{name} was heard");
        assert_eq!(file(&bench, name), expected, "{name}");
    }
}

#[test]
fn a_read_only_link_only_receives() {
    let bench = Bench::new();
    let (mut a, mut b) = one_way(&bench, "ReadOnly");
    a.put("later", json!({ "by": "a" }));
    a.settle();
    assert_eq!((a.count(), b.count()), (2, 3));
    assert_eq!(a.read("by-b"), Value::Null);
    assert_eq!(b.read("by-a"), json!({ "by": "a" }));
    a.close();
    b.close();
}

#[test]
fn a_write_only_link_only_sends() {
    let bench = Bench::new();
    let (mut a, mut b) = one_way(&bench, "WriteOnly");
    b.put("later", json!({ "by": "b" }));
    b.settle();
    assert_eq!((a.count(), b.count()), (3, 2));
    assert_eq!(a.read("by-b"), json!({ "by": "b" }));
    assert_eq!(b.read("by-a"), Value::Null);
    a.close();
    b.close();
}

/// Both write before and while they are linked in a mode.
fn one_way(bench: &Bench, mode: &str) -> (App, App) {
    let mut a = App::open(bench, "a", "process");
    a.listen(&bench.socket("s"));
    let mut b = App::open(bench, "b", "process");
    a.put("by-a", json!({ "by": "a" }));
    b.put("by-b", json!({ "by": "b" }));
    b.connect_as(&bench.socket("s"), mode);
    (a, b)
}

#[test]
fn a_conflict_is_reported_at_both() {
    let bench = Bench::new();
    let (mut a, mut b) = linked(&bench, "process");
    a.put("k", json!({ "title": "first", "other": "untouched" }));
    settle(&mut a, &mut b);
    b.kill();
    a.update("k", json!({ "title": "by a" }));
    let mut b = App::open(&bench, "b", "process");
    b.update("k", json!({ "title": "by b" }));
    b.connect(&bench.socket("s"));
    settle(&mut a, &mut b);

    for app in [&mut a, &mut b] {
        wait_until("the conflict is reported", || !app.conflicts().is_empty());
        let conflicts = app.conflicts();
        let [conflict] = &conflicts[..] else { panic!("{conflicts:?}") };
        let part = |name: &str| conflict[name].as_str().unwrap().to_owned();
        assert_eq!((part("record"), part("field")), ("notes/k".into(), "title".into()));
        assert_eq!((part("won"), part("lost")), ("by b".into(), "by a".into()), "b wrote later");
    }
    assert_eq!(a.read("k"), json!({ "title": "by b", "other": "untouched" }));
    assert_equal(&bench, a, b);
}
