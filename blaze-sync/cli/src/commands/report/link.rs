//! What is told of a link.

use blaze_sync::{Compression, Direction, LinkState, LinkStatus, Peer};
use serde_json::json;

use crate::output::{BAD, GOOD, NAME, NOTABLE, printable};

/// What is told of a link, to people, if it's worth a line.
pub(super) fn text(status: &LinkStatus) -> Option<String> {
    let endpoint = printable(&status.endpoint);
    let peer = status.peer.as_ref();
    let name = printable(peer.map_or("a peer", |peer| &peer.name));
    let details = peer.map(details).unwrap_or_default();
    Some(match &status.state {
        // Whoever connects to us is worth a line once we know who it is.
        LinkState::Connecting if status.direction == Direction::Incoming => return None,
        LinkState::Connecting => format!("connecting to {endpoint}"),
        LinkState::Hub => format!("{GOOD}listening{GOOD:#} at {endpoint} for those who join"),
        LinkState::Syncing => {
            format!("{GOOD}connected{GOOD:#} to {NAME}{name}{NAME:#}{details} at {endpoint}")
        }
        LinkState::Live => format!("{GOOD}in sync{GOOD:#} with {NAME}{name}{NAME:#}{details}"),
        LinkState::Waiting { reason, refused, .. } => {
            let (style, what) =
                if *refused { (BAD, "refused") } else { (NOTABLE, "not connected") };
            let reason = printable(reason);
            format!("{style}{what}{style:#} at {endpoint}: {reason}; trying again")
        }
        LinkState::Closed { reason } if peer.is_some() => {
            format!(
                "{NOTABLE}disconnected{NOTABLE:#} from {NAME}{name}{NAME:#}: {}",
                printable(reason)
            )
        }
        LinkState::Closed { reason } => {
            format!("{BAD}refused{BAD:#} a peer at {endpoint}: {}", printable(reason))
        }
        _ => return None,
    })
}

/// What a peer is, and how it is sent to if that isn't as it is.
fn details(peer: &Peer) -> String {
    let Peer { role, mode, compression, .. } = peer;
    match compression {
        Compression::None => format!(" ({role}, {mode})"),
        compression => format!(" ({role}, {mode}, {compression})"),
    }
}

/// The same, to programs.
pub(super) fn object(status: &LinkStatus) -> serde_json::Value {
    let (state, reason) = match &status.state {
        LinkState::Connecting => ("connecting", None),
        LinkState::Hub => ("hub", None),
        LinkState::Syncing => ("syncing", None),
        LinkState::Live => ("live", None),
        LinkState::Waiting { reason, .. } => ("waiting", Some(reason)),
        LinkState::Closed { reason } => ("closed", Some(reason)),
        _ => ("other", None),
    };
    let direction = match status.direction {
        Direction::Outgoing => "outgoing",
        Direction::Incoming => "incoming",
    };
    let peer = status.peer.as_ref().map(|peer| {
        json!({
            "name": peer.name, "node": peer.node.to_string(), "role": peer.role.to_string(),
            "mode": peer.mode.to_string(), "compression": peer.compression.to_string(),
        })
    });
    json!({
        "event": "link", "state": state, "reason": reason.map(ToString::to_string),
        "refused": matches!(status.state, LinkState::Waiting { refused: true, .. }),
        "direction": direction, "endpoint": status.endpoint.to_string(), "peer": peer,
    })
}
