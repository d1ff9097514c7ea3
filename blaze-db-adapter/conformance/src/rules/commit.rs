//! What a commit does, and what it refuses.

use blaze_codec::limits::{DEPTH_MAX, TRANSACTION_BYTES_MAX};
use blaze_codec::{Change, RecordKey, Seq, Value, record};
use blaze_db_adapter::{DatabaseError, Origin, Write, WriteError};

use crate::subject::{Subject, delete, insert, name, put, set, unset};
use crate::{Harness, Settings};

/// Commits are numbered 1, 2, 3, without a gap.
pub async fn commits_are_numbered_without_gaps<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    assert_eq!(database.feed().head(), Seq::ZERO);
    for number in 1..=5 {
        let key = i64::try_from(number).expect("a small number");
        let committed = database.write([insert("notes", key, record! {})]).await;
        assert_eq!(committed.seq(), Seq(number));
        assert_eq!(committed.origin(), Origin::Local);
        assert_eq!(database.feed().head(), Seq(number));
    }
}

/// A database that is opened again has what was committed, and goes on counting.
pub async fn commits_survive_reopening<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([insert("notes", 1, record! { "title" => "one" })]).await;
    database.write([insert("notes", 2, record! {}), set("notes", 1, "stars", 3)]).await;
    database.write([delete("notes", 2)]).await;
    let (states, feed) = (database.states().await, database.whole_feed().await);
    let Some(database) = database.reopen(Settings::default()).await else { return };
    assert_eq!(database.states().await, states);
    assert_eq!(database.whole_feed().await, feed);
    assert_eq!(database.feed().head(), Seq(3));
    assert_eq!(database.write([delete("notes", 1)]).await.seq(), Seq(4));
}

/// If one write of a transaction can't be done, none is; the database goes on.
pub async fn a_commit_is_whole_or_not_at_all<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([insert("notes", 1, record! { "title" => "old" })]).await;
    let (states, feed) = (database.states().await, database.whole_feed().await);
    let too_long = "k".repeat(RecordKey::BYTES_MAX + 1);
    let failing =
        [insert("notes", 1, record! {}), set("notes", 9, "title", "x"), delete("notes", too_long)];
    for last in failing {
        let writes = vec![
            set("notes", 1, "title", "new"),
            insert("notes", 2, record! {}),
            insert("other", 3, record! {}),
            delete("notes", 1),
            insert("notes", 1, record! {}),
            last,
        ];
        let result = database.commit(writes).await;
        assert!(matches!(result, Err(DatabaseError::Write(_))), "{result:?}");
        assert_eq!(database.feed().head(), Seq(1));
        assert_eq!(database.states().await, states);
        assert_eq!(database.whole_feed().await, feed);
    }
    assert_eq!(database.write([set("notes", 1, "title", "new")]).await.seq(), Seq(2));
    assert_eq!(database.record("notes", 1).await, Some(record! { "title" => "new" }));
}

/// An insert makes a record; where one is, it is refused, by the record's name.
pub async fn insert_needs_a_free_key<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let committed = database.write([insert("notes", 1, record! { "title" => "first" })]).await;
    let [operation] = committed.operations() else { panic!("one operation: {committed:?}") };
    assert_eq!(operation.change, Change::Insert(record! { "title" => "first" }));
    assert_eq!(operation.version.node, database.identity().node);
    let error = refused(&database, insert("notes", 1, record! {})).await;
    assert_eq!(error, WriteError::Exists { collection: name("notes"), key: 1.into() });
    assert_eq!(database.record("notes", 1).await, Some(record! { "title" => "first" }));
    // The same key in another collection is another record.
    database.write([insert("other", 1, record! {})]).await;
    // A deleted record's key is free again, and nothing of the old life is left.
    database.write([delete("notes", 1)]).await;
    database.write([insert("notes", 1, record! { "stars" => 1 })]).await;
    assert_eq!(database.record("notes", 1).await, Some(record! { "stars" => 1 }));
}

/// An update changes the fields it names; where no record is, it is refused.
pub async fn update_needs_a_record<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let not_found = WriteError::NotFound { collection: name("notes"), key: 1.into() };
    assert_eq!(refused(&database, set("notes", 1, "title", "x")).await, not_found);
    database.write([insert("notes", 1, record! { "title" => "one", "stars" => 1 })]).await;
    let committed = database.write([set("notes", 1, "stars", 2)]).await;
    let [operation] = committed.operations() else { panic!("one operation: {committed:?}") };
    assert_eq!(operation.change, Change::Update(vec![(name("stars"), Some(Value::Int(2)))]));
    let updated = record! { "title" => "one", "stars" => 2 };
    assert_eq!(database.record("notes", 1).await, Some(updated));
    database.write([delete("notes", 1)]).await;
    assert_eq!(refused(&database, set("notes", 1, "title", "x")).await, not_found);
}

/// A put makes the record equal to what was given, and writes only the fields
/// that differ.
pub async fn put_writes_only_what_differs<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let first = record! { "kept" => 1, "changed" => 2, "dropped" => 3 };
    database.write([put("notes", 1, first.clone())]).await;
    assert_eq!(database.record("notes", 1).await, Some(first));
    let second = record! { "kept" => 1, "changed" => 4, "added" => 5 };
    let committed = database.write([put("notes", 1, second.clone())]).await;
    let mut written = Vec::new();
    for operation in committed.operations() {
        let Change::Update(fields) = &operation.change else { panic!("{operation:?}") };
        written.extend(fields.iter().map(|(field, value)| (field.to_string(), value.clone())));
    }
    written.sort_by(|(a, _), (b, _)| a.cmp(b));
    let expected = [("added", Some(5.into())), ("changed", Some(4.into())), ("dropped", None)];
    assert_eq!(written, expected.map(|(field, value)| (field.to_owned(), value)));
    assert_eq!(database.record("notes", 1).await, Some(second));
}

