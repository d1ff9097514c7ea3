//! The rules that every Blaze transport must keep, as tests.
//!
//! Each rule is a documented function in [`rules`] that panics if the transport breaks it, and
//! that checks both roles: the side that connected, and the side that accepted. To test a
//! transport, say in a [`Harness`] how to make one, and let [`transport_conformance!`] write one
//! named test per rule:
//!
//! ```
//! use blaze_transport::{Endpoint, Transport};
//! use blaze_transport_conformance::{Harness, transport_conformance};
//! use blaze_transport_memory::MemoryTransport;
//!
//! struct InMemory(MemoryTransport);
//!
//! impl Harness for InMemory {
//!     fn transport(&self) -> Box<dyn Transport> {
//!         Box::new(self.0.clone())
//!     }
//!
//!     fn endpoint(&self) -> Endpoint {
//!         Endpoint::memory("conformance").unwrap()
//!     }
//! }
//!
//! transport_conformance!(InMemory(MemoryTransport::new()));
//! # fn main() {}
//! ```
//!
//! Transports over byte streams have further rules, in [`streams`].

mod link;
pub mod rules;
pub mod streams;

use std::time::Duration;

use blaze_transport::{Endpoint, FRAME_BYTES_MAX, Transport};

/// How long a rule waits for something that a correct transport does at once.
///
/// It only has to tell slow from never, on a busy machine, too.
const DEADLINE: Duration = Duration::from_secs(30);

/// Makes what a rule needs. Each rule gets a harness of its own.
pub trait Harness: Send + Sync {
    /// A transport. All that one harness makes reach each other.
    fn transport(&self) -> Box<dyn Transport>;

    /// Where a listener can be started. Every call may give the same endpoint.
    fn endpoint(&self) -> Endpoint;

    /// The largest frame that the transport carries, in bytes; at least 32 KiB, which the rules
    /// count on. Default: [`FRAME_BYTES_MAX`].
    fn frame_bytes_max(&self) -> usize {
        FRAME_BYTES_MAX
    }

    /// What the transport and the system below it may hold of one direction, in bytes, before
    /// flushing has to wait for the receiver. Default: 32 MiB, far above what sockets hold.
    fn in_flight_bytes_max(&self) -> usize {
        32 * 1024 * 1024
    }
}

/// Runs one rule to its end on a runtime of its own. The macro's tests call it.
///
/// # Panics
///
/// If the rule panics, that is, if the transport breaks it.
pub fn run(rule: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(rule);
}

/// Writes one test per rule for the transport that a [`Harness`] expression makes.
///
/// The expression is evaluated once per test, inside of a tokio runtime.
#[macro_export]
macro_rules! transport_conformance {
    ($harness:expr) => {
        $crate::transport_conformance! {
            @rules $harness;
            scheme_is_the_endpoints_scheme
            other_schemes_are_refused
            connecting_to_nothing_is_retryable
            listener_endpoint_is_connectable
            second_listener_is_refused
            closed_listener_frees_its_endpoint
            dropped_listener_frees_its_endpoint
            connections_outlive_their_listener
            several_connections_are_served
            accept_is_cancel_safe
            frames_arrive_whole_and_in_order
            many_small_frames_arrive
            largest_frames_arrive
            too_large_frame_is_refused
            too_small_frame_is_refused
            flush_delivers
            buffered_keeps_the_order
            both_directions_run_at_once
            recv_is_cancel_safe
            flush_is_cancel_safe
            finish_is_cancel_safe
            flush_waits_for_the_receiver
            finish_ends_with_none
            finish_delivers_what_was_fed
            finish_is_half_close
            nothing_is_fed_after_finish
            drop_without_finish_is_an_error
            sending_to_a_gone_peer_fails
        }
    };
    (@rules $harness:expr; $($rule:ident)*) => {
        $(
            #[test]
            fn $rule() {
                $crate::run(async { $crate::rules::$rule(&$harness).await });
            }
        )*
    };
}
