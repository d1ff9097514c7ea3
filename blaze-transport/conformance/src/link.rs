//! Connected pairs, recognizable frames and bounded waiting for the rules.

use std::{future::poll_fn, pin::pin, task::Poll};

use blaze_transport::{Connection, FrameReceiver, FrameSender, Listener, Transport};
use bytes::Bytes;

use crate::{DEADLINE, Harness};

/// Two ends of a connection; the rules send from `near` to `far`.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) near: Connection,
    pub(crate) far: Connection,
}

/// A link in each role, `near` having connected and then `near` having accepted, and their
/// listener, which the rules keep so that they are about connections alone.
pub(crate) async fn both_roles(harness: &dyn Harness) -> (Box<dyn Listener>, [Link; 2]) {
    let transport = harness.transport();
    let mut listener = listen(harness, &*transport).await;
    let (connected, accepted) = connect(&*transport, &mut *listener).await;
    let connecting = Link { near: connected, far: accepted };
    let (connected, accepted) = connect(&*transport, &mut *listener).await;
    let accepting = Link { near: accepted, far: connected };
    (listener, [connecting, accepting])
}

/// Listens at the harness's endpoint.
pub(crate) async fn listen(harness: &dyn Harness, transport: &dyn Transport) -> Box<dyn Listener> {
    let listener = within("listening", transport.listen(&harness.endpoint())).await;
    listener.expect("an unused endpoint can be listened at")
}

/// Connects to the listener: the connecting end, then the accepting end.
pub(crate) async fn connect(
    transport: &dyn Transport,
    listener: &mut dyn Listener,
) -> (Connection, Connection) {
    let endpoint = listener.endpoint().clone();
    let both = async { tokio::join!(transport.connect(&endpoint), listener.accept()) };
    let (connected, accepted) = within("connecting and accepting", both).await;
    (
        connected.expect("the listener can be connected to"),
        accepted.expect("the client is accepted"),
    )
}

/// Waits for what a correct transport does at once.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(output) => output,
        Err(elapsed) => panic!("{what} did not happen within {DEADLINE:?}: {elapsed}"),
    }
}

/// Polls a future up to `polls` times, with other tasks in between, then drops it.
pub(crate) async fn cancelled_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..polls {
        let polled = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// The `index`th frame of a test: its bytes depend on the index, the length and the position, so
/// that a lost, repeated, moved or cut frame is seen.
pub(crate) fn frame(index: usize, bytes: usize) -> Bytes {
    let mut state = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ bytes as u64;
    let mut body = Vec::with_capacity(bytes + 8);
    while body.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        body.extend_from_slice(&state.to_le_bytes());
    }
    body.truncate(bytes);
    body.into()
}

/// Frames of the given lengths.
pub(crate) fn frames(lengths: impl IntoIterator<Item = usize>) -> Vec<Bytes> {
    lengths.into_iter().enumerate().map(|(index, bytes)| frame(index, bytes)).collect()
}

/// Feeds and flushes one frame.
pub(crate) async fn send(sender: &mut dyn FrameSender, frame: Bytes) {
    sender.feed(frame).expect("a frame within the limit can be fed");
    within("flushing", sender.flush()).await.expect("flushing succeeds");
}

/// Finishes the sender.
pub(crate) async fn finish(sender: &mut dyn FrameSender) {
    within("finishing", sender.finish()).await.expect("finishing succeeds");
}

/// Receives what is expected to be a frame or a clean end.
pub(crate) async fn recv(receiver: &mut dyn FrameReceiver) -> Option<Bytes> {
    within("receiving", receiver.recv()).await.expect("receiving succeeds")
}

/// Receives these frames and no other.
pub(crate) async fn expect_frames(receiver: &mut dyn FrameReceiver, expected: &[Bytes]) {
    for (index, frame) in expected.iter().enumerate() {
        expect_frame(index, recv(receiver).await, frame);
    }
}

/// Receives these frames, then a clean end.
pub(crate) async fn expect_all(receiver: &mut dyn FrameReceiver, expected: &[Bytes]) {
    expect_frames(receiver, expected).await;
    assert_eq!(recv(receiver).await, None, "more frames came than were sent");
}

/// Compares without printing a mebibyte.
pub(crate) fn expect_frame(index: usize, found: Option<Bytes>, expected: &Bytes) {
    let Some(found) = found else { panic!("the end came instead of frame {index}") };
    assert_eq!(found.len(), expected.len(), "frame {index} has another length");
    assert!(found == *expected, "frame {index} has other bytes");
}
