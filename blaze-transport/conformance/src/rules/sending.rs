//! Rules about frames on their way.

use blaze_transport::{FRAME_BYTES_MIN, TransportError};

use crate::{
    Harness,
    link::{
        Link, both_roles, expect_all, expect_frame, expect_frames, finish, frame, frames, recv,
        send, within,
    },
};

/// Frames of every size arrive whole, unchanged, in order and once.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn frames_arrive_whole_and_in_order(harness: &dyn Harness) {
    // Around every power of two, where buffers, headers and copying thresholds end.
    let powers = (0..usize::BITS).map_while(|power| 1_usize.checked_shl(power));
    let sizes = powers.flat_map(|power| [power.saturating_sub(1), power, power + 1]);
    let sizes = sizes
        .filter(|size| (FRAME_BYTES_MIN..=harness.frame_bytes_max().min(300_000)).contains(size));
    let expected = frames(sizes.chain([FRAME_BYTES_MIN; 3]));
    let (_listener, links) = both_roles(harness).await;
    for Link { mut near, mut far } in links {
        let sending = async {
            for frame in &expected {
                send(&mut *near.sender, frame.clone()).await;
            }
            finish(&mut *near.sender).await;
        };
        tokio::join!(sending, expect_all(&mut *far.receiver, &expected));
    }
}

/// Many small frames, fed in batches, arrive in order.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn many_small_frames_arrive(harness: &dyn Harness) {
    const BATCH: usize = 100;
    let expected = frames((0..20_000).map(|index| 2 + index % 50));
    let (_listener, links) = both_roles(harness).await;
    for Link { mut near, mut far } in links {
        let sending = async {
            for batch in expected.chunks(BATCH) {
                for frame in batch {
                    near.sender.feed(frame.clone()).expect("a small frame can be fed");
                }
                within("flushing", near.sender.flush()).await.expect("flushing succeeds");
            }
            finish(&mut *near.sender).await;
        };
        tokio::join!(sending, expect_all(&mut *far.receiver, &expected));
    }
}

/// Frames of exactly the limit arrive, also several in one flush.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn largest_frames_arrive(harness: &dyn Harness) {
    let largest = harness.frame_bytes_max();
    let expected = frames([largest, 2, largest, largest]);
    let (_listener, links) = both_roles(harness).await;
    for Link { mut near, mut far } in links {
        let sending = async {
            for frame in &expected {
                near.sender.feed(frame.clone()).expect("a frame of the limit can be fed");
            }
            finish(&mut *near.sender).await;
        };
        tokio::join!(sending, expect_all(&mut *far.receiver, &expected));
    }
}

/// A frame beyond the limit is refused when it is fed, and the connection goes on without it.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn too_large_frame_is_refused(harness: &dyn Harness) {
    let largest = harness.frame_bytes_max();
    let (_listener, links) = both_roles(harness).await;
    for Link { mut near, mut far } in links {
        near.sender.feed(frame(0, 10)).expect("a small frame can be fed");
        let error = near.sender.feed(frame(1, largest + 1)).expect_err("it is beyond the limit");
        match error {
            TransportError::FrameTooLarge { bytes, bytes_max } => {
                assert_eq!((bytes, bytes_max), (largest + 1, largest));
            }
            other => panic!("expected a frame too large, found: {other}"),
        }
        near.sender.feed(frame(2, 20)).expect("the connection goes on");
        finish(&mut *near.sender).await;
        expect_all(&mut *far.receiver, &[frame(0, 10), frame(2, 20)]).await;
    }
}

/// A frame below the minimum is refused when it is fed, and the connection goes on without it.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn too_small_frame_is_refused(harness: &dyn Harness) {
    let (_listener, links) = both_roles(harness).await;
    for Link { mut near, mut far } in links {
        for bytes in 0..FRAME_BYTES_MIN {
            let error = near.sender.feed(frame(0, bytes)).expect_err("it is below the minimum");
            let too_small = matches!(error, TransportError::FrameTooSmall { .. });
            assert!(too_small, "expected a frame too small, found: {error}");
        }
        send(&mut *near.sender, frame(1, FRAME_BYTES_MIN)).await;
        finish(&mut *near.sender).await;
        expect_all(&mut *far.receiver, &[frame(1, FRAME_BYTES_MIN)]).await;
    }
}

/// What was flushed arrives although the sender does nothing more.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn flush_delivers(harness: &dyn Harness) {
    let (_listener, links) = both_roles(harness).await;
    for Link { mut near, mut far } in links {
        for round in 0..10 {
            let expected = [frame(round, 2), frame(round, 1000)];
            for frame in &expected {
                near.sender.feed(frame.clone()).expect("a small frame can be fed");
            }
            within("flushing", near.sender.flush()).await.expect("flushing succeeds");
            expect_frames(&mut *far.receiver, &expected).await;
        }
    }
}

/// Taking buffered frames between receiving others loses and reorders nothing.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn buffered_keeps_the_order(harness: &dyn Harness) {
    let expected = frames((0..300).map(|index| 2 + index * 7 % 900));
    let (_listener, links) = both_roles(harness).await;
    for Link { mut near, mut far } in links {
        let sending = async {
            for batch in expected.chunks(30) {
                for frame in batch {
                    near.sender.feed(frame.clone()).expect("a small frame can be fed");
                }
                within("flushing", near.sender.flush()).await.expect("flushing succeeds");
            }
            finish(&mut *near.sender).await;
        };
        let receiving = async {
            let mut index = 0;
            while index < expected.len() {
                expect_frame(index, recv(&mut *far.receiver).await, &expected[index]);
                index += 1;
                // Few at a time, so that frames are left over for `recv`.
                for _ in 0..index % 5 {
                    let Some(found) = far.receiver.buffered().expect("receiving succeeds") else {
                        break;
                    };
                    expect_frame(index, Some(found), &expected[index]);
                    index += 1;
                }
            }
            assert_eq!(far.receiver.buffered().expect("receiving succeeds"), None);
            expect_all(&mut *far.receiver, &[]).await;
            assert_eq!(far.receiver.buffered().expect("the end is clean"), None);
        };
        tokio::join!(sending, receiving);
    }
}

/// Both ends send more than anything buffers, at once, while both receive.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn both_directions_run_at_once(harness: &dyn Harness) {
    let size = harness.frame_bytes_max().min(64 * 1024);
    let expected = frames((0..200).map(|_| size));
    let (_listener, [link, _]) = both_roles(harness).await;
    let Link { near, far } = link;
    let ends = [near, far].map(|mut end| {
        let expected = &expected;
        async move {
            let sending = async {
                for frame in expected {
                    send(&mut *end.sender, frame.clone()).await;
                }
                finish(&mut *end.sender).await;
            };
            tokio::join!(sending, expect_all(&mut *end.receiver, expected));
        }
    });
    let [near, far] = ends;
    tokio::join!(near, far);
}
