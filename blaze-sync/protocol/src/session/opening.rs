//! How a session opens: hello, where each feed goes on, registration, start.

use std::sync::Arc;

use blaze_codec::message::{Ack, BODY_BYTES_MAX, Hello, Message, Resume};
use blaze_codec::{Checkpoint, History, Mode, Seq};

use super::{Accepted, Phase, Session};
use crate::error::truncated;
use crate::inbound::Inbound;
use crate::outbound::Outbound;
use crate::{Event, Moment, Output, Peer, SessionError, Side};

impl Session {
    pub(super) fn hello(&mut self, hello: Hello, now: Moment) -> Result<(), SessionError> {
        let local = &self.config.local;
        let (ours_min, ours_max) = self.config.versions;
        let (theirs_min, theirs_max) = (hello.protocol_min, hello.protocol_max);
        let protocol = theirs_max.min(ours_max);
        if protocol < theirs_min.max(ours_min) {
            return Err(SessionError::ProtocolVersion {
                theirs_min,
                theirs_max,
                ours_min,
                ours_max,
            });
        }
        if hello.database != local.database {
            let (theirs, ours) = (hello.database, local.database.clone());
            return Err(SessionError::Database { theirs, ours });
        }
        if hello.former.len() > Hello::FORMER_MAX {
            return Err(SessionError::Violation { rule: "a hello names at most 8 former ids" });
        }
        if hello.name.len() > Hello::NAME_BYTES_MAX {
            let rule = "a hello's name is at most 256 bytes long";
            return Err(SessionError::Violation { rule });
        }
        if hello.node == local.node {
            // Two openings of one file, or of its copies, never draw one incarnation.
            return Err(if hello.history.latest() == local.history.latest() {
                SessionError::SelfLink
            } else {
                SessionError::SameNode { node: hello.node.to_string() }
            });
        }
        let allowed = match &self.config.side {
            Side::Connector { mode } => *mode == hello.mode,
            Side::Acceptor { allowed } => allowed.contains(&hello.mode),
        };
        if !allowed {
            return Err(SessionError::Mode { mode: hello.mode.to_string() });
        }
        if let Some(agreed) = self.config.agreed_role.filter(|agreed| *agreed != hello.role) {
            return Err(SessionError::Role { theirs: hello.role, agreed });
        }
        if matches!(self.config.side, Side::Acceptor { .. }) {
            self.say_hello(hello.mode, now);
        }
        let compression = self.config.compression.for_peer(hello.reads);
        #[cfg(feature = "canary")]
        let compression = if crate::canary::is(crate::canary::Canary::CompressionUnasked) {
            self.config.compression
        } else {
            compression
        };
        if hello.scope != 0 {
            self.accepted = Accepted::Untold;
        }
        let history = Arc::new(hello.history);
        self.scope = self.link_scope(hello.scope);
        let feed = match self.scope {
            0 => Arc::clone(&history),
            _ => Arc::new(self.through_scope(&history)),
        };
        let peer = Peer {
            node: hello.node,
            former: hello.former,
            history,
            feed,
            limits: hello.scope != 0,
            name: hello.name,
            role: hello.role,
            mode: hello.mode,
            protocol,
            head: hello.head,
            clock_ahead_ms: hello.wall_ms.cast_signed().wrapping_sub(now.wall_ms.cast_signed()),
            compression,
        };
        self.phase = Phase::Live;
        if !self.sends(peer.mode) {
            self.register(&peer, Seq::ZERO);
        }
        if self.receives(peer.mode) {
            let former = peer.former.clone();
            self.outputs.push_back(Output::LoadCheckpoints { peer: peer.node, former });
        }
        self.outputs.push_back(Output::Event(Event::Established(peer.clone())));
        self.peer = Some(peer);
        Ok(())
    }

