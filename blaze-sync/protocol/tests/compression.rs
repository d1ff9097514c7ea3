//! Changes that are compressed: only as both sides said, and for the credit of what they are.

mod common;

use blaze_codec::message::{Body, Compression, CompressionSet, Message, Range, Resume, Start};
use blaze_codec::{DecodeError, Mode, Seq, record};
use blaze_sync_protocol::{Input, Limits, SessionConfig, SessionError, Side};
use bytes::Bytes;
use common::{End, Replica, acceptor, at, exchange, hello};

fn lz4(config: &mut SessionConfig) {
    config.compression = Compression::Lz4;
}

fn connector(replica: Replica, adjust: impl FnOnce(&mut SessionConfig)) -> End {
    End::with(replica, Side::Connector { mode: Mode::Bidirectional }, adjust)
}

/// One with commits of texts that say the same again and again.
fn wordy(byte: u8, commits: usize) -> Replica {
    let mut replica = Replica::new(byte);
    let text = "what was said before, ".repeat(200);
    (0..commits).for_each(|_| replica.commit(record! { "text" => text.as_str() }));
    replica
}

/// Exchanges everything; returns how many bytes each side sent.
fn sent(a: &mut End, b: &mut End) -> [usize; 2] {
    let mut sent = [0, 0];
    a.input(at(1), Input::Head(a.replica.head())).unwrap();
    loop {
        let frames = [a.sent.pop_front(), b.sent.pop_front()];
        if frames.iter().all(Option::is_none) {
            assert_eq!(a.replica.seen, b.replica.seen);
            return sent;
        }
        let [from_a, from_b] = frames;
        for (bytes, frame) in sent.iter_mut().zip([&from_a, &from_b]) {
            *bytes += frame.as_ref().map_or(0, Bytes::len);
        }
        if let Some(frame) = from_a {
            b.input(at(1), Input::Frame(frame)).unwrap();
        }
        if let Some(frame) = from_b {
            a.input(at(1), Input::Frame(frame)).unwrap();
        }
    }
}

#[test]
fn each_side_compresses_as_it_is_told_if_the_other_reads_it() {
    let plain = sent(&mut connector(wordy(1, 20), |_| ()), &mut acceptor(wordy(2, 20)));
    let (mut a, mut b) = (connector(wordy(1, 20), lz4), acceptor(wordy(2, 20)));
    let [from_a, from_b] = sent(&mut a, &mut b);
    assert!(from_a < plain[0] / 10, "{from_a} bytes instead of {}", plain[0]);
    // But for what its hello says of compression.
    assert_eq!(from_b, plain[1]);
    assert_eq!(a.session.peer().unwrap().compression, Compression::Lz4);
    assert_eq!(b.session.peer().unwrap().compression, Compression::None);
}

#[test]
fn nothing_is_compressed_for_who_does_not_read_it() {
    let reads_none = |config: &mut SessionConfig| config.reads = CompressionSet::EMPTY;
    let (mut a, mut b) = (connector(wordy(1, 20), lz4), acceptor(wordy(2, 20)));
    let compressed = sent(&mut a, &mut b)[0];
    let mut old = End::with(wordy(2, 20), Side::acceptor(), reads_none);
    let mut a = connector(wordy(1, 20), lz4);
    assert!(sent(&mut a, &mut old)[0] > 10 * compressed);
    assert_eq!(a.session.peer().unwrap().compression, Compression::None);
}

/// A stranger has said hello to it, and asks for nothing but to send.
fn listening(adjust: impl FnOnce(&mut SessionConfig)) -> End {
    let mut b = End::with(Replica::new(2), Side::acceptor(), adjust);
    b.merges_wait = true;
    b.input(at(0), Input::Frame(hello(|_| ()))).unwrap();
    let resume = Resume { after: Seq::ZERO, last: None, credit: 1 << 20 };
    for message in [Message::Resume(resume), Message::Start(Start { roll: None })] {
        b.input(at(0), Input::Frame(message.encode())).unwrap();
    }
    b
}

/// A frame that takes half a megabyte once it is expanded.
fn large(seq: u64) -> Bytes {
    let mut replica = Replica::new(9);
    replica.commit_large(1, 512 * 1024);
    let range = Range::new(Seq(seq - 1), Seq(seq));
    let bytes = range.encode(&replica.commits[0].1).remove(0);
    let compressed = Body::from(bytes).compressed(Compression::Lz4);
    assert!(compressed.len() < 10_000);
    compressed
}

#[test]
fn what_was_not_offered_is_refused() {
    let refused =
        SessionError::Decode(DecodeError::Malformed { what: "a frame's compression", at: 1 });
    let mut b = listening(|config| config.reads = CompressionSet::EMPTY);
    assert_eq!(b.input(at(1), Input::Frame(large(1))).unwrap_err(), refused);
    // Nor is anything offered before the hello.
    let mut b = acceptor(Replica::new(2));
    assert!(b.input(at(1), Input::Frame(large(1))).is_err());
    let bytes = Range::new(Seq(0), Seq(1)).encode(&wordy(9, 1).commits[0].1).remove(0);
    let small = Body::from(bytes).compressed(Compression::Lz4);
    let mut b = acceptor(Replica::new(2));
    assert_eq!(b.input(at(1), Input::Frame(small)).unwrap_err(), refused);
}

#[test]
fn credit_is_for_what_a_frame_takes_once_it_is_expanded() {
    let mut b = listening(|_| ());
    let window = usize::try_from(Limits::default().window_bytes).unwrap();
    let mut frames = (1_usize..).map(|seq| (seq, large(seq as u64)));
    let refused = frames.find_map(|(seq, frame)| {
        let error = b.input(at(1), Input::Frame(frame)).err()?;
        Some((seq, error))
    });
    let error = SessionError::Violation { rule: "changes stay within their credit" };
    assert_eq!(refused, Some((window / (512 * 1024), error)));

    let mut a = connector(Replica::new(1), lz4);
    a.replica.commit_large(100, 100_000);
    let mut b = acceptor(Replica::new(2));
    b.merges_wait = true;
    exchange(at(1), &mut a, &mut b).unwrap();
    assert!((1..=window / 100_000).contains(&a.changes_sent), "{} sent", a.changes_sent);
}
