//! Where a peer is reached, as text that a person can write.

use std::{fmt, net::Ipv6Addr, path::Path, str::FromStr};

use crate::TransportError;

/// The forms that an endpoint can have, for messages.
const FORMS: &str = "write mem:NAME, unix:/PATH, unix-abstract:NAME, tcp://HOST:PORT, tls://HOST:PORT or, \
     for another transport, SCHEME:ADDRESS";
/// The longest abstract name: Linux has 108 bytes for it, and the first one is zero.
const ABSTRACT_BYTES_MAX: usize = 107;

/// The schemes whose addresses are `HOST:PORT`, written with `//` before them.
const WITH_HOST: [&str; 2] = ["tcp", "tls"];

/// Where a peer is reached: a scheme that chooses the transport, and an address within it.
///
/// | form | address | reaches |
/// |---|---|---|
/// | `mem:NAME` | any name | the same process |
/// | `unix:/PATH` | an absolute path | the same device |
/// | `unix-abstract:NAME` | an abstract name of Linux, of up to 107 bytes | the same network namespace |
/// | `tcp://HOST:PORT` | a host name, an IPv4 address or an IPv6 address in brackets | any device |
/// | `tls://HOST:PORT` | the same | any device, encrypted |
/// | `SCHEME:ADDRESS` | whatever a third-party transport takes | |
///
/// A Unix path must be absolute, because a relative one means something else to every process.
/// Nothing is escaped: the path stands as it is, `%` and spaces included. Control characters are
/// refused, as endpoints end up in logs.
///
/// ```
/// use blaze_transport::Endpoint;
///
/// let endpoint: Endpoint = "tcp://[::1]:7117".parse()?;
/// assert_eq!(endpoint.scheme(), "tcp");
/// assert_eq!(endpoint.address(), "[::1]:7117");
/// assert_eq!(endpoint.to_string(), "tcp://[::1]:7117");
/// # Ok::<(), blaze_transport::EndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    scheme: String,
    address: String,
}

/// Why a text is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// There is no colon.
    #[error("`{text}` is no endpoint: it names no scheme; {FORMS}")]
    SchemeMissing {
        /// The text that was given.
        text: String,
    },

    /// What stands before the colon is no scheme.
    #[error(
        "`{scheme}` is no scheme: it must be lower-case letters, digits, `+`, `-` or `.` and begin \
         with a letter; {FORMS}"
    )]
    SchemeInvalid {
        /// The part before the colon.
        scheme: String,
    },

    /// Nothing stands after the colon.
    #[error("`{scheme}:` lacks an address; {FORMS}")]
    AddressMissing {
        /// The part before the colon.
        scheme: String,
    },

    /// The address doesn't have the scheme's form.
    #[error("`{address}` is no address for the scheme `{scheme}`: {problem}; {FORMS}")]
    AddressInvalid {
        /// The part before the colon.
        scheme: String,
        /// The part after it.
        address: String,
        /// What is wrong.
        problem: &'static str,
    },
}

impl Endpoint {
    /// The endpoint `mem:name`.
    ///
    /// # Errors
    ///
    /// If the name is empty or has control characters.
    pub fn memory(name: &str) -> Result<Self, EndpointError> {
        Self::new("mem", name)
    }

    /// The endpoint `unix:path`.
    ///
    /// # Errors
    ///
    /// If the path is relative, not UTF-8, or has control characters.
    pub fn unix(path: impl AsRef<Path>) -> Result<Self, EndpointError> {
        let path = path.as_ref();
        let Some(text) = path.to_str() else {
            let lossy = path.to_string_lossy();
            return Err(invalid("unix", &lossy, "the path must be UTF-8"));
        };
        Self::new("unix", text)
    }

    /// The endpoint `unix-abstract:name`, which has no file. Only Linux has such.
    ///
    /// # Errors
    ///
    /// If the name is empty, has control characters or more than 107 bytes, or begins with `@`,
    /// by which other programs say that a name is abstract.
    pub fn unix_abstract(name: &str) -> Result<Self, EndpointError> {
        Self::new("unix-abstract", name)
    }

    /// The endpoint `tcp://host:port`. An IPv6 address may come with or without brackets.
    ///
    /// # Errors
    ///
    /// If the host is neither a name nor an address.
    pub fn tcp(host: &str, port: u16) -> Result<Self, EndpointError> {
        Self::with_host("tcp", host, port)
    }

