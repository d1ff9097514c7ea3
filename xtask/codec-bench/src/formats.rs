//! The formats, each in a file of its own, and what all of them do.

mod bincode;
mod bitcode;
mod blaze;
mod borsh;
mod ciborium;
mod minicbor;
mod postcard;
mod prost;
mod rkyv;
mod rmp_serde;
mod serde_json;
mod sonic_rs;
mod speedy;

use crate::model::Operation;
use crate::prepared::Entry;
use crate::sum::Sum;

/// Makes the checksum of a batch's keys and versions.
type Ids<F> = fn(&<F as Format>::Bytes, &<F as Format>::Buffer) -> u64;

/// How a format writes and reads batches of operations.
///
/// What is written or read was made by the format itself, so whatever fails is a
/// bug of its adapter, and panics.
pub(crate) trait Format: Sized + 'static {
    const NAME: &'static str;
    /// The package whose version is told, if it isn't the name.
    const PACKAGE: &'static str = Self::NAME;
    /// Whether bytes that it didn't write can't do harm.
    const SAFE: bool = true;
    /// Whether a walk reads texts and bytes in place; otherwise it walks what it decodes.
    const IN_PLACE: bool = true;
    /// Whether it writes other bytes than another format of the list.
    const WRITES: bool = true;
    /// The checksum of keys and versions alone, where there is a way to read just them.
    const IDS: Option<Ids<Self>> = None;

    /// A batch as the format's user owns it.
    type Batch;
    /// A batch in bytes that are kept.
    type Bytes: AsRef<[u8]>;
    /// Whatever can be used again from batch to batch.
    type Buffer: Default;

    fn batch(operations: &[Operation]) -> Self::Batch;
    fn operations(batch: Self::Batch) -> Vec<Operation>;
    fn keep(bytes: &[u8]) -> Self::Bytes;

    /// Writes into the buffer, which is large enough after the first time.
    fn encode<'a>(batch: &Self::Batch, buffer: &'a mut Self::Buffer) -> &'a [u8];
    /// Reads all into memory of its own.
    fn decode(bytes: &Self::Bytes, buffer: &mut Self::Buffer) -> Self::Batch;
    /// The checksum of all fields of all operations.
    fn walk(bytes: &Self::Bytes, buffer: &mut Self::Buffer) -> u64;
}

/// A format that takes the types of [`model`](crate::model) as they are.
trait Plain: 'static {
    const NAME: &'static str;
    const IN_PLACE: bool = true;

    fn encode(batch: &[Operation], out: &mut Vec<u8>);
    fn decode(bytes: &[u8]) -> Vec<Operation>;

    fn walk(bytes: &[u8]) -> u64 {
        Sum::of(&Self::decode(bytes))
    }
}

impl<P: Plain> Format for P {
    const NAME: &'static str = P::NAME;
    const IN_PLACE: bool = P::IN_PLACE;

    type Batch = Vec<Operation>;
    type Bytes = Vec<u8>;
    type Buffer = Vec<u8>;

    fn batch(operations: &[Operation]) -> Vec<Operation> {
        operations.to_vec()
    }

    fn operations(batch: Vec<Operation>) -> Vec<Operation> {
        batch
    }

    fn keep(bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    fn encode<'a>(batch: &Vec<Operation>, buffer: &'a mut Vec<u8>) -> &'a [u8] {
        buffer.clear();
        P::encode(batch, buffer);
        buffer
    }

    fn decode(bytes: &Vec<u8>, _: &mut Vec<u8>) -> Vec<Operation> {
        P::decode(bytes)
    }

    fn walk(bytes: &Vec<u8>, _: &mut Vec<u8>) -> u64 {
        P::walk(bytes)
    }
}

/// All formats, Blaze first.
pub(crate) const ALL: [Entry; 15] = [
    Entry::of::<blaze::Blaze<false>>(),
    Entry::of::<blaze::Blaze<true>>(),
    Entry::of::<serde_json::SerdeJson>(),
    Entry::of::<sonic_rs::SonicRs>(),
    Entry::of::<rmp_serde::RmpSerde>(),
    Entry::of::<ciborium::Ciborium>(),
    Entry::of::<minicbor::Minicbor>(),
    Entry::of::<prost::Prost>(),
    Entry::of::<postcard::Postcard>(),
    Entry::of::<bincode::Bincode>(),
    Entry::of::<bitcode::Bitcode>(),
    Entry::of::<speedy::Speedy>(),
    Entry::of::<borsh::Borsh>(),
    Entry::of::<rkyv::Rkyv>(),
    Entry::of::<rkyv::RkyvUnvalidated>(),
];

#[cfg(test)]
mod tests;
