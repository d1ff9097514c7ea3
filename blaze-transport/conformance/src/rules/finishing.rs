//! Rules about the end of a connection.

use blaze_transport::TransportError;

use crate::{
    Harness,
    link::{
        Link, both_roles, expect_all, expect_frames, finish, frame, frames, recv, send, within,
    },
};

/// After a finish the receiver gets what was sent, then `None`, however often it asks.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn finish_ends_with_none(harness: &dyn Harness) {
    let (_listener, links) = both_roles(harness).await;
    for Link { mut near, mut far } in links {
        send(&mut *near.sender, frame(0, 10)).await;
        finish(&mut *near.sender).await;
        finish(&mut *near.sender).await;
        expect_all(&mut *far.receiver, &[frame(0, 10)]).await;
        drop(near);
        for _ in 0..3 {
            assert_eq!(recv(&mut *far.receiver).await, None, "the end must last");
        }
    }
}

/// Finishing flushes first: what was only fed arrives, even if the connection is then dropped.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn finish_delivers_what_was_fed(harness: &dyn Harness) {
    let expected = frames([2, 20_000, 3]);
    let (_listener, links) = both_roles(harness).await;
    for Link { mut near, mut far } in links {
        for frame in &expected {
            near.sender.feed(frame.clone()).expect("a frame within the limit can be fed");
        }
        finish(&mut *near.sender).await;
        drop(near);
        expect_all(&mut *far.receiver, &expected).await;
    }
}

/// Finishing one direction leaves the other one open.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn finish_is_half_close(harness: &dyn Harness) {
    let answer = frames([2, 1000, 20_000]);
    let (_listener, links) = both_roles(harness).await;
    for Link { mut near, mut far } in links {
        finish(&mut *near.sender).await;
        expect_all(&mut *far.receiver, &[]).await;
        for frame in &answer {
            send(&mut *far.sender, frame.clone()).await;
        }
        finish(&mut *far.sender).await;
        expect_all(&mut *near.receiver, &answer).await;
    }
}

/// Feeding a finished sender is an error.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn nothing_is_fed_after_finish(harness: &dyn Harness) {
    let (_listener, links) = both_roles(harness).await;
    for Link { mut near, mut far } in links {
        finish(&mut *near.sender).await;
        let refused = near.sender.feed(frame(0, 10));
        let finished = matches!(refused, Err(TransportError::SenderFinished));
        assert!(finished, "expected a finished sender, found: {refused:?}");
        expect_all(&mut *far.receiver, &[]).await;
    }
}

/// A connection that is dropped without a finish ends with an error, never with `None`.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn drop_without_finish_is_an_error(harness: &dyn Harness) {
    let (_listener, links) = both_roles(harness).await;
    for Link { mut near, mut far } in links {
        send(&mut *near.sender, frame(0, 10)).await;
        // Fed but never flushed: whether it arrives doesn't matter, but no half of it may.
        near.sender.feed(frame(1, 20_000)).expect("a frame within the limit can be fed");
        drop(near);
        expect_frames(&mut *far.receiver, &[frame(0, 10)]).await;
        let broken = within("noticing the drop", far.receiver.recv()).await;
        let error = broken.expect_err("a drop must not look like a clean end");
        assert!(error.is_retryable(), "a new connection may succeed: {error}");
        let still = within("noticing the drop", far.receiver.recv()).await;
        assert!(still.is_err(), "a broken connection must stay broken");
    }
}

/// A sender whose peer is gone fails after a bounded number of bytes.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn sending_to_a_gone_peer_fails(harness: &dyn Harness) {
    let size = harness.frame_bytes_max().min(64 * 1024);
    let (_listener, links) = both_roles(harness).await;
    for Link { mut near, far } in links {
        drop(far);
        let mut sent_bytes = 0;
        let error = loop {
            let allowed = harness.in_flight_bytes_max();
            assert!(sent_bytes <= allowed, "{sent_bytes} bytes were flushed to nobody");
            near.sender.feed(frame(0, size)).expect("a frame within the limit can be fed");
            sent_bytes += size;
            match within("failing", near.sender.flush()).await {
                Ok(()) => {}
                Err(error) => break error,
            }
        };
        assert!(error.is_retryable(), "a new connection may succeed: {error}");
    }
}
