//! Batches read in place: nothing is copied, values are read when asked for.

mod batch;
mod heads;
mod value;

pub use batch::{BatchRef, ChangeRef, OperationRef, Operations, RecordRef, UpdateRef};
pub use heads::{HeadRef, HeadsRef, KeyRef};
pub use value::{ArrayRef, MapRef, ValueRef};
pub(crate) use value::{Elements, Fields};
