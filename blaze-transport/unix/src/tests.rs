//! What can't be seen from outside without a second user or another environment.

use std::{ffi::OsString, path::PathBuf};

use blaze_transport::{Endpoint, Transport, TransportError};
use rustix::process::geteuid;

use crate::{UnixTransport, bind, clients::Clients, directory, path::SocketPath, safety::Owners};

/// A transport that takes every peer of this process for another user's.
fn distrustful() -> UnixTransport {
    let stranger = geteuid().as_raw() + 1;
    let transport = UnixTransport::new().with_server_user(stranger);
    UnixTransport { clients: Clients::of_user(stranger), ..transport }
}

#[tokio::test]
async fn server_of_another_user_is_refused_before_anything_is_sent() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::unix(directory.path().join("s")).unwrap();
    let mut listener = UnixTransport::new().listen(&endpoint).await.unwrap();
    let uid = geteuid().as_raw();

    let client = distrustful();
    let (refused, accepted) = tokio::join!(client.connect(&endpoint), listener.accept());
    let error = refused.unwrap_err();
    assert!(!error.is_retryable());
    assert_eq!(
        error.to_string(),
        format!(
            "peer at {endpoint} runs as uid {uid}, expected {}; refused, nothing was sent",
            uid + 1
        )
    );
    let seen = accepted.unwrap().receiver.recv().await;
    assert!(matches!(seen, Err(TransportError::Broken { .. })), "the client just went: {seen:?}");
}

#[tokio::test]
async fn client_of_another_user_is_refused_and_the_listener_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::unix(directory.path().join("s")).unwrap();
    let mut listener = distrustful().listen(&endpoint).await.unwrap();

    for _ in 0..2 {
        let client = UnixTransport::new();
        let (connected, refused) = tokio::join!(client.connect(&endpoint), listener.accept());
        let error = refused.unwrap_err();
        let TransportError::ClientRefused { client, allowed, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(client.uid(), Some(geteuid().as_raw()));
        assert_eq!(allowed, &format!("uid {}", geteuid().as_raw() + 1));
        assert!(error.to_string().contains(&format!("is {client}, allowed is {allowed}")));
        assert!(error.is_retryable(), "it concerns one client only");
        assert!(connected.unwrap().receiver.recv().await.is_err(), "nothing was sent to it");
    }
}

#[tokio::test]
async fn failed_bind_leaves_only_what_was_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = SocketPath::resolve(&directory.path().join("s"), &Owners::own()).unwrap();
    for taken in [path.full(), path.temporary().full()] {
        std::fs::write(&taken, "precious").unwrap();
        bind::bind(&path, 0o600).expect_err("a file is in the way");
        let entries = std::fs::read_dir(directory.path()).unwrap();
        let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [taken.file_name().unwrap()]);
        std::fs::remove_file(&taken).unwrap();
    }
}

fn default_directory(variables: &[(&str, &str)]) -> Option<PathBuf> {
    directory::default_directory(|name| {
        variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
    })
}

#[test]
#[cfg(not(target_os = "macos"))]
fn default_directory_is_private_or_none() {
    let home = ("HOME", "/home/ann");
    let state = ("XDG_STATE_HOME", "/state");
    let runtime = ("XDG_RUNTIME_DIR", "/run/user/1000");
    let expect = |variables: &[_], path: &str| {
        assert_eq!(default_directory(variables), Some(PathBuf::from(path)));
    };
    expect(&[home, state, runtime], "/run/user/1000/blaze");
    expect(&[home, state], "/state/blaze/run");
    expect(&[home], "/home/ann/.local/state/blaze/run");
    expect(&[home, ("XDG_RUNTIME_DIR", "relative")], "/home/ann/.local/state/blaze/run");
    assert_eq!(default_directory(&[]), None, "never a shared directory");
    assert_eq!(default_directory(&[("TMPDIR", "/tmp"), ("HOME", "")]), None);
}

#[test]
fn default_endpoint_creates_a_private_directory() {
    use std::os::unix::fs::PermissionsExt;

    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("deep/blaze");
    let endpoint = directory::endpoint_in(Some(directory.clone()), "notes").unwrap();
    assert_eq!(endpoint, Endpoint::unix(directory.join("notes.sock")).unwrap());
    for created in [directory.parent().unwrap(), &directory] {
        let mode = created.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", created.display());
    }
    directory::endpoint_in(Some(directory.clone()), "notes").expect("it may exist already");
}

#[test]
fn default_endpoint_refuses_what_it_cannot_use() {
    use std::{fs, os::unix::fs::PermissionsExt};

    let unknown = directory::endpoint_in(None, "notes").unwrap_err();
    assert!(matches!(unknown, TransportError::DirectoryUnknown { .. }), "{unknown}");

    let root = tempfile::tempdir().unwrap();
    for name in ["", "a/b", "../x"] {
        let error = directory::endpoint_in(Some(root.path().to_owned()), name).unwrap_err();
        assert!(matches!(error, TransportError::Endpoint(_)), "{name}: {error}");
    }
    let shared = root.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    let error = directory::endpoint_in(Some(shared), "notes").unwrap_err();
    assert!(matches!(error, TransportError::DirectoryInsecure { mode: 0o1777, .. }), "{error}");
}
