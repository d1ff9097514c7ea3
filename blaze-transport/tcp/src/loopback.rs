//! Which addresses an endpoint stands for, and that they don't leave the device.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use blaze_transport::{Endpoint, TransportError};

use crate::SCHEME;

/// The addresses to try, in order.
///
/// No resolver is asked, as it could answer with any address, and a question alone tells others
/// what is being connected.
///
/// # Errors
///
/// [`TransportError::UnsupportedEndpoint`] for another scheme and [`TransportError::NotLoopback`]
/// for every host but a loopback address and `localhost`.
pub(crate) fn addresses(endpoint: &Endpoint) -> Result<Vec<SocketAddr>, TransportError> {
    endpoint.expect_scheme(SCHEME)?;
    let address = endpoint.address().rsplit_once(':');
    let (host, port) = address.expect("a tcp endpoint has a host and a port");
    let port = port.parse().expect("a tcp endpoint's port is a number");
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.eq_ignore_ascii_case("localhost") {
        let both = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
        return Ok(both.map(|ip| SocketAddr::new(ip, port)).to_vec());
    }
    match host.parse::<IpAddr>() {
        Ok(ip) if ip.to_canonical().is_loopback() => Ok(vec![SocketAddr::new(ip, port)]),
        _ => {
            let address = host.to_owned();
            Err(TransportError::NotLoopback { endpoint: endpoint.clone(), address })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(endpoint: &str) -> Result<Vec<SocketAddr>, TransportError> {
        addresses(&endpoint.parse().unwrap())
    }

    #[test]
    fn loopback_is_allowed() {
        assert_eq!(resolve("tcp://127.0.0.1:1").unwrap(), ["127.0.0.1:1".parse().unwrap()]);
        assert_eq!(resolve("tcp://127.9.9.9:1").unwrap(), ["127.9.9.9:1".parse().unwrap()]);
        assert_eq!(resolve("tcp://[::1]:1").unwrap(), ["[::1]:1".parse().unwrap()]);
        let localhost = ["127.0.0.1:7".parse().unwrap(), "[::1]:7".parse().unwrap()];
        assert_eq!(resolve("tcp://LocalHost:7").unwrap(), localhost);
    }

    #[test]
    fn everything_else_is_refused_with_the_reason() {
        let beyond =
            ["0.0.0.0", "192.168.0.1", "example.org", "[::]", "[::ffff:10.0.0.1]", "127.1"];
        for host in beyond {
            let error = resolve(&format!("tcp://{host}:1")).expect_err(host);
            assert!(matches!(error, TransportError::NotLoopback { .. }), "{host}: {error}");
            assert!(!error.is_retryable());
            assert!(error.to_string().contains("plaintext TCP is limited to loopback"), "{error}");
        }
    }
}
