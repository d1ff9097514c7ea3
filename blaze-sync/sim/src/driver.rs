//! Drives the sessions: what the engine does around them, on virtual time.

use std::collections::VecDeque;
use std::sync::Arc;

use blaze_codec::message::{Body, Encoded, Reason, encode_changes};
use blaze_codec::{Checkpoint, NodeId, Scope, Seq};
use blaze_db_adapter::DatabaseAdapter;
use blaze_sync_engine::{Backoff, RENEWAL_WAIT, outgoing};
use blaze_sync_protocol::{
    Event as Told, Input, LocalNode, Moment, Outgoing, OutgoingItem, Output, Session,
    SessionConfig, SessionError, Side,
};

use crate::Driver;
use crate::network::{Arrival, End};
use crate::node::Job;
use crate::ready::ready;
use crate::world::{Event, World};

/// The database's name; only replicas of one sync.
const DATABASE: &str = "main";

impl World {
    /// A session at one side of a new connection.
    pub(crate) fn session(
        &self,
        nodes: [usize; 2],
        side: usize,
        kind: Side,
        scope: Option<Arc<Scope>>,
    ) -> Option<End> {
        let (node, peer) = (&self.nodes[nodes[side]], &self.nodes[nodes[1 - side]]);
        let life = node.life.as_ref()?;
        let history = life.history()?;
        let identity = life.database.identity();
        let head = life.head();
        let local = LocalNode {
            node: identity.node,
            former: identity.former,
            history,
            database: DATABASE.to_owned(),
            name: format!("node {}", nodes[side]),
            role: identity.role,
            head,
        };
        let limits = self.plan.limits;
        let (compression, reads) = self.plan.compression(self.seed, nodes[side]);
        // No role is agreed on: they change as they like here.
        let config = SessionConfig::new(local, kind);
        let config = SessionConfig { scope, limits, compression, reads, ..config };
        let now = Moment { mono_ms: 0, wall_ms: node.clock.now_ms() };
        Some(End {
            session: Session::new(config, now),
            started_ms: self.now_ms,
            head,
            inbox: VecDeque::new(),
            slow_until_ms: 0,
            timer_ms: None,
            acked: None,
            settled: Seq::ZERO,
            registered: false,
            read_back: false,
            peer_losses: peer.losses,
            export: None,
        })
    }

