//! What listening does to the file system, and what it refuses to touch.

use std::{
    fs,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
        net::{UnixDatagram, UnixListener as StdListener},
    },
    path::{Path, PathBuf},
    process,
};

use blaze_transport::{Endpoint, Listener, Transport, TransportError};
use blaze_transport_unix::UnixTransport;
use tempfile::TempDir;

struct Place {
    directory: TempDir,
    path: PathBuf,
    endpoint: Endpoint,
}

/// A path for a socket in a private directory that goes when the test ends.
fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.sock");
    let endpoint = Endpoint::unix(&path).unwrap();
    Place { directory, path, endpoint }
}

impl Place {
    async fn listen(&self) -> Result<Box<dyn Listener>, TransportError> {
        UnixTransport::new().listen(&self.endpoint).await
    }

    async fn refused(&self) -> TransportError {
        self.listen().await.expect_err("listening must be refused")
    }

    /// Where the socket is bound before it is linked to its path.
    fn temporary(&self) -> PathBuf {
        self.directory.path().join(".notes.sock.new")
    }

    /// The names in the directory, sorted.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names = names.collect::<Vec<_>>();
        names.sort();
        names
    }
}

async fn expect_works(endpoint: &Endpoint, listener: &mut dyn Listener) {
    let transport = UnixTransport::new();
    let (near, far) = tokio::join!(transport.connect(endpoint), listener.accept());
    let (mut near, mut far) = (near.unwrap(), far.unwrap());
    near.sender.feed("hello".into()).unwrap();
    near.sender.flush().await.unwrap();
    assert_eq!(far.receiver.recv().await.unwrap().unwrap(), "hello");
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

#[tokio::test]
async fn socket_is_private_and_nothing_else_is_left() {
    let place = place();
    let listener = place.listen().await.unwrap();
    let metadata = fs::symlink_metadata(&place.path).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
    assert_eq!(place.names(), ["notes.sock", "notes.sock.lock"]);
    listener.close().await.unwrap();
    assert_eq!(place.names(), ["notes.sock.lock"], "the lock file must stay");
    drop(place.listen().await.unwrap());
    assert_eq!(place.names(), ["notes.sock.lock"], "dropping cleans up just as well");
}

#[tokio::test]
async fn lock_file_is_private_and_names_the_holder() {
    let place = place();
    let _listener = place.listen().await.unwrap();
    let lock = place.directory.path().join("notes.sock.lock");
    assert_eq!(fs::metadata(&lock).unwrap().permissions().mode() & 0o077, 0);
    assert_eq!(fs::read_to_string(&lock).unwrap(), format!("{}\n", process::id()));
}

#[tokio::test]
async fn live_server_is_refused_and_named() {
    let place = place();
    let mut first = place.listen().await.unwrap();
    assert_eq!(
        place.refused().await.to_string(),
        format!(
            "{} is in use by another server (held by pid {}); stop it or choose another endpoint",
            place.endpoint,
            process::id()
        )
    );
    expect_works(&place.endpoint, &mut *first).await;
}

#[tokio::test]
async fn live_server_without_a_lock_is_refused() {
    let place = place();
    let _other_program = StdListener::bind(&place.path).unwrap();
    let before = inode(&place.path);
    let error = place.refused().await;
    assert!(matches!(error, TransportError::AddressInUse { pid: None, .. }), "{error}");
    assert_eq!(inode(&place.path), before);
}

#[tokio::test]
async fn stale_socket_is_replaced() {
    let place = place();
    // A killed server leaves exactly this: a socket file that nobody listens at.
    drop(StdListener::bind(&place.path).unwrap());
    let connected = UnixTransport::new().connect(&place.endpoint).await;
    let error = connected.expect_err("nobody listens");
    assert!(matches!(error, TransportError::NothingListens { .. }), "{error}");

    let mut listener = place.listen().await.unwrap();
    expect_works(&place.endpoint, &mut *listener).await;
}

#[tokio::test]
async fn socket_of_a_server_killed_while_it_bound_is_removed() {
    let place = place();
    drop(StdListener::bind(place.temporary()).unwrap());
    let mut listener = place.listen().await.unwrap();
    assert_eq!(place.names(), ["notes.sock", "notes.sock.lock"]);
    expect_works(&place.endpoint, &mut *listener).await;
}

#[tokio::test]
async fn socket_of_a_server_killed_after_it_linked_is_removed() {
    let place = place();
    drop(StdListener::bind(place.temporary()).unwrap());
    fs::hard_link(place.temporary(), &place.path).unwrap();
    let mut listener = place.listen().await.unwrap();
    assert_eq!(place.names(), ["notes.sock", "notes.sock.lock"]);
    expect_works(&place.endpoint, &mut *listener).await;
}

#[tokio::test]
async fn temporary_path_is_only_cleared_of_sockets_that_nobody_listens_at() {
    let place = place();
    fs::write(place.temporary(), "precious").unwrap();
    let error = place.refused().await;
    assert!(matches!(error, TransportError::NotASocket { .. }), "{error}");
    assert_eq!(fs::read_to_string(place.temporary()).unwrap(), "precious");

    fs::remove_file(place.temporary()).unwrap();
    // A socket may be named like the temporary one of another.
    let neighbour = Endpoint::unix(place.temporary()).unwrap();
    let mut listener = UnixTransport::new().listen(&neighbour).await.unwrap();
    let error = place.refused().await;
    assert!(matches!(error, TransportError::AddressInUse { .. }), "{error}");
    // The probe waits to be accepted, and is gone.
    drop(listener.accept().await);
    expect_works(&neighbour, &mut *listener).await;
}

#[tokio::test]
async fn regular_file_is_not_removed() {
    let place = place();
    fs::write(&place.path, "precious").unwrap();
    let expected = format!("{} is a regular file, not a socket; not removed", place.path.display());
    assert_eq!(place.refused().await.to_string(), expected);
    let connected = UnixTransport::new().connect(&place.endpoint).await;
    let error = connected.expect_err("a file can't be connected to");
    assert_eq!(error.to_string(), expected);
    assert!(!error.is_retryable());
    assert_eq!(fs::read_to_string(&place.path).unwrap(), "precious");
    assert_eq!(place.names(), ["notes.sock"], "not even a lock file is made");
}

#[tokio::test]
async fn directory_at_the_path_is_not_removed() {
    let place = place();
    fs::create_dir(&place.path).unwrap();
    let connected = UnixTransport::new().connect(&place.endpoint).await.map(drop);
    for error in [place.refused().await, connected.expect_err("it is a directory")] {
        let directory = matches!(error, TransportError::NotASocket { found: "a directory", .. });
        assert!(directory, "{error}");
    }
    assert!(place.path.is_dir());
}

#[tokio::test]
async fn symbolic_link_at_the_path_is_not_followed() {
    let place = place();
    let elsewhere = place.directory.path().join("elsewhere.sock");
    let elsewhere_endpoint = Endpoint::unix(&elsewhere).unwrap();
    let mut listener = UnixTransport::new().listen(&elsewhere_endpoint).await.unwrap();
    symlink(&elsewhere, &place.path).unwrap();

    let connected = UnixTransport::new().connect(&place.endpoint).await.map(drop);
    for error in [place.refused().await, connected.expect_err("it is a link")] {
        let link = matches!(error, TransportError::NotASocket { found: "a symbolic link", .. });
        assert!(link, "{error}");
    }
    assert!(place.path.is_symlink());
    expect_works(&elsewhere_endpoint, &mut *listener).await;
}

#[tokio::test]
async fn symbolic_link_at_the_lock_is_not_followed() {
    let place = place();
    let victim = place.directory.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, place.directory.path().join("notes.sock.lock")).unwrap();
    let error = place.refused().await;
    assert!(matches!(error, TransportError::Io { .. }), "{error}");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert!(!place.path.exists());
}

