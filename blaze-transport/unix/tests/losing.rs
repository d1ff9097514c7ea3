//! A listener whose files go, or are replaced, ends and says so.

use std::{
    fs,
    future::{Future, poll_fn},
    os::unix::net::UnixListener as StdListener,
    path::PathBuf,
    pin::pin,
    task::Poll,
};

use blaze_transport::{Endpoint, Listener, Transport, TransportError};
use blaze_transport_unix::{InheritedListeners, UnixTransport};
use tempfile::TempDir;
use tokio::time::{Duration, advance, timeout};

struct Place {
    _directory: TempDir,
    path: PathBuf,
    lock: PathBuf,
    endpoint: Endpoint,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let resolved = fs::canonicalize(directory.path()).unwrap();
    let (path, lock) = (resolved.join("s"), resolved.join("s.lock"));
    let endpoint = Endpoint::unix(&path).unwrap();
    Place { _directory: directory, path, lock, endpoint }
}

async fn listen(place: &Place) -> Box<dyn Listener> {
    UnixTransport::new().listen(&place.endpoint).await.unwrap()
}

async fn expect_works(place: &Place, listener: &mut dyn Listener) {
    let transport = UnixTransport::new();
    let (near, far) = tokio::join!(transport.connect(&place.endpoint), listener.accept());
    assert!(near.is_ok() && far.is_ok());
}

/// What ends the listener; the clock jumps ahead as long as nothing else happens.
async fn lost(listener: &mut dyn Listener) -> TransportError {
    let accepted = timeout(Duration::from_millis(5001), listener.accept()).await;
    let error = accepted.expect("it is looked every 5 s").expect_err("it is lost");
    assert!(!error.is_retryable(), "the listener has ended: {error}");
    error
}

#[tokio::test(start_paused = true)]
async fn removed_socket_is_noticed_and_made_anew_by_listening_again() {
    let place = place();
    let mut listener = listen(&place).await;
    fs::remove_file(&place.path).unwrap();
    let error = lost(&mut *listener).await;
    let expected = format!(
        "{} was removed under its listener, which has ended; listen again",
        place.path.display()
    );
    assert_eq!(error.to_string(), expected);
    listener.close().await.unwrap();
    let mut again = listen(&place).await;
    expect_works(&place, &mut *again).await;
}

#[tokio::test(start_paused = true)]
async fn replaced_socket_is_noticed_and_left_alone() {
    let place = place();
    let mut listener = listen(&place).await;
    fs::remove_file(&place.path).unwrap();
    let _usurper = StdListener::bind(&place.path).unwrap();
    let error = lost(&mut *listener).await;
    assert!(matches!(&error, TransportError::SocketLost { what: "replaced", .. }), "{error}");
    listener.close().await.unwrap();
    assert!(place.path.exists(), "it is another's");
    let error = UnixTransport::new().listen(&place.endpoint).await.map(drop).unwrap_err();
    assert!(matches!(error, TransportError::AddressInUse { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn lock_file_that_is_gone_is_noticed() {
    for replaced in [false, true] {
        let place = place();
        let mut listener = listen(&place).await;
        fs::remove_file(&place.lock).unwrap();
        if replaced {
            fs::write(&place.lock, "").unwrap();
        }
        let error = lost(&mut *listener).await;
        let TransportError::SocketLost { path, what } = &error else { panic!("{error}") };
        assert_eq!((path, *what), (&place.lock, if replaced { "replaced" } else { "removed" }));
        drop(listener);
        assert!(!place.path.exists(), "the socket was still its own");
        let mut again = listen(&place).await;
        expect_works(&place, &mut *again).await;
    }
}

#[tokio::test(start_paused = true)]
async fn untouched_listener_goes_on_for_hours() {
    let place = place();
    let mut listener = listen(&place).await;
    let hours = Duration::from_secs(7200);
    for _ in 0..2 {
        assert!(timeout(hours, listener.accept()).await.is_err(), "nobody came");
        expect_works(&place, &mut *listener).await;
    }
}

#[tokio::test(start_paused = true)]
async fn clients_that_came_before_are_accepted_first() {
    let place = place();
    let mut listener = listen(&place).await;
    let _waiting = UnixTransport::new().connect(&place.endpoint).await.unwrap();
    fs::remove_file(&place.path).unwrap();
    advance(Duration::from_secs(60)).await;
    listener.accept().await.expect("it waits in the queue");
    lost(&mut *listener).await;
}

#[tokio::test(start_paused = true)]
async fn accept_that_is_cancelled_again_and_again_still_looks() {
    let place = place();
    let mut listener = listen(&place).await;
    fs::remove_file(&place.path).unwrap();
    for _ in 0..6 {
        let mut accepting = pin!(listener.accept());
        let polled = poll_fn(|context| Poll::Ready(accepting.as_mut().poll(context))).await;
        if let Poll::Ready(accepted) = polled {
            assert!(matches!(accepted.unwrap_err(), TransportError::SocketLost { .. }));
            return;
        }
        advance(Duration::from_secs(1)).await;
    }
    panic!("it was never looked");
}

#[tokio::test(start_paused = true)]
async fn inherited_socket_that_is_removed_cannot_be_made_anew() {
    let place = place();
    let passed = StdListener::bind(&place.path).unwrap();
    let inherited = InheritedListeners::default().with_listener("sync", passed).unwrap();
    let transport = UnixTransport::new().with_inherited(inherited);
    let mut listener = transport.listen(&place.endpoint).await.unwrap();
    fs::remove_file(&place.path).unwrap();
    let error = lost(&mut *listener).await;
    assert!(matches!(&error, TransportError::SocketLost { what: "removed", .. }), "{error}");
    drop(listener);
    let error = transport.listen(&place.endpoint).await.map(drop).unwrap_err();
    let expected = format!(
        "inherited socket `sync` is unusable: {} was removed; restart",
        place.path.display()
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
}
