//! bincode 2 by its own traits, in its standard configuration.

use bincode::config;

use super::Plain;
use crate::borrowed;
use crate::model::Operation;
use crate::sum::Sum;

pub(super) struct Bincode;

impl Plain for Bincode {
    const NAME: &'static str = "bincode";

    fn encode(batch: &[Operation], out: &mut Vec<u8>) {
        bincode::encode_into_std_write(batch, out, config::standard())
            .expect("operations fit bincode");
    }

    fn decode(bytes: &[u8]) -> Vec<Operation> {
        bincode::decode_from_slice(bytes, config::standard()).expect("just encoded").0
    }

    fn walk(bytes: &[u8]) -> u64 {
        let (batch, _): (Vec<borrowed::Operation<'_>>, _) =
            bincode::borrow_decode_from_slice(bytes, config::standard()).expect("just encoded");
        Sum::of(&batch)
    }
}
