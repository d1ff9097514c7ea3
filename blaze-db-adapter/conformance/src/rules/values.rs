//! What is written is what is read, byte for byte.

use std::collections::BTreeMap;

use blaze_codec::{Name, Record, RecordKey, Timestamp, Uuid, Value, record};

use crate::subject::{Subject, insert, name, set};
use crate::{Harness, Settings};

/// Every kind of value comes back with its bits, from reads and from the feed.
pub async fn values_come_back_exactly<H: Harness>(harness: &H) {
    let fields = || values().into_iter().enumerate();
    let fields = fields().map(|(at, value)| (name(&format!("f{at:02}")), value));
    comes_back(harness, fields.collect()).await;
}

/// A large value comes back whole.
pub async fn large_values_come_back<H: Harness>(harness: &H) {
    let text: String = ('a'..='z').cycle().take(1024 * 1024).collect();
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(1024 * 1024).collect();
    comes_back(harness, record! { "text" => text, "bytes" => bytes }).await;
}

/// A record with many fields comes back with all of them.
pub async fn records_may_have_many_fields<H: Harness>(harness: &H) {
    let fields = (0..500).map(|number| (name(&format!("field{number}")), Value::Int(number)));
    comes_back(harness, fields.collect()).await;
}

/// Keys of every kind and of the greatest length name one record each.
pub async fn keys_of_every_kind_are_kept<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let keys = [
        RecordKey::Uuid(Uuid::nil()),
        RecordKey::unique(),
        RecordKey::Int(0),
        RecordKey::Int(i64::MIN),
        RecordKey::Int(i64::MAX),
        "".into(),
        "0".into(),
        "\0".into(),
        "é\u{1f600}'\"".into(),
        "k".repeat(RecordKey::BYTES_MAX).into(),
        RecordKey::Bytes(vec![]),
        RecordKey::Bytes(b"0".to_vec()),
        RecordKey::Bytes(vec![0xff; RecordKey::BYTES_MAX]),
    ];
    for (number, key) in (0..).zip(&keys) {
        database.write([insert("notes", key, record! { "number" => number })]).await;
    }
    let database = if H::REOPENS {
        database.reopen(Settings::default()).await.expect("the harness reopens")
    } else {
        database
    };
    for (number, key) in (0..).zip(&keys) {
        assert_eq!(database.record("notes", key).await, Some(record! { "number" => number }));
        database.write([set("notes", key, "number", number + 100)]).await;
    }
    let mut sorted: Vec<_> = (100..).map(Value::Int).zip(keys).map(|(n, key)| (key, n)).collect();
    sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
    let sorted: Vec<_> =
        sorted.into_iter().map(|(key, n)| (key, record! { "number" => n })).collect();
    assert_eq!(database.all("notes").await, sorted);
    database.states().await;
}

/// Names of collections and fields may have 255 bytes.
pub async fn long_names_are_kept<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let ascii = "n".repeat(Name::BYTES_MAX);
    let wide = format!("{}n", "é".repeat(Name::BYTES_MAX / 2));
    for name in [&ascii, &wide] {
        let record = record! { name => 1, "short" => 2 };
        database.write([insert(name, 1, record.clone())]).await;
        assert_eq!(database.record(name, 1).await, Some(record));
    }
    database.states().await;
}

async fn comes_back<H: Harness>(harness: &H, record: Record) {
    let database = Subject::new(harness).await;
    database.write([insert("notes", 1, record.clone()), insert("updated", 1, record! {})]).await;
    let updates = record.iter().map(|(field, value)| set("updated", 1, field, value.clone()));
    database.write(updates.collect::<Vec<_>>()).await;
    let replica = Subject::new(harness).await;
    replica.pull(&database).await;
    same(&database, &record).await;
    same(&replica, &record).await;
    assert_eq!(database.states().await, replica.states().await);
    if let Some(database) = database.reopen(Settings::default()).await {
        same(&database, &record).await;
    }
}

async fn same<H: Harness>(database: &Subject<'_, H>, record: &Record) {
    for collection in ["notes", "updated"] {
        let found = database.record(collection, 1).await.expect("the record exists");
        assert_eq!(found.len(), record.len(), "fields of {collection}");
        for (field, value) in record {
            assert_eq!(found.get(field), Some(value), "field {field} of {collection}");
        }
    }
}

fn values() -> Vec<Value> {
    let floats = [
        0.0,
        -0.0,
        1.5,
        f64::MIN_POSITIVE / 2.0,
        f64::MAX,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        -f64::NAN,
        // Signalling, with a payload.
        f64::from_bits(0x7ff0_0000_0000_0001),
        f64::from_bits(0xffff_ffff_ffff_ffff),
    ];
    let ints = [0, -1, 1, 127, 128, 1 << 53, (1 << 53) + 1, i64::MIN, i64::MAX];
    let texts = ["", "text", "0", "1.0", "null", "\0", "a\0b", "é\u{1f600}", "'\"\\;--"];
    let bytes = [&[][..], &[0], &[0xff, 0xfe], b"text"];
    let mut values = vec![Value::Null, Value::Bool(false), Value::Bool(true)];
    values.extend(floats.map(Value::Float));
    values.extend(ints.map(Value::Int));
    values.extend(texts.map(Value::from));
    values.extend(bytes.map(Value::from));
    values.extend([Uuid::nil(), Uuid::max(), Uuid::from_u128(7)].map(Value::Uuid));
    values.extend([i64::MIN, -1, 0, i64::MAX].map(|ms| Value::Timestamp(Timestamp(ms))));
    let all: BTreeMap<Name, Value> = values
        .iter()
        .enumerate()
        .map(|(at, value)| (name(&format!("m{at}")), value.clone()))
        .collect();
    let nested = (0..16).fold(Value::from(all), |inner, _| Value::Array(vec![inner, Value::Null]));
    values.extend([Value::Array(values.clone()), nested]);
    values.extend([Value::Array(vec![]), Value::from(BTreeMap::new())]);
    values
}
