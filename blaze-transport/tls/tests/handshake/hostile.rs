//! Peers that speak no TLS, nothing at all, or too much.

use std::time::Duration;

use blaze_transport::{FrameLimits, FrameReceiver, FrameSender, Transport, framed};
use blaze_transport_tls::HandshakeError;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
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
