//! Endpoints are read and written the same, and what is none says why.

use blaze_transport::{Endpoint, EndpointError, TransportError};

#[test]
fn every_form_is_read_and_written_the_same() {
    let forms = [
        ("mem:notes", "mem", "notes"),
        ("mem:any name at all", "mem", "any name at all"),
        ("unix:/run/user/1000/blaze/notes.sock", "unix", "/run/user/1000/blaze/notes.sock"),
        ("unix:/with space/100%/ä.sock", "unix", "/with space/100%/ä.sock"),
        ("unix-abstract:blaze/notes 1", "unix-abstract", "blaze/notes 1"),
        ("tcp://127.0.0.1:7117", "tcp", "127.0.0.1:7117"),
        ("tcp://localhost:0", "tcp", "localhost:0"),
        ("tcp://[::1]:65535", "tcp", "[::1]:65535"),
        ("tls://notes.example:7117", "tls", "notes.example:7117"),
        ("tls://[2001:db8::1]:7117", "tls", "[2001:db8::1]:7117"),
        ("nats://host/subject", "nats", "//host/subject"),
        ("serial+usb:/dev/ttyUSB0", "serial+usb", "/dev/ttyUSB0"),
    ];
    for (text, scheme, address) in forms {
        let endpoint: Endpoint = text.parse().expect(text);
        assert_eq!((endpoint.scheme(), endpoint.address()), (scheme, address));
        assert_eq!(endpoint.to_string(), text);
        assert_eq!(Endpoint::new(scheme, address).unwrap(), endpoint);
    }
}

#[test]
fn constructors_write_the_forms() {
    assert_eq!(Endpoint::memory("notes").unwrap().to_string(), "mem:notes");
    assert_eq!(Endpoint::unix("/a/b.sock").unwrap().to_string(), "unix:/a/b.sock");
    assert_eq!(Endpoint::unix_abstract("a").unwrap().to_string(), "unix-abstract:a");
    assert!(Endpoint::unix_abstract(&"n".repeat(107)).is_ok());
    assert_eq!(Endpoint::tcp("localhost", 1).unwrap().to_string(), "tcp://localhost:1");
    assert_eq!(Endpoint::tcp("::1", 1).unwrap(), Endpoint::tcp("[::1]", 1).unwrap());
    assert_eq!(Endpoint::tls("::1", 1).unwrap().to_string(), "tls://[::1]:1");
    assert!(Endpoint::unix("relative.sock").is_err());
    assert!(Endpoint::tls("a b", 1).is_err());
    assert!(Endpoint::tcp("a b", 1).is_err());
}

#[test]
fn what_is_no_endpoint_says_why_and_lists_the_forms() {
    let too_long = format!("unix-abstract:{}", "n".repeat(108));
    let wrong = [
        ("", "names no scheme"),
        ("/run/notes.sock", "names no scheme"),
        ("C:\\notes", "`C` is no scheme"),
        (":x", "`` is no scheme"),
        ("mem:", "`mem:` lacks an address"),
        ("tcp:", "`tcp:` lacks an address"),
        ("tcp://", "`tcp:` lacks an address"),
        ("mem:a\nb", "control characters"),
        ("unix:notes.sock", "the path must be absolute"),
        ("unix:///run/notes.sock", "one slash begins the path"),
        ("unix:/run/", "must name a socket, not a directory"),
        ("unix-abstract:", "`unix-abstract:` lacks an address"),
        ("unix-abstract:@notes", "leave the @ out"),
        ("unix-abstract:\0notes", "control characters"),
        (&too_long, "at most 107 bytes"),
        ("tcp:localhost:1", "must begin with //"),
        ("tls:localhost:1", "must begin with //"),
        ("tls:", "`tls:` lacks an address"),
        ("tls://localhost", "the port is missing"),
        ("tls://user@host:1", "the host must be a name or an address"),
        ("tcp://localhost", "the port is missing"),
        ("tcp://localhost:", "the port must be a number"),
        ("tcp://localhost:65536", "the port must be a number"),
        ("tcp://localhost:+1", "the port must be a number"),
        ("tcp://:1", "the host is missing"),
        ("tcp://::1:1", "must stand in brackets"),
        ("tcp://[::1:1", "in brackets must be an IPv6 address"),
        ("tcp://[localhost]:1", "in brackets must be an IPv6 address"),
        ("tcp://user@host:1", "the host must be a name or an address"),
        ("tcp://host/path:1", "the host must be a name or an address"),
    ];
    for (text, reason) in wrong {
        let error = text.parse::<Endpoint>().expect_err(text).to_string();
        assert!(error.contains(reason), "{text}: {error}");
        assert!(
            error.contains("write mem:NAME, unix:/PATH, unix-abstract:NAME, tcp://HOST:PORT, tls://HOST:PORT or,"),
            "{error}"
        );
    }
}

#[test]
fn a_network_that_is_away_is_worth_another_try() {
    use std::io::ErrorKind::{HostUnreachable, InvalidInput, NetworkDown, NetworkUnreachable};
    for kind in [HostUnreachable, NetworkDown, NetworkUnreachable] {
        assert!(TransportError::io("connect", kind.into()).is_retryable(), "{kind}");
    }
    assert!(!TransportError::io("connect", InvalidInput.into()).is_retryable());
}

#[test]
fn an_invalid_endpoint_is_not_worth_another_try() {
    let error = TransportError::from("x".parse::<Endpoint>().unwrap_err());
    assert!(matches!(error, TransportError::Endpoint(EndpointError::SchemeMissing { .. })));
    assert!(!error.is_retryable());
}
