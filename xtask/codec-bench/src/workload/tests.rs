//! The operations are what they are said to be.

use std::collections::HashSet;

use super::*;

fn operations(workload: Workload) -> Vec<Operation> {
    workload.batches(OPERATIONS).remove(0)
}

fn fields(operation: &Operation) -> &[(String, Value)] {
    match &operation.change {
        Change::Insert(fields) => fields,
        other => panic!("{other:?} is no insert"),
    }
}

#[test]
fn batches_hold_the_same_operations_whatever_their_size() {
    for workload in Workload::value_variants() {
        let all = operations(*workload);
        assert_eq!(all.len(), OPERATIONS);
        for batch in BATCHES {
            let batches = workload.batches(batch);
            assert!(batches.iter().all(|operations| operations.len() == batch));
            assert_eq!(batches.concat(), all);
        }
    }
}

#[test]
fn an_issue_has_six_fields_and_a_key_of_its_own() {
    let issues = operations(Workload::Bug);
    let keys: HashSet<_> = issues.iter().map(|issue| format!("{:?}", issue.key)).collect();
    assert_eq!(keys.len(), OPERATIONS);
    for issue in &issues {
        let fields = fields(issue);
        assert_eq!(fields.len(), 6);
        let Value::Text(title) = &fields[5].1 else { panic!("{fields:?}") };
        assert!((20..=60).contains(&title.len()), "{title}");
    }
}

#[test]
fn a_reading_has_eight_numbers() {
    for reading in operations(Workload::Sensor) {
        let numbers = fields(&reading).iter().filter(|(_, value)| {
            matches!(value, Value::Int(_) | Value::Float(_) | Value::Timestamp(_))
        });
        assert_eq!(numbers.count(), 8);
    }
}

#[test]
fn an_update_has_one_field_and_a_base_before_it() {
    for update in operations(Workload::Update) {
        let Change::Update(fields) = &update.change else { panic!("{update:?}") };
        assert_eq!(fields.len(), 1);
        assert!(update.base.is_some_and(|base| base.hlc < update.version.hlc));
    }
}

#[test]
fn a_blob_is_1_kib_beside_a_map_and_an_array() {
    for blob in operations(Workload::Blob) {
        let fields = fields(&blob);
        let Value::Map(about) = &fields[0].1 else { panic!("{fields:?}") };
        assert!(about.iter().any(|(_, value)| matches!(value, Value::Array(_))));
        assert!(matches!(&fields[1].1, Value::Bytes(content) if content.len() == 1024));
    }
}

#[test]
fn names_of_fields_ascend() {
    for workload in Workload::value_variants() {
        for operation in operations(*workload) {
            if let Change::Insert(fields) = &operation.change {
                assert!(fields.is_sorted_by(|(a, _), (b, _)| a < b), "{fields:?}");
            }
        }
    }
}

#[test]
fn versions_ascend_and_differ() {
    for workload in Workload::value_variants() {
        let operations = operations(*workload);
        assert!(operations.is_sorted_by(|a, b| a.version.hlc < b.version.hlc));
    }
}
