//! What is read from rows, and that what is written is read again.

use std::collections::BTreeSet;
use std::io::Cursor;

use blaze_sync::{Name, Timestamp, Uuid, Value, record};

use super::*;

fn read(format: Format, text: &str, options: ReadOptions) -> Result<Vec<Row>, String> {
    let source = Box::new(Cursor::new(text.to_owned().into_bytes()));
    let rows: Result<Vec<_>, _> = Reader::new(source, format, options).collect();
    rows.map_err(|error| error.to_string())
}

fn rows(format: Format, text: &str) -> Vec<Row> {
    read(format, text, ReadOptions::default()).unwrap()
}

fn problem(format: Format, text: &str) -> String {
    read(format, text, ReadOptions::default()).unwrap_err()
}

fn keyed_by(field: &str) -> ReadOptions {
    ReadOptions { keys: KeySource::Field(field.to_owned()), ..ReadOptions::default() }
}

/// Records that are hard to write in either format.
fn hard() -> Vec<(RecordKey, Record)> {
    let text = |text: &str| record! { "a" => text };
    let mut records = vec![
        (Uuid::from_u128(1).into(), record! { "only" => Value::Null }),
        (RecordKey::Int(-7), Record::new()),
        ("42".into(), text("42")),
        (RecordKey::Bytes(vec![0, 255]), record! { "bytes" => vec![0_u8, 255], "f" => 0.1 + 0.2 }),
        ("comma, \"quote\"\r\nand line".into(), text("comma, \"quote\"\r\nand ümläut 🦀")),
        (
            "nested".into(),
            record! {
                "array" => vec![Value::Int(1), Value::Null, Value::from("x")],
                "time" => Timestamp(-1),
                "uuid" => Uuid::from_u128(7),
                "nan" => f64::NAN,
                "whole" => 1.0,
                "$dollar" => i64::MIN,
            },
        ),
    ];
    for text in ["", " ", "true", "null", "1.50", "007", "[1]", "\"x\"", "{", "a "] {
        records.push((text.into(), record! { "a" => text, "whole" => 2.0 }));
    }
    records
}

fn as_rows(records: &[(RecordKey, Record)]) -> Vec<Row> {
    records.iter().map(|(key, record)| (Some(key.clone()), record.clone())).collect()
}

#[test]
fn json_lines_that_are_written_are_read_again() {
    let mut bytes = Vec::new();
    for (key, record) in hard() {
        write_jsonl(&mut bytes, KEY_COLUMN, &key, record).unwrap();
    }
    assert_eq!(rows(Format::Jsonl, str::from_utf8(&bytes).unwrap()), as_rows(&hard()));
}

#[test]
fn csv_that_is_written_is_read_again() {
    let fields: BTreeSet<Name> =
        hard().iter().flat_map(|(_, record)| record.iter().map(|(name, _)| name.clone())).collect();
    let mut writer = CsvWriter::new(Vec::new(), KEY_COLUMN, fields).unwrap();
    for (key, record) in hard() {
        writer.write(&key, &record).unwrap();
    }
    let bytes = writer.finish().unwrap();
    assert_eq!(rows(Format::Csv, str::from_utf8(&bytes).unwrap()), as_rows(&hard()));
}

#[test]
fn a_field_in_the_keys_place_is_refused() {
    let taken = record! { KEY_COLUMN => 1 };
    let error = write_jsonl(&mut Vec::new(), KEY_COLUMN, &"k".into(), taken).unwrap_err();
    assert!(error.to_string().contains("--key-column"), "{error}");
    let fields = [Name::new(KEY_COLUMN).unwrap()].into();
    assert!(CsvWriter::new(Vec::new(), KEY_COLUMN, fields).is_err());
}

#[test]
fn cells_have_the_types_that_they_look_like() {
    let csv = "\u{feff}int,float,bool,null,text,zip,big,empty,list\n\
               -3,1.5,true,null,hello,01234,99999999999999999999,,\"[1,\"\"x\"\"]\"\n";
    let expected = record! {
        "int" => -3, "float" => 1.5, "bool" => true, "null" => Value::Null, "text" => "hello",
        "zip" => "01234", "big" => "99999999999999999999",
        "list" => vec![Value::Int(1), Value::from("x")],
    };
    assert_eq!(rows(Format::Csv, csv), [(None, expected)]);

    let text = ReadOptions { text: true, ..ReadOptions::default() };
    let all_text = record! { "a" => "1", "b" => "", "c" => "true" };
    assert_eq!(read(Format::Csv, "a,b,c\n1,,true\n", text), Ok(vec![(None, all_text)]));
}

#[test]
fn numbers_that_would_be_written_differently_stay_texts() {
    for cell in [
        "1.10",
        "1.50",
        "12e5",
        "-0.10",
        "0.12345678901234567890123",
        "1E3",
        "[1,9999999999999999999]",
    ] {
        assert_eq!(infer(cell), Value::from(cell));
    }
    for (cell, float) in [("1.5", 1.5), ("-0.1", -0.1), ("2.0", 2.0), ("1e+300", 1e300)] {
        assert_eq!(infer(cell), Value::Float(float), "{cell}");
    }
}

