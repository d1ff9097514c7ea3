//! What a probe is told, and that its server notes nothing of it.

mod common;

use std::sync::Arc;
use std::time::Duration;

use blaze_codec::message::{Goodbye, Hello, Message, Reason};
use blaze_codec::{Mode, Role};
use blaze_sync_engine::{CLOCK_AHEAD_MS_MAX, Greeting, SessionError, probe};
use blaze_transport::{Connection, Transport, TransportError};
use blaze_transport_memory::MemoryTransport;
use bytes::Bytes;
use common::{MODES, endpoint, node};

/// What a probe is answered by a server that does this with a hello.
async fn answered(answer: impl FnOnce(Hello) -> Option<Bytes>) -> Result<Greeting, SessionError> {
    let (transport, endpoint) = (MemoryTransport::new(), endpoint("s"));
    let mut listener = transport.listen(&endpoint).await.unwrap();
    let serve = async {
        let Connection { mut sender, mut receiver, .. } = listener.accept().await.unwrap();
        let hello = receiver.recv().await.unwrap().expect("it says hello");
        let Ok(Message::Hello(hello)) = Message::decode(hello) else { panic!("no hello") };
        if let Some(answer) = answer(hello) {
            sender.feed(answer).unwrap();
            sender.flush().await.unwrap();
        }
        while let Ok(Some(_)) = receiver.recv().await {}
        let _ = sender.finish().await;
    };
    let (probed, ()) = tokio::join!(probe(&transport, &endpoint, "main", Role::Client), serve);
    probed.unwrap().greeting
}

#[tokio::test]
async fn a_server_says_who_it_is_and_registers_nobody() {
    let (server, transport) = (node("server"), MemoryTransport::new());
    common::listen(&server, &transport, "s").await;
    let mut links = server.links();
    let mut ended = server.ended();
    let probed = probe(&transport, &endpoint("s"), "main", Role::Client).await.unwrap();
    assert_eq!(probed.process.pid(), Some(std::process::id()));
    let greeting = probed.greeting.unwrap();
    assert_eq!((&*greeting.peer.name, greeting.peer.protocol), ("server", 1));
    assert_eq!(greeting.peer.node, server.database().identity().node);
    assert!(greeting.clock_ahead_ms.unsigned_abs() <= greeting.clock_error_ms + 1, "{greeting:?}");

    let seen = tokio::time::timeout(common::DEADLINE, ended.recv()).await.unwrap().unwrap();
    assert_eq!(seen.peer.unwrap().name, "probe", "it came, and said goodbye");
    links.wait_for(std::collections::BTreeMap::is_empty).await.unwrap();
    assert!(server.database().peers().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_server_that_refuses_says_why_and_registers_nobody() {
    let (server, transport) = (node("server"), MemoryTransport::new());
    common::listen(&server, &transport, "s").await;
    let write_only = [Mode::WriteOnly];
    let shared = Arc::new(transport.clone());
    server.listen(shared, &endpoint("closed"), &write_only).await.unwrap();
    let refused = async |at: &str, database: &str| {
        let probed = probe(&transport, &endpoint(at), database, Role::Client).await.unwrap();
        match probed.greeting {
            Err(SessionError::PeerLeft { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused("s", "other").await, Reason::Database);
    assert_eq!(refused("closed", "main").await, Reason::Mode);
    assert!(MODES.contains(&Mode::ReadOnly));
    assert!(server.database().peers().await.unwrap().is_empty());

    let error = probe(&transport, &endpoint("nowhere"), "main", Role::Client).await.unwrap_err();
    assert!(matches!(error, TransportError::NothingListens { .. }), "{error}");
}

#[tokio::test]
async fn another_version_another_clock_and_no_blaze_are_told() {
    let newer = |hello: Hello| Hello { protocol_min: 7, protocol_max: 9, ..other(hello) };
    let greeting = answered(|hello| Some(Message::Hello(newer(hello)).encode())).await;
    let Err(SessionError::ProtocolVersion { theirs_min: 7, theirs_max: 9, .. }) = greeting else {
        panic!("{greeting:?}")
    };

    let hour_ms = 60 * 60 * 1000;
    assert!(CLOCK_AHEAD_MS_MAX < hour_ms);
    let ahead = |hello: Hello| Hello { wall_ms: hello.wall_ms + hour_ms, ..other(hello) };
    let greeting = answered(|hello| Some(Message::Hello(ahead(hello)).encode())).await.unwrap();
    let found = greeting.clock_ahead_ms.unsigned_abs();
    assert!(found.abs_diff(hour_ms) <= greeting.clock_error_ms + 1, "{greeting:?}");

    let greeting = answered(|_| Some(Bytes::from_static(b"HTTP/1.1 400"))).await;
    assert!(matches!(greeting, Err(SessionError::Decode(_))), "{greeting:?}");
    let goodbye = Goodbye { reason: Reason::Busy, message: "full".into() };
    let greeting = answered(|_| Some(Message::Goodbye(goodbye).encode())).await;
    let Err(SessionError::PeerLeft { reason: Reason::Busy, .. }) = greeting else {
        panic!("{greeting:?}")
    };
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_not_waited_for_for_ever() {
    let greeting = tokio::time::timeout(Duration::from_secs(60), answered(|_| None)).await;
    let greeting = greeting.expect("it gives up");
    assert!(matches!(greeting, Err(SessionError::Timeout { .. })), "{greeting:?}");
}

/// The hello of somebody else.
fn other(hello: Hello) -> Hello {
    let node = blaze_codec::NodeId::from_bytes([9; 16]);
    Hello { node, role: Role::Server, name: "other".into(), ..hello }
}
