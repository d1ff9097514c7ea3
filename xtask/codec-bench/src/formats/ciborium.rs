//! CBOR by `ciborium`, which reads from a stream and can't borrow.

use super::Plain;
use crate::model::Operation;

pub(super) struct Ciborium;

impl Plain for Ciborium {
    const NAME: &'static str = "ciborium";
    const IN_PLACE: bool = false;

    fn encode(batch: &[Operation], out: &mut Vec<u8>) {
        ciborium::into_writer(batch, out).expect("operations fit CBOR");
    }

    fn decode(bytes: &[u8]) -> Vec<Operation> {
        ciborium::from_reader(bytes).expect("just encoded")
    }
}
