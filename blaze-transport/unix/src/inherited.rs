//! Listening sockets that this process was started with: socket activation.

use std::{
    env,
    ffi::OsString,
    os::unix::net::UnixListener as StdListener,
    path::PathBuf,
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use blaze_transport::{Endpoint, TransportError};
use listenfd::ListenFd;
use rustix::net::{SocketType, sockopt};
use tokio::net::UnixListener;

use crate::{bind::Identity, path::SocketPath, safety::Owners, watch::Watch};

/// The most sockets that are taken over.
const LISTEN_FDS_MAX: usize = 64;
/// What a socket is called if `LISTEN_FDNAMES` isn't set, as systemd has it.
const UNNAMED: &str = "unknown";

/// Listening sockets that a service manager made, for a transport to use where it would make one
/// of its own.
///
/// The manager chooses their paths, modes and owners, and removes them; no lock is taken beside
/// them. Their clients are held against the transport's list as all others are. A client finds
/// the *manager's* user at the other end, for that is who made the socket: see
/// [`UnixTransport::with_server_user`](crate::UnixTransport::with_server_user).
///
/// A listener that is closed doesn't free such a socket: clients may still connect, and wait
/// until it is listened at again or this process ends.
///
/// ```no_run
/// use blaze_transport_unix::{InheritedListeners, UnixTransport};
///
/// // As the first thing in `main`.
/// let inherited = InheritedListeners::from_env()?;
/// let endpoint = inherited.endpoint("sync").cloned();
/// let transport = UnixTransport::new().with_inherited(inherited);
/// # Ok::<(), blaze_transport::TransportError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct InheritedListeners {
    listeners: Vec<Arc<Inherited>>,
}

#[derive(Debug)]
struct Inherited {
    name: String,
    endpoint: Endpoint,
    listener: StdListener,
    lent: AtomicBool,
}

/// A socket to accept from until the lease ends.
pub(crate) struct Lent {
    pub(crate) listener: UnixListener,
    pub(crate) watch: Watch,
    pub(crate) lease: Lease,
}

/// The right to accept from an inherited socket; there is one at a time.
#[derive(Debug)]
pub(crate) struct Lease {
    inherited: Arc<Inherited>,
}

impl InheritedListeners {
    /// The sockets that systemd, or whoever speaks its protocol, passed to this process:
    /// `LISTEN_FDS` of them, if `LISTEN_PID` is this process, named by `LISTEN_FDNAMES`. None if
    /// it passed none. They are closed when other programs are run from here.
    ///
    /// Call it before anything else opens files or starts threads: descriptors are taken by
    /// their numbers, and the environment is changed, so that no child, and no second call,
    /// takes them once more.
    ///
    /// # Errors
    ///
    /// If the variables are malformed, or one of the descriptors is anything but a Unix stream
    /// socket that listens: of what is inherited by mistake nothing is used.
    pub fn from_env() -> Result<Self, TransportError> {
        let names = passed_names(|variable| env::var_os(variable), process::id())?;
        if names.is_empty() {
            return Ok(Self::default());
        }
        let mut passed = ListenFd::from_env();
        let mut listeners = Self::default();
        for (index, name) in names.into_iter().enumerate() {
            let taken = passed.take_unix_listener(index);
            let taken = taken.map_err(|error| unusable(&name, error.to_string()))?;
            let listener = taken.ok_or_else(|| unusable(&name, "it was taken before"))?;
            listeners = listeners.with_listener(&name, listener)?;
        }
        Ok(listeners)
    }

    /// Adds a socket that was inherited in another way, under a name. Default: none.
    ///
    /// # Errors
    ///
    /// If it isn't a Unix stream socket that listens at a path or an abstract name.
    pub fn with_listener(
        mut self,
        name: &str,
        listener: StdListener,
    ) -> Result<Self, TransportError> {
        let checked = |error: std::io::Error| unusable(name, error.to_string());
        // Fails for sockets of other families.
        let address = listener.local_addr().map_err(checked)?;
        if sockopt::socket_type(&listener).map_err(|error| checked(error.into()))?
            != SocketType::STREAM
        {
            return Err(unusable(name, "it is no stream socket"));
        }
        // Apple's systems don't tell; there, accepting fails.
        #[cfg(not(target_vendor = "apple"))]
        if !sockopt::socket_acceptconn(&listener).map_err(|error| checked(error.into()))? {
            return Err(unusable(name, "it doesn't listen"));
        }
        // The manager may have left it blocking.
        listener.set_nonblocking(true).map_err(checked)?;
        let endpoint = endpoint_of(&address).ok_or_else(|| unusable(name, "it has no path"))?;
        let name = name.to_owned();
        let lent = AtomicBool::new(false);
        self.listeners.push(Arc::new(Inherited { name, endpoint, listener, lent }));
        Ok(self)
    }

    /// The name and the endpoint of each socket, in the order in which they were passed.
    pub fn endpoints(&self) -> impl Iterator<Item = (&str, &Endpoint)> {
        self.listeners.iter().map(|inherited| (inherited.name.as_str(), &inherited.endpoint))
    }

    /// The endpoint of the first socket of a name: systemd's `FileDescriptorName=`, by default
    /// the name of the socket's unit.
    pub fn endpoint(&self, name: &str) -> Option<&Endpoint> {
        self.endpoints().find(|(found, _)| *found == name).map(|(_, endpoint)| endpoint)
    }