    pub(super) fn say_hello(&mut self, mode: Mode, now: Moment) {
        let local = self.config.local.clone();
        let hello = Hello {
            protocol_min: self.config.versions.0,
            protocol_max: self.config.versions.1,
            node: local.node,
            former: local.former,
            history: local.history,
            database: local.database,
            name: truncated(local.name, Hello::NAME_BYTES_MAX),
            role: local.role,
            mode,
            head: local.head,
            wall_ms: now.wall_ms,
            reads: self.config.reads,
            scope: self.own_digest(),
        };
        self.announced = local.head;
        self.send(&Message::Hello(hello), now);
        if let Some(scope) = &self.config.scope {
            self.send(&Message::Scope(scope.told().encode().into()), now);
        }
    }

    /// That of the scope which the peer is limited to; 0 if it is to none.
    fn own_digest(&self) -> u64 {
        self.config.scope.as_ref().map_or(0, |scope| scope.digest())
    }

    /// What tells the feeds of this link, through the scopes of its sides, from others: both
    /// sides come to the same. 0 if there is no scope.
    fn link_scope(&self, theirs: u64) -> u64 {
        let ours = self.own_digest();
        let (connectors, acceptors) = match self.config.side {
            Side::Connector { .. } => (ours, theirs),
            Side::Acceptor { .. } => (theirs, ours),
        };
        connectors.rotate_left(1) ^ acceptors
    }

    /// One of the sides' histories, as it is seen through the link's scopes.
    fn through_scope(&self, history: &History) -> History {
        #[cfg(feature = "canary")]
        if crate::canary::is(crate::canary::Canary::FeedUnmapped) {
            return history.clone();
        }
        history.through(self.scope)
    }

    /// Asks for the peer's changes after what is held of its feed.
    pub(super) fn resume(
        &mut self,
        places: &[Checkpoint],
        former: bool,
        step: Option<Checkpoint>,
        now: Moment,
    ) {
        let (Some(peer), local) = (&self.peer, &self.config.local) else { return };
        // Since then it may have been told less, and what it got then may be withdrawn.
        let places = if is_of_view(&peer.feed, places) { places } else { &[] };
        // Who begins anew after a restoration goes on with that, not with what was before.
        let places = if self.scope == 0 { places } else { &places[..places.len().min(1)] };
        let held = places.iter().map(|place| peer.feed.common(*place, peer.head));
        // Of a feed that this one was copied from, or that is a copy of it, what was
        // there before is held as well.
        let copied = local.history.fork(local.head, &peer.feed, peer.head);
        // Nothing of the peer's was lost as long as the same one commits.
        let step = step.filter(|step| step.incarnation == peer.feed.latest());
        // One that another link has reached since the peer's hello is beyond what that can
        // tell: from there on the peer would take nothing to be left out.
        let step = step.map(|step| step.seq).filter(|step| *step < peer.head);
        let held = held.chain(copied.map(|place| place.seq)).chain(step);
        let after = held.max().unwrap_or(Seq::ZERO);
        #[cfg(feature = "canary")]
        let after = if crate::canary::is(crate::canary::Canary::IncarnationIgnored) {
            places.iter().map(|place| place.seq).max().unwrap_or(after).min(peer.head)
        } else {
            after
        };
        // A copy of a file that went on isn't a file that went back.
        let last = places.first().copied().filter(|_| !former);
        let gone = |last: &Checkpoint| went_back(&peer.feed, *last, peer.head);
        if let Some(held) = last.filter(|last| after < last.seq && gone(last)) {
            let event = Event::PeerWentBack { held: held.seq, common: after };
            self.outputs.push_back(Output::Event(event));
        }
        // What was deleted where the two were no more the same may be forgotten here, or
        // never have come.
        self.parted = places.first().is_some_and(|last| after < last.seq && gone(last));
        // Through a scope, what was seen where they parted says little of what is seen now: what
        // is within now was left out, or withdrawn and forgotten, however old it is.
        let anew = self.parted && self.scope != 0;
        #[cfg(feature = "canary")]
        let anew = anew && !crate::canary::is(crate::canary::Canary::ScopedFeedResumed);
        // A copy isn't asked for what it had: it doesn't know where that was.
        let known = if anew && last.is_none() { Seq::ZERO } else { after };
        let after = if anew { Seq::ZERO } else { after };
        let window = self.config.limits.window_bytes.max(2 * BODY_BYTES_MAX as u64);
        // Of two links, one may be ahead of the other's hello.
        let latest = places.iter().filter(|place| place.incarnation == peer.feed.latest());
        let held = latest.map(|place| place.seq).max().unwrap_or(after);
        let inbound = Inbound::new(peer.node, peer.feed.clone(), after, window);
        let inbound =
            if self.scope != 0 { inbound.within(self.config.scope.clone()) } else { inbound };
        self.inbound = Some(inbound.knowing(known).holding(held));
        self.acked = after;
        self.send(&Message::Resume(Resume { after, last, credit: window }), now);
        // With the head of now: more may have been written since the hello.
        let ack = Ack { through: after, credit: 0, head: self.config.local.head };
        self.send(&Message::Ack(ack), now);
        self.let_start(now);
    }

