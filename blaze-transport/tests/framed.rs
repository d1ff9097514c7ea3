//! The framing adapter over streams that are cut, slow, small, corrupt or cancelled.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use blaze_transport::{
    FRAME_BYTES_MAX, FrameLimits, FrameReceiver, FrameSender, FramedReceiver, TransportError,
    framed,
};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, empty, sink};

/// A receiver of exactly these bytes, after which the stream ends.
fn reading(bytes: &[u8]) -> FramedReceiver<impl AsyncRead + Send + Unpin + 'static> {
    let stream = io::Cursor::new(bytes.to_vec());
    framed(stream, sink(), FrameLimits::default()).1
}

/// What a sender writes for these frames and a finish.
async fn written(frames: &[Bytes]) -> Vec<u8> {
    let (near, mut far) = tokio::io::duplex(1 << 22);
    let (mut sender, _) = framed(empty(), near, FrameLimits::default());
    for frame in frames {
        sender.feed(frame.clone()).unwrap();
    }
    sender.finish().await.unwrap();
    drop(sender);
    let mut bytes = Vec::new();
    far.read_to_end(&mut bytes).await.unwrap();
    bytes
}

/// Frames below and above the size from which they are not copied.
fn frames() -> Vec<Bytes> {
    let sizes = [2, 3, 8191, 8192, 8193, 2, 50_000, 17];
    sizes.iter().zip(1..).map(|(size, fill)| Bytes::from(vec![fill; *size])).collect()
}

#[tokio::test]
async fn bytes_are_headers_bodies_and_an_end() {
    let bytes = written(&[Bytes::from_static(b"ab")]).await;
    assert_eq!(bytes[..4], [2, 0, 0, 0], "the length, little-endian");
    assert_eq!(bytes[8..10], *b"ab");
    assert_eq!(bytes[10..], [0; 8], "the end marker");
}

