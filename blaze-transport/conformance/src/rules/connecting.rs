//! Rules about endpoints, listeners and new connections.

use blaze_transport::{Connection, Endpoint, Transport, TransportError};

use crate::{
    Harness,
    link::{cancelled_after, connect, expect_frames, frame, listen, recv, send, within},
};

/// The transport, the harness's endpoint and the listener's endpoint have the same scheme.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn scheme_is_the_endpoints_scheme(harness: &dyn Harness) {
    let transport = harness.transport();
    assert_eq!(transport.scheme(), harness.endpoint().scheme());
    let listener = listen(harness, &*transport).await;
    assert_eq!(listener.endpoint().scheme(), transport.scheme());
}

/// Connecting to and listening at an endpoint of another scheme is refused for good.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn other_schemes_are_refused(harness: &dyn Harness) {
    let transport = harness.transport();
    let other = Endpoint::new("another-scheme", "somewhere").expect("it is well formed");
    let connected = within("refusing", transport.connect(&other)).await.map(drop);
    let listening = within("refusing", transport.listen(&other)).await.map(drop);
    for refused in [connected, listening] {
        let error = refused.expect_err("another scheme must be refused");
        let unsupported = matches!(error, TransportError::UnsupportedEndpoint { .. });
        assert!(unsupported, "expected an unsupported endpoint, found: {error}");
        assert!(!error.is_retryable(), "another attempt cannot help: {error}");
    }
}

/// Connecting where nothing listens fails at once, and may be tried again.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn connecting_to_nothing_is_retryable(harness: &dyn Harness) {
    let transport = harness.transport();
    // Only a listener knows the endpoint in full: a TCP port is chosen as it starts.
    let listener = listen(harness, &*transport).await;
    let endpoint = listener.endpoint().clone();
    drop(listener);
    expect_nothing_listens(&*transport, &endpoint).await;
}

/// What a listener names as its endpoint can be written down, read back and connected to.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn listener_endpoint_is_connectable(harness: &dyn Harness) {
    let transport = harness.transport();
    let mut listener = listen(harness, &*transport).await;
    let written = listener.endpoint().to_string();
    let endpoint: Endpoint = written.parse().expect("an endpoint is written as it is read");
    let both = async { tokio::join!(transport.connect(&endpoint), listener.accept()) };
    let (near, far) = within("connecting and accepting", both).await;
    let (near, far) = (near.expect("it can be connected to"), far.expect("it accepts"));
    for Connection { peer, .. } in [near, far] {
        assert!(!peer.description().is_empty(), "a peer must be described");
    }
}

/// A second listener at the same endpoint is refused, and the first one goes on.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn second_listener_is_refused(harness: &dyn Harness) {
    let transport = harness.transport();
    let mut first = listen(harness, &*transport).await;
    let endpoint = first.endpoint().clone();
    for second_transport in [&transport, &harness.transport()] {
        let second = within("refusing", second_transport.listen(&endpoint)).await.map(drop);
        let error = second.expect_err("a second listener must be refused");
        let in_use = matches!(error, TransportError::AddressInUse { .. });
        assert!(in_use, "expected an address in use, found: {error}");
    }
    expect_works(connect(&*transport, &mut *first).await).await;
}

/// After a listener is closed nothing can connect, and it can be listened at again at once.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn closed_listener_frees_its_endpoint(harness: &dyn Harness) {
    let transport = harness.transport();
    let listener = listen(harness, &*transport).await;
    let endpoint = listener.endpoint().clone();
    within("closing", listener.close()).await.expect("closing succeeds");
    expect_free(&*transport, &endpoint).await;
}

/// Dropping a listener frees its endpoint just as closing it.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn dropped_listener_frees_its_endpoint(harness: &dyn Harness) {
    let transport = harness.transport();
    let mut listener = listen(harness, &*transport).await;
    let endpoint = listener.endpoint().clone();
    // An accept that was begun must not keep anything alive.
    assert!(cancelled_after(2, listener.accept()).await.is_none(), "nobody connected");
    drop(listener);
    expect_free(&*transport, &endpoint).await;
}

/// Closing a listener leaves the connections that it accepted alone.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn connections_outlive_their_listener(harness: &dyn Harness) {
    let transport = harness.transport();
    let mut listener = listen(harness, &*transport).await;
    let link = connect(&*transport, &mut *listener).await;
    within("closing", listener.close()).await.expect("closing succeeds");
    drop(transport);
    expect_works(link).await;
}

/// Several clients are connected at once, and each talks to its own end.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn several_connections_are_served(harness: &dyn Harness) {
    const CLIENTS: usize = 8;
    let transport = harness.transport();
    let mut listener = listen(harness, &*transport).await;
    let mut clients = Vec::new();
    let mut servers = Vec::new();
    for _ in 0..CLIENTS {
        let (client, server) = connect(&*transport, &mut *listener).await;
        clients.push(client);
        servers.push(server);
    }
    for (index, client) in clients.iter_mut().enumerate() {
        send(&mut *client.sender, frame(index, 100)).await;
    }
    // Accepted in any order, so each server end answers what it was asked.
    for server in &mut servers {
        let asked = recv(&mut *server.receiver).await.expect("a frame was sent");
        send(&mut *server.sender, asked).await;
    }
    for (index, client) in clients.iter_mut().enumerate() {
        expect_frames(&mut *client.receiver, &[frame(index, 100)]).await;
    }
}

/// A cancelled accept loses no connection.
///
/// # Panics
///
/// If the transport breaks the rule.
pub async fn accept_is_cancel_safe(harness: &dyn Harness) {
    let transport = harness.transport();
    let mut listener = listen(harness, &*transport).await;
    let endpoint = listener.endpoint().clone();
    for round in 0..6 {
        let polls = 1 + round % 3;
        let early = cancelled_after(polls, listener.accept()).await;
        assert!(early.is_none(), "nobody connected yet");
        let accepting = async {
            match cancelled_after(polls, listener.accept()).await {
                Some(accepted) => accepted,
                None => listener.accept().await,
            }
        };
        let both = async { tokio::join!(transport.connect(&endpoint), accepting) };
        let (near, far) = within("accepting after a cancelled accept", both).await;
        let near = near.expect("the listener can be connected to");
        expect_works((near, far.expect("the client is accepted"))).await;
    }
}

async fn expect_nothing_listens(transport: &dyn Transport, endpoint: &Endpoint) {
    let connected = within("failing to connect", transport.connect(endpoint)).await.map(drop);
    let error = connected.expect_err("nothing listens, so connecting must fail");
    assert!(error.is_retryable(), "a server may start later, so it must be retryable: {error}");
}

async fn expect_free(transport: &dyn Transport, endpoint: &Endpoint) {
    expect_nothing_listens(transport, endpoint).await;
    let again = within("listening", transport.listen(endpoint)).await;
    let mut again = again.expect("the endpoint can be listened at again");
    expect_works(connect(transport, &mut *again).await).await;
}

/// Both directions of a new link carry a frame.
async fn expect_works((mut near, mut far): (Connection, Connection)) {
    for (from, to) in [(&mut near.sender, &mut far.receiver), (&mut far.sender, &mut near.receiver)]
    {
        send(&mut **from, frame(0, 10)).await;
        expect_frames(&mut **to, &[frame(0, 10)]).await;
    }
}
