//! `MessagePack`, structs as arrays.

use super::Plain;
use crate::borrowed;
use crate::model::Operation;
use crate::sum::Sum;

pub(super) struct RmpSerde;

impl Plain for RmpSerde {
    const NAME: &'static str = "rmp-serde";

    fn encode(batch: &[Operation], out: &mut Vec<u8>) {
        rmp_serde::encode::write(out, batch).expect("operations fit MessagePack");
    }

    fn decode(bytes: &[u8]) -> Vec<Operation> {
        rmp_serde::from_slice(bytes).expect("just encoded")
    }

    fn walk(bytes: &[u8]) -> u64 {
        let batch: Vec<borrowed::Operation<'_>> =
            rmp_serde::from_slice(bytes).expect("just encoded");
        Sum::of(&batch)
    }
}
