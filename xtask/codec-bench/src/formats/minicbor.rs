//! CBOR by `minicbor`, structs and enums as flat arrays.

use super::Plain;
use crate::borrowed;
use crate::model::Operation;
use crate::sum::Sum;

pub(super) struct Minicbor;

impl Plain for Minicbor {
    const NAME: &'static str = "minicbor";

    fn encode(batch: &[Operation], out: &mut Vec<u8>) {
        minicbor::encode(batch, out).expect("operations fit CBOR");
    }

    fn decode(bytes: &[u8]) -> Vec<Operation> {
        minicbor::decode(bytes).expect("just encoded")
    }

    fn walk(bytes: &[u8]) -> u64 {
        let batch: Vec<borrowed::Operation<'_>> = minicbor::decode(bytes).expect("just encoded");
        Sum::of(&batch)
    }
}
