//! import of what BlazeDB for Swift writes.

mod common;

use common::Bench;
use serde_json::{Value, json};

const UUID: &str = "30313233-3435-3637-3839-616263646566";

/// A record of a bug, with its fields' keys from the table and spelt, and a checksum.
fn bug(title: &str) -> Vec<u8> {
    let mut bytes = b"BLAZE\x02\0\x05\x01\x050123456789abcdef\x06\x01".to_vec();
    bytes.extend(u32::try_from(title.len()).unwrap().to_be_bytes());
    bytes.extend(title.as_bytes());
    bytes.extend(b"\x09\x12\x05\x02\x06\x41\xc7\x0c\x0c\x80\0\0\0\xff\0\x09completed\x04\0");
    let crc = crc32(&bytes);
    bytes.extend(crc.to_be_bytes());
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// A record with a text and no key.
fn note(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    [b"BLAZE\x01\0\x01\x10", &[0x20 | length][..], text.as_bytes()].concat()
}

fn sequence(records: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = u32::try_from(records.len()).unwrap().to_be_bytes().to_vec();
    for record in records {
        bytes.extend(u32::try_from(record.len()).unwrap().to_be_bytes());
        bytes.extend(record);
    }
    bytes
}

fn import<'a>(database: &'a str, file: &'a str) -> [&'a str; 6] {
    ["import", database, "c", file, "--format", "blazedb"]
}

#[test]
fn a_record_comes_in_with_its_types_and_its_key() {
    let bench = Bench::new();
    bench.write("bug.blaze", bug("Bug in login"));
    let told = bench.ok(&import("db", "bug.blaze"));
    assert!(told.starts_with("1 row imported into c in "), "{told}");
    let expected = json!({
        "id": { "$uuid": UUID }, "title": "Bug in login", "priority": 5,
        "createdAt": { "$timestamp": 1_751_638_400_000_i64 }, "completed": false,
    });
    assert_eq!(bench.json(&["get", "db", "c", UUID]), expected);
    // Once more is the same record.
    let again = bench.ok(&import("db", "bug.blaze"));
    assert!(again.ends_with("; 1 row had a key that was there already\n"), "{again}");
}

#[test]
fn five_thousand_records_come_in_from_standard_input() {
    let bench = Bench::new();
    let records: Vec<_> = (0..5000).map(|index| note(&index.to_string())).collect();
    let told = bench.ok_with_input(&sequence(&records), &import("db", "-"));
    assert!(told.starts_with("5000 rows imported into c in "), "{told}");
    let mut names: Vec<u32> = bench
        .json_lines(&["list", "db", "c", "--json"])
        .iter()
        .map(|row| row["record"]["name"].as_str().unwrap().parse().unwrap())
        .collect();
    names.sort_unstable();
    assert!(names.into_iter().eq(0..5000));
}

#[test]
fn a_json_export_comes_in() {
    let bench = Bench::new();
    let record = |index: u32| {
        let id = format!("{index:08X}-0000-4000-8000-0000000000AB");
        json!({ "id": id, "title": format!("]}}\"{index}"), "tags": ["a", 1, null], "n": index })
    };
    let records: Vec<Value> = (0..2500).map(record).collect();
    let document = json!({
        "header": { "version": "1.0", "records": 2500 }, "records": records, "manifest": [],
    });
    bench.write("export.json", serde_json::to_string_pretty(&document).unwrap());
    let mut args = import("db", "export.json").to_vec();
    args.push("--json");
    let summary = bench.json(&args);
    assert_eq!((&summary["imported"], &summary["added"]), (&json!(2500), &json!(2500)));
    let found = bench.json(&["get", "db", "c", "0000002a-0000-4000-8000-0000000000ab"]);
    assert_eq!(found, record(42));
    bench.ok(&[&import("db2", "export.json")[..], &["--key", "n"]].concat());
    assert_eq!(bench.json(&["get", "db2", "c", "42"]), record(42));
}

#[test]
fn records_before_a_damaged_one_are_kept_and_the_byte_is_told() {
    let bench = Bench::new();
    let mut bytes = sequence(&[note("a"), note("b"), bug("damaged"), note("c")]);
    let title = bytes.windows(7).position(|window| window == b"damaged").unwrap();
    let checksum = 4 + 2 * (4 + note("a").len()) + bug("damaged").len();
    bytes[title] ^= 1;
    bench.write("records", &bytes);
    let error = bench.error(&import("db", "records"));
    assert!(error.contains("the import ended early, 2 rows imported into c"), "{error}");
    assert!(error.contains(&format!("byte {checksum}: checksum mismatch: ")), "{error}");
    assert_eq!(bench.ok(&["list", "db"]), "c\t2 records\n");

    bench.write("cut", &sequence(&[note("a"), note("b")])[..28]);
    let error = bench.error(&import("db2", "cut"));
    assert!(error.contains("1 row imported"), "{error}");
    assert!(error.contains("byte 28: it ends here, at least 6 more bytes"), "{error}");

    bench.write("bad.json", r#"{"records": [{"a": 1}, {"a": }], "manifest": {}}"#);
    let error = bench.error(&import("db3", "bad.json"));
    assert!(error.contains("1 row imported"), "{error}");
    assert!(error.contains("byte 29: expected value"), "{error}");
}

#[test]
fn what_is_not_of_blazedb_is_refused() {
    let bench = Bench::new();
    bench.write("rows.jsonl", "{\"a\":1}\n{\"a\":2}\n");
    let error = bench.error(&import("db", "rows.jsonl"));
    assert!(error.contains("give --format jsonl if each of its lines is a record"), "{error}");
    bench.write("rows.csv", "name,value\nx,1\n");
    let error = bench.error(&import("db", "rows.csv"));
    assert!(error.contains("byte 0: neither a record of BlazeDB"), "{error}");
    assert_eq!(bench.ok(&["list", "db"]), "", "nothing was imported");

    // It is told where a format is asked for, and is none to write.
    bench.write("backup.bin", note("a"));
    let error = bench.error(&["import", "db", "c", "backup.bin"]);
    assert!(error.contains("--format blazedb"), "{error}");
    let output = bench.output(&["export", "db", "c", "--format", "blazedb"]);
    assert_eq!(output.status.code(), Some(2));
}
