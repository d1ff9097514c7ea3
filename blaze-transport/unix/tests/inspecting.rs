//! What is told of a socket's place, and that looking leaves it as it was.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown, symlink},
        net::UnixListener,
    },
    path::Path,
};

use blaze_transport::{Endpoint, Transport, TransportError};
use blaze_transport_unix::{UnixTransport, inspect_socket, inspect_socket_directory};

/// What is in a directory, and which files these are.
fn entries(directory: &Path) -> BTreeMap<String, (u64, i64)> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let metadata = entry.path().symlink_metadata().unwrap();
        let name = entry.file_name().into_string().unwrap();
        (name, (metadata.ino(), metadata.mtime_nsec()))
    });
    entries.collect()
}

#[tokio::test]
async fn a_place_is_told_before_during_and_after_a_listener() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::unix(directory.path().join("s")).unwrap();
    let before = inspect_socket(&endpoint).unwrap();
    assert_eq!((before.is_there, before.noted_pid), (false, None));
    assert!(entries(directory.path()).is_empty(), "nothing was made");

    let listener = UnixTransport::new().listen(&endpoint).await.unwrap();
    let made = entries(directory.path());
    let during = inspect_socket(&endpoint).unwrap();
    assert_eq!((during.is_there, during.noted_pid), (true, Some(std::process::id())));
    assert!(during.path.ends_with("s") && during.lock.ends_with("s.lock"));
    assert_eq!(entries(directory.path()), made);

    listener.close().await.unwrap();
    assert!(!inspect_socket(&endpoint).unwrap().is_there);
}

#[test]
fn what_would_stop_a_server_is_told_and_left() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let inspect = |path: &Path| inspect_socket(&Endpoint::unix(path).unwrap());
    let refusal = |path: &Path| inspect(path).expect_err("it is refused");

    let missing = refusal(&path("none/s"));
    assert!(matches!(missing, TransportError::DirectoryMissing { .. }), "{missing}");
    let long = refusal(&path(&"x".repeat(120)));
    assert!(matches!(long, TransportError::PathTooLong { .. }), "{long}");
    fs::write(path("file"), "").unwrap();
    symlink(path("file"), path("link")).unwrap();
    for (name, expected) in [("file", "a regular file"), ("link", "a symbolic link")] {
        let error = refusal(&path(name));
        let TransportError::NotASocket { found, .. } = &error else { panic!("{error}") };
        assert_eq!(*found, expected);
    }
    // Nobody's lock file is waited for, whatever it is.
    let stale = UnixListener::bind(path("stale")).unwrap();
    drop(stale);
    symlink(path("file"), path("stale.lock")).unwrap();
    let place = inspect(&path("stale")).unwrap();
    assert_eq!((place.is_there, place.noted_pid), (true, None));

    fs::create_dir(path("open")).unwrap();
    fs::set_permissions(path("open"), Permissions::from_mode(0o777)).unwrap();
    for error in [refusal(&path("open/s")), inspect_socket_directory(&path("open")).unwrap_err()] {
        assert!(matches!(error, TransportError::DirectoryInsecure { .. }), "{error}");
    }
    inspect_socket_directory(directory.path()).expect("it is private");
}

#[test]
fn a_socket_of_another_user_is_told() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give a socket to another user");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let _listener = UnixListener::bind(&path).unwrap();
    chown(&path, Some(65534), None).unwrap();
    let error = inspect_socket(&Endpoint::unix(&path).unwrap()).unwrap_err();
    let TransportError::ForeignSocket { uid, expected, .. } = &error else { panic!("{error}") };
    assert_eq!((*uid, *expected), (65534, 0));
}