/// A commit that changes nothing has the head's seq and no operations.
pub async fn a_commit_that_changes_nothing_takes_no_seq<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    assert_eq!(database.write([delete("notes", 1)]).await.seq(), Seq::ZERO);
    assert_eq!(database.write([]).await.seq(), Seq::ZERO);
    let record = record! { "title" => "same" };
    database.write([insert("notes", 1, record.clone())]).await;
    let feed = database.whole_feed().await;
    let nothing = [
        set("notes", 1, "title", "same"),
        unset("notes", 1, "stars"),
        put("notes", 1, record),
        delete("notes", 2),
    ];
    for writes in nothing.iter().map(|write| vec![write.clone()]).chain([nothing.to_vec()]) {
        let committed = database.write(writes).await;
        assert_eq!(committed.seq(), Seq(1));
        assert!(committed.operations().is_empty(), "{committed:?}");
    }
    assert_eq!(database.feed().head(), Seq(1));
    assert_eq!(database.whole_feed().await, feed);
    // Beside one that changes something, they are left out.
    let committed = database.write([delete("notes", 2), set("notes", 1, "stars", 1)]).await;
    assert_eq!((committed.seq(), committed.operations().len()), (Seq(2), 1));
}

/// A deleted record is gone; deleting it again does nothing.
pub async fn delete_ends_a_record<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([insert("notes", 1, record! { "title" => "x" })]).await;
    let committed = database.write([delete("notes", 1)]).await;
    let [operation] = committed.operations() else { panic!("one operation: {committed:?}") };
    assert_eq!(operation.change, Change::Delete);
    assert_eq!(database.record("notes", 1).await, None);
    assert_eq!(database.write([delete("notes", 1)]).await.seq(), committed.seq());
}

/// A removed field is gone, which `Null` is not, and can be set again.
pub async fn a_field_can_be_removed<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([insert("notes", 1, record! { "title" => "x", "stars" => Value::Null })]).await;
    database.write([unset("notes", 1, "title")]).await;
    assert_eq!(database.record("notes", 1).await, Some(record! { "stars" => Value::Null }));
    database.write([unset("notes", 1, "stars")]).await;
    assert_eq!(database.record("notes", 1).await, Some(record! {}));
    database.write([set("notes", 1, "title", "y")]).await;
    assert_eq!(database.record("notes", 1).await, Some(record! { "title" => "y" }));
}

/// Each write of a transaction sees those before it; all have one seq.
pub async fn writes_of_a_transaction_see_each_other<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let committed = database
        .write([
            insert("notes", 1, record! { "title" => "one" }),
            set("notes", 1, "title", "two"),
            delete("notes", 1),
            insert("notes", 1, record! { "title" => "three" }),
            set("notes", 1, "stars", 3),
            insert("notes", 2, record! {}),
        ])
        .await;
    assert_eq!((committed.seq(), committed.operations().len()), (Seq(1), 6));
    let versions = committed.operations().iter().map(|operation| operation.version);
    assert!(versions.is_sorted_by(|a, b| a < b), "later writes have greater versions");
    let expected = record! { "title" => "three", "stars" => 3 };
    assert_eq!(database.record("notes", 1).await, Some(expected));
    assert_eq!(database.states().await, crate::subject::fold(committed.operations()));
}

/// A transaction of more bytes than may cross a link is refused whole.
pub async fn a_transaction_too_large_is_refused<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let large = "x".repeat(TRANSACTION_BYTES_MAX / 5);
    let writes = [1, 2, 3, 4, 5]
        .map(|key| insert("notes", key, record! { "text" => large.as_str() }))
        .to_vec();
    let result = database.commit(writes).await;
    let Err(DatabaseError::Write(WriteError::TooLarge { found, max })) = result else {
        panic!("{} bytes are too large: {:?}", 5 * large.len(), result.map(|done| done.seq()))
    };
    assert!(found > max, "{found} bytes exceed {max}");
    assert_eq!(database.feed().head(), Seq::ZERO);
    assert_eq!(database.write([insert("notes", 1, record! {})]).await.seq(), Seq(1));
}

/// A value that breaks a limit, and could not be sent, is refused.
pub async fn a_value_over_a_limit_is_refused<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let deep = (0..=DEPTH_MAX).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    let error = refused(&database, insert("notes", 1, record! { "deep" => deep.clone() })).await;
    assert!(matches!(error, WriteError::Value { .. }), "{error:?}");
    database.write([insert("notes", 1, record! {})]).await;
    let error = refused(&database, set("notes", 1, "deep", deep)).await;
    assert!(matches!(error, WriteError::Value { .. }), "{error:?}");
    assert_eq!(database.record("notes", 1).await, Some(record! {}));
    assert_eq!(database.feed().head(), Seq(1));
}

async fn refused<H: Harness>(database: &Subject<'_, H>, write: Write) -> WriteError {
    match database.commit(vec![write]).await {
        Err(DatabaseError::Write(error)) => error,
        other => panic!("the write is refused, not {other:?}"),
    }
}
