//! A Unix socket: its place, whether anybody listens, and who.

use blaze_sync::{Endpoint, PeerInfo, SocketPlace, TransportError, UnixTransport, inspect_socket};

use super::finding::Finding;
use super::process::{self, Holder};
use super::{Asked, session, transport};

const CHECK: &str = "socket";

/// Looks at the endpoint, where somebody should listen unless it `may_be_stale`.
pub(super) async fn check(endpoint: &Endpoint, asked: &Asked, may_be_stale: bool) -> Vec<Finding> {
    let subject = endpoint.to_string();
    let place = match inspect_socket(endpoint) {
        Ok(place) => place,
        Err(error) => return vec![transport::fault(CHECK, &subject, &error)],
    };
    if !place.is_there {
        return vec![absent(&subject, asked, &place)];
    }
    match session::check(&UnixTransport::new(), endpoint, asked, None).await {
        Ok((server, findings)) => [vec![live(&subject, &server)], findings].concat(),
        Err(TransportError::NothingListens { .. }) if may_be_stale => {
            let remedy = "the next server replaces it, and nobody else need do anything";
            vec![Finding::hint(CHECK, &subject, stale(&place), remedy)]
        }
        Err(TransportError::NothingListens { .. }) => {
            let remedy = stale_remedy(&subject, asked, &place);
            vec![Finding::fault(CHECK, &subject, stale(&place), remedy)]
        }
        Err(error) => vec![transport::fault(CHECK, &subject, &error)],
    }
}

/// Looks at an abstract name, which leaves nothing behind where nobody listens.
#[cfg(target_os = "linux")]
pub(super) async fn check_name(endpoint: &Endpoint, asked: &Asked) -> Vec<Finding> {
    let subject = endpoint.to_string();
    match session::check(&UnixTransport::for_abstract_names(), endpoint, asked, None).await {
        Ok((server, findings)) => [vec![live(&subject, &server)], findings].concat(),
        Err(error @ TransportError::NothingListens { .. }) => {
            let text = error.to_string();
            let text = text.split("; ").next().unwrap_or_default();
            vec![Finding::fault(CHECK, &subject, text, asked.server(&subject))]
        }
        Err(error) => vec![transport::fault(CHECK, &subject, &error)],
    }
}

fn live(subject: &str, server: &PeerInfo) -> Finding {
    let who = server.pid().map_or_else(|| server.to_string(), process::described);
    Finding::ok(CHECK, subject, format!("{who} listens"))
}

fn absent(subject: &str, asked: &Asked, place: &SocketPlace) -> Finding {
    let last = place.noted_pid.map_or_else(
        || "and no server of Blaze was there before".to_owned(),
        |pid| format!("the last one that did was pid {pid}"),
    );
    let text = format!("nothing listens: there is no socket, {last}");
    Finding::fault(CHECK, subject, text, asked.server(subject))
}

fn stale(place: &SocketPlace) -> String {
    let last = place.noted_pid.map(|pid| format!(", which was pid {pid}")).unwrap_or_default();
    match process::lock_holder(&place.lock, place.noted_pid) {
        Holder::Process(pid) => format!(
            "the socket is stale: nobody listens, though {} holds {}",
            process::described(pid),
            place.lock.display()
        ),
        _ => format!("the socket is stale: nobody listens, its server was killed{last}"),
    }
}

fn stale_remedy(subject: &str, asked: &Asked, place: &SocketPlace) -> String {
    match process::lock_holder(&place.lock, place.noted_pid) {
        Holder::Process(pid) => {
            format!("end pid {pid} (kill {pid}), then {}", asked.server(subject))
        }
        _ => format!(
            "{}; it replaces the socket, and nobody else may remove it",
            asked.server(subject)
        ),
    }
}
