//! Rules about dropped futures and slow receivers.

use std::time::Duration;

use blaze_transport::{FrameSender, TransportError};
use tokio::sync::oneshot;

use crate::{
    Harness,
    link::{
        Link, both_roles, cancelled_after, expect_all, expect_frame, finish, frame, frames, within,
    },
};

/// How long a flush may make no progress before the rules take it for waiting.
///
/// Taking a slow flush for a waiting one makes a rule check less; it never makes it fail.
const STALLED: Duration = Duration::from_millis(200);

/// A receive that is dropped at any point loses nothing.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn recv_is_cancel_safe(harness: &dyn Harness) {
    let largest = harness.frame_bytes_max().min(100_000);
    let expected = frames((0..400).map(|index| 2 + index * 997 % (largest - 1)));
    let (_listener, links) = both_roles(harness).await;
    for Link { mut near, mut far } in links {
        let sending = async {
            for frame in &expected {
                near.sender.feed(frame.clone()).expect("a frame within the limit can be fed");
                within("flushing", near.sender.flush()).await.expect("flushing succeeds");
                // Lets the receiver find nothing, so that it is dropped while it waits.
                tokio::task::yield_now().await;
            }
            finish(&mut *near.sender).await;
        };
        let receiving = async {
            let mut received = 0;
            let mut polls = 0;
            while received < expected.len() {
                polls = polls % 3 + 1;
                let Some(found) = cancelled_after(polls, far.receiver.recv()).await else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let found = found.expect("receiving succeeds");
                expect_frame(received, found, &expected[received]);
                received += 1;
            }
        };
        let both = async { tokio::join!(sending, receiving) };
        within("receiving every frame", both).await;
        expect_all(&mut *far.receiver, &[]).await;
    }
}

/// A flush that is dropped while the receiver is slow sends every frame exactly once.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn flush_is_cancel_safe(harness: &dyn Harness) {
    let (_listener, links) = both_roles(harness).await;
    for Link { mut near, mut far } in links {
        let mut fed = fill(harness, &mut *near.sender).await;
        let (sent, all_fed) = oneshot::channel();
        let sending = async {
            for index in fed.len()..fed.len() + 100 {
                let frame = frame(index, 2 + index * 997 % 9000);
                near.sender.feed(frame.clone()).expect("a frame within the limit can be fed");
                fed.push(frame);
                let flushed = cancelled_after(index % 4, near.sender.flush()).await;
                flushed.unwrap_or(Ok(())).expect("flushing succeeds");
            }
            // The receiver starts only now, so that most flushes above were dropped.
            sent.send(fed).expect("the receiver waits");
            let mut polls = 0;
            loop {
                polls = polls % 5 + 1;
                match cancelled_after(polls, near.sender.flush()).await {
                    Some(flushed) => break flushed.expect("flushing succeeds"),
                    None => tokio::task::yield_now().await,
                }
            }
            finish(&mut *near.sender).await;
        };
        let receiving = async {
            let expected = all_fed.await.expect("the sender feeds all");
            expect_all(&mut *far.receiver, &expected).await;
        };
        let both = async { tokio::join!(sending, receiving) };
        within("sending every frame", both).await;
    }
}

/// A finish that is dropped while the receiver is slow can be called again, and loses nothing.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn finish_is_cancel_safe(harness: &dyn Harness) {
    let (_listener, links) = both_roles(harness).await;
    for Link { mut near, mut far } in links {
        let mut fed = fill(harness, &mut *near.sender).await;
        let last = frame(fed.len(), 5);
        near.sender.feed(last.clone()).expect("a small frame can be fed");
        fed.push(last);
        for polls in 1..4 {
            let finished = cancelled_after(polls, near.sender.finish()).await;
            finished.unwrap_or(Ok(())).expect("finishing succeeds");
        }
        let refused = near.sender.feed(frame(0, 2));
        let finished = matches!(refused, Err(TransportError::SenderFinished));
        assert!(finished, "a finish that was begun must end feeding, found: {refused:?}");
        tokio::join!(finish(&mut *near.sender), expect_all(&mut *far.receiver, &fed));
    }
}

/// Flushing waits while the receiver doesn't read, so that memory stays bounded; then all arrives.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn flush_waits_for_the_receiver(harness: &dyn Harness) {
    let (_listener, links) = both_roles(harness).await;
    for Link { mut near, mut far } in links {
        let fed = fill(harness, &mut *near.sender).await;
        tokio::join!(finish(&mut *near.sender), expect_all(&mut *far.receiver, &fed));
    }
}

/// Feeds and flushes until a flush waits; returns what was fed. Nobody receives meanwhile.
async fn fill(harness: &dyn Harness, sender: &mut dyn FrameSender) -> Vec<bytes::Bytes> {
    let size = harness.frame_bytes_max().min(64 * 1024);
    let mut fed = Vec::new();
    let mut fed_bytes = 0;
    loop {
        let allowed = harness.in_flight_bytes_max();
        assert!(fed_bytes <= allowed, "{fed_bytes} bytes were flushed that nobody received");
        let frame = frame(fed.len(), size);
        sender.feed(frame.clone()).expect("a frame within the limit can be fed");
        fed.push(frame);
        fed_bytes += size;
        match tokio::time::timeout(STALLED, sender.flush()).await {
            Ok(flushed) => flushed.expect("flushing succeeds"),
            Err(_) => return fed,
        }
    }
}
