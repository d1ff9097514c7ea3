//! The three forms, what is wrong in them, and the keys that they make.

use std::io::{self, Cursor, Read};

use blaze_sync::record;

use super::*;
use crate::rows::{Format, Reader};

const UUID: &str = "550e8400-e29b-41d4-a716-446655440000";

/// Gives a byte at a time, so that every buffer ends everywhere.
struct Trickle(Cursor<Vec<u8>>);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(1);
        self.0.read(&mut buffer[..count])
    }
}

fn read(bytes: &[u8], options: &ReadOptions) -> Result<Vec<Row>, String> {
    let read = |source: Box<dyn Read + Send>| {
        let rows = Reader::new(source, Format::BlazeDb, options.clone());
        rows.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())
    };
    let rows = read(Box::new(Cursor::new(bytes.to_vec())));
    assert_eq!(rows, read(Box::new(Trickle(Cursor::new(bytes.to_vec())))));
    rows
}

fn rows(bytes: &[u8]) -> Vec<Row> {
    read(bytes, &ReadOptions::default()).unwrap()
}

fn problem(bytes: &[u8]) -> String {
    read(bytes, &ReadOptions::default()).unwrap_err()
}

/// The record of a JSON export with one.
fn json(record: &str) -> Record {
    let [(_, record)] = &rows(format!(r#"{{"records":[{record}]}}"#).as_bytes())[..] else {
        panic!("it has one record")
    };
    record.clone()
}

#[test]
fn the_first_bytes_tell_the_form() {
    let expected = [(None, record! { "name" => "a" })];
    let one = b"BLAZE\x01\0\x01\x10\x21a";
    assert_eq!(rows(one), expected);
    assert_eq!(rows(&[b"\0\0\0\x01\0\0\0\x0b", &one[..]].concat()), expected);
    for document in [
        "{\"records\":[{\"name\":\"a\"}]}",
        "\u{feff}{\"records\":[{\"name\":\"a\"}]}",
        "\n\t {\n\"manifest\" : null ,\r\n\"records\" : [ {\"name\" : \"a\"} ] } \n",
    ] {
        assert_eq!(rows(document.as_bytes()), expected, "{document}");
    }
    assert_eq!(rows(b"\0\0\0\0"), []);
    assert_eq!(rows(b"{\"records\":[]}"), []);
}

#[test]
fn an_export_is_more_than_its_records() {
    let document = r#"{
        "header": {"version": 2, "records": [{"no": "record"}], "text": "]}\\\"{[,\\"},
        "n": 1.5e3, "t": true, "s": "\"records\": [", "e": [],
        "records": [ {"title": "}\"],[{\\"}, {}
            , {"n": 1} ],
        "manifest": {"checksum": "00"}
    }"#;
    let titled = record! { "title" => "}\"],[{\\" };
    assert_eq!(
        rows(document.as_bytes()),
        [(None, titled), (None, Record::new()), (None, record! { "n" => 1 })]
    );
}

#[test]
fn json_is_taken_as_it_is_written() {
    let record = json(
        r#"{"int": -9223372036854775808, "float": 1.0, "exponent": 2e3, "bool": true, "no": null,
            "date": "2025-07-04T14:13:20Z", "list": [1, "x", {}], "$uuid": "no uuid",
            "map": {"$hex": "00", "$what": 1}, "escaped": "\u00fc\n\ud83e\udd80"}"#,
    );
    let map = record! { "$hex" => "00", "$what" => 1 }.into_iter().collect();
    let expected = record! {
        "int" => i64::MIN, "float" => 1.0, "exponent" => 2000.0, "bool" => true,
        "no" => Value::Null, "date" => "2025-07-04T14:13:20Z",
        "list" => vec![Value::Int(1), "x".into(), Value::Map([].into())], "$uuid" => "no uuid",
        "map" => Value::Map(map), "escaped" => "ü\n🦀",
    };
    assert_eq!(record, expected);
}

