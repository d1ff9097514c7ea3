//! JSON by `sonic-rs`, which parses with SIMD.

use super::Plain;
use crate::borrowed;
use crate::model::Operation;
use crate::sum::Sum;

pub(super) struct SonicRs;

impl Plain for SonicRs {
    const NAME: &'static str = "sonic-rs";

    fn encode(batch: &[Operation], out: &mut Vec<u8>) {
        sonic_rs::to_writer(out, batch).expect("operations fit JSON");
    }

    fn decode(bytes: &[u8]) -> Vec<Operation> {
        sonic_rs::from_slice(bytes).expect("just encoded")
    }

    fn walk(bytes: &[u8]) -> u64 {
        let batch: Vec<borrowed::Operation<'_>> =
            sonic_rs::from_slice(bytes).expect("just encoded");
        Sum::of(&batch)
    }
}