#[test]
fn integers_beyond_64_bits_are_refused_in_json() {
    for row in [r#"{"a":99999999999999999999}"#, r#"{"a":[{"b":-99999999999999999999}]}"#] {
        let problem = problem(Format::Jsonl, row);
        assert!(problem.contains("99999999999999999999 is beyond 64 bits; put it"), "{problem}");
    }
}

#[test]
fn a_text_and_an_integer_are_two_keys_of_json() {
    let two = "{\"id\":\"1\"}\n{\"id\":1}\n";
    let keys = read(Format::Jsonl, two, keyed_by("id")).unwrap().into_iter().map(|row| row.0);
    assert_eq!(keys.collect::<Vec<_>>(), [Some("1".into()), Some(RecordKey::Int(1))]);
}

#[test]
fn a_quote_that_is_never_closed_is_told_with_its_line() {
    let csv = "a,b\n1,x\n2,\"y\n3,z\n";
    let source = Box::new(Cursor::new(csv));
    let rows: Vec<_> = Reader::new(source, Format::Csv, ReadOptions::default()).collect();
    let [Ok(first), Err(error)] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!(*first, (None, record! { "a" => 1, "b" => "x" }));
    assert!(error.to_string().starts_with("line 3: a quote opens here and is never closed"));
    // Of a row that begins before it, and without a line break at the end.
    assert!(problem(Format::Csv, "a,b\n\"1\n\",\"y").starts_with("line 3: a quote opens here"));
}

#[test]
fn a_key_is_taken_from_its_column_or_from_a_field() {
    let expected = [(Some(7.into()), record! { "a" => 1 }), (None, record! { "a" => 2 })];
    assert_eq!(rows(Format::Csv, "_key,a\n7,1\n,2\n"), expected);
    assert_eq!(rows(Format::Jsonl, "{\"_key\":\"7\",\"a\":1}\n\n{\"a\":2}"), expected);

    let expected = Ok(vec![(Some("x1".into()), record! { "sku" => "x1", "a" => 1 })]);
    assert_eq!(read(Format::Csv, "sku,a\nx1,1\n", keyed_by("sku")), expected);
    assert_eq!(read(Format::Jsonl, "{\"sku\":\"x1\",\"a\":1}", keyed_by("sku")), expected);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let told = |format, text, expected: &str| {
        let problem = problem(format, text);
        assert!(problem.contains(expected), "{text:?}: {problem}");
    };
    told(Format::Jsonl, "{}\n{\"a\":}\n", "line 2: expected value (column 6)");
    told(Format::Jsonl, "{}\n\n[1]\n", "line 3: expected a JSON object such as");
    told(Format::Jsonl, "{\"_key\":1.5}", "line 1: \"_key\": a key can be");
    told(Format::Csv, "a,b\n\"1\n2\",3\n4\n", "line 4: it has 1 cells and the header 2");
    told(Format::Csv, "a,a\n", "line 1: two columns are called \"a\"");
    told(Format::Csv, "a,\n", "line 1: column 2 of the header: a name must");
    let missing = read(Format::Jsonl, "{\"id\":1}\n{\"a\":1}", keyed_by("id")).unwrap_err();
    assert!(missing.contains("line 2: it has no \"id\""), "{missing}");
    let missing = read(Format::Csv, "id,a\n,1", keyed_by("id")).unwrap_err();
    assert!(missing.contains("line 2: it has no \"id\""), "{missing}");
}

#[test]
fn nothing_is_read_after_an_error() {
    let source = Box::new(Cursor::new("{}\n!\n{}\n"));
    let rows: Vec<_> = Reader::new(source, Format::Jsonl, ReadOptions::default()).collect();
    assert_eq!(rows.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn text_that_is_not_utf_8_is_refused() {
    for (format, bytes) in
        [(Format::Csv, &b"a\nx\n\xff\n"[..]), (Format::Jsonl, b"{}\n{}\n{\"a\":\"\xff\"}\n")]
    {
        let source = Box::new(Cursor::new(bytes.to_vec()));
        let rows = Reader::new(source, format, ReadOptions::default());
        let error = rows.last().unwrap().unwrap_err().to_string();
        assert!(error.starts_with("line 3: "), "{error}");
    }
}

#[test]
fn a_row_without_end_is_refused() {
    let endless = Box::new(io::repeat(b'x'));
    let mut rows = Reader::new(endless, Format::Jsonl, ReadOptions::default());
    let Some(Err(RowError::Read { line: 1, source })) = rows.next() else {
        panic!("it should have been refused")
    };
    assert!(source.to_string().contains("67108864 bytes"), "{source}");
}

#[test]
fn a_format_is_known_by_its_extension() {
    assert_eq!(Format::of(Path::new("a.CSV"), None).unwrap(), Format::Csv);
    assert_eq!(Format::of(Path::new("a.ndjson"), None).unwrap(), Format::Jsonl);
    assert_eq!(Format::of(Path::new("a.csv"), Some(Format::Jsonl)).unwrap(), Format::Jsonl);
    assert!(Format::of(Path::new("-"), None).is_err());
}
