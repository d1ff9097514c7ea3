//! The directory that holds sockets by default.

use std::{env, ffi::OsString, fs::DirBuilder, os::unix::fs::DirBuilderExt, path::PathBuf};

use blaze_transport::{Endpoint, EndpointError, TransportError};
use rustix::process::geteuid;

use crate::{SCHEME, path_error, safety::Owners};

/// What the environment must say for a default directory to be known.
pub(crate) const VARIABLES: &str =
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
    Owners::own().resolve(&directory)?;
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
    default_directory(|variable| env::var_os(variable)).unwrap_or_else(short)
}

/// A directory to name in messages when the default one is unknown or too long.
pub(crate) fn short() -> PathBuf {
    format!("/run/user/{}/blaze", geteuid().as_raw()).into()
}
