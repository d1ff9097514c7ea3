//! The rules, one documented function each. A rule panics if it is broken.
//!
//! [`database_conformance!`](crate::database_conformance) makes a test of each.

mod clock;
mod commit;
mod convergence;
mod feed;
mod identity;
mod lifecycle;
mod lineage;
mod live;
mod merge;
mod peers;
mod purge;
mod read;
mod role;
mod roll;
mod scope;
mod share;
mod unheard;
mod values;
mod withdrawal;

pub use clock::*;
pub use commit::*;
pub use convergence::*;
pub use feed::*;
pub use identity::*;
pub use lifecycle::*;
pub use lineage::*;
pub use live::*;
pub use merge::*;
pub use peers::*;
pub use purge::*;
pub use read::*;
pub use role::*;
pub use roll::*;
pub use scope::*;
pub use share::*;
pub use unheard::*;
pub use values::*;
pub use withdrawal::*;
