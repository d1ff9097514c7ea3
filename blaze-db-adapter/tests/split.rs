//! A state that no single operation could make is taken apart into several.

use blaze_codec::limits::FIELDS_MAX;
use blaze_codec::{Change, Name, NodeId, Operation, RecordKey, Value, Version};
use blaze_db_adapter::RecordState;

fn operation(version: Version, change: Change) -> Operation {
    let collection = Name::new("notes").unwrap();
    Operation { collection, key: RecordKey::Int(1), version, base: Version::ZERO, change }
}

/// One version, written many times over: something that only a hostile peer does.
fn grown(parts: usize, fields: usize, value: &Value) -> RecordState {
    let node = NodeId::from_bytes([1; 16]);
    let version = Version { node, ..Version::ZERO };
    let mut state = RecordState::default();
    let name = |part: usize, field: usize| Name::new(&format!("{part}-{field:06}")).unwrap();
    for part in 0..parts {
        let field = |field| (name(part, field), Some(value.clone()));
        let change = match part {
            0 => Change::Insert((0..fields).map(|field| (name(0, field), value.clone())).collect()),
            _ => Change::Update((0..fields).map(field).collect()),
        };
        state.merge(&operation(version, change), &mut Vec::new());
    }
    state
}

#[test]
fn every_part_keeps_the_limits_and_together_they_make_the_state() {
    let large = Value::from("x".repeat(6 * 1024 * 1024));
    for state in [grown(2, FIELDS_MAX, &Value::Null), grown(4, 1, &large)] {
        let template = operation(Version::ZERO, Change::Delete);
        let operations = state.operations(&template.collection, &template.key);
        assert!(operations.len() > 1);
        let mut again = RecordState::default();
        for operation in &operations {
            assert_eq!(operation.check(), Ok(()));
            again.merge(operation, &mut Vec::new());
        }
        assert_eq!(again, state);
    }
}
