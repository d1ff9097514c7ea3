//! Rules for transports over byte streams, which a proxy treats badly: it delays them, splits and
//! gathers what they carry, truncates them and hangs up, all by a seed.
//!
//! ```no_run
//! use blaze_transport_conformance::streams::{Front, StreamHarness};
//! # use blaze_transport_conformance::Harness;
//!
//! # fn example(harness: impl Harness) {}
//! # struct OverTcp;
//! # #[async_trait::async_trait]
//! # impl StreamHarness for OverTcp {
//! async fn front(&self) -> Front {
//!     Front::tcp("tcp", "127.0.0.1").await.unwrap()
//! }
//! # }
//! # impl Harness for OverTcp {
//! #     fn transport(&self) -> Box<dyn blaze_transport::Transport> { unimplemented!() }
//! #     fn endpoint(&self) -> blaze_transport::Endpoint { unimplemented!() }
//! # }
//! ```

mod front;
mod proxy;
mod rules;
mod treatment;

use async_trait::async_trait;

pub use front::Front;
pub use rules::*;

use crate::Harness;

/// Makes what the rules for byte streams need.
#[async_trait]
pub trait StreamHarness: Harness {
    /// Where a proxy can listen. A transport of this harness must be able to connect there.
    async fn front(&self) -> Front;

    /// How many bytes the transport sends with each frame, at the least. Default: 8, those of a
    /// header of `blaze-codec`.
    fn header_bytes(&self) -> usize {
        8
    }
}

/// Writes one test per rule for the transport over byte streams that a [`StreamHarness`]
/// expression makes.
///
/// The expression is evaluated once per test, inside of a tokio runtime.
#[macro_export]
macro_rules! stream_conformance {
    ($harness:expr) => {
        $crate::stream_conformance! {
            @rules $harness;
            frames_survive_any_pieces
            finish_flushes_through_slow_streams
            ends_at_any_byte_are_broken
            cuts_are_never_clean_ends
            hang_ups_end_both_sides
        }
    };
    (@rules $harness:expr; $($rule:ident)*) => {
        $(
            #[test]
            fn $rule() {
                $crate::run(async { $crate::streams::$rule(&$harness).await });
            }
        )*
    };
}