#[tokio::test]
async fn file_of_somebody_else_is_not_removed_at_the_end() {
    for close in [true, false] {
        let place = place();
        let listener = place.listen().await.unwrap();
        fs::remove_file(&place.path).unwrap();
        let _other = UnixDatagram::bind(&place.path).unwrap();
        let before = inode(&place.path);
        if close {
            listener.close().await.unwrap();
        } else {
            drop(listener);
        }
        assert_eq!(inode(&place.path), before, "close: {close}");
    }
}

/// A directory whose resolved path has this many bytes.
fn deep(root: &Path, bytes: usize) -> PathBuf {
    let mut directory = fs::canonicalize(root).unwrap();
    while directory.as_os_str().len() < bytes {
        // Room for one byte of a name must be left after each slash.
        let left = bytes - directory.as_os_str().len() - 1;
        directory.push("d".repeat(if left > 202 { 200 } else { left }));
    }
    fs::create_dir_all(&directory).unwrap();
    assert_eq!(directory.as_os_str().len(), bytes);
    directory
}

async fn expect_too_long(path: &Path, bytes_max: usize) {
    let endpoint = Endpoint::unix(path).unwrap();
    let listening = UnixTransport::new().listen(&endpoint).await.map(drop);
    let connected = UnixTransport::new().connect(&endpoint).await.map(drop);
    for error in [listening, connected].map(|result| result.expect_err("it is too long")) {
        let text = error.to_string();
        let bytes = path.as_os_str().len();
        let more = bytes - bytes_max;
        let numbers = format!("is {bytes} bytes, {more} more than the {bytes_max} that work here");
        assert!(text.contains(&numbers), "{text}");
        assert!(!error.is_retryable());
        let TransportError::PathTooLong { suggestion, .. } = error else { panic!("{text}") };
        assert!(suggestion.as_os_str().len() <= 98, "{text}");
    }
}