    /// The socket that was inherited for an endpoint, if there is one.
    ///
    /// # Errors
    ///
    /// If a listener has it already, or others could replace its file.
    pub(crate) fn lend(&self, endpoint: &Endpoint) -> Result<Option<Lent>, TransportError> {
        let found = self.listeners.iter().find(|inherited| inherited.endpoint == *endpoint);
        let Some(inherited) = found else { return Ok(None) };
        if inherited.lent.swap(true, Ordering::AcqRel) {
            let (endpoint, pid) = (endpoint.clone(), Some(process::id()));
            return Err(TransportError::AddressInUse { endpoint, pid });
        }
        let lease = Lease { inherited: Arc::clone(inherited) };
        let watch = Watch::new(inherited.files()?);
        let listener = inherited.listener.try_clone().and_then(UnixListener::from_std);
        let listener =
            listener.map_err(|error| TransportError::io(format!("listen at {endpoint}"), error))?;
        Ok(Some(Lent { listener, watch, lease }))
    }
}

impl Inherited {
    /// The socket's file, if it has one, checked as one of our own.
    fn files(&self) -> Result<Vec<(PathBuf, Identity)>, TransportError> {
        if self.endpoint.scheme() != crate::SCHEME {
            return Ok(Vec::new());
        }
        let owners = Owners::own();
        let path = SocketPath::resolve(&crate::path::of(&self.endpoint), &owners)?;
        let Some(metadata) = path.socket_metadata()? else {
            let problem = format!("{} was removed; restart its unit", path.full().display());
            return Err(unusable(&self.name, problem));
        };
        owners.check_socket(&path.full(), &metadata)?;
        Ok(vec![(path.full(), Identity::of(&metadata))])
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.inherited.lent.store(false, Ordering::Release);
    }
}

/// Where clients find a socket of this address; `None` if nowhere.
fn endpoint_of(address: &std::os::unix::net::SocketAddr) -> Option<Endpoint> {
    #[cfg(target_os = "linux")]
    {
        use std::os::linux::net::SocketAddrExt;

        if let Some(name) = address.as_abstract_name() {
            return Endpoint::unix_abstract(str::from_utf8(name).ok()?).ok();
        }
    }
    Endpoint::unix(address.as_pathname()?).ok()
}

/// The names of the sockets that were passed to the process `pid`.
fn passed_names(
    variable: impl Fn(&str) -> Option<OsString>,
    pid: u32,
) -> Result<Vec<String>, TransportError> {
    let text = |name: &str| variable(name).map(|value| value.to_string_lossy().into_owned());
    // What was meant for another process stayed in the environment by mistake.
    let (Some(meant), Some(count)) = (text("LISTEN_PID"), text("LISTEN_FDS")) else {
        return Ok(Vec::new());
    };
    if meant.parse() != Ok(pid) {
        return Ok(Vec::new());
    }
    let malformed =
        |what: String, problem: String| Err(TransportError::InheritedUnusable { what, problem });
    let count = match count.parse::<usize>() {
        Ok(number) if number <= LISTEN_FDS_MAX => number,
        _ => {
            let problem = format!("it must be a number up to {LISTEN_FDS_MAX}");
            return malformed(format!("LISTEN_FDS={count}"), problem);
        }
    };
    let Some(joined) = text("LISTEN_FDNAMES") else { return Ok(vec![UNNAMED.to_owned(); count]) };
    let names = joined.split(':').map(str::to_owned).collect::<Vec<_>>();
    if count > 0 && names.len() != count {
        let problem = format!("it has {} names for {count} sockets", names.len());
        return malformed(format!("LISTEN_FDNAMES={joined}"), problem);
    }
    Ok(names.into_iter().take(count).collect())
}

fn unusable(name: &str, problem: impl Into<String>) -> TransportError {
    let (what, problem) = (format!("inherited socket `{name}`"), problem.into());
    TransportError::InheritedUnusable { what, problem }
}

#[cfg(test)]
mod tests {
    use super::{LISTEN_FDS_MAX, passed_names};

    fn names(variables: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let found = passed_names(
            |name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()),
            4711,
        );
        found.map_err(|error| error.to_string())
    }

    #[test]
    fn only_what_was_passed_to_this_process_counts() {
        let (pid, two) = (("LISTEN_PID", "4711"), ("LISTEN_FDS", "2"));
        let none = Ok(Vec::new());
        assert_eq!(names(&[]), none);
        assert_eq!(names(&[two]), none);
        assert_eq!(names(&[("LISTEN_PID", "4712"), two]), none);
        assert_eq!(names(&[("LISTEN_PID", "x"), two]), none);
        assert_eq!(names(&[pid, ("LISTEN_FDS", "0"), ("LISTEN_FDNAMES", "")]), none);
        assert_eq!(names(&[pid, two]).unwrap(), ["unknown", "unknown"]);
        assert_eq!(names(&[pid, two, ("LISTEN_FDNAMES", "a:b")]).unwrap(), ["a", "b"]);
    }

    #[test]
    fn malformed_variables_are_named() {
        let (pid, two) = (("LISTEN_PID", "4711"), ("LISTEN_FDS", "2"));
        for count in ["", "-1", "x", "65", "99999999999999999999"] {
            let error = names(&[pid, ("LISTEN_FDS", count)]).unwrap_err();
            let problem = format!("LISTEN_FDS={count} is unusable: it must be a number up to 64");
            assert!(error.starts_with(&problem), "{error}");
        }
        assert_eq!(LISTEN_FDS_MAX, 64);
        let error = names(&[pid, two, ("LISTEN_FDNAMES", "a:b:c")]).unwrap_err();
        assert!(error.contains("it has 3 names for 2 sockets"), "{error}");
    }
}