    /// Feeds a session, carries out what it asks for, and feeds it the answers.
    pub(crate) fn feed(&mut self, connection: u64, side: usize, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let Some(now) = self.moment(connection, side) else { return };
            let Some(end) = self.connections.end_mut(connection, side) else { return };
            if let Err(error) = end.session.handle_input(now, input) {
                self.end_session(connection, side, &error);
                return;
            }
            let answers = self.carry_out(connection, side);
            if answers.iter().any(|answer| matches!(answer, Input::Checkpoints { .. })) {
                inputs.extend(self.head_of(connection, side).map(Input::Head));
            }
            inputs.extend(answers);
        }
        self.arm(connection, side);
    }

    /// Carries out what a session asks for; returns the answers that are there at once.
    pub(crate) fn carry_out(&mut self, connection: u64, side: usize) -> Vec<Input> {
        let mut answers = Vec::new();
        while let Some(end) = self.connections.end_mut(connection, side)
            && let Some(output) = end.session.poll_output()
        {
            answers.extend(self.output(connection, side, output));
        }
        answers
    }

    /// Sees to it that the session's next timeout is looked at.
    pub(crate) fn arm(&mut self, connection: u64, side: usize) {
        if self.config.has(Driver::TimerForgotten) {
            return;
        }
        let now_ms = self.now_ms;
        let Some(end) = self.connections.end_mut(connection, side) else { return };
        let Some(due_ms) = end.session.poll_timeout() else { return };
        let due_ms = (end.started_ms + due_ms).max(now_ms);
        if end.timer_ms.is_none_or(|timer_ms| due_ms < timer_ms) {
            end.timer_ms = Some(due_ms);
            self.schedule(due_ms - now_ms, Event::Timer { connection, side });
        }
    }

    pub(crate) fn timer(&mut self, connection: u64, side: usize) {
        let now_ms = self.now_ms;
        let Some(end) = self.connections.end_mut(connection, side) else { return };
        if end.timer_ms.is_some_and(|timer_ms| timer_ms > now_ms) {
            return;
        }
        end.timer_ms = None;
        let due_ms = end.session.poll_timeout().map(|due_ms| end.started_ms + due_ms);
        if due_ms.is_some_and(|due_ms| due_ms <= now_ms) {
            self.feed(connection, side, Input::Timeout);
        } else {
            self.arm(connection, side);
        }
    }

    /// Tells a node's sessions of its feed's head.
    pub(crate) fn wake(&mut self, node: usize, life: u64) {
        if self.nodes[node].life.as_ref().is_none_or(|alive| alive.number != life) {
            return;
        }
        for (connection, side) in self.connections.of_node(node) {
            self.tell_head(connection, side);
        }
    }

    fn head_of(&self, connection: u64, side: usize) -> Option<Seq> {
        let node = self.connections.get(connection)?.nodes[side];
        Some(self.nodes[node].life.as_ref()?.head())
    }

    /// Tells a session of the head, if it doesn't know it.
    pub(crate) fn tell_head(&mut self, connection: u64, side: usize) {
        let Some(head) = self.head_of(connection, side) else { return };
        let Some(end) = self.connections.end_mut(connection, side) else { return };
        if end.head < head {
            end.head = head;
            self.feed(connection, side, Input::Head(head));
        }
    }

    fn moment(&self, connection: u64, side: usize) -> Option<Moment> {
        let found = self.connections.get(connection)?;
        let started_ms = found.ends[side].as_ref()?.started_ms;
        let wall_ms = self.nodes[found.nodes[side]].clock.now_ms();
        Some(Moment { mono_ms: self.now_ms - started_ms, wall_ms })
    }

    fn output(&mut self, connection: u64, side: usize, output: Output) -> Option<Input> {
        match output {
            Output::Send(frame) => {
                self.send(connection, side, frame);
                None
            }
            Output::LoadCheckpoints { peer, former } => {
                self.checkpoints(connection, side, peer, &former)
            }
            Output::Read { .. } => self.read(connection, side, &output),
            Output::Merge(batch) => {
                let node = self.connections.get(connection)?.nodes[side];
                let end = self.connections.end_mut(connection, side)?;
                let after = end.session.received().unwrap_or_default();
                let (session, terms) = ((connection, side), self.terms(connection, side));
                self.submit(node, Job::Merge { session, batch, terms, after })
            }
            Output::Register { peer, name, holds } => {
                let node = self.connections.get(connection)?.nodes[side];
                self.submit(node, Job::Register { session: (connection, side), peer, name, holds })
            }
            Output::ReadRoll { after, through } => self.roll(connection, side, after, through),
            Output::Event(told) => self.told(connection, side, &told),
            _ => None,
        }
    }

    fn checkpoints(
        &mut self,
        connection: u64,
        side: usize,
        peer: NodeId,
        former: &[NodeId],
    ) -> Option<Input> {
        let node = self.connections.get(connection)?.nodes[side];
        let database = self.nodes[node].life.as_ref()?.database.clone();
        let trail = |id| ready(database.checkpoints(id)).and_then(Result::ok).unwrap_or_default();
        let mut places: Vec<Checkpoint> = trail(peer);
        let former = former.iter().rev().map(|id| trail(*id)).find(|trail| !trail.is_empty());
        let former = former.filter(|_| places.is_empty());
        let is_former = former.is_some();
        places = former.unwrap_or(places);
        if self.config.has(Driver::ResumesFromReceived) {
            places.splice(..0, self.nodes[node].arrived.get(&peer).copied());
        }
        self.report.saw(if places.is_empty() { "resumed from nothing" } else { "resumed" });
        Some(Input::Checkpoints { places, former: is_former, step: None })
    }

    fn read(&mut self, connection: u64, side: usize, output: &Output) -> Option<Input> {
        let Output::Read { after, bytes, known, behind, left_out, since } = output else {
            return None;
        };
        let (after, bytes) = (*after, (*bytes).min(self.plan.read_bytes_max));
        let export = self.export(connection, side);
        let node = self.connections.get(connection)?.nodes[side];
        let database = self.nodes[node].life.as_ref()?.database.clone();
        let feed = database.feed();
        let behind = *behind && !self.config.has(Driver::BehindForgotten);
        let (at_hand, bytes) = match export.as_deref() {
            _ if behind => (None, bytes),
            None => (outgoing::from_ring(feed, after, known), bytes),
            Some(export) => outgoing::passed(feed, (after, bytes), known, export),
        };
        if let Some(outgoing) = at_hand {
            if outgoing.items.iter().any(|item| item.encoded.frames.is_empty()) {
                self.report.saw("echo left out");
            }
            return Some(Input::Changes(outgoing));
        }
        let skips = self.config.has(Driver::RingGapSkipped) && export.is_none();
        if skips && outgoing::from_ring(feed, after, known).is_none() {
            let through = feed.head();
            let frames = encode_changes(after, through, &[]).into_iter().map(Body::from).collect();
            let encoded = Encoded { frames, ..Encoded::default() };
            let items = vec![OutgoingItem { after, through, encoded, roots: Vec::new() }];
            return Some(Input::Changes(Outgoing { items, ..Outgoing::default() }));
        }
        self.report.saw(if export.is_some() { "part read" } else { "read back" });
        self.connections.end_mut(connection, side)?.read_back = true;
        let (database, export) = (database.as_ref(), export.as_deref());
        match ready(outgoing::from_database(database, (after, bytes), *left_out, *since, export))? {
            Ok(outgoing) => Some(Input::Changes(outgoing)),
            Err(error) => {
                self.fail("the feed can be read", error.to_string());
                None
            }
        }
    }

    fn roll(&mut self, connection: u64, side: usize, after: Seq, through: Seq) -> Option<Input> {
        let node = self.connections.get(connection)?.nodes[side];
        let database = self.nodes[node].life.as_ref()?.database.clone();
        let export = self.export(connection, side);
        match ready(outgoing::roll(database.as_ref(), after, through, export.as_deref()))? {
            Ok(outgoing) => Some(Input::Roll(outgoing)),
            Err(error) => {
                self.fail("the feed can be read", error.to_string());
                None
            }
        }
    }

    fn told(&mut self, connection: u64, side: usize, told: &Told) -> Option<Input> {
        match told {
            Told::Established(_) => self.report.saw("established"),
            Told::CaughtUp => self.report.saw("caught up"),
            Told::PeerAcked(seq) => self.check_acked(connection, side, *seq),
            Told::Settled(seq) => {
                if let Some(end) = self.connections.end_mut(connection, side) {
                    end.settled = *seq;
                }
            }
            Told::MissedTombstones => {
                self.roll_called = true;
                self.report.saw("roll called");
            }
            Told::WentBack { .. } | Told::PeerWentBack { .. } => {
                self.report.saw("went back");
                self.check_went_back(connection, side, told);
            }
            _ => {}
        }
        let tells = matches!(told, Told::Established(_) | Told::Received(_));
        (tells && self.is_copy(connection, side)).then_some(Input::Copied)
    }

    /// Whether an older session of this node's is with another replica of the peer's id.
    fn is_copy(&self, connection: u64, side: usize) -> bool {
        let reached = |connection, side| {
            let session = &self.connections.end(connection, side)?.session;
            let peer = session.peer()?;
            Some((peer, peer.head.max(session.received().unwrap_or_default())))
        };
        let Some(node) = self.connections.get(connection).map(|found| found.nodes[side]) else {
            return false;
        };
        let Some((peer, head)) = reached(connection, side) else { return false };
        let older = self.connections.of_node(node).into_iter();
        let mut older = older.filter(|(number, _)| *number < connection);
        older.any(|(number, side)| {
            reached(number, side).is_some_and(|older| peer.contradicts(head, older))
        })
    }

    /// A node that is told that it is a copy takes another id, and its sessions begin anew.
    fn renew_if_copied(&mut self, node: usize, error: &SessionError) {
        let is_told = matches!(error, SessionError::PeerLeft { reason: Reason::SameNode, .. });
        let found = &mut self.nodes[node];
        let now_ms = self.now_ms;
        let wait = |last: u64| u128::from(now_ms - last) < RENEWAL_WAIT.as_millis();
        let Some(life) = &mut found.life else { return };
        if !is_told || life.renewed_ms.is_some_and(wait) {
            return;
        }
        life.renewed_ms = Some(now_ms);
        let id = NodeId::from_bytes(self.rng.bytes());
        if ready(life.database.renew(id)).is_none_or(|renewed| renewed.is_err()) {
            return;
        }
        found.id = id;
        self.report.saw("renewed");
        self.note("renewed", &[("node", node as u64), ("id", u64::from(id.as_bytes()[0]))]);
        for (connection, side) in self.connections.of_node(node) {
            self.feed(connection, side, Input::Renewed);
        }
    }

    /// A session is over: says goodbye, and connects again if that is this side's task.
    fn end_session(&mut self, connection: u64, side: usize, error: &SessionError) {
        let Some(found) = self.connections.get(connection) else { return };
        let (link, node) = (found.link, found.nodes[side]);
        let (tainted, overreaches) = (found.tainted, found.overreaches);
        self.note("ended", &[("connection", connection), ("node", node as u64)]);
        self.trace.detail(|| error.to_string());
        let name = format!("{error:?}");
        let name = name.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default();
        self.report.saw(&format!("error {name}"));
        self.check_error(error, tainted, overreaches);
        self.carry_out(connection, side);
        self.push(connection, side, Arrival::Closed);
        let Some(found) = self.connections.get_mut(connection) else { return };
        let Some(end) = found.ends[side].take() else { return };
        self.connections.tidy(connection);
        if side == 0 || end.session.peer().is_some() {
            self.renew_if_copied(node, error);
        }
        if side == 0 && self.links[link].connection == Some(connection) {
            self.links[link].connection = None;
            let lasted = u128::from(self.now_ms - end.started_ms);
            if lasted >= Backoff::default().lasted.as_millis() {
                self.links[link].failures = 0;
            }
            self.connect_again(link, !error.is_retryable());
        }
    }

    /// Whether another link joins the same nodes.
    pub(crate) fn is_doubled(&self, link: usize) -> bool {
        let [one, other] = self.links[link].nodes;
        let same = self
            .links
            .iter()
            .filter(|link| link.nodes == [one, other] || link.nodes == [other, one]);
        same.count() > 1
    }

    /// Waits as the engine does, and connects.
    pub(crate) fn connect_again(&mut self, link: usize, refused: bool) {
        let failures = self.links[link].failures.saturating_add(1);
        self.links[link].failures = failures;
        let wait = Backoff::default().wait(failures, self.rng.fraction()).as_millis();
        let wait_ms = u64::try_from(wait).unwrap_or(u64::MAX);
        self.connect_after(link, if refused { wait_ms.max(1_000) } else { wait_ms });
    }
}
