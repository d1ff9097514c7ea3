//! Nothing readable is in the files of an encrypted database.

mod common;

use blaze_codec::{Name, RecordKey, Value, record};
use blaze_db_adapter::{DatabaseAdapter, Write, WriteKind};
use blaze_db_adapter_sqlite::SqliteOptions;
use common::{Place, name};

const MARKERS: [&str; 3] = ["marker-value-7f3a", "marker-field-7f3a", "marker-collection-7f3a"];

fn found(place: &Place) -> Vec<String> {
    let mut found = Vec::new();
    for (path, bytes) in place.files() {
        for marker in MARKERS.iter().copied().chain(["SQLite format 3", "CREATE TABLE"]) {
            if bytes.windows(marker.len()).any(|window| window == marker.as_bytes()) {
                found.push(format!("{marker} in {}", path.display()));
            }
        }
    }
    found
}

async fn fill(options: SqliteOptions, place: &Place) -> Vec<Vec<String>> {
    let database = options.open().await.unwrap();
    let collection = Name::new(MARKERS[2]).unwrap();
    let writes = (0..200).map(|key| Write {
        collection: collection.clone(),
        key: RecordKey::Int(key),
        kind: WriteKind::Insert(record! { MARKERS[1] => MARKERS[0].repeat(20) }),
    });
    database.commit(writes.collect()).await.unwrap();
    let open = found(place);
    database.close().await.unwrap();
    vec![open, found(place)]
}

#[tokio::test]
async fn no_plaintext_reaches_the_disk() {
    let place = Place::new();
    let options = SqliteOptions::new(place.file()).password("correct horse");
    let found = fill(options.clone(), &place).await;
    assert_eq!(found, [Vec::<String>::new(), Vec::new()]);
    let database = options.open().await.unwrap();
    let record = database.read(&name(MARKERS[2]), &RecordKey::Int(3)).await.unwrap();
    let record = record.expect("the record is there");
    assert_eq!(record.get(MARKERS[1]), Some(&Value::from(MARKERS[0].repeat(20))));
}

/// The search above finds what is there.
#[tokio::test]
async fn a_plain_file_shows_its_contents() {
    let place = Place::new();
    let found = fill(SqliteOptions::new(place.file()), &place).await;
    for found in found {
        for marker in MARKERS {
            assert!(found.iter().any(|found| found.starts_with(marker)), "{marker}: {found:?}");
        }
    }
}

#[tokio::test]
async fn two_files_with_one_password_have_different_keys() {
    let places = [Place::new(), Place::new()];
    let mut heads = Vec::new();
    for place in &places {
        let options = SqliteOptions::new(place.file()).password("correct horse");
        options.open().await.unwrap().close().await.unwrap();
        heads.push(std::fs::read(place.file()).unwrap()[..16].to_vec());
    }
    assert_ne!(heads[0], heads[1], "the salts are random");
}
