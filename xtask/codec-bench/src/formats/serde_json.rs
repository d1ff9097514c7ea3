//! JSON by `serde_json`.

use super::Plain;
use crate::borrowed;
use crate::model::Operation;
use crate::sum::Sum;

pub(super) struct SerdeJson;

impl Plain for SerdeJson {
    const NAME: &'static str = "serde_json";

    fn encode(batch: &[Operation], out: &mut Vec<u8>) {
        serde_json::to_writer(out, batch).expect("operations fit JSON");
    }

    fn decode(bytes: &[u8]) -> Vec<Operation> {
        serde_json::from_slice(bytes).expect("just encoded")
    }

    /// No text of the workloads is escaped, so all of them can be borrowed; bytes
    /// are decoded of Base64.
    fn walk(bytes: &[u8]) -> u64 {
        let batch: Vec<borrowed::Operation<'_>> =
            serde_json::from_slice(bytes).expect("just encoded");
        Sum::of(&batch)
    }
}
