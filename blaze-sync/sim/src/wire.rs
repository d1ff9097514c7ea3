//! Frames on their way, and connections that are made and lost.

use blaze_codec::message::{BODY_BYTES_MAX, CompressionSet, Message};
use blaze_codec::{Mode, Seq};
use blaze_sync_protocol::{Input, Side};
use bytes::Bytes;

use crate::fault::Fault;
use crate::network::{Arrival, Connection, Wire};
use crate::world::{Event, Over, World};

/// Frames that are taken at once.
const FRAMES_MAX: usize = 256;
const KIND_CHANGES: u8 = 3;
const KIND_ROLL: u8 = 9;
/// The flags that say by what a frame of changes or of a roll is compressed.
const FLAGS_COMPRESSION: u8 = 0b110;
const KIND_DEFINITIONS: u8 = 10;
const KIND_PING: u8 = 5;
const KIND_PONG: u8 = 6;

impl World {
    /// Sends a frame from one side.
    pub(crate) fn send(&mut self, connection: u64, side: usize, frame: Bytes) {
        let kind = frame.first().copied().unwrap_or_default();
        let names = [
            "",
            "hello",
            "resume",
            "changes",
            "ack",
            "ping",
            "pong",
            "goodbye",
            "start",
            "roll",
            "definitions",
            "scope",
        ];
        let kinds = kind as usize;
        self.report.saw(names.get(kinds).copied().unwrap_or("unknown"));
        let flags = frame.get(1).copied().unwrap_or_default();
        if matches!(kind, KIND_CHANGES | KIND_ROLL) && flags & FLAGS_COMPRESSION != 0 {
            self.report.saw("compressed");
        }
        // Heartbeats would drown the story.
        if !matches!(kind, KIND_PING | KIND_PONG) {
            self.note("send", &[("connection", connection), ("side", side as u64)]);
            let bytes = frame.len();
            self.trace.detail(|| format!("{} of {bytes} bytes", names.get(kinds).unwrap_or(&"")));
        }
        self.trace.bytes(&frame);
        self.define(connection, side, &frame);
        self.check_frame(connection, side, &frame);
        let Some(found) = self.connections.get(connection) else { return };
        let frame = self.skewed(found.nodes[side], frame);
        let Some(found) = self.connections.get_mut(connection) else { return };
        let wire = &mut found.wires[side];
        if kind != KIND_CHANGES || wire.dead {
            self.push(connection, side, Arrival::Frame(frame));
            return;
        }
        let mishap = wire.mishap.take();
        if mishap == Some(Fault::Lose) {
            found.tainted = true;
            let dies_ms = self.rng.between(1, 1_000);
            self.happened(Fault::Lose, &[("connection", connection)]);
            self.schedule(dies_ms, Event::Over(Over::Dying { connection }));
            return;
        }
        wire.bytes += frame.len() as u64;
        let (queued, limits) = (wire.bytes, self.plan.limits);
        if mishap == Some(Fault::Duplicate) {
            found.tainted = true;
            wire.bytes += frame.len() as u64;
            self.happened(Fault::Duplicate, &[("connection", connection)]);
            self.push(connection, side, Arrival::Frame(frame.clone()));
        }
        let body_max = BODY_BYTES_MAX as u64;
        let bytes_max = limits.window_bytes.max(2 * body_max) + body_max;
        if queued > limits.window_bytes / 2 {
            self.report.saw("half of a window on its way");
        }
        if queued > bytes_max {
            let message = format!("{queued} bytes are on their way, at most {bytes_max} may be");
            self.fail("what a peer can make a node queue is bounded", message);
        }
        self.push(connection, side, Arrival::Frame(frame));
    }

    /// Takes note of what is told of a dictionary.
    fn define(&mut self, connection: u64, side: usize, frame: &Bytes) {
        let Some(found) = self.connections.get_mut(connection) else { return };
        if frame.first() == Some(&KIND_DEFINITIONS) {
            // What is wrong with them is for the session to say.
            let _ = found.wires[side].definitions.add(frame.get(2..).unwrap_or_default());
        }
    }

    /// What a node of another version of the protocol would say.
    fn skewed(&self, node: usize, frame: Bytes) -> Bytes {
        let Some((protocol_min, protocol_max)) = self.nodes[node].speaks else { return frame };
        let later_fields = |body: Bytes| Bytes::from([&body[..], &[1, 2, 3]].concat());
        match Message::decode(frame.clone()) {
            Ok(Message::Hello(mut hello)) => {
                hello.protocol_min = protocol_min;
                hello.protocol_max = protocol_max;
                // Later fields come behind what it reads and its scope, though that be nothing.
                let nothing: &[u8] = match (hello.reads == CompressionSet::EMPTY, hello.scope) {
                    (true, 0) => &[0, 0],
                    (false, 0) => &[0],
                    _ => &[],
                };
                let body = Message::Hello(hello).encode();
                later_fields([&body[..], nothing].concat().into())
            }
            Ok(
                Message::Changes(_)
                | Message::Roll(_)
                | Message::Definitions(_)
                | Message::Scope(_),
            )
            | Err(_) => frame,
            Ok(_) => later_fields(frame),
        }
    }

    /// Puts something on the wire from one side.
    pub(crate) fn push(&mut self, connection: u64, side: usize, arrival: Arrival) {
        let Some(found) = self.connections.get(connection) else { return };
        let latency_ms = self.links[found.link].latency_ms;
        let latency_ms = latency_ms + self.rng.below(latency_ms + 2);
        let now_ms = self.now_ms;
        let Some(found) = self.connections.get_mut(connection) else { return };
        let wire = &mut found.wires[side];
        if wire.dead {
            return;
        }
        wire.frames.push_back(arrival);
        wire.last_ms = wire.last_ms.max(now_ms + latency_ms);
        if !wire.held {
            let after_ms = wire.last_ms - now_ms;
            self.schedule(after_ms, Event::Deliver { connection, to: 1 - side });
        }
    }

