//! Tables say what was found.

use super::*;
use crate::results::{JSON, tests::row};

fn report(rows: Vec<Row>) -> Report {
    let machine = Machine {
        cpu: "a cpu".to_owned(),
        cores: 2,
        kernel: "6.0".to_owned(),
        load: "0.10".to_owned(),
        rustc: "rustc 1.0",
        commit: "abc".to_owned(),
        date: "2026-01-02".to_owned(),
    };
    let marks = vec![Mark {
        what: "walk".to_owned(),
        goal: "at most 3 ns".to_owned(),
        found: "4 ns".to_owned(),
        reached: false,
    }];
    Report { machine, passes: 3, budget_ms: 50, rows, marks }
}

#[test]
fn the_best_safe_figure_is_bold_and_leads_are_told() {
    let cells =
        [(BLAZE, [20.0; 7]), (JSON, [150.0; 7]), ("other", [44.0; 7]), ("reckless", [1.0; 7])];
    let rows = vec![row(Workload::Bug, 1, &cells), row(Workload::Bug, 1_000, &cells)];
    let text = report(rows).markdown(Some("plot.svg"));
    for line in [
        "![Issues in a batch of 1,000](plot.svg)",
        "| walk | at most 3 ns | 4 ns | **no** |",
        "| | bug × 1 | bug × 1000 |",
        "|---|--:|--:|",
        "| **Blaze** | **20.0** | **20.0** |",
        "| serde_json | 150 | 150 |",
        "| reckless† | 1.0 | 1.0 |",
        "| best other | other | other |",
        "| Blaze, times that | 2.20 | 2.20 |",
        "| Blaze, times the best other | 2.20 | 2.20 | 2.20 | 2.20 | 2.20 | 2.20 | 2.20 |",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in {text}");
    }
}

#[test]
fn what_a_format_does_not_do_is_left_out() {
    let mut row = row(Workload::Sensor, 10, &[(BLAZE, [20.0; 7]), (JSON, [150.0; 7])]);
    row.cells[1].figures.remove(&Figure::Ids);
    row.cells[1].in_place = false;
    let text = report(vec![row]).markdown(None);
    let (_, ids) = text.split_once("## Ids").expect("a table of ids");
    assert!(!ids.contains(JSON), "{ids}");
    assert!(ids.contains("| best other | – |"), "{ids}");
    assert!(text.contains("| serde_json\\* | 150 |"), "{text}");
    assert!(!text.contains("## Issues"), "no row of issues was measured: {text}");
}

#[test]
fn json_has_every_figure() {
    let rows = vec![row(Workload::Bug, 10, &[(BLAZE, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])])];
    let json = report(rows).json().expect("a report fits JSON");
    let json: serde_json::Value = serde_json::from_str(&json).expect("just written");
    let row = &json["rows"][0];
    assert_eq!((&row["workload"], &row["batch"]), (&"bug".into(), &10.into()));
    assert_eq!(row["cells"][0]["figures"]["zstd"], 3.0);
    assert_eq!(row["cells"][0]["figures"]["ids"], 7.0);
}
