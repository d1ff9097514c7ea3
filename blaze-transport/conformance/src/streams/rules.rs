//! One function per rule. Each panics if the transport breaks it.

use std::sync::{Arc, atomic::Ordering};

use blaze_transport::{Connection, Listener, Transport};
use bytes::Bytes;
use fastrand::Rng;

use super::{
    StreamHarness,
    front::Front,
    proxy::{Proxied, Proxy, Treatments, connect_through},
    treatment::{Cut, How, Treatment},
};
use crate::link::{
    Link, expect_all, expect_frame, expect_frames, finish, frame, frames, listen, recv, within,
};

/// Each rule tries as many courses of events, other ones by each seed.
const SEEDS: u64 = 12;
/// About what two ends say to each other before they are connected, by TLS.
const MEETING_BYTES: usize = 1_200;

/// A transport, its listener, and a proxy before that.
struct Place {
    transport: Box<dyn Transport>,
    listener: Box<dyn Listener>,
    front: Front,
}

impl Place {
    async fn of(harness: &dyn StreamHarness) -> Self {
        let transport = harness.transport();
        let listener = listen(harness, &*transport).await;
        Self { transport, listener, front: harness.front().await }
    }

    /// What comes of connecting through a proxy, `near` being the one that connects or the one
    /// that accepts. What a treatment is for is what that end sends.
    async fn try_link(&mut self, connects: bool, near: Treatment, far: Treatment) -> Proxied {
        let (connector, acceptor) = if connects { (near, far) } else { (far, near) };
        let treatments = Treatments { connector, acceptor };
        connect_through(&self.front, &*self.transport, &mut *self.listener, treatments).await
    }

    /// A link through a proxy that lets both sides meet.
    async fn link(&mut self, connects: bool, near: Treatment, far: Treatment) -> (Link, Proxy) {
        let Proxied { connected, accepted, proxy } = self.try_link(connects, near, far).await;
        let connected = connected.expect("the proxy can be connected to");
        let accepted = accepted.expect("the proxy is accepted");
        (as_link(connects, connected, accepted), proxy)
    }
}

fn as_link(connects: bool, connected: Connection, accepted: Connection) -> Link {
    if connects {
        Link { near: connected, far: accepted }
    } else {
        Link { near: accepted, far: connected }
    }
}

/// Frames of few bytes and of many, of about 100 KB together.
fn drawn_frames(random: &mut Rng) -> Vec<Bytes> {
    let small = (0..random.usize(5..40)).map(|_| 2 + random.usize(..60)).collect::<Vec<_>>();
    let large = (0..random.usize(1..4)).map(|_| random.usize(2..30_000)).collect::<Vec<_>>();
    let mut lengths = [small, large].concat();
    random.shuffle(&mut lengths);
    frames(lengths)
}

/// Feeds frames, flushing between some of them. False if the connection broke.
async fn send_all(end: &mut Connection, frames: &[Bytes], random: &mut Rng) -> bool {
    for frame in frames {
        end.sender.feed(frame.clone()).expect("a frame within the limit can be fed");
        if random.u8(..3) == 0 && within("flushing", end.sender.flush()).await.is_err() {
            return false;
        }
    }
    within("flushing", end.sender.flush()).await.is_ok()
}

/// However a stream is split, gathered and delayed, frames arrive whole, unchanged, in order and
/// once, in both directions at once, and then the clean end.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn frames_survive_any_pieces(harness: &dyn StreamHarness) {
    let mut place = Place::of(harness).await;
    for seed in 0..SEEDS {
        let (near, far) = (Treatment::drawn(seed), Treatment::drawn(seed + SEEDS));
        let (link, _proxy) = place.link(seed % 2 == 0, near, far).await;
        let mut random = Rng::with_seed(seed);
        let (there, again) = (drawn_frames(&mut random), drawn_frames(&mut random));
        let exchange = |mut end: Connection, sends: &[Bytes], expects: &[Bytes], seed| {
            let (sends, expects) = (sends.to_vec(), expects.to_vec());
            async move {
                let Connection { sender, receiver, .. } = &mut end;
                let sending = async {
                    let mut random = Rng::with_seed(seed);
                    for frame in sends {
                        sender.feed(frame).expect("a frame within the limit can be fed");
                        if random.bool() {
                            within("flushing", sender.flush()).await.expect("flushing succeeds");
                        }
                    }
                    finish(&mut **sender).await;
                };
                tokio::join!(sending, expect_all(&mut **receiver, &expects));
            }
        };
        let Link { near, far } = link;
        tokio::join!(exchange(near, &there, &again, seed), exchange(far, &again, &there, seed));
    }
}

/// Who finishes and is gone has delivered everything that was fed, however slow the stream is.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn finish_flushes_through_slow_streams(harness: &dyn StreamHarness) {
    let mut place = Place::of(harness).await;
    for seed in 0..SEEDS {
        let (near, far) = (Treatment::drawn(seed), Treatment::none());
        let (Link { mut near, mut far }, _proxy) = place.link(seed % 2 == 0, near, far).await;
        let expected = drawn_frames(&mut Rng::with_seed(seed));
        for frame in &expected {
            near.sender.feed(frame.clone()).expect("a frame within the limit can be fed");
        }
        let sending = async {
            finish(&mut *near.sender).await;
            drop(near);
        };
        tokio::join!(sending, expect_all(&mut *far.receiver, &expected));
    }
}

