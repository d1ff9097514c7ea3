//! rkyv, with its archive validated and not.
//!
//! Reading an archive that nothing has validated is `unsafe`, and part of what
//! rkyv is known for: it is done here, once, with bytes that were
//! validated before, and never counted among the safe formats.

use rkyv::rancor::Panic;
use rkyv::rend::{f64_le, i64_le};
use rkyv::ser::allocator::Arena;
use rkyv::util::AlignedVec;
use rkyv::vec::ArchivedVec;

use super::Format;
use crate::model::{
    ArchivedChange, ArchivedKey, ArchivedOperation, ArchivedValue, ArchivedVersion, Operation,
};
use crate::sum::{Fold, Number, Sum, fold};

pub(super) struct Rkyv;
pub(super) struct RkyvUnvalidated;

type Archived = ArchivedVec<ArchivedOperation>;

/// What serialising uses again.
#[derive(Default)]
pub(super) struct Buffer {
    out: AlignedVec,
    arena: Arena,
}

/// An archive that was validated when it was kept, and isn't again.
pub(super) struct Trusted(AlignedVec);

impl AsRef<[u8]> for Trusted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn keep(bytes: &[u8]) -> AlignedVec {
    let mut kept = AlignedVec::with_capacity(bytes.len());
    kept.extend_from_slice(bytes);
    kept
}

fn keep_trusted(bytes: &[u8]) -> Trusted {
    let kept = keep(bytes);
    access(&kept);
    Trusted(kept)
}

fn access(bytes: &AlignedVec) -> &Archived {
    rkyv::access::<Archived, Panic>(bytes).unwrap_or_else(|error| match error {})
}

#[expect(unsafe_code, reason = "what isn't validated is measured beside what is")]
fn access_trusted(Trusted(bytes): &Trusted) -> &Archived {
    // SAFETY: `keep_trusted` validated these bytes where they lie, and nothing has
    // written to them since.
    unsafe { rkyv::access_unchecked::<Archived>(bytes) }
}

fn deserialize(archived: &Archived) -> Vec<Operation> {
    rkyv::deserialize::<Vec<Operation>, Panic>(archived).unwrap_or_else(|error| match error {})
}

fn ids(archived: &Archived) -> u64 {
    let mut sum = Sum::default();
    for operation in archived.iter() {
        sum.begin();
        operation.key.fold(&mut sum);
        operation.version.fold(&mut sum);
    }
    sum.finish()
}

/// The two differ in how they come to the archive.
macro_rules! format {
    ($format:ty, $bytes:ty, $keep:path, $access:path, $($constant:item)*) => {
        impl Format for $format {
            $($constant)*
            const PACKAGE: &'static str = "rkyv";
            const IDS: Option<fn(&$bytes, &Self::Buffer) -> u64> =
                Some(|bytes, _| ids($access(bytes)));

            type Batch = Vec<Operation>;
            type Bytes = $bytes;
            type Buffer = Buffer;

            fn batch(operations: &[Operation]) -> Vec<Operation> {
                operations.to_vec()
            }

            fn operations(batch: Vec<Operation>) -> Vec<Operation> {
                batch
            }

            fn keep(bytes: &[u8]) -> $bytes {
                $keep(bytes)
            }

            fn encode<'a>(batch: &Vec<Operation>, buffer: &'a mut Buffer) -> &'a [u8] {
                let Buffer { out, arena } = buffer;
                out.clear();
                let writer = std::mem::take(out);
                *out = rkyv::api::high::to_bytes_in_with_alloc::<_, _, Panic>(
                    batch,
                    writer,
                    arena.acquire(),
                )
                .unwrap_or_else(|error| match error {});
                out
            }

            fn decode(bytes: &$bytes, _: &mut Buffer) -> Vec<Operation> {
                deserialize($access(bytes))
            }

            fn walk(bytes: &$bytes, _: &mut Buffer) -> u64 {
                Sum::of($access(bytes))
            }
        }
    };
}

format! {
    Rkyv, AlignedVec, keep, access,
    const NAME: &'static str = "rkyv";
}

format! {
    RkyvUnvalidated, Trusted, keep_trusted, access_trusted,
    const NAME: &'static str = "rkyv unvalidated";
    const SAFE: bool = false;
    const WRITES: bool = false;
}

fold!(ArchivedOperation, ArchivedKey, ArchivedChange, ArchivedValue);

impl Fold for ArchivedVersion {
    #[inline]
    fn fold(&self, sum: &mut Sum) {
        sum.version(self.epoch.to_native(), self.hlc.to_native(), &self.node.0);
    }
}

impl Number for i64_le {
    #[inline]
    fn bits(&self) -> u64 {
        self.to_native().cast_unsigned()
    }
}

impl Number for f64_le {
    #[inline]
    fn bits(&self) -> u64 {
        self.to_native().to_bits()
    }
}
