//! Peers that speak no TLS, nothing at all, or too much.

use std::time::Duration;

use blaze_transport::{FrameLimits, FrameReceiver, FrameSender, Transport, framed};
use blaze_transport_tls::HandshakeError;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::{
    common::loopback,
    node::{DEADLINE, Node, reason},
};

#[tokio::test]
async fn plaintext_is_refused_by_the_listener() {
    let laptop = Node::new();
    let mut listener = laptop.listen().await;
    let stream = TcpStream::connect(listener.endpoint().address()).await.unwrap();
    let (read_half, write_half) = stream.into_split();
    let (mut sender, mut receiver) = framed(read_half, write_half, FrameLimits::default());
    sender.feed("a frame in plain text".into()).unwrap();
    sender.flush().await.unwrap();
    let accepted = timeout(DEADLINE, listener.accept()).await.unwrap();
    assert!(matches!(reason(&accepted), HandshakeError::NotTls), "{:?}", reason(&accepted));
    assert!(accepted.unwrap_err().is_retryable());
    receiver.recv().await.expect_err("what comes back is no frame");
}

#[tokio::test]
async fn a_plaintext_server_is_refused() {
    let laptop = Node::new();
    let server = TcpListener::bind(loopback().address()).await.unwrap();
    let endpoint = format!("tls://{}", server.local_addr().unwrap()).parse().unwrap();
    let serving = async {
        let (stream, _) = server.accept().await.unwrap();
        let (read_half, write_half) = stream.into_split();
        let (mut sender, mut receiver) = framed(read_half, write_half, FrameLimits::default());
        sender.feed("a frame in plain text".into()).unwrap();
        sender.flush().await.unwrap();
        receiver.recv().await.expect_err("what comes is no frame");
    };
    let (connected, ()) = tokio::join!(laptop.transport.connect(&endpoint), serving);
    assert!(matches!(reason(&connected), HandshakeError::NotTls), "{:?}", reason(&connected));
    assert!(!connected.unwrap_err().is_retryable());
}

#[tokio::test]
async fn a_server_that_hangs_up_is_worth_another_try() {
    let laptop = Node::new();
    let server = TcpListener::bind(loopback().address()).await.unwrap();
    let endpoint = format!("tls://{}", server.local_addr().unwrap()).parse().unwrap();
    let serving = async { drop(server.accept().await.unwrap()) };
    let (connected, ()) = tokio::join!(laptop.transport.connect(&endpoint), serving);
    assert!(matches!(reason(&connected), HandshakeError::HungUp), "{:?}", reason(&connected));
    assert!(connected.unwrap_err().is_retryable());
}

#[tokio::test]
async fn a_client_that_stalls_is_given_up_at_the_deadline() {
    let mut laptop = Node::new();
    laptop.transport = laptop.transport.with_handshake_timeout(Duration::from_millis(50));
    let mut listener = laptop.listen().await;
    let mut client = TcpStream::connect(listener.endpoint().address()).await.unwrap();
    // The beginning of a record, which is never continued.
    client.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    let accepted = timeout(DEADLINE, listener.accept()).await.unwrap();
    let found = reason(&accepted);
    assert!(matches!(found, HandshakeError::Deadline { waited_ms: 50 }), "{found:?}");
    assert_eq!(
        found.to_string(),
        "the peer did not finish the handshake within 50 ms; it may be busy or speak no TLS"
    );
    let ended = client.read_to_end(&mut Vec::new()).await;
    assert!(matches!(ended, Ok(0) | Err(_)), "it's told nothing");
}

#[tokio::test]
async fn a_server_that_stalls_is_given_up_at_the_deadline() {
    let mut laptop = Node::new();
    laptop.transport = laptop.transport.with_handshake_timeout(Duration::from_millis(50));
    let server = TcpListener::bind(loopback().address()).await.unwrap();
    let endpoint = format!("tls://{}", server.local_addr().unwrap()).parse().unwrap();
    let connected = timeout(DEADLINE, laptop.transport.connect(&endpoint)).await.unwrap();
    assert!(matches!(reason(&connected), HandshakeError::Deadline { waited_ms: 50 }));
    assert!(connected.unwrap_err().is_retryable());
}

#[tokio::test]
async fn a_client_that_sends_too_much_is_refused() {
    let laptop = Node::new();
    let mut listener = laptop.listen().await;
    let mut client = TcpStream::connect(listener.endpoint().address()).await.unwrap();
    // One handshake message of 60 KiB, in records of 4 KiB.
    let mut hello = vec![1, 0, 0xf0, 0];
    hello.resize(60 * 1024, 0);
    for piece in hello.chunks(4096) {
        let [high, low] = u16::try_from(piece.len()).unwrap().to_be_bytes();
        let record = [&[22, 3, 1, high, low], piece].concat();
        client.write_all(&record).await.unwrap();
    }
    let accepted = timeout(DEADLINE, listener.accept()).await.unwrap();
    let found = reason(&accepted);
    assert!(matches!(found, HandshakeError::TooLong { bytes_max: 16384 }), "{found:?}");
}

