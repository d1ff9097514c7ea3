//! import and export: what goes in comes out, and mistakes are told.

mod common;

use std::fmt::Write;
use std::os::unix::fs::{PermissionsExt, symlink};

use common::Bench;
use serde_json::{Value, json};

const HARD_TEXTS: [&str; 5] = ["42", "true", "", "null", "{"];

/// A bench with 2,500 records that are hard to write as text.
fn filled() -> Bench {
    let bench = Bench::new();
    let mut rows = String::new();
    for index in 0..2500_u32 {
        let mut row = json!({ "n": index, "text": format!("line, \"{index}\"\nümläut 🦀") });
        match index % 5 {
            0 => row["_key"] = json!(index),
            1 => row["_key"] = json!(format!("key, \"{index}\"\n")),
            2 => row["nested"] = json!({ "list": [1, 2.5, null], "hex": { "$hex": "00ff" } }),
            3 => row["float"] = json!(0.1 + f64::from(index)),
            _ => row["looks_like"] = json!(HARD_TEXTS[index as usize / 5 % 5]),
        }
        writeln!(rows, "{row}").unwrap();
    }
    bench.write("rows.jsonl", rows);
    let summary = bench.json(&["import", "db", "c", "rows.jsonl", "--json"]);
    assert_eq!((&summary["imported"], &summary["collection"]), (&json!(2500), &json!("c")));
    bench
}

fn records(bench: &Bench, database: &str) -> Vec<Value> {
    bench.json_lines(&["list", database, "c", "--json"])
}

#[test]
fn what_is_exported_is_imported_as_it_was() {
    let bench = filled();
    let expected = records(&bench, "db");
    assert_eq!(expected.len(), 2500);
    for file in ["out.jsonl", "out.csv"] {
        let copy = format!("{file}.blaze");
        let summary = bench.json(&["export", "db", "c", file, "--json"]);
        assert_eq!(summary, json!({ "collection": "c", "exported": 2500 }));
        bench.ok(&["import", &copy, "c", file]);
        assert!(records(&bench, &copy) == expected, "{file} lost something");
    }
}

#[test]
fn importing_again_changes_nothing() {
    let bench = filled();
    bench.ok(&["export", "db", "c", "out.csv"]);
    bench.ok(&["import", "db", "c", "out.csv"]);
    let seq = bench.json(&["put", "db", "c", "last", "a=1", "--json"])["seq"].clone();
    assert_eq!(seq, json!(4), "three batches of the first import, and this one");
}

#[test]
fn five_thousand_rows_of_csv_come_in_from_standard_input() {
    let bench = Bench::new();
    let mut csv = "id,name,note\n".to_owned();
    for index in 0..5000 {
        writeln!(csv, "{index},Zoë {index},\"a \"\"quote\"\",\r\nand a line\"").unwrap();
    }
    let args = ["import", "db", "c", "-", "--format", "csv", "--key", "id"];
    let told = bench.ok_with_input(csv.as_bytes(), &args);
    assert!(told.starts_with("5000 rows imported into c in "), "{told}");
    let record = bench.json(&["get", "db", "c", "4999"]);
    let note = "a \"quote\",\r\nand a line";
    assert_eq!(record, json!({ "id": 4999, "name": "Zoë 4999", "note": note }));
    assert_eq!(bench.ok(&["list", "db"]), "c\t5000 records\n");
}

#[test]
fn rows_before_a_bad_one_are_kept() {
    let bench = Bench::new();
    let good = "{\"a\":1}\n".repeat(1499);
    bench.write("bad.jsonl", format!("{good}{{\"a\":}}\n{good}"));
    let error = bench.error(&["import", "db", "c", "bad.jsonl"]);
    assert!(error.contains("the import ended early, 1499 rows imported into c"), "{error}");
    assert!(error.contains("caused by: line 1500: expected value (column 6)"), "{error}");
    assert_eq!(bench.ok(&["list", "db"]), "c\t1499 records\n");

    bench.write("bad.csv", "a,b\n1,2\n1,2,3\n");
    let error = bench.error(&["import", "db2", "c", "bad.csv"]);
    assert!(error.contains("1 row imported"), "{error}");
    assert!(error.contains("line 3: it has 3 cells and the header 2; put cells"), "{error}");
}

