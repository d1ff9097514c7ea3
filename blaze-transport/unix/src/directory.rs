//! The directory that holds sockets: where it is by default, and what makes one safe.

use std::{
    env,
    ffi::OsString,
    fs::{self, DirBuilder},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use blaze_transport::{Endpoint, EndpointError, TransportError};
use rustix::process::geteuid;

use crate::{SCHEME, path_error};

/// Who may write: the group and all others.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// What the environment must say for a default directory to be known.
const VARIABLES: &str =
    if cfg!(target_os = "macos") { "HOME" } else { "XDG_RUNTIME_DIR, XDG_STATE_HOME or HOME" };

/// The endpoint at which an app of this user is found under a name, such as `notes`.
///
/// It is `$XDG_RUNTIME_DIR/blaze/NAME.sock`, where the session has such a directory, else
/// `$XDG_STATE_HOME/blaze/run/NAME.sock` with `~/.local/state` as the default, and on macOS
/// `~/Library/Application Support/blaze/run/NAME.sock`. The directory is created with mode 0700
/// if it is missing. A shared directory such as `/tmp` is never chosen.
///
/// # Errors
///
/// If the name has a slash or is empty, if the environment names no directory, or if it can't be
/// created or is not safe.
///
/// ```no_run
/// let endpoint = blaze_transport_unix::default_endpoint("notes")?;
/// println!("listening at {endpoint}");
/// # Ok::<(), blaze_transport::TransportError>(())
/// ```
pub fn default_endpoint(name: &str) -> Result<Endpoint, TransportError> {
    endpoint_in(default_directory(|variable| env::var_os(variable)), name)
}

/// The endpoint of that name in a directory, which is created if it is missing.
pub(crate) fn endpoint_in(
    directory: Option<PathBuf>,
    name: &str,
) -> Result<Endpoint, TransportError> {
    if name.is_empty() || name.contains('/') {
        let problem = "a name must not be empty or have a slash";
        let (scheme, address) = (SCHEME.to_owned(), name.to_owned());
        return Err(EndpointError::AddressInvalid { scheme, address, problem }.into());
    }
    let directory = directory.ok_or(TransportError::DirectoryUnknown { missing: VARIABLES })?;
    let endpoint = Endpoint::unix(directory.join(format!("{name}.sock")))?;
    let created = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
    created.map_err(path_error("create the socket directory", &directory))?;
    check(&directory)?;
    Ok(endpoint)
}

/// Where sockets go by default, by the environment alone. Nothing is created.
pub(crate) fn default_directory(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // A relative path would mean another directory to every process.
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if cfg!(target_os = "macos") {
        return absolute("HOME").map(|home| home.join("Library/Application Support/blaze/run"));
    }
    if let Some(runtime) = absolute("XDG_RUNTIME_DIR") {
        return Some(runtime.join("blaze"));
    }
    let state = absolute("XDG_STATE_HOME");
    let state = state.or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    state.map(|state| state.join("blaze/run"))
}

/// A directory to name in messages.
pub(crate) fn suggested() -> PathBuf {
    let default = default_directory(|variable| env::var_os(variable));
    default.unwrap_or_else(|| format!("/run/user/{}/blaze", geteuid().as_raw()).into())
}

/// Checks that nobody but us, and root, who could anyway, can replace what is in the directory.
///
/// The sticky bit doesn't help: in `/tmp` a stranger can be there first.
pub(crate) fn check(directory: &Path) -> Result<(), TransportError> {
    let metadata = fs::metadata(directory);
    let metadata = metadata.map_err(path_error("look at the socket directory", directory))?;
    problem(metadata.mode(), metadata.uid(), geteuid().as_raw()).map_or(Ok(()), |problem| {
        Err(TransportError::DirectoryInsecure {
            path: directory.to_owned(),
            mode: metadata.mode() & 0o7777,
            problem,
            suggestion: suggested(),
        })
    })
}

/// What is wrong with a directory of this mode and owner for the user `uid`.
pub(crate) fn problem(mode: u32, owner: u32, uid: u32) -> Option<String> {
    if mode & WRITABLE_BY_OTHERS != 0 {
        return Some("writable by other users".to_owned());
    }
    if owner != uid && owner != 0 {
        return Some(format!("owned by uid {owner}, expected {uid}"));
    }
    None
}
