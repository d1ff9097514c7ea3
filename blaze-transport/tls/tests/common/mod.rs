//! What several of the tests need.

use std::{
    process,
    sync::atomic::{AtomicU8, Ordering},
};

use blaze_transport::Endpoint;

/// An endpoint that no other test uses: a port that one test has just closed must not be the one
/// that the system picks for another. Only Linux has the whole of 127.0.0.0/8.
pub(crate) fn loopback() -> Endpoint {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    if !cfg!(target_os = "linux") {
        return Endpoint::tls("127.0.0.1", 0).unwrap();
    }
    let [.., high, low] = process::id().to_be_bytes();
    let host = format!("127.{high}.{low}.{}", NEXT.fetch_add(1, Ordering::Relaxed));
    Endpoint::tls(&host, 0).unwrap()
}
