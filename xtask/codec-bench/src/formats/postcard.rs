//! postcard, by serde.

use super::Plain;
use crate::borrowed;
use crate::model::Operation;
use crate::sum::Sum;

pub(super) struct Postcard;

impl Plain for Postcard {
    const NAME: &'static str = "postcard";

    fn encode(batch: &[Operation], out: &mut Vec<u8>) {
        postcard::to_io(batch, out).expect("operations fit postcard");
    }

    fn decode(bytes: &[u8]) -> Vec<Operation> {
        postcard::from_bytes(bytes).expect("just encoded")
    }

    fn walk(bytes: &[u8]) -> u64 {
        let batch: Vec<borrowed::Operation<'_>> =
            postcard::from_bytes(bytes).expect("just encoded");
        Sum::of(&batch)
    }
}
