//! Processes of another user, which only root can start.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
};

use blaze_transport::{Endpoint, Listener, Principal, Transport, TransportError};
use blaze_transport_unix::UnixTransport;
use tempfile::TempDir;

use crate::child::Child;

/// The user whom every system has for those without rights.
const NOBODY: u32 = 65534;

/// A directory that everybody may look into and only we may write, if we may start processes
/// of other users.
fn public_directory() -> Option<TempDir> {
    let directory = tempfile::tempdir().unwrap();
    if fs::metadata(directory.path()).unwrap().uid() != 0 {
        eprintln!("skipped: only root can start a process of another user");
        return None;
    }
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    Some(directory)
}

fn stranger(part: &str, about: &str) -> Child {
    Child::start(part, about, Some(NOBODY))
}

async fn listen(transport: &UnixTransport, path: &str) -> Box<dyn Listener> {
    transport.listen(&Endpoint::unix(path).unwrap()).await.unwrap()
}

#[tokio::test]
async fn stranger_does_not_pass_the_mode_of_the_socket() {
    let Some(directory) = public_directory() else { return };
    let path = directory.path().join("s").to_str().unwrap().to_owned();
    let _listener = listen(&UnixTransport::new(), &path).await;
    assert_eq!(stranger("knock", &path).says(), "permission denied");
}

#[tokio::test]
async fn stranger_that_is_not_listed_is_named_and_told_nothing() {
    let Some(directory) = public_directory() else { return };
    let path = directory.path().join("s").to_str().unwrap().to_owned();
    // Somebody else is let in, so that the mode no longer keeps the stranger out.
    let transport = UnixTransport::new().with_allowed_user(NOBODY - 1).with_allowed_group(4711);
    let mut listener = listen(&transport, &path).await;
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o666);

    let mut child = stranger("knock", &path);
    let error = listener.accept().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "client at unix:{path} is pid {}, uid 65534, gid 65534, allowed is uid 0 or uid 65533 \
             or gid 4711; refused, nothing was sent",
            child.pid()
        )
    );
    assert!(error.is_retryable(), "the listener goes on");
    assert_eq!(child.says(), "told 0 bytes");
}

#[tokio::test]
async fn stranger_that_is_listed_is_a_principal_of_its_own() {
    let transports = [
        UnixTransport::new().with_allowed_user(NOBODY),
        UnixTransport::new().with_allowed_group(NOBODY),
    ];
    for transport in transports {
        let Some(directory) = public_directory() else { return };
        let path = directory.path().join("s").to_str().unwrap().to_owned();
        let mut listener = listen(&transport, &path).await;
        let mut child = stranger("connect-to-root", &path);
        let mut client = listener.accept().await.unwrap();
        assert_eq!(client.peer.principal(), Some(&Principal::User(NOBODY)));
        assert_eq!(client.peer.gid(), Some(NOBODY));
        assert_eq!(client.receiver.recv().await.unwrap().unwrap(), "hello");
        assert_eq!(child.says(), "sent");
    }
}

#[tokio::test]
async fn client_sends_nothing_to_a_server_of_another_user() {
    let Some(directory) = public_directory() else { return };
    let path = directory.path().join("s").to_str().unwrap().to_owned();
    let mut listener = listen(&UnixTransport::new().with_allowed_user(NOBODY), &path).await;
    let mut child = stranger("connect", &path);
    let mut client = listener.accept().await.unwrap();
    assert!(client.receiver.recv().await.is_err(), "it went without a word");
    let refusal = "runs as uid 0, expected 65534; refused, nothing was sent";
    assert_eq!(child.says(), format!("peer at unix:{path} {refusal}"));
}

#[tokio::test]
async fn squatter_in_its_own_directory_is_told_nothing() {
    let Some(directory) = public_directory() else { return };
    let own = directory.path().join("theirs");
    fs::create_dir(&own).unwrap();
    chown(&own, Some(NOBODY), Some(NOBODY)).unwrap();
    let path = own.join("s").to_str().unwrap().to_owned();
    let endpoint = Endpoint::unix(&path).unwrap();
    // The program is copied beside the socket: the child may run it, and has made neither.
    let mut child = stranger("squat", &path);
    assert_eq!(child.says(), "squatting");

    let connected = UnixTransport::new().connect(&endpoint).await.map(drop);
    let listening = UnixTransport::new().listen(&endpoint).await.map(drop);
    for error in [connected.unwrap_err(), listening.unwrap_err()] {
        assert!(matches!(error, TransportError::DirectoryInsecure { .. }), "{error}");
        assert!(error.to_string().contains("is owned by uid 65534, expected 0"), "{error}");
    }
    // Whoever names its user takes it for the server.
    drop(UnixTransport::new().with_server_user(NOBODY).connect(&endpoint).await.unwrap());
    assert_eq!(child.says(), "took 0 bytes");
}

#[tokio::test]
async fn directory_of_a_stranger_further_up_is_named() {
    let Some(directory) = public_directory() else { return };
    let theirs = fs::canonicalize(directory.path()).unwrap().join("theirs");
    let ours = theirs.join("ours");
    fs::create_dir_all(&ours).unwrap();
    chown(&theirs, Some(NOBODY), Some(NOBODY)).unwrap();
    let endpoint = Endpoint::unix(ours.join("s")).unwrap();
    let error = UnixTransport::new().listen(&endpoint).await.map(drop).unwrap_err();
    let expected = format!(
        "directory {}, which leads to the socket, is owned by uid 65534, expected 0 (mode 0755); \
         have root run `chown` on it",
        theirs.display()
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert_eq!(fs::read_dir(&ours).unwrap().count(), 0);
}

#[tokio::test]
async fn squatter_in_our_directory_is_told_nothing() {
    let Some(directory) = public_directory() else { return };
    let path = directory.path().join("s").to_str().unwrap().to_owned();
    let endpoint = Endpoint::unix(&path).unwrap();
    // It was there before the directory became ours alone.
    fs::set_permissions(directory.path(), Permissions::from_mode(0o1777)).unwrap();
    let mut child = stranger("squat", &path);
    assert_eq!(child.says(), "squatting");
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();

    let error = UnixTransport::new().listen(&endpoint).await.map(drop).unwrap_err();
    assert!(matches!(error, TransportError::ForeignSocket { uid: NOBODY, .. }), "{error}");
    let error = UnixTransport::new().connect(&endpoint).await.map(drop).unwrap_err();
    assert!(matches!(error, TransportError::ServerRefused { uid: NOBODY, .. }), "{error}");
    assert_eq!(child.says(), "took 0 bytes");
    assert!(fs::exists(&path).unwrap(), "it is not ours to remove");
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn squatter_at_an_abstract_name_is_told_nothing() {
    let Some(directory) = public_directory() else { return };
    // As good a name as any, and nobody else's.
    let name = directory.path().join("name").to_str().unwrap().to_owned();
    let endpoint = Endpoint::unix_abstract(&name).unwrap();
    let transport = UnixTransport::for_abstract_names();
    let mut child = stranger("squat-name", &name);
    assert_eq!(child.says(), "squatting");

    let error = transport.listen(&endpoint).await.map(drop).unwrap_err();
    assert!(matches!(error, TransportError::AddressInUse { .. }), "{error}");
    let error = transport.connect(&endpoint).await.map(drop).unwrap_err();
    assert!(matches!(error, TransportError::ServerRefused { uid: NOBODY, .. }), "{error}");
    assert_eq!(child.says(), "took 0 bytes");
}