    /// The endpoint `tls://host:port`. An IPv6 address may come with or without brackets.
    ///
    /// # Errors
    ///
    /// If the host is neither a name nor an address.
    pub fn tls(host: &str, port: u16) -> Result<Self, EndpointError> {
        Self::with_host("tls", host, port)
    }

    /// An endpoint of any scheme. The address of a `tcp` or `tls` endpoint is written without
    /// `//`.
    ///
    /// # Errors
    ///
    /// If the scheme is malformed, or the address doesn't have the form of a known scheme.
    pub fn new(scheme: &str, address: &str) -> Result<Self, EndpointError> {
        if !is_scheme(scheme) {
            return Err(EndpointError::SchemeInvalid { scheme: scheme.to_owned() });
        }
        if address.is_empty() {
            return Err(EndpointError::AddressMissing { scheme: scheme.to_owned() });
        }
        let problem = match scheme {
            _ if address.chars().any(char::is_control) => Some("it has control characters"),
            "unix" => unix_problem(address),
            "unix-abstract" => abstract_problem(address),
            _ if WITH_HOST.contains(&scheme) => host_problem(address),
            _ => None,
        };
        match problem {
            Some(problem) => Err(invalid(scheme, address, problem)),
            None => Ok(Self { scheme: scheme.to_owned(), address: address.to_owned() }),
        }
    }

    fn with_host(scheme: &str, host: &str, port: u16) -> Result<Self, EndpointError> {
        if host.parse::<Ipv6Addr>().is_ok() {
            return Self::new(scheme, &format!("[{host}]:{port}"));
        }
        Self::new(scheme, &format!("{host}:{port}"))
    }

    /// What chooses the transport: `mem`, `unix`, `tcp`, `tls` or another one's.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Checks that the endpoint is one of a transport's own, as every transport does first.
    ///
    /// # Errors
    ///
    /// [`TransportError::UnsupportedEndpoint`] if its scheme is another.
    pub fn expect_scheme(&self, scheme: &'static str) -> Result<(), TransportError> {
        if self.scheme == scheme {
            return Ok(());
        }
        Err(TransportError::UnsupportedEndpoint { endpoint: self.clone(), scheme })
    }

    /// The name, the path or `HOST:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let Some((scheme, address)) = text.split_once(':') else {
            return Err(EndpointError::SchemeMissing { text: text.to_owned() });
        };
        if !WITH_HOST.contains(&scheme) || address.is_empty() {
            return Self::new(scheme, address);
        }
        match address.strip_prefix("//") {
            Some(address) => Self::new(scheme, address),
            None => Err(invalid(scheme, address, "it must begin with //")),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slashes = if WITH_HOST.contains(&self.scheme.as_str()) { "//" } else { "" };
        write!(f, "{}:{slashes}{}", self.scheme, self.address)
    }
}

fn invalid(scheme: &str, address: &str, problem: &'static str) -> EndpointError {
    EndpointError::AddressInvalid {
        scheme: scheme.to_owned(),
        address: address.to_owned(),
        problem,
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte)
        })
}

fn unix_problem(address: &str) -> Option<&'static str> {
    if address.starts_with("//") {
        return Some("it has no host; one slash begins the path");
    }
    if !address.starts_with('/') {
        return Some("the path must be absolute");
    }
    address.ends_with('/').then_some("the path must name a socket, not a directory")
}

fn abstract_problem(name: &str) -> Option<&'static str> {
    if name.starts_with('@') {
        return Some("the scheme says that the name is abstract; leave the @ out");
    }
    (name.len() > ABSTRACT_BYTES_MAX).then_some("an abstract name has at most 107 bytes")
}

fn host_problem(address: &str) -> Option<&'static str> {
    let Some((host, port)) = address.rsplit_once(':') else {
        return Some("the port is missing");
    };
    // `u16::from_str` takes a leading plus sign, which no port has.
    if !port.bytes().all(|byte| byte.is_ascii_digit()) || port.parse::<u16>().is_err() {
        return Some("the port must be a number up to 65535");
    }
    if let Some(bracketed) = host.strip_prefix('[') {
        let inner = bracketed.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return inner.is_none().then_some("what stands in brackets must be an IPv6 address");
    }
    if host.is_empty() {
        return Some("the host is missing");
    }
    if host.contains(':') {
        return Some("an IPv6 address must stand in brackets");
    }
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (!host.bytes().all(is_host)).then_some("the host must be a name or an address")
}