#[tokio::test]
async fn every_cut_is_a_break_and_never_an_end() {
    let frames = [Bytes::from_static(b"first"), Bytes::from_static(b"second")];
    let whole = written(&frames).await;
    for cut in 0..whole.len() {
        let mut receiver = reading(&whole[..cut]);
        let mut count = 0;
        let error = loop {
            match receiver.recv().await {
                Ok(Some(frame)) => {
                    assert_eq!(frame, frames[count], "cut at {cut}");
                    count += 1;
                }
                Ok(None) => panic!("cut at {cut} looks like a clean end"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, TransportError::Broken { .. }), "cut at {cut}: {error}");
        assert!(receiver.recv().await.is_err(), "a break must last");
    }
}

#[tokio::test]
async fn every_flipped_bit_is_noticed() {
    let frames = [Bytes::from_static(b"first"), Bytes::from_static(b"second")];
    let whole = written(&frames).await;
    for bit in 0..whole.len() * 8 {
        let mut changed = whole.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let mut receiver = reading(&changed);
        let mut arrived = Vec::new();
        let end = loop {
            match receiver.recv().await {
                Ok(Some(frame)) => arrived.push(frame),
                end => break end,
            }
        };
        assert!(end.is_err(), "bit {bit} was not noticed");
        assert!(frames.starts_with(&arrived), "bit {bit} gave a false frame");
    }
}

#[tokio::test]
async fn too_large_length_is_refused_before_it_is_awaited() {
    let length = u32::try_from(FRAME_BYTES_MAX + 1).unwrap();
    let (mut near, far) = tokio::io::duplex(64);
    let (_, mut receiver) = framed(far, sink(), FrameLimits::default());
    let mut header = length.to_le_bytes().to_vec();
    header.extend([0; 4]);
    near.write_all(&header).await.unwrap();
    let error = receiver.recv().await.unwrap_err();
    assert!(matches!(error, TransportError::FrameTooLong { .. }), "{error}");
    assert!(error.to_string().contains(&length.to_string()), "{error}");
}

#[tokio::test]
async fn own_limit_holds_for_both_directions() {
    let limits = FrameLimits::default().with_frame_bytes_max(10);
    let (mut sender, _) = framed(empty(), sink(), limits);
    let error = sender.feed(Bytes::from(vec![0; 11])).unwrap_err();
    assert_eq!(error.to_string(), "frame is 11 bytes, the limit is 10; split it");
    sender.feed(Bytes::from(vec![0; 10])).expect("the sender goes on");

    let bytes = written(&[Bytes::from(vec![1; 11])]).await;
    let (_, mut receiver) = framed(io::Cursor::new(bytes), sink(), limits);
    assert!(matches!(receiver.recv().await, Err(TransportError::FrameTooLong { .. })));
}

#[tokio::test]
async fn a_limit_for_now_is_set_and_lifted_between_two_frames() {
    let frames = [10, 1_000, 11].map(|bytes| Bytes::from(vec![1; bytes]));
    let mut receiver = reading(&written(&frames).await);
    receiver.limit_frames(10);
    assert_eq!(receiver.recv().await.unwrap().unwrap(), frames[0]);
    receiver.limit_frames(usize::MAX);
    assert_eq!(receiver.buffered().unwrap().unwrap(), frames[1]);
    receiver.limit_frames(10);
    let error = receiver.recv().await.unwrap_err();
    assert!(matches!(error, TransportError::FrameTooLong { bytes: 11, bytes_max: 10 }), "{error}");

    // What the transport takes at most stays.
    let limits = FrameLimits::default().with_frame_bytes_max(10);
    let bytes = written(&frames[2..]).await;
    let (_, mut receiver) = framed(io::Cursor::new(bytes), sink(), limits);
    receiver.limit_frames(usize::MAX);
    assert!(receiver.recv().await.is_err());
}

#[tokio::test]
async fn buffered_serves_what_one_read_brought() {
    let frames = [Bytes::from_static(b"first"), Bytes::from_static(b"second")];
    let mut receiver = reading(&written(&frames).await);
    assert_eq!(receiver.buffered().unwrap(), None, "nothing was read yet");
    assert_eq!(receiver.recv().await.unwrap().unwrap(), frames[0]);
    assert_eq!(receiver.buffered().unwrap().unwrap(), frames[1]);
    assert_eq!(receiver.buffered().unwrap(), None);
    assert_eq!(receiver.recv().await.unwrap(), None);
}

/// Counts writes and takes everything.
#[derive(Default)]
struct Counter(Arc<AtomicUsize>);

impl AsyncWrite for Counter {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn small_frames_leave_in_one_write() {
    let counter = Counter::default();
    let writes = Arc::clone(&counter.0);
    let (mut sender, _) = framed(empty(), counter, FrameLimits::default());
    for _ in 0..100 {
        sender.feed(Bytes::from_static(b"small")).unwrap();
    }
    sender.flush().await.unwrap();
    assert_eq!(writes.load(Ordering::Relaxed), 1);
}

/// Polls once, then drops the future: over a pipe of a few bytes, every byte is an await point.
async fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[tokio::test]
async fn cancelling_at_every_await_loses_and_repeats_nothing() {
    for pipe_bytes in [1, 3, 7, 4096] {
        let (near, far) = tokio::io::duplex(pipe_bytes);
        let (mut sender, _) = framed(empty(), near, FrameLimits::default());
        let (_, mut receiver) = framed(far, sink(), FrameLimits::default());
        let frames = frames();
        let mut arrived = Vec::new();
        let mut fed = 0;
        let mut finished = false;
        // Alternates between one poll of each side, so that each is cancelled at every point.
        loop {
            // A task that never yields is given nothing after a while.
            tokio::task::yield_now().await;
            if let Some(frame) = frames.get(fed) {
                sender.feed(frame.clone()).unwrap();
                fed += 1;
                poll_once(sender.flush()).await.unwrap_or(Ok(())).unwrap();
            } else if !finished {
                finished = poll_once(sender.finish()).await.transpose().unwrap().is_some();
            }
            match poll_once(receiver.recv()).await.transpose().unwrap() {
                Some(Some(frame)) => arrived.push(frame),
                Some(None) => break,
                None => {}
            }
        }
        assert!(finished, "the end came before the finish");
        assert_eq!(arrived, frames, "over a pipe of {pipe_bytes} bytes");
    }
}
