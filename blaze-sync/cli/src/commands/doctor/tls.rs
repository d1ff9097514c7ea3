//! A TLS port: whether the two sides trust each other, and if not, which of them refuses.

use std::path::Path;

use blaze_sync::{
    Endpoint, HandshakeError, KeyFileError, KeyPair, TlsTransport, TransportError, TrustStore,
};

use super::finding::{Finding, parted, with_causes};
use super::{Asked, session, tcp, transport};
use crate::trust::TrustArgs;

const CHECK: &str = "tls";

/// Looks at the endpoint, as the node whose database is given.
pub(super) async fn check(endpoint: &Endpoint, asked: &Asked) -> Vec<Finding> {
    let subject = endpoint.to_string();
    let tls = match asked.file.as_deref().map_or_else(stranger, node) {
        Ok(tls) => tls,
        Err(finding) => return vec![*finding],
    };
    let (host, port) = tcp::host_and_port(endpoint);
    // Another device's processes aren't seen from here.
    let is_own = host.parse().is_ok_and(tcp::is_own);
    let holder = is_own.then(|| tcp::holder(host, port)).flatten();
    let in_use = holder.map(|holder| tcp::in_use(&subject, port, Some(&holder)));
    let pid = holder.and_then(|holder| holder.pid);
    let found = match session::check(&tls, endpoint, asked, pid).await {
        Ok((server, findings)) => {
            let text = format!("this node and {server} trust each other");
            [vec![Finding::ok(CHECK, &subject, text)], findings].concat()
        }
        Err(TransportError::NothingListens { .. }) => vec![Finding::fault(
            "port",
            &subject,
            format!("nothing listens at port {port} of {host}"),
            format!("{}; if it runs, look at the firewall between", asked.server(&subject)),
        )],
        Err(error @ TransportError::Io { .. }) => vec![Finding::fault(
            "port",
            &subject,
            with_causes(&error),
            format!("check the name and the network: getent hosts {host}, ping {host}"),
        )],
        Err(error) => vec![refused(&subject, &error, asked.file.is_some())],
    };
    in_use.into_iter().chain(found).collect()
}

/// The node of a database, by its key and the peers that it trusts.
fn node(database: &Path) -> Result<TlsTransport, Box<Finding>> {
    let path = database.canonicalize().unwrap_or_else(|_| database.to_owned());
    let files = TrustArgs::default();
    let (key, peers) = (files.key_path(&path), files.peers.path(&path));
    let unpaired = format!(
        "pair the node with its peer, which makes it: blaze pair {} tls://HOST:PORT, or blaze join {0}",
        path.display()
    );
    let key = KeyPair::open(&key).map_err(|error| {
        let (text, remedy) = match &error {
            KeyFileError::Missing { .. } => (error.to_string(), unpaired),
            other => parted(&with_causes(other), "look at what the system says"),
        };
        Box::new(Finding::fault(CHECK, key.display(), text, remedy))
    })?;
    let trust = TrustStore::open(&peers).map_err(|error| {
        let (text, remedy) = parted(&with_causes(&error), "look at what the system says");
        Box::new(Finding::fault(CHECK, peers.display(), text, remedy))
    })?;
    Ok(TlsTransport::new(&key, trust))
}

/// A node that trusts nobody, and so hears no more than whose key is there.
fn stranger() -> Result<TlsTransport, Box<Finding>> {
    let key = KeyPair::generate().map_err(|error| {
        let (text, remedy) = parted(&with_causes(&error), "look at what the system says");
        Box::new(Finding::fault(CHECK, "a key for this look", text, remedy))
    })?;
    Ok(TlsTransport::new(&key, TrustStore::in_memory()))
}

fn refused(subject: &str, error: &TransportError, is_known: bool) -> Finding {
    match HandshakeError::of(error) {
        Some(HandshakeError::PeerUntrusted { fingerprint }) if !is_known => Finding::hint(
            CHECK,
            subject,
            format!("a node whose key is {fingerprint} listens"),
            "give the file that is to sync with it, to learn whether the two trust each other",
        ),
        Some(reason) => {
            let otherwise = "look at what both sides say, and try again";
            let (text, remedy) = parted(&reason.to_string(), otherwise);
            Finding::fault(CHECK, subject, text, remedy)
        }
        None => transport::fault(CHECK, subject, error),
    }
}
