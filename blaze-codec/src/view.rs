//! Batches read in place: nothing is copied, values are read when asked for.

mod batch;
mod value;

pub use batch::{BatchRef, ChangeRef, KeyRef, OperationRef, Operations, RecordRef, UpdateRef};
pub use value::{ArrayRef, MapRef, ValueRef};