#[test]
fn an_export_that_is_cut_off_anywhere_is_refused() {
    let document = format!(r#"{{"header":[1],"records":[{{"id":"{UUID}"}},{{}}],"manifest":2}}"#);
    assert_eq!(rows(document.as_bytes()).len(), 2);
    for end in 1..document.len() {
        let problem = problem(&document.as_bytes()[..end]);
        assert!(problem.starts_with(&format!("byte {end}: ")), "{end}: {problem}");
        assert!(problem.ends_with("was it cut off?"), "{end}: {problem}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_byte() {
    for (bytes, expected) in [
        (&b""[..], "byte 0: it ends here, at least 5 more bytes are needed"),
        (b"hello, world!", "byte 0: neither a record of BlazeDB, which begins with BLAZE"),
        (b"BLAZE\x01\0\x01\x10\x0c", "byte 9: value tag 0c is not known"),
        (b"\0\0\0\x01\0\0\0\x0aBLAZE\x01\0\x01\x10\x0c", "byte 17: value tag 0c"),
        (b"{}", "byte 2: there are no \"records\" in this JSON document; give --format jsonl"),
        (b"{\"a\":1}\n{\"a\":2}\n", "byte 7: there are no \"records\""),
        (b"{\"records\":{}}", "byte 11: expected the array of the records, found '{'"),
        (b"{\"records\":[1]}", "byte 12: expected a record in braces, found '1'"),
        (b"{\"records\":[{},]}", "byte 15: expected a record in braces, found ']'"),
        (b"{\"records\":[{}{}]}", "byte 14: expected a comma or the end, found '{'"),
        (b"{\"records\":[],}", "byte 14: expected a name in quotes, found '}'"),
        (b"{\"records\":[],\"records\":[]}", "byte 14: \"records\" is given twice"),
        (b"{\"records\":[]}\n.", "byte 15: expected nothing after the document, found '.'"),
        (b"{\"header\":,\"records\":[]}", "byte 10: EOF while parsing a value"),
        (b"{\"header\":{]},\"records\":[]}", "byte 11: key must be a string"),
        (b"{\"records\":[{},{\"a\":tru}]}", "byte 23: expected ident"),
        (b"{\"records\":[{\n\"a\":1,\n\"a\":2}]}", "byte 26: \"a\" is given twice"),
        (b"{\"records\":[{\"\":2}]}", "byte 14: a name must have at least 1 byte"),
        (b"{\"records\":[{\"a\":9223372036854775808}]}", "byte 12: 9223372036854775808 is beyond"),
        (b"\xef\xbb{}", "byte 2: expected UTF-8, found '{'"),
    ] {
        let problem = problem(bytes);
        assert!(problem.starts_with(expected), "{problem}");
    }
}

#[test]
fn what_breaks_a_limit_is_told_with_its_place() {
    let deep =
        |depth| format!("{{\"records\":[{{\"a\":{}{}}}]}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(rows(deep(64).as_bytes()).len(), 1);
    let problem = problem(deep(65).as_bytes());
    assert!(
        problem.starts_with("byte 12: nesting depth of 65 exceeds the limit of 64"),
        "{problem}"
    );
}

#[test]
fn the_id_is_the_key_if_it_is_a_uuid() {
    let uuid = Uuid::try_parse(UUID).unwrap();
    let upper = UUID.to_uppercase();
    let row = |id: &str| rows(format!("{{\"records\":[{{\"id\":{id}}}]}}").as_bytes()).remove(0);
    for text in [UUID, &upper] {
        // The record keeps it as it is.
        let expected = (Some(RecordKey::Uuid(uuid)), record! { "id" => text });
        assert_eq!(row(&format!("\"{text}\"")), expected);
    }
    let simple = UUID.replace('-', "");
    for id in [&format!("\"{simple}\""), "\"abc\"", "7", "null", "[]"] {
        assert_eq!(row(id).0, None, "{id}");
    }
    let binary = [&b"BLAZE\x01\0\x01\x01\x05"[..], uuid.as_bytes()].concat();
    assert_eq!(rows(&binary), [(Some(uuid.into()), record! { "id" => uuid })]);
}

#[test]
fn a_key_is_taken_from_another_place_if_asked_for() {
    let document = format!(r#"{{"records":[{{"id":"x","team":"{UUID}","_key":"k"}}]}}"#);
    let uuid = RecordKey::Uuid(Uuid::try_parse(UUID).unwrap());
    let read = |keys| read(document.as_bytes(), &ReadOptions { keys, text: false });
    let field = |name: &str| read(KeySource::Field(name.to_owned()));
    let column = |name: &str| read(KeySource::Column(name.to_owned()));
    let all = record! { "id" => "x", "team" => UUID, "_key" => "k" };
    assert_eq!(field("team"), Ok(vec![(Some(uuid.clone()), all.clone())]));
    assert_eq!(field("id"), Ok(vec![(Some("x".into()), all)]));
    let without = record! { "id" => "x", "_key" => "k" };
    assert_eq!(column("team"), Ok(vec![(Some(uuid), without)]));
    assert_eq!(column("_key").unwrap()[0].0, Some("k".into()));
    let problem = field("sku").unwrap_err();
    assert!(problem.starts_with("byte 12: it has no \"sku\" to take the key from"), "{problem}");
}

#[test]
fn records_before_a_bad_one_are_read() {
    let source = Box::new(Cursor::new(b"{\"records\":[{},{\"a\":1},0]}"));
    let rows: Vec<_> = Reader::new(source, Format::BlazeDb, ReadOptions::default()).collect();
    assert_eq!(rows.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false]);
}
