//! `blaze doctor`: names what keeps two nodes from syncing, and what to do about it.

mod clock;
mod database;
mod finding;
mod home;
mod limits;
mod process;
mod room;
mod session;
mod tcp;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod unix;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use blaze_sync::{Endpoint, EndpointError, Role};

use self::finding::{Finding, Status, parted};
use crate::args::AccessArgs;
use crate::output::Out;

/// What an endpoint begins with; anything else is a file.
const SCHEMES: [&str; 5] = ["unix:", "tcp:", "tls:", "unix-abstract:", "mem:"];
/// The database of a file for which no name was given.
const DEFAULT_NAME: &str = "main";

/// Names what is wrong with an endpoint, a database file or this device, and what to do
///
/// It only looks: nothing is made, changed, locked or removed, and a server that is asked who it is
/// notes no peer (its users see a link named "probe" that comes and goes). Given a file and an
/// endpoint, it asks as one that would sync the file there; given several files, as the first that
/// can be opened. Given nothing, it looks at the default
/// socket directory and each socket in it, at the limit of open files, and at the clock.
///
/// A line a check: ok, hint or fault. For each fault it then says what is wrong and what to do.
/// The exit code is 0 if there is no fault, and 1 if there is.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  blaze doctor                                      # sockets, limits and clock of this device
  blaze doctor unix:/run/user/1000/blaze/main.sock  # does anybody listen, who, what version?
  blaze doctor tcp://127.0.0.1:7117                 # who has the port, and is it Blaze?
  blaze doctor notes.blaze                          # password, lock, disk, format
  blaze doctor notes.blaze tls://office:7117        # can this file sync there, and if not, why?
  blaze doctor notes.blaze --json | jq '.[] | select(.status == \"fault\") | .remedy'

Checks:
  directory  the socket directory: there, and nobody else's to write
  socket     the path: its length, what is there, whether somebody listens, who
  port       who listens, or that the address isn't one to use
  tls        whether each side trusts the other's key
  session    whether it speaks Blaze, in which protocol version, of which database
  clock      whether this device's is plausible, and how far the server's is from it
  database   password, format, damage
  lock       who has the file open for writing
  writable   whether this user may write the file and its folder
  room       what is free on its disk
  files      how many files a process may have open")]
pub(crate) struct Args {
    /// Endpoints and database files; nothing looks at this device
    #[arg(value_name = "ENDPOINT|DB")]
    targets: Vec<OsString>,

    #[command(flatten)]
    access: AccessArgs,

    /// Print a JSON array of {"check", "status", "subject", "text", "remedy"}
    #[arg(long)]
    json: bool,
}

/// What was looked at has a fault, which was told.
#[derive(Debug, thiserror::Error)]
#[error("a fault was found")]
pub(crate) struct FaultFound;

/// The database that a server is asked for.
#[derive(Debug, Clone)]
struct Asked {
    name: String,
    /// The role of the file that is to sync.
    role: Role,
    /// Whether it is what a file says, or the user, rather than a guess.
    is_certain: bool,
    /// The file that is to sync, if one is given.
    file: Option<PathBuf>,
}

impl Asked {
    /// One that nobody has named.
    fn guessed(name: String) -> Self {
        Self { name, role: Role::default(), is_certain: false, file: None }
    }

    /// How to have somebody listen at an endpoint.
    fn server(&self, endpoint: &str) -> String {
        let file = self.file.as_ref().map_or("FILE".to_owned(), |file| file.display().to_string());
        format!("start the server: blaze serve {file} --listen {endpoint}")
    }
}

/// What to look at.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    Endpoint(Endpoint),
    /// A text that was to be an endpoint.
    NoEndpoint(String, EndpointError),
    File(PathBuf),
}

impl Args {
    pub(crate) async fn run(self) -> Result<()> {
        let findings = self.look().await?;
        let mut out = if self.json { Out::raw() } else { Out::styled() };
        if self.json {
            out.json(&findings)?;
        } else {
            finding::tell(&findings, &mut out)?;
        }
        out.flush()?;
        if findings.iter().any(|finding| finding.status == Status::Fault) {
            return Err(FaultFound.into());
        }
        Ok(())
    }

