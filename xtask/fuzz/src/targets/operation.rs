//! Valid operations come back; their bytes, changed, are refused or other operations.

use super::batch;
use super::known::Known;
use crate::make::{self, Versions};
use crate::mutate;
use crate::source::Source;

/// How often the bytes are changed.
const CHANGES: usize = 4;

/// The decisions for the operations, then those for the changes.
pub(super) fn run(input: &[u8]) {
    let mut source = Source::new(input);
    let mut decisions = source.part();
    let operations = make::operations(&mut decisions, Versions::Any);
    for operation in &operations {
        assert_eq!(operation.check(), Ok(()), "{operation:?}");
    }
    let valid = batch::encode(&operations);
    let decoded = batch::decode(&valid, &mut Known::default()).expect("what was encoded decodes");
    assert_eq!(decoded, operations);
    for _ in 0..CHANGES {
        if source.is_empty() {
            break;
        }
        let changed = mutate::by_decisions(&valid, &mut source);
        let decoded = batch::decode(&changed, &mut Known::default());
        assert!(
            changed == valid || decoded.is_none_or(|decoded| decoded != operations),
            "other bytes are the same operations: {operations:?}"
        );
    }
}
