//! speedy, in little-endian.

use speedy::{LittleEndian, Readable as _, Writable};

use super::Plain;
use crate::borrowed;
use crate::model::Operation;
use crate::sum::Sum;

pub(super) struct Speedy;

impl Plain for Speedy {
    const NAME: &'static str = "speedy";

    fn encode(batch: &[Operation], out: &mut Vec<u8>) {
        let bytes = Writable::<LittleEndian>::bytes_needed(batch).expect("operations fit speedy");
        out.resize(bytes, 0);
        batch.write_to_buffer(out).expect("just measured");
    }

    fn decode(bytes: &[u8]) -> Vec<Operation> {
        Vec::read_from_buffer(bytes).expect("just encoded")
    }

    fn walk(bytes: &[u8]) -> u64 {
        let batch = Vec::<borrowed::Operation<'_>>::read_from_buffer(bytes).expect("just encoded");
        Sum::of(&batch)
    }
}