    async fn look(&self) -> Result<Vec<Finding>> {
        if self.targets.is_empty() {
            let device = vec![limits::open_files(), clock::own()];
            return Ok([home::check().await, device].concat());
        }
        let targets: Vec<_> = self.targets.iter().map(|text| target(text)).collect();
        let files = || {
            targets.iter().filter_map(|target| match target {
                Target::File(path) => Some(path.as_path()),
                _ => None,
            })
        };
        let mut findings = Vec::new();
        let mut opened = None;
        for path in files() {
            let looked = database::check(path, &self.access).await?;
            findings.extend(looked.findings);
            opened = opened.or_else(|| Some((looked.identity?, path)));
        }
        // Name, role and key are of one file, or the answer would be for a node that is none.
        let (name, role, file) = match opened {
            Some((identity, path)) => (Some(identity.database), identity.role, Some(path)),
            None => (self.access.database.clone(), Role::default(), files().next()),
        };
        for target in &targets {
            findings.extend(match target {
                Target::Endpoint(endpoint) => {
                    endpoint_check(endpoint, (name.as_deref(), role), file).await
                }
                Target::NoEndpoint(text, error) => vec![no_endpoint(text, error)],
                Target::File(_) => Vec::new(),
            });
        }
        Ok(findings)
    }
}

async fn endpoint_check(
    endpoint: &Endpoint,
    (name, role): (Option<&str>, Role),
    database: Option<&Path>,
) -> Vec<Finding> {
    let asked = Asked {
        name: name.map_or_else(|| guessed_name(endpoint), str::to_owned),
        role,
        is_certain: name.is_some(),
        file: database.map(Path::to_owned),
    };
    match endpoint.scheme() {
        "unix" => unix::check(endpoint, &asked, false).await,
        #[cfg(target_os = "linux")]
        "unix-abstract" => unix::check_name(endpoint, &asked).await,
        "tcp" => tcp::check(endpoint, &asked).await,
        #[cfg(feature = "tls")]
        "tls" => tls::check(endpoint, &asked).await,
        #[cfg(not(feature = "tls"))]
        "tls" => vec![Finding::fault(
            "endpoint",
            endpoint,
            "this program was built without the feature `tls`",
            "use one that was built with it, as it is by default",
        )],
        other => vec![Finding::fault(
            "endpoint",
            endpoint,
            format!("no other process reaches `{other}:` endpoints by this program"),
            "use unix:/PATH, tcp://127.0.0.1:PORT or tls://HOST:PORT",
        )],
    }
}

fn no_endpoint(text: &str, error: &EndpointError) -> Finding {
    let (problem, remedy) = parted(&error.to_string(), "write unix:/PATH or tcp://HOST:PORT");
    Finding::fault("endpoint", text, problem, remedy)
}

/// Default sockets are named after their databases.
fn guessed_name(endpoint: &Endpoint) -> String {
    let path = Path::new(endpoint.address());
    let named = path.extension().is_some_and(|extension| extension == "sock");
    let stem = path.file_stem().filter(|_| named && endpoint.scheme() == "unix");
    stem.map_or_else(|| DEFAULT_NAME.to_owned(), |stem| stem.to_string_lossy().into_owned())
}

fn target(text: &OsStr) -> Target {
    let endpoint = text.to_str().filter(|text| SCHEMES.iter().any(|it| text.starts_with(it)));
    match endpoint.map(|text| (text, text.parse())) {
        Some((_, Ok(endpoint))) => Target::Endpoint(endpoint),
        Some((text, Err(error))) => Target::NoEndpoint(text.to_owned(), error),
        None => socket(Path::new(text)).map_or_else(|| Target::File(text.into()), Target::Endpoint),
    }
}

/// The endpoint of a path at which a socket is.
fn socket(path: &Path) -> Option<Endpoint> {
    fs::metadata(path).ok()?.file_type().is_socket().then_some(())?;
    Endpoint::unix(std::path::absolute(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_told_from_files() {
        let at = |text: &str| target(OsStr::new(text));
        assert_eq!(at("notes.blaze"), Target::File("notes.blaze".into()));
        assert_eq!(at("/tmp/a:b"), Target::File("/tmp/a:b".into()));
        assert!(matches!(at("unix:/s"), Target::Endpoint(_)));
        assert!(matches!(at("tls://host:1"), Target::Endpoint(_)));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let endpoint = Endpoint::unix(&path).unwrap();
        assert_eq!(target(path.as_os_str()), Target::Endpoint(endpoint));
        let Target::NoEndpoint(text, error) = at("unix:s") else { panic!("it is relative") };
        let finding = no_endpoint(&text, &error);
        assert!(finding.text.ends_with("the path must be absolute"), "{}", finding.text);
        assert!(finding.remedy.unwrap().starts_with("write mem:NAME"));
    }

    #[test]
    fn a_socket_is_asked_for_the_database_of_its_name() {
        let guess = |text: &str| guessed_name(&text.parse().unwrap());
        assert_eq!(guess("unix:/run/notes.sock"), "notes");
        assert_eq!(guess("unix:/run/notes"), "main");
        assert_eq!(guess("tcp://127.0.0.1:1"), "main");
    }
}
