//! A TCP port: whether it can be reached and listened at, and who does.

use std::net::{IpAddr, UdpSocket};

use blaze_sync::{Endpoint, TcpTransport, TransportError};

use super::finding::Finding;
use super::process::{self, PortHolder};
use super::{Asked, session, transport};

const CHECK: &str = "port";

/// Looks at the endpoint, where somebody should listen.
pub(super) async fn check(endpoint: &Endpoint, asked: &Asked) -> Vec<Finding> {
    let subject = endpoint.to_string();
    let (host, port) = host_and_port(endpoint);
    // Before it is connected to, which may end it.
    let holder = holder(host, port);
    let (in_use, pid) = (in_use(&subject, port, holder.as_ref()), holder.and_then(|it| it.pid));
    match session::check(&TcpTransport::plaintext_loopback(), endpoint, asked, pid).await {
        Ok((_, findings)) => [vec![in_use], findings].concat(),
        Err(TransportError::NotLoopback { .. }) => vec![beyond(&subject, host, port)],
        Err(TransportError::NothingListens { .. }) => vec![Finding::fault(
            CHECK,
            &subject,
            format!("nothing listens at port {port} of this device{}", others(host, port)),
            asked.server(&subject),
        )],
        Err(error) => vec![transport::fault(CHECK, &subject, &error)],
    }
}

/// Who listens at a port of this device where a host's clients reach it.
pub(super) fn holder(host: &str, port: u16) -> Option<PortHolder> {
    process::port_holder(port, |ip| is_reached(ip, host))
}

/// Tells who has a port that somebody listens at.
pub(super) fn in_use(subject: &str, port: u16, holder: Option<&PortHolder>) -> Finding {
    Finding::ok(CHECK, subject, format!("in use by {}", who(holder, port)))
}

fn who(holder: Option<&PortHolder>, port: u16) -> String {
    let ask = format!("as root: ss -ltnp 'sport = :{port}'");
    match holder {
        None => format!("a process that the system doesn't name ({ask})"),
        Some(PortHolder { pid: Some(pid), .. }) => process::described(*pid),
        Some(PortHolder { uid, .. }) => {
            format!("a process of uid {uid}, which this user can't see ({ask})")
        }
    }
}

/// Who listens at the port, but at another address.
fn others(host: &str, port: u16) -> String {
    let other = process::port_holder(port, |ip| !is_reached(ip, host));
    other.map_or_else(String::new, |other| {
        format!(", though {} does at {}", who(Some(&other), port), other.ip)
    })
}

fn beyond(subject: &str, host: &str, port: u16) -> Finding {
    let place = match host.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() => "stands for all addresses of this device",
        Ok(ip) if is_own(ip) => "is an address at which others reach this device",
        Ok(_) => "is no address of this device, so that nobody can listen at it here",
        Err(_) => "is a name, which could stand for any address",
    };
    Finding::fault(
        CHECK,
        subject,
        format!("plaintext TCP is limited to loopback, and {host} {place}"),
        format!(
            "on one device use tcp://127.0.0.1:{port} or a unix: socket, between devices \
             tls://{host}:{port}"
        ),
    )
}

/// Whether this device has the address. A datagram socket sends nothing when it is bound.
pub(super) fn is_own(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// Whether who listens at an address is met by who connects to a host.
fn is_reached(listens: IpAddr, host: &str) -> bool {
    let localhost = host.eq_ignore_ascii_case("localhost") && listens.is_loopback();
    listens.is_unspecified() || localhost || host.parse() == Ok(listens)
}

/// The host without brackets, and the port.
pub(super) fn host_and_port(endpoint: &Endpoint) -> (&str, u16) {
    let (host, port) = endpoint.address().rsplit_once(':').unwrap_or_default();
    (host.trim_start_matches('[').trim_end_matches(']'), port.parse().unwrap_or_default())
}
