//! Borsh, which has no types that borrow.

use super::Plain;
use crate::model::Operation;

pub(super) struct Borsh;

impl Plain for Borsh {
    const NAME: &'static str = "borsh";
    const IN_PLACE: bool = false;

    fn encode(batch: &[Operation], out: &mut Vec<u8>) {
        borsh::to_writer(out, batch).expect("operations fit Borsh");
    }

    fn decode(bytes: &[u8]) -> Vec<Operation> {
        borsh::from_slice(bytes).expect("just encoded")
    }
}