#[tokio::test]
async fn strangers_take_no_more_than_some_places() {
    let (laptop, phone) = (Node::new(), Node::new());
    laptop.trusts(&phone, "phone");
    phone.trusts(&laptop, "laptop");
    let mut listener = laptop.listen().await;
    let mut silent = Vec::new();
    for _ in 0..9 {
        silent.push(TcpStream::connect(listener.endpoint().address()).await.unwrap());
    }
    let accepted = timeout(DEADLINE, listener.accept()).await.unwrap();
    let found = reason(&accepted);
    assert!(matches!(found, HandshakeError::TooManyPending { pending_max: 8 }), "{found:?}");

    // Those who go make room for others from the same address.
    silent.clear();
    let endpoint = listener.endpoint().clone();
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok(connection) => break connection,
                Err(error) => assert!(error.is_retryable(), "{error}"),
            }
        }
    };
    let connecting = async {
        loop {
            match phone.transport.connect(&endpoint).await {
                Ok(connection) => break connection,
                Err(error) => assert!(error.is_retryable(), "{error}"),
            }
        }
    };
    let both = async { tokio::join!(accepting, connecting) };
    timeout(DEADLINE, both).await.expect("the phone is let in");
}

#[tokio::test]
async fn a_client_that_dribbles_is_given_up_at_the_deadline() {
    let mut laptop = Node::new();
    laptop.transport = laptop.transport.with_handshake_timeout(Duration::from_millis(300));
    let mut listener = laptop.listen().await;
    let mut client = TcpStream::connect(listener.endpoint().address()).await.unwrap();
    // A record that announces 4 KiB, of which one byte after the other comes: none of them
    // gives it more time.
    let dribbling = async {
        let mut record = vec![22, 3, 1, 16, 0, 1, 0, 15, 252];
        record.resize(5 + 4096, 0);
        for byte in record.chunks(1) {
            if client.write_all(byte).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let accepting = timeout(DEADLINE, listener.accept());
    let accepted = tokio::select! {
        accepted = accepting => accepted.unwrap(),
        () = dribbling => panic!("it took all of the record"),
    };
    let found = reason(&accepted);
    assert!(matches!(found, HandshakeError::Deadline { waited_ms: 300 }), "{found:?}");
}

#[tokio::test]
async fn random_bytes_are_refused_and_the_listener_goes_on() {
    let (laptop, phone) = (Node::new(), Node::new());
    laptop.trusts(&phone, "phone");
    phone.trusts(&laptop, "laptop");
    let mut listener = laptop.listen().await;
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..200 {
        let mut bytes = vec![0; random.usize(1..600)];
        random.fill(&mut bytes);
        if round % 2 == 0 && bytes.len() > 5 {
            // Half of them as a record of a handshake, so that more than its head is read.
            let [high, low] = u16::try_from(bytes.len() - 5).unwrap().to_be_bytes();
            bytes[..5].copy_from_slice(&[22, 3, 3, high, low]);
        }
        let mut client = TcpStream::connect(listener.endpoint().address()).await.unwrap();
        client.write_all(&bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let accepted = timeout(DEADLINE, listener.accept()).await.unwrap();
        let error = accepted.expect_err("what comes is no handshake");
        assert!(error.is_retryable(), "the listener goes on: {error}");
    }
    let (connected, accepted) = phone.connect(&mut *listener).await;
    connected.and(accepted).unwrap();
}

#[tokio::test]
async fn a_bit_that_is_flipped_on_the_way_ends_the_handshake() {
    let (laptop, phone) = (Node::new(), Node::new());
    laptop.trusts(&phone, "phone");
    phone.trusts(&laptop, "laptop");
    let mut listener = laptop.listen().await;
    let back = listener.endpoint().address().to_owned();
    let between = TcpListener::bind(loopback().address()).await.unwrap();
    let endpoint = format!("tls://{}", between.local_addr().unwrap()).parse().unwrap();
    let mut flips = 0;
    // What each side says is some hundred bytes long; one is tried in each stretch of them.
    for at in (0..600).step_by(37) {
        for by_client in [true, false] {
            let meddling = async {
                let (mut client, _) = between.accept().await.unwrap();
                let mut server = TcpStream::connect(&back).await.unwrap();
                let (client_read, client_write) = client.split();
                let (server_read, server_write) = server.split();
                let there = pass_on(client_read, server_write, by_client.then_some(at));
                let again = pass_on(server_read, client_write, (!by_client).then_some(at));
                tokio::join!(there, again)
            };
            // The client's end is let go of at once, or the other side would wait for it.
            let connecting = async { phone.transport.connect(&endpoint).await.err() };
            let accepting = async { listener.accept().await.err() };
            let all = async { tokio::join!(connecting, accepting, meddling) };
            let (connected, accepted, (there, again)) = timeout(DEADLINE, all).await.unwrap();
            if there || again {
                flips += 1;
                assert!(connected.is_some() || accepted.is_some(), "byte {at} doesn't matter");
            }
        }
    }
    assert!(flips > 10, "only {flips} of the bytes were on the way");
    let (connected, accepted) = phone.connect(&mut *listener).await;
    connected.and(accepted).unwrap();
}

/// Passes bytes on until the end, and flips a bit of the one at this place; tells whether it did.
async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    flip: Option<usize>,
) -> bool {
    let (mut passed, mut flipped) = (0, false);
    let mut bytes = vec![0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if let Some(at) = flip.filter(|at| (passed..passed + count).contains(at)) {
            bytes[at - passed] ^= 1 << (at % 8);
            flipped = true;
        }
        passed += count;
        if to.write_all(&bytes[..count]).await.is_err() {
            break;
        }
    }
    // The other side may be gone.
    let _ = to.shutdown().await;
    flipped
}
