//! Futures of a database that never waits.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Polls a future once; `None` if it would wait.
pub(crate) fn ready<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
