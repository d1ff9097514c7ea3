//! Whether a server speaks Blaze, in which version, of which database, and how its clock goes.

use blaze_sync::{
    Endpoint, Greeting, PeerInfo, Probed, Reason, SessionError, Transport, TransportError, probe,
};

use super::finding::Finding;
use super::process::described;
use super::{Asked, clock};

const CHECK: &str = "session";

/// Says hello to whoever listens at an endpoint, and goodbye. Where the transport doesn't tell
/// whose process that is, it may be known by other means.
///
/// # Errors
///
/// If no connection can be had.
pub(super) async fn check(
    transport: &dyn Transport,
    endpoint: &Endpoint,
    asked: &Asked,
    known_pid: Option<u32>,
) -> Result<(PeerInfo, Vec<Finding>), TransportError> {
    let Probed { process, greeting, .. } =
        probe(transport, endpoint, &asked.name, asked.role).await?;
    let subject = endpoint.to_string();
    let findings = match greeting {
        Ok(greeting) => vec![greeted(&subject, &greeting), clock::offset(&subject, &greeting)],
        Err(error) => {
            let pid = process.pid().or(known_pid);
            vec![refused(&subject, &error, asked, pid)]
        }
    };
    Ok((process, findings))
}

fn greeted(subject: &str, greeting: &Greeting) -> Finding {
    let peer = &greeting.peer;
    let text = format!(
        "{:?} answers, a {} that is node {}, at commit {}, in protocol version {}",
        peer.name, peer.role, peer.node, peer.head, peer.protocol
    );
    Finding::ok(CHECK, subject, text)
}

fn refused(subject: &str, error: &SessionError, asked: &Asked, pid: Option<u32>) -> Finding {
    let fault = |text: String, remedy: String| Finding::fault(CHECK, subject, text, remedy);
    let who = pid.map_or_else(|| "the program".to_owned(), described);
    let end = pid.map_or_else(|| "end it".to_owned(), |pid| format!("end it (kill {pid})"));
    match error {
        SessionError::ProtocolVersion { theirs_min, theirs_max, ours_min, ours_max } => {
            let older = if theirs_min > ours_max { "this program" } else { "the server" };
            fault(
                format!(
                    "the server speaks protocol versions {theirs_min} to {theirs_max}, this \
                     program {ours_min} to {ours_max}"
                ),
                format!("update {older}, which is the older one"),
            )
        }
        SessionError::PeerLeft { reason, message } => left(subject, *reason, message, asked),
        SessionError::Timeout { silence_ms } => fault(
            format!("{who} listens, but answered no hello within {silence_ms} ms"),
            format!(
                "if it is a server of Blaze it hangs, or has no room for another peer: {end} and \
                 start it anew; if it isn't, choose another endpoint than {subject}"
            ),
        ),
        SessionError::Role { .. } => fault(
            error.to_string(),
            "pair the two anew with the roles that they have, or change the server's role back"
                .to_owned(),
        ),
        other => fault(
            format!("{who} listens, but doesn't speak Blaze: {other}"),
            format!("{end}, or choose another endpoint than {subject}"),
        ),
    }
}

/// What a server says that won't go on.
fn left(subject: &str, reason: Reason, message: &str, asked: &Asked) -> Finding {
    let name = &asked.name;
    match reason {
        Reason::Database if asked.is_certain => Finding::fault(
            CHECK,
            subject,
            format!("it speaks Blaze, but serves another database than {name:?}"),
            "connect a file of the database that it serves, or name another endpoint",
        ),
        Reason::Database => Finding::hint(
            CHECK,
            subject,
            format!("it speaks Blaze, but serves another database than {name:?}"),
            "give the file that is to sync with it, or --database NAME, to learn more",
        ),
        Reason::Mode => Finding::ok(
            CHECK,
            subject,
            "it speaks Blaze, and lets nobody receive who doesn't send, so it says no more",
        ),
        Reason::Role => Finding::fault(
            CHECK,
            subject,
            format!("the server refuses this node's role: {message}"),
            "pair the two anew with the roles that they have, or change the role back",
        ),
        Reason::Scope => Finding::fault(
            CHECK,
            subject,
            format!("the server refuses this node for its policy: {message}"),
            "give the server's `blaze serve` a file of --policies with the policy that was agreed \
             (`blaze peers` there names it and sets another)",
        ),
        Reason::ProtocolVersion => Finding::fault(
            CHECK,
            subject,
            format!("the server refuses this program's protocol version: {message}"),
            "update the older side",
        ),
        _ => Finding::fault(
            CHECK,
            subject,
            format!("the server ended the session: {message}"),
            "try again; if it goes on, look at what the server's own output says",
        ),
    }
}
