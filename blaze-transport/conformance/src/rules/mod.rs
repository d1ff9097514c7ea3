//! One function per rule. Each panics if the transport breaks it.

mod cancelling;
mod connecting;
mod finishing;
mod sending;

pub use cancelling::*;
pub use connecting::*;
pub use finishing::*;
pub use sending::*;
