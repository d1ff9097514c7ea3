//! Another process: this very program, which plays a part instead of testing.

use std::{
    env,
    io::{BufRead, BufReader, ErrorKind, Read},
    os::{
        fd::OwnedFd,
        unix::{
            fs::PermissionsExt,
            net::{UnixListener as StdListener, UnixStream as StdStream},
            process::CommandExt,
        },
    },
    path::Path,
    process::{Child as Process, ChildStdout, Command, Stdio},
    thread::yield_now,
};

use blaze_transport::{Endpoint, Listener, Transport};
use blaze_transport_unix::{InheritedListeners, UnixTransport};

/// What tells the child its part.
const PART: &str = "BLAZE_TEST_PART";
/// What its words begin with, as the test harness writes to the same stream.
const MARK: &str = ">>> ";

/// A process that plays a part. Dropping it kills it.
pub(crate) struct Child {
    process: Process,
    words: BufReader<ChildStdout>,
}

impl Child {
    /// Starts the part, with what it is about, as another user if one is given.
    pub(crate) fn start(part: &str, about: &str, uid: Option<u32>) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        if let Some(uid) = uid {
            command = Command::new(readable_copy(Path::new(about).parent().unwrap()));
            command.uid(uid).gid(uid).current_dir("/");
        }
        Self::run(command.args(["--exact", "child::plays_its_part", "--nocapture"]), part, about)
    }

    /// Starts the part with a descriptor passed on, and these assignments in its environment.
    pub(crate) fn activated(part: &str, about: &str, passed: OwnedFd, variables: &str) -> Self {
        // Only a shell can name a process by its own id before it becomes another program. The
        // descriptor after the last one that counts is closed, whatever this process has there.
        let script = format!(r#"exec 3<&0 0</dev/null 4<&-; {variables} exec "$0" "$@""#);
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(script).arg(env::current_exe().unwrap()).stdin(passed);
        Self::run(command.args(["--exact", "child::plays_its_part", "--nocapture"]), part, about)
    }

    fn run(command: &mut Command, part: &str, about: &str) -> Self {
        command.env(PART, format!("{part} {about}")).stdout(Stdio::piped());
        let mut process = loop {
            match command.spawn() {
                // Another test's child, between its fork and its exec, still has the copy open.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => yield_now(),
                spawned => break spawned.expect("this program can be run"),
            }
        };
        let words = BufReader::new(process.stdout.take().expect("it is a pipe"));
        Self { process, words }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What the child says next.
    pub(crate) fn says(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.words.read_line(&mut line).unwrap(), 0, "the child ended in silence");
            if let Some((_, said)) = line.trim_end().split_once(MARK) {
                return said.to_owned();
            }
        }
    }

    /// Kills it at once, so that it cleans up nothing.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A copy of this program that other users can run, wherever it was built.
fn readable_copy(directory: &Path) -> std::path::PathBuf {
    let copy = directory.join("child");
    std::fs::copy(env::current_exe().unwrap(), &copy).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
    copy
}

fn say(words: impl std::fmt::Display) {
    println!("{MARK}{words}");
}

/// Does nothing, unless it was started as a child.
#[tokio::test]
async fn plays_its_part() {
    let Ok(part) = env::var(PART) else { return };
    let (part, about) = part.split_once(' ').unwrap();
    let path = Path::new(about);
    match part {
        "serve" => serve(listen(path).await).await,
        "knock" => knock(path),
        #[cfg(target_os = "linux")]
        "squat-name" => squat(&name_beside(path)),
        "squat" => squat(&StdListener::bind(path).unwrap()),
        "connect" => connect(UnixTransport::new(), path).await,
        "connect-to-root" => connect(UnixTransport::new().with_server_user(0), path).await,
        "bind-often" => bind_often(path).await,
        "inherit" => inherit().await,
        _ => panic!("no such part: {part}"),
    }
}

async fn listen(path: &Path) -> Box<dyn Listener> {
    UnixTransport::new().listen(&Endpoint::unix(path).unwrap()).await.unwrap()
}

/// Listens again and again, with a umask that would let everybody in.
async fn bind_often(path: &Path) {
    rustix::process::umask(rustix::fs::Mode::empty());
    for _ in 0..1000 {
        drop(listen(path).await);
    }
    say("done");
}

/// Serves at the one socket that was passed on.
async fn inherit() {
    let inherited = match InheritedListeners::from_env() {
        Ok(inherited) => inherited,
        Err(error) => return say(error),
    };
    let again = InheritedListeners::from_env().unwrap();
    assert_eq!(again.endpoints().count(), 0, "it is taken once");
    let Some((name, endpoint)) = inherited.endpoints().next() else { return say("nothing") };
    say(format!("{name} {endpoint}"));
    let endpoint = endpoint.clone();
    let transport = UnixTransport::new().with_inherited(inherited);
    serve(transport.listen(&endpoint).await.unwrap()).await;
}

/// Answers whoever connects with what it was sent.
async fn serve(mut listener: Box<dyn Listener>) {
    say("listening");
    loop {
        let mut peer = listener.accept().await.unwrap();
        while let Ok(Some(frame)) = peer.receiver.recv().await {
            peer.sender.feed(frame).unwrap();
            peer.sender.flush().await.unwrap();
        }
    }
}

/// Connects without any protocol, and says how much it was told.
fn knock(path: &Path) {
    let mut told = Vec::new();
    match StdStream::connect(path) {
        Ok(mut stream) => {
            // Hung up on: the end, or a reset.
            let _ = stream.read_to_end(&mut told);
            say(format!("told {} bytes", told.len()));
        }
        Err(error) => say(error.kind()),
    }
}

/// Listens at the abstract name that is written as a path.
#[cfg(target_os = "linux")]
fn name_beside(path: &Path) -> StdListener {
    use std::os::{linux::net::SocketAddrExt, unix::ffi::OsStrExt, unix::net::SocketAddr};

    let address = SocketAddr::from_abstract_name(path.as_os_str().as_bytes()).unwrap();
    StdListener::bind_addr(&address).unwrap()
}

/// Takes whatever it is sent by one client.
fn squat(listener: &StdListener) {
    say("squatting");
    let (mut stream, _) = listener.accept().unwrap();
    let mut taken = Vec::new();
    let _ = stream.read_to_end(&mut taken);
    say(format!("took {} bytes", taken.len()));
}

async fn connect(transport: UnixTransport, path: &Path) {
    match transport.connect(&Endpoint::unix(path).unwrap()).await {
        Ok(mut server) => {
            server.sender.feed("hello".into()).unwrap();
            server.sender.flush().await.unwrap();
            say("sent");
            // The server reads before the connection goes.
            let _ = server.receiver.recv().await;
        }
        Err(error) => say(error),
    }
}
