//! What readers see.

use std::num::NonZeroUsize;

use blaze_codec::{RecordKey, Uuid, record};

use crate::Harness;
use crate::subject::{Subject, delete, insert, name};

/// A scan gives the records in the order of their keys, whatever the order of
/// writing, and in pages of any size each once.
pub async fn a_scan_pages_in_the_order_of_keys<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let mut keys: Vec<RecordKey> = vec![
        RecordKey::Bytes(vec![]),
        RecordKey::Bytes(vec![0]),
        RecordKey::Bytes(vec![0, 0xff]),
        RecordKey::Bytes(vec![0xff]),
        "".into(),
        "10".into(),
        "9".into(),
        "Z".into(),
        "a".into(),
        "é".into(),
        i64::MAX.into(),
        10.into(),
        9.into(),
        0.into(),
        (-1).into(),
        i64::MIN.into(),
        Uuid::max().into(),
        Uuid::from_u128(7).into(),
        Uuid::nil().into(),
    ];
    let writes = keys.iter().map(|key| insert("notes", key, record! { "key" => key.to_string() }));
    database.write(writes.collect::<Vec<_>>()).await;
    database.write([insert("note", 5, record! {}), insert("notes2", 5, record! {})]).await;
    keys.sort();
    let all = database.all("notes").await;
    assert_eq!(all.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), keys);
    for (key, record) in &all {
        assert_eq!(record, &record! { "key" => key.to_string() });
    }
    for count in [1, 2, 7, keys.len(), keys.len() + 1] {
        let count = NonZeroUsize::new(count).expect("a page has records");
        assert_eq!(paged(&database, count).await, keys, "pages of {count}");
    }
    assert!(database.scan(&name("notes"), None, 0).await.expect("a scan").is_empty());
    // The key to go on from doesn't need to exist.
    let after = RecordKey::Int(5);
    let rest = database.scan(&name("notes"), Some(&after), 1).await.expect("a scan");
    assert_eq!(rest.first().map(|(key, _)| key), Some(&RecordKey::Int(9)));
}

/// A deleted record is not read, scanned or counted, and takes no place in a page.
pub async fn deleted_records_are_not_seen<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let writes: Vec<_> = (0..10).map(|key| insert("notes", key, record! {})).collect();
    database.write(writes).await;
    let deletes: Vec<_> =
        (0..10).filter(|key| key % 2 == 0).map(|key| delete("notes", key)).collect();
    database.write(deletes).await;
    assert_eq!(database.record("notes", 4).await, None);
    let odd: Vec<RecordKey> = [1, 3, 5, 7, 9].map(RecordKey::Int).to_vec();
    assert_eq!(paged(&database, NonZeroUsize::MIN.saturating_add(1)).await, odd);
    let collections = database.collections().await.expect("collections can be listed");
    assert_eq!(collections.iter().map(|info| info.records).collect::<Vec<_>>(), [5]);
}

/// A record without fields is a record.
pub async fn a_record_may_have_no_fields<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([insert("notes", 1, record! {})]).await;
    assert_eq!(database.record("notes", 1).await, Some(record! {}));
    assert_eq!(database.all("notes").await, [(RecordKey::Int(1), record! {})]);
    assert_eq!(database.record("notes", 2).await, None);
    assert_eq!(database.record("other", 1).await, None);
    assert_eq!(database.all("other").await, []);
}

/// The collections that have records are listed, in the order of their names.
pub async fn collections_are_counted_while_they_have_records<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    assert_eq!(listed(&database).await, []);
    database
        .write([
            insert("b", 1, record! {}),
            insert("a", 1, record! {}),
            insert("a", 2, record! {}),
            insert("B", 1, record! {}),
        ])
        .await;
    let count = |name: &str, records| (name.to_owned(), records);
    assert_eq!(listed(&database).await, [count("B", 1), count("a", 2), count("b", 1)]);
    database.write([delete("a", 1), delete("b", 1)]).await;
    assert_eq!(listed(&database).await, [count("B", 1), count("a", 1)]);
}

/// Hundreds of collections are kept apart, as are names that look like syntax.
pub async fn collections_are_kept_apart<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let odd = [
        "select", "SELECT", "a\"b", "a'b", "a`b", "a;b", "%", "_", "a.b", " ", "é", "e\u{301}",
        "\0",
    ];
    let mut names: Vec<String> = (0..300).map(|number| format!("collection{number}")).collect();
    names.extend(odd.map(str::to_owned));
    let writes = names.iter().map(|name| insert(name, 1, record! { name => name.as_str() }));
    database.write(writes.collect::<Vec<_>>()).await;
    for name in &names {
        let record = database.record(name, 1).await;
        assert_eq!(record, Some(record! { name => name.as_str() }), "in {name:?}");
        assert_eq!(database.all(name).await.len(), 1, "in {name:?}");
    }
    names.sort();
    let expected: Vec<_> = names.into_iter().map(|name| (name, 1)).collect();
    assert_eq!(listed(&database).await, expected);
}

async fn listed<H: Harness>(database: &Subject<'_, H>) -> Vec<(String, u64)> {
    let collections = database.collections().await.expect("collections can be listed");
    collections.into_iter().map(|info| (info.name.to_string(), info.records)).collect()
}

async fn paged<H: Harness>(database: &Subject<'_, H>, count: NonZeroUsize) -> Vec<RecordKey> {
    let mut keys: Vec<RecordKey> = Vec::new();
    loop {
        let page = database.scan(&name("notes"), keys.last(), count.get()).await.expect("a scan");
        assert!(page.len() <= count.get(), "at most {count} records, not {}", page.len());
        let last = page.len() < count.get();
        keys.extend(page.into_iter().map(|(key, _)| key));
        if last {
            return keys;
        }
    }
}