/// What an end by force leaves: the first of the frames, whole, and an error that lasts. It is a
/// clean end only if the sender had finished and everything came.
async fn expect_broken(far: &mut Connection, sent: &[Bytes], finished: bool) {
    let mut index = 0;
    let error = loop {
        match within("noticing the cut", far.receiver.recv()).await {
            Ok(Some(found)) => {
                let expected = sent.get(index).expect("no more frames come than were sent");
                expect_frame(index, Some(found), expected);
                index += 1;
            }
            Ok(None) => {
                let whole = finished && index == sent.len();
                assert!(whole, "a cut after {index} of {} frames looks like a goodbye", sent.len());
                return;
            }
            Err(error) => break error,
        }
    };
    assert!(error.is_retryable(), "a new connection may succeed: {error}");
    let still = within("noticing the cut", far.receiver.recv()).await;
    assert!(still.is_err(), "a broken connection must stay broken");
}

/// A stream that ends after any number of bytes, politely, is a broken one: from the first byte
/// on, and from the first one of a connection that stands.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn ends_at_any_byte_are_broken(harness: &dyn StreamHarness) {
    let sent = frames([2, 5, 3]);
    // At least so many are carried before the end that a finish leaves.
    let bytes: usize = sent.iter().map(|frame| harness.header_bytes() + frame.len()).sum();
    let mut place = Place::of(harness).await;
    for at_bytes in 0..bytes {
        for (standing, finishes) in [(false, false), (true, false), (true, true)] {
            let cut = Cut::new(at_bytes, How::Truncate);
            cut.counts.store(!standing, Ordering::SeqCst);
            let conversation = Conversation { connects: at_bytes % 2 == 0, sent: &sent, finishes };
            conversation.cut(&mut place, Treatment::none(), cut).await;
        }
    }
}

/// A stream that is cut anywhere, with an end or without one, is broken for whoever receives.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn cuts_are_never_clean_ends(harness: &dyn StreamHarness) {
    let mut place = Place::of(harness).await;
    for seed in 0..6 * SEEDS {
        let mut random = Rng::with_seed(seed);
        let sent = drawn_frames(&mut random);
        let bytes: usize = sent.iter().map(Bytes::len).sum();
        // Every third one where a transport may still be about to connect.
        let at_bytes = random.usize(..if seed % 3 == 0 { bytes.min(MEETING_BYTES) } else { bytes });
        let how = if random.bool() { How::Truncate } else { How::HangUp };
        let (connects, finishes) = (random.bool(), random.bool());
        let conversation = Conversation { connects, sent: &sent, finishes };
        conversation.cut(&mut place, Treatment::drawn(seed), Cut::new(at_bytes, how)).await;
    }
}

/// What one side says over a stream that is cut before all of it has passed.
struct Conversation<'a> {
    /// Whether that side connects.
    connects: bool,
    sent: &'a [Bytes],
    finishes: bool,
}

impl Conversation<'_> {
    async fn cut(self, place: &mut Place, near: Treatment, cut: Cut) {
        let Self { connects, sent, finishes } = self;
        let counts = Arc::clone(&cut.counts);
        let proxied = place.try_link(connects, near.with_cut(cut), Treatment::none()).await;
        let Proxied { connected, accepted, proxy: _proxy } = proxied;
        let (connected, accepted) = match (connected, accepted) {
            (Ok(connected), Ok(accepted)) => (connected, accepted),
            // A transport that says something before it connects was cut in that. Whoever had
            // got all that it waits for is not left alone.
            (connected, accepted) => {
                for mut end in [connected, accepted].into_iter().flatten() {
                    expect_broken(&mut end, &[], false).await;
                }
                return;
            }
        };
        counts.store(true, Ordering::SeqCst);
        let Link { mut near, mut far } = as_link(connects, connected, accepted);
        let sending = async {
            // What was cut can't be finished, and that need not show here.
            if send_all(&mut near, sent, &mut Rng::with_seed(0)).await && finishes {
                let _ = within("finishing", near.sender.finish()).await;
            }
        };
        tokio::join!(sending, expect_broken(&mut far, sent, finishes));
    }
}

/// When a device goes, both sides are told: receiving fails at once, and sending after a bounded
/// number of bytes.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn hang_ups_end_both_sides(harness: &dyn StreamHarness) {
    let mut place = Place::of(harness).await;
    let sent = frames([20, 3_000]);
    for connects in [true, false] {
        // Behind the first frame, whatever else the transport says.
        let (link, proxy) = place.link(connects, Treatment::none(), Treatment::none()).await;
        let Link { mut near, mut far } = link;
        assert!(send_all(&mut near, &sent, &mut Rng::with_seed(0)).await);
        expect_frames(&mut *far.receiver, &sent).await;
        drop(proxy);
        for mut end in [near, far] {
            expect_broken(&mut end, &[], false).await;
            let mut sent_bytes = 0;
            let error = loop {
                let allowed = harness.in_flight_bytes_max();
                assert!(sent_bytes <= allowed, "{sent_bytes} bytes were flushed to nobody");
                end.sender.feed(frame(0, 20_000)).expect("a frame within the limit can be fed");
                sent_bytes += 20_000;
                match within("failing", end.sender.flush()).await {
                    Ok(()) => {}
                    Err(error) => break error,
                }
            };
            assert!(error.is_retryable(), "a new connection may succeed: {error}");
        }
    }
    // The listener has nothing to do with it.
    let (Link { mut near, mut far }, _proxy) =
        place.link(true, Treatment::none(), Treatment::none()).await;
    finish(&mut *near.sender).await;
    assert_eq!(recv(&mut *far.receiver).await, None);
}