    fn register(&mut self, peer: &Peer, holds: Seq) {
        let (peer, name) = (peer.node, peer.name.clone());
        self.outputs.push_back(Output::Register { peer, name, holds });
    }

    /// Lets the peer send, once it is registered and was asked for its changes.
    pub(super) fn let_start(&mut self, now: Moment) {
        let (Some(purged), Some(inbound)) = (self.purged, &mut self.inbound) else { return };
        let held = self.outbound.as_ref().map(Outbound::acked);
        let start = inbound.start(self.parted || held.is_some_and(|held| held < purged));
        self.start_said = true;
        if start.roll.is_some() {
            self.outputs.push_back(Output::Event(Event::MissedTombstones));
        }
        self.send(&Message::Start(start), now);
    }

    pub(super) fn start_sending(&mut self, resume: Resume) -> Result<(), SessionError> {
        let peer = self.peer.clone().filter(|peer| self.sends(peer.mode));
        let rule = "a side asks for changes only where the mode allows them";
        let peer = peer.ok_or(SessionError::Violation { rule })?;
        // The two sides must not both keep back what both have from a third.
        let first = self.config.local.node < peer.node;
        if self.outbound.is_some() {
            return Err(SessionError::Violation { rule: "one resume a session" });
        }
        let (announced, after) = (self.announced, resume.after);
        if after > announced {
            return Err(SessionError::Violation { rule: "a side holds no more than there is" });
        }
        let history = self.through_scope(&self.config.local.history);
        let gone = |last: &Checkpoint| went_back(&history, *last, announced);
        let mut outbound =
            Outbound::resume(after, announced, resume.credit, BODY_BYTES_MAX, first)?;
        if let Some(held) = resume.last.filter(|last| after < last.seq && gone(last)) {
            // Over a limited link all is asked for again.
            let limited = self.scope != 0;
            let common = if limited { history.common(held, announced).max(after) } else { after };
            outbound.had_merged(common);
            let event = Event::WentBack { held: held.seq, common };
            self.outputs.push_back(Output::Event(event));
        }
        outbound.had_all(resume.last.map_or(Seq::ZERO, |last| last.seq));
        outbound.head(self.config.local.head);
        outbound.compress(peer.compression);
        self.outbound = Some(outbound);
        self.register(&peer, after);
        Ok(())
    }
}

/// Whether what was merged last came through the scope through which a feed is seen now. (Some
/// that was drawn by an older version looks as if it came through one.)
fn is_of_view(feed: &History, places: &[Checkpoint]) -> bool {
    let Some(last) = places.first() else { return true };
    let view = |feed: &History| feed.latest().view();
    last.incarnation.view() == view(feed)
        || feed.spans().iter().any(|span| span.incarnation == last.incarnation)
}

/// Whether a place that was reached in a feed isn't in it any more. A place beyond the
/// head of whoever commits now is: of two links, one may be ahead for a moment.
fn went_back(history: &History, reached: Checkpoint, head: Seq) -> bool {
    reached.incarnation != history.latest() && !history.covers(reached, head)
}
