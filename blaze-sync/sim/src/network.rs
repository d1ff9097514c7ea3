//! Links, connections over them, and what is on its way.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use blaze_codec::batch::Definitions;
use blaze_codec::{Mode, Seq};
use blaze_sync_engine::export::Export;
use blaze_sync_protocol::Session;
use bytes::Bytes;

use crate::fault::Fault;
use crate::scopes::Scopes;

/// The link of two nodes, as it is meant to be.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact by itself")]
pub(crate) struct Link {
    /// The node that connects, and the one that accepts.
    pub(crate) nodes: [usize; 2],
    pub(crate) mode: Mode,
    /// Whether the accepting side refuses the mode.
    pub(crate) refused: bool,
    pub(crate) latency_ms: u64,
    /// What is usual.
    pub(crate) latency_usual_ms: u64,
    /// Whether no connection can be made.
    pub(crate) blocked: bool,
    /// Attempts that failed in a row.
    pub(crate) failures: u32,
    /// The number of the attempt that is awaited.
    pub(crate) attempt: u64,
    /// The connection that the connecting side holds.
    pub(crate) connection: Option<u64>,
    pub(crate) gone: bool,
    /// Whether it has policies; what these are now; and which sides saw all for a while.
    pub(crate) limited: bool,
    /// The side that limits the other one, mostly alone.
    pub(crate) owner: usize,
    pub(crate) scopes: Scopes,
    pub(crate) was_unlimited: [bool; 2],
    /// Whether its sides send what they may not write.
    pub(crate) overreaches: bool,
}

/// A connection: two ends, and a wire from each.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) link: usize,
    pub(crate) nodes: [usize; 2],
    pub(crate) mode: Mode,
    pub(crate) ends: [Option<End>; 2],
    /// What each end sent.
    pub(crate) wires: [Wire; 2],
    /// Whether the transport broke its promise of each frame once, in order.
    pub(crate) tainted: bool,
    /// What each side lets the other one see and write.
    pub(crate) scopes: Scopes,
    /// Whether they send what they may not write.
    pub(crate) overreaches: bool,
}

/// One side of a connection.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) session: Session,
    pub(crate) started_ms: u64,
    /// The head of the local feed that the session was told.
    pub(crate) head: Seq,
    /// What has arrived and wasn't taken.
    pub(crate) inbox: VecDeque<Arrival>,
    /// Until when nothing is taken.
    pub(crate) slow_until_ms: u64,
    /// When the next look at the session's timeout is due.
    pub(crate) timer_ms: Option<u64>,
    /// How far the peer is known to have this side's feed.
    pub(crate) acked: Option<Seq>,
    /// How far the peer is known to have it for good.
    pub(crate) settled: Seq,
    /// Whether the peer is registered.
    pub(crate) registered: bool,
    /// Whether changes were read back from the database.
    pub(crate) read_back: bool,
    /// Losses of the peer's node when the session began.
    pub(crate) peer_losses: u64,
    /// What of the feed the peer gets, if that isn't all.
    pub(crate) export: Option<Arc<Export>>,
}

/// What an end sent that didn't arrive yet.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    pub(crate) frames: VecDeque<Arrival>,
    /// When the last of them arrives.
    pub(crate) last_ms: u64,
    /// Bytes of changes that the other end didn't take yet.
    pub(crate) bytes: u64,
    /// Nothing arrives for now.
    pub(crate) held: bool,
    /// Nothing arrives any more, and nobody says so.
    pub(crate) dead: bool,
    /// What happens to the next frame of changes.
    pub(crate) mishap: Option<Fault>,
    /// What was told of the sender's dictionary.
    pub(crate) definitions: Definitions,
    /// Of a limited link, the pieces so far of changes that go on.
    pub(crate) pieces: Vec<u8>,
}

/// What arrives.
#[derive(Debug)]
pub(crate) enum Arrival {
    Frame(Bytes),
    Closed,
}

/// All connections, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    all: BTreeMap<u64, Connection>,
    made: u64,
}

impl Connections {
    pub(crate) fn add(&mut self, connection: Connection) -> u64 {
        self.made += 1;
        self.all.insert(self.made, connection);
        self.made
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Connection> {
        self.all.get(&number)
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Connection> {
        self.all.get_mut(&number)
    }

    pub(crate) fn end(&self, number: u64, side: usize) -> Option<&End> {
        self.all.get(&number)?.ends[side].as_ref()
    }

    pub(crate) fn end_mut(&mut self, number: u64, side: usize) -> Option<&mut End> {
        self.all.get_mut(&number)?.ends[side].as_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Connection)> {
        self.all.iter().map(|(number, connection)| (*number, connection))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut Connection)> {
        self.all.iter_mut().map(|(number, connection)| (*number, connection))
    }

    /// The sessions of a node.
    pub(crate) fn of_node(&self, node: usize) -> Vec<(u64, usize)> {
        let sides = self
            .all
            .iter()
            .flat_map(|(number, connection)| [0, 1].map(|side| (*number, side, connection)));
        sides
            .filter(|(_, side, connection)| {
                connection.nodes[*side] == node && connection.ends[*side].is_some()
            })
            .map(|(number, side, _)| (number, side))
            .collect()
    }

    /// Forgets a connection of which neither end is left.
    pub(crate) fn tidy(&mut self, number: u64) {
        if self.get(number).is_some_and(|connection| connection.ends.iter().all(Option::is_none)) {
            self.all.remove(&number);
        }
    }
}

/// Whether a side of a link sends changes.
pub(crate) const fn sends(mode: Mode, side: usize) -> bool {
    if side == 0 { mode.connector_sends() } else { mode.acceptor_sends() }
}