#[tokio::test]
async fn path_that_fits_may_have_any_name() {
    // The temporary name is five bytes longer, and must fit as well.
    let limit = if cfg!(target_os = "linux") { 102 } else { 98 };
    let root = tempfile::tempdir().unwrap();
    let resolved = fs::canonicalize(root.path()).unwrap();
    let name_bytes = limit - resolved.as_os_str().len() - 1;
    let longest = Endpoint::unix(resolved.join("n".repeat(name_bytes))).unwrap();
    let mut listener = UnixTransport::new().listen(&longest).await.expect("the limit works");
    expect_works(&longest, &mut *listener).await;
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn path_of_any_length_works() {
    for bytes in [97, 98, 99, 100, 101, 102, 103, 104, 107, 120, 250, 1000, 4000] {
        let root = tempfile::tempdir().unwrap();
        let directory = deep(root.path(), bytes);
        let path = directory.join("s.sock");
        let endpoint = Endpoint::unix(&path).unwrap();
        // What is stale is told and removed there as elsewhere.
        let mut listener = UnixTransport::new().listen(&endpoint).await.unwrap();
        let second = UnixTransport::new().listen(&endpoint).await.unwrap_err();
        assert!(matches!(second, TransportError::AddressInUse { .. }), "{second}");
        expect_works(&endpoint, &mut *listener).await;
        assert_eq!(fs::symlink_metadata(&path).unwrap().mode() & 0o7777, 0o600);
        let kept = directory.join("kept");
        fs::hard_link(&path, &kept).unwrap();
        listener.close().await.unwrap();
        fs::rename(&kept, &path).unwrap();
        let stale = UnixTransport::new().connect(&endpoint).await.unwrap_err();
        assert!(matches!(stale, TransportError::NothingListens { .. }), "{stale}");
        drop(UnixTransport::new().listen(&endpoint).await.unwrap());
        let names = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["s.sock.lock"], "{bytes}");
    }
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn too_long_name_in_a_deep_directory_names_the_numbers() {
    let root = tempfile::tempdir().unwrap();
    let directory = deep(root.path(), 150);
    let longest = Endpoint::unix(directory.join("n".repeat(77))).unwrap();
    let mut listener = UnixTransport::new().listen(&longest).await.expect("the limit works");
    expect_works(&longest, &mut *listener).await;
    expect_too_long(&directory.join("n".repeat(78)), 151 + 77).await;
    expect_too_long(&directory.join("n".repeat(200)), 151 + 77).await;
}

#[tokio::test]
#[cfg(not(target_os = "linux"))]
async fn too_long_path_names_the_numbers() {
    let root = tempfile::tempdir().unwrap();
    let directory = deep(root.path(), 97);
    expect_too_long(&directory.join("ab"), 98).await;
    expect_too_long(&directory.join("n".repeat(50)), 98).await;
}

#[tokio::test]
async fn short_names_work() {
    let place = place();
    for name in ["a", "ab", "abcd"] {
        let endpoint = Endpoint::unix(place.directory.path().join(name)).unwrap();
        let mut listener = UnixTransport::new().listen(&endpoint).await.unwrap();
        expect_works(&endpoint, &mut *listener).await;
    }
}

#[tokio::test]
async fn missing_directory_is_named() {
    let place = place();
    let missing = place.directory.path().join("missing");
    let endpoint = Endpoint::unix(missing.join("notes.sock")).unwrap();
    let error = UnixTransport::new().listen(&endpoint).await.map(drop).unwrap_err();
    let expected =
        format!("socket directory {} does not exist; create it with mode 0700", missing.display());
    assert_eq!(error.to_string(), expected);

    let error = UnixTransport::new().connect(&endpoint).await.map(drop).unwrap_err();
    assert!(error.is_retryable(), "the server may create it: {error}");
}

#[tokio::test]
async fn shared_directory_is_refused_even_if_sticky() {
    let place = place();
    for mode in [0o1777, 0o777, 0o770] {
        fs::set_permissions(place.directory.path(), fs::Permissions::from_mode(mode)).unwrap();
        let connected = UnixTransport::new().connect(&place.endpoint).await.map(drop);
        for error in [place.refused().await, connected.expect_err("it is not safe")] {
            let text = error.to_string();
            let problem =
                format!("is writable by other users (mode {mode:04o}); use a 0700 directory");
            assert!(text.contains(&problem), "{text}");
        }
        assert!(place.names().is_empty());
    }
}

#[tokio::test]
async fn directory_further_up_that_others_can_write_is_named() {
    let place = place();
    let (open, private) = (place.directory.path().join("open"), "open/a/b");
    fs::create_dir_all(place.directory.path().join(private)).unwrap();
    let path = place.directory.path().join(private).join("s");
    let endpoint = Endpoint::unix(&path).unwrap();
    for mode in [0o777, 0o770, 0o775, 0o702] {
        fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
        let connected = UnixTransport::new().connect(&endpoint).await.map(drop);
        let listening = UnixTransport::new().listen(&endpoint).await.map(drop);
        for error in [connected.unwrap_err(), listening.unwrap_err()] {
            let expected = format!(
                "directory {}, which leads to the socket, is writable by other users (mode \
                 {mode:04o}); run `chmod go-w` on it, or use a 0700 directory such as ",
                fs::canonicalize(&open).unwrap().display()
            );
            assert!(error.to_string().starts_with(&expected), "{error}");
            assert!(!error.is_retryable());
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }
    for mode in [0o1777, 0o755, 0o700] {
        fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
        let mut listener = UnixTransport::new().listen(&endpoint).await.unwrap();
        expect_works(&endpoint, &mut *listener).await;
    }
}

#[tokio::test]
async fn symbolic_link_to_the_directory_is_judged_by_where_it_leads() {
    let place = place();
    let (safe, open) = (place.directory.path().join("safe"), place.directory.path().join("open"));
    for directory in [&safe, &open] {
        fs::create_dir(directory).unwrap();
    }
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let link = place.directory.path().join("link");
    symlink(&safe, &link).unwrap();
    let endpoint = Endpoint::unix(link.join("s")).unwrap();
    let mut listener = UnixTransport::new().listen(&endpoint).await.unwrap();
    expect_works(&endpoint, &mut *listener).await;
    assert!(fs::symlink_metadata(safe.join("s")).unwrap().file_type().is_socket());

    fs::remove_file(&link).unwrap();
    symlink(&open, &link).unwrap();
    let error = UnixTransport::new().connect(&endpoint).await.unwrap_err();
    let TransportError::DirectoryInsecure { path, .. } = error else { panic!("{error}") };
    assert_eq!(path, fs::canonicalize(&open).unwrap());
}

#[tokio::test]
async fn unwritable_directory_is_a_permission_error() {
    let place = place();
    fs::set_permissions(place.directory.path(), fs::Permissions::from_mode(0o500)).unwrap();
    if fs::write(place.directory.path().join("probe"), "").is_ok() {
        eprintln!("skipped: this user may write everywhere");
        return;
    }
    let error = place.refused().await;
    assert!(matches!(error, TransportError::PermissionDenied { .. }), "{error}");
}

#[test]
fn many_racing_servers_leave_exactly_one() {
    for _ in 0..100 {
        let place = place();
        // A stale socket makes every racer want to remove what is at the path.
        drop(StdListener::bind(&place.path).unwrap());
        let racing = (0..8).map(|_| {
            let endpoint = place.endpoint.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let runtime = runtime.unwrap();
                let listening = runtime.block_on(UnixTransport::new().listen(&endpoint));
                // The runtime goes with the listener, which must outlive the race.
                listening.map(|listener| (listener, runtime))
            })
        });
        let racing = racing.collect::<Vec<_>>();
        let results = racing.into_iter().map(|racer| racer.join().unwrap());
        let (won, lost): (Vec<_>, Vec<_>) = results.partition(Result::is_ok);
        assert_eq!(won.len(), 1);
        for error in lost.into_iter().filter_map(Result::err) {
            assert!(matches!(error, TransportError::AddressInUse { .. }), "{error}");
        }
        assert!(place.path.exists(), "the winner's socket must not be removed by a loser");
    }
}