#[test]
fn a_file_that_cannot_be_imported_makes_no_database() {
    let bench = Bench::new();
    bench.write("rows.txt", "{}");
    assert!(
        bench
            .error(&["import", "db", "c", "rows.txt"])
            .contains("give --format jsonl, --format csv or")
    );
    assert!(bench.error(&["import", "db", "c", "none.csv"]).contains("can't open none.csv"));
    assert!(!bench.path("db").exists());
}

#[test]
fn all_cells_are_text_if_asked_for() {
    let bench = Bench::new();
    bench.write("rows.csv", "_key,zip,on\nk,01234,true\n");
    bench.ok(&["import", "db", "c", "rows.csv", "--text"]);
    assert_eq!(bench.json(&["get", "db", "c", "k"]), json!({ "zip": "01234", "on": "true" }));
}

#[test]
fn a_field_where_the_key_is_written_needs_another_place() {
    let bench = Bench::new();
    bench.ok(&["put", "db", "c", "k", "_key=mine"]);
    bench.write("out.csv", "precious");
    for file in ["out.jsonl", "out.csv"] {
        let error = bench.error(&["export", "db", "c", file]);
        assert!(error.contains("--key-column NAME"), "{error}");
    }
    assert_eq!(bench.read("out.csv"), "precious", "only a complete export replaces a file");
    assert!(!bench.path("out.jsonl").exists());

    bench.ok(&["export", "db", "c", "out.csv", "--key-column", "id"]);
    assert_eq!(bench.read("out.csv"), "id,_key\nk,mine\n");
    bench.ok(&["import", "copy", "c", "out.csv", "--key-column", "id"]);
    assert_eq!(records(&bench, "copy"), records(&bench, "db"));
}

#[test]
fn an_export_goes_to_standard_output_untouched() {
    let bench = Bench::new();
    bench.ok(&["put", "db", "c", "k", "a=\u{1b}[1mé"]);
    assert_eq!(bench.ok(&["export", "db", "c", "--format", "csv"]), "_key,a\nk,\u{1b}[1mé\n");
    let line = bench.ok(&["export", "db", "c"]);
    assert_eq!(
        serde_json::from_str::<Value>(&line).unwrap(),
        json!({ "_key": "k", "a": "\u{1b}[1mé" })
    );
    assert!(bench.error(&["export", "db", "c", "--json"]).contains("name a file"));
}

#[test]
fn an_export_goes_through_a_link_and_keeps_the_mode() {
    let bench = Bench::new();
    bench.ok(&["put", "db", "c", "k", "a=1"]);
    std::fs::create_dir(bench.path("elsewhere")).unwrap();
    let target = "elsewhere/target.csv";
    bench.write(target, "old");
    for mode in [0o644, 0o640] {
        std::fs::set_permissions(bench.path(target), PermissionsExt::from_mode(mode)).unwrap();
        let _ = std::fs::remove_file(bench.path("link.csv"));
        symlink(target, bench.path("link.csv")).unwrap();
        bench.ok(&["export", "db", "c", "link.csv"]);
        assert!(bench.path("link.csv").is_symlink());
        assert_eq!(bench.read(target), "_key,a\nk,1\n");
        let found = bench.path(target).metadata().unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode);
    }
}

#[test]
fn rows_whose_key_was_there_already_are_counted() {
    let bench = Bench::new();
    bench.write("rows.csv", "id,a\n1,x\n2,y\n1,z\n");
    let told = bench.ok(&["import", "db", "c", "rows.csv", "--key", "id"]);
    assert!(told.ends_with("; 1 row had a key that was there already\n"), "{told}");
    let again = bench.json(&["import", "db", "c", "rows.csv", "--key", "id", "--json"]);
    assert_eq!((&again["imported"], &again["added"]), (&json!(3), &json!(0)));
}