    /// Something arrives at a side.
    pub(crate) fn deliver(&mut self, connection: u64, to: usize) {
        let Some(found) = self.connections.get_mut(connection) else { return };
        let wire = &mut found.wires[1 - to];
        if wire.dead || wire.held {
            return;
        }
        let Some(arrival) = wire.frames.pop_front() else { return };
        if let Some(end) = &mut found.ends[to] {
            end.inbox.push_back(arrival);
            self.take(connection, to);
            return;
        }
        // Nobody is there any more, and the sender hears of it if somebody can tell.
        let (node, is_frame) = (found.nodes[to], matches!(arrival, Arrival::Frame(_)));
        if is_frame && self.nodes[node].life.is_some() {
            self.push(connection, to, Arrival::Closed);
        }
    }

    /// A side takes what has arrived.
    pub(crate) fn take(&mut self, connection: u64, side: usize) {
        let Some(end) = self.connections.end(connection, side) else { return };
        if end.slow_until_ms > self.now_ms {
            return;
        }
        // What the frames speak of may be newer than what was last seen of the feed.
        self.tell_head(connection, side);
        for _ in 0..FRAMES_MAX {
            let Some(found) = self.connections.get_mut(connection) else { return };
            let (wire, end) = (&mut found.wires[1 - side], &mut found.ends[side]);
            let Some(arrival) = end.as_mut().and_then(|end| end.inbox.pop_front()) else { return };
            let input = match arrival {
                Arrival::Closed => Input::Disconnected("the peer closed it".to_owned()),
                Arrival::Frame(frame) => {
                    if frame.first() == Some(&KIND_CHANGES) {
                        wire.bytes = wire.bytes.saturating_sub(frame.len() as u64);
                    }
                    Input::Frame(frame)
                }
            };
            self.feed(connection, side, input);
        }
        self.schedule(0, Event::Take { connection, side });
    }

    pub(crate) fn connect_after(&mut self, link: usize, wait_ms: u64) {
        self.links[link].attempt += 1;
        let attempt = self.links[link].attempt;
        self.schedule(wait_ms, Event::Connect { link, attempt });
    }

    pub(crate) fn connect(&mut self, link: usize, attempt: u64) {
        let Some(found) = self.links.get(link) else { return };
        if found.gone || found.attempt != attempt || found.connection.is_some() {
            return;
        }
        let (nodes, mode, blocked) = (found.nodes, found.mode, found.blocked);
        let (scopes, overreaches) = (found.scopes.clone(), found.overreaches);
        let [ours, theirs] = scopes.clone();
        if self.nodes[nodes[0]].life.is_none() {
            // It connects when it is started.
            return;
        }
        let all = [Mode::Bidirectional, Mode::ReadOnly, Mode::WriteOnly];
        let allowed = all.into_iter().filter(|other| !found.refused || *other != mode).collect();
        let connector = self.session(nodes, 0, Side::Connector { mode }, ours);
        let acceptor = self.session(nodes, 1, Side::Acceptor { allowed }, theirs);
        let (Some(connector), Some(acceptor), false) = (connector, acceptor, blocked) else {
            self.note("unreachable", &[("link", link as u64)]);
            self.connect_again(link, false);
            return;
        };
        let connection = self.connections.add(Connection {
            link,
            nodes,
            mode,
            ends: [Some(connector), Some(acceptor)],
            wires: [Wire::default(), Wire::default()],
            tainted: false,
            scopes,
            overreaches,
        });
        self.note("connect", &[("link", link as u64), ("connection", connection)]);
        self.trace.detail(|| mode.to_string());
        self.links[link].connection = Some(connection);
        for side in [0, 1] {
            self.carry_out(connection, side);
            self.arm(connection, side);
        }
    }

    /// A connection is lost, with all that is in flight; the sides know at once.
    pub(crate) fn cut(&mut self, connection: u64) {
        self.note("cut", &[("connection", connection)]);
        let Some(found) = self.connections.get_mut(connection) else { return };
        for wire in &mut found.wires {
            wire.frames.clear();
            wire.dead = true;
        }
        for side in [0, 1] {
            self.feed(connection, side, Input::Disconnected("the connection was reset".to_owned()));
        }
    }

    /// Cuts the connections of a link.
    pub(crate) fn cut_link(&mut self, link: usize) {
        let of_link = self.connections.iter().filter(|(_, found)| found.link == link);
        for connection in of_link.map(|(number, _)| number).collect::<Vec<_>>() {
            self.cut(connection);
        }
    }

    /// Nothing passes over a link for now, or it passes again.
    pub(crate) fn hold(&mut self, link: usize, held: bool) {
        let mut late = Vec::new();
        for (number, found) in self.connections.iter_mut().filter(|(_, found)| found.link == link) {
            for (side, wire) in found.wires.iter_mut().enumerate() {
                wire.held = held;
                late.extend((0..wire.frames.len()).map(|_| (number, 1 - side)));
            }
        }
        for (connection, to) in late.into_iter().filter(|_| !held) {
            self.schedule(1, Event::Deliver { connection, to });
        }
    }

    /// How far a side's feed is acknowledged by its peer.
    pub(crate) fn acked(&self, connection: u64, side: usize) -> Option<Seq> {
        self.connections.end(connection, side)?.acked
    }
}
