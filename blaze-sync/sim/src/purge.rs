//! Registers peers, stores what has settled, removes tombstones, and checks that none goes
//! that is needed.

use std::collections::{BTreeMap, BTreeSet};

use blaze_codec::message::{Changes, CompressionSet, Message, expand};
use blaze_codec::{Change, NodeId, Operation, Seq};
use blaze_db_adapter::{DatabaseAdapter, DatabaseError, RegisteredPeer};
use blaze_sync_protocol::Input;

use crate::Driver;
use crate::fault::Fault;
use crate::network::{Arrival, Connection, sends};
use crate::node::Job;
use crate::oracle::{Expected, Facts, Grave, Place};
use crate::ready::ready;
use crate::world::{Event, World};

/// What is counted when tombstones don't wait for a peer.
const LEASE_OVER: &str = "lease over";

/// A tombstone: whose, what it was, and where it was in the feed.
type Tombstone = (Place, Grave, Seq);

impl World {
    /// Registers a session's peer; returns the answer.
    pub(crate) fn register(
        &mut self,
        node: usize,
        (connection, side): (u64, usize),
        peer: NodeId,
        name: &str,
        holds: Seq,
    ) -> Option<Input> {
        if self.nodes[node].full {
            let reason = DatabaseError::Full.to_string();
            return Some(Input::StorageFailed { reason, retryable: true });
        }
        let losses = self.connections.end(connection, side).map(|end| end.peer_losses);
        let found = &mut self.nodes[node];
        let life = found.life.as_ref()?;
        let (database, purged) = (life.database.clone(), life.oracle.purged);
        let known = ready(database.peers())?.ok()?;
        self.met_late |= purged > Seq::ZERO && !known.iter().any(|known| known.node == peer);
        let mode = self.connections.get(connection).map(|found| found.mode);
        let only_sends = mode.is_some_and(|mode| sends(mode, side) && !sends(mode, 1 - side));
        self.missed_one_way |= only_sends && holds < purged;
        if let Some(losses) = losses {
            found.met.insert(peer, (losses, found.losses));
        }
        if self.config.has(Driver::RegistrationForgotten) {
            return Some(Input::Registered(purged));
        }
        let answer = ready(database.register(peer, name, holds))?.ok()?;
        if answer != purged {
            let message = format!("{answer} at node {node}, where they are up to {purged}");
            self.fail("a replica knows up to where tombstones are gone", message);
        }
        if let Some(end) = self.connections.end_mut(connection, side) {
            end.registered = true;
        }
        let forgotten = self.config.has(Driver::PurgeForgotten);
        Some(Input::Registered(if forgotten { Seq::ZERO } else { answer }))
    }

    pub(crate) fn purge_again(&mut self, node: usize, life: u64) {
        if let Some(longest_ms) = self.plan.purge_ms {
            let again_ms = self.rng.between(50, longest_ms);
            self.schedule(again_ms, Event::Purge { node, life });
        }
    }

    /// Stores what has settled, removes tombstones, or both.
    pub(crate) fn purge(&mut self, node: usize, life: u64) {
        if self.nodes[node].life.as_ref().is_none_or(|alive| alive.number != life) {
            return;
        }
        self.purge_again(node, life);
        if self.nodes[node].full {
            return;
        }
        let (purges, stores) = (self.rng.percent(80), self.rng.percent(90));
        // Whoever removes tombstones by a lease notes first who is there.
        if stores || self.plan.lease_ms.is_some() {
            self.store_settled(node);
        }
        if purges {
            self.remove_tombstones(node);
        }
    }

    pub(crate) fn store_settled(&mut self, node: usize) {
        let Some(life) = &self.nodes[node].life else { return };
        let database = life.database.clone();
        let mut settled = self.settled(node);
        if self.config.has(Driver::LeaseOfPresent) {
            let peers = ready(database.peers()).and_then(Result::ok).unwrap_or_default();
            settled.retain(|(peer, seq)| {
                peers.iter().any(|known| known.node == *peer && known.settled < *seq)
            });
        }
        if ready(database.settle(&settled)).is_none_or(|stored| stored.is_err()) {
            self.fail("what settles is stored", format!("node {node}"));
        }
    }

    /// The peers that a node has sessions with, and how far each has its feed for good. Of
    /// several sessions with one, each may bring what is older than what another settled.
    pub(crate) fn settled(&self, node: usize) -> Vec<(NodeId, Seq)> {
        let mut settled: BTreeMap<NodeId, Seq> = BTreeMap::new();
        for (connection, side) in self.connections.of_node(node) {
            let Some(end) = self.connections.end(connection, side) else { continue };
            let Some(peer) = end.session.peer() else { continue };
            let least = settled.entry(peer.node).or_insert(end.settled);
            *least = if self.config.has(Driver::SettledByAnySession) {
                end.settled.max(*least)
            } else {
                end.settled.min(*least)
            };
        }
        settled.into_iter().collect()
    }

    pub(crate) fn remove_tombstones(&mut self, node: usize) {
        let found = &mut self.nodes[node];
        let now_ms = found.clock.now_ms();
        let since_ms = self.plan.lease_ms.map_or(0, |lease_ms| now_ms.saturating_sub(lease_ms));
        let Some(life) = &mut found.life else { return };
        let database = life.database.clone();
        let Some(Ok(peers)) = ready(database.peers()) else { return };
        let (expired, waited_for): (Vec<_>, Vec<_>) =
            peers.into_iter().partition(|peer| peer.seen_ms < since_ms);
        let head = life.head();
        // Without any peer all stay.
        let nobody = waited_for.is_empty() && expired.is_empty();
        let through = if nobody { Seq::ZERO } else { head };
        let through = waited_for.iter().map(|peer| peer.settled).min().unwrap_or(through);
        let removed = life.oracle.purge(through.min(head));
        let purged = life.oracle.purged;
        let done = ready(database.purge(since_ms)).and_then(Result::ok);
        let wanted = (removed.len() as u64, purged);
        if done.map(|done| (done.removed, done.through)) != Some(wanted) {
            let message = format!("{done:?} at node {node}, where it is {wanted:?}");
            self.fail("tombstones go that no registered peer needs", message);
        }
        let Some((_, _, last)) = removed.iter().max_by_key(|(_, _, seq)| *seq) else { return };
        self.note("purge", &[("node", node as u64), ("count", wanted.0), ("through", last.0)]);
        self.trace.detail(|| {
            let keys =
                removed.iter().map(|((_, key), grave, _)| format!("{key} {}", grave.last.hlc));
            keys.collect::<Vec<_>>().join(", ")
        });
        self.report.saw_times("tombstone removed", wanted.0);
        // Whoever is there is waited for, whatever it acknowledges: that excepts nothing.
        let there = self.settled(node);
        let is_away = |node: NodeId| there.iter().all(|(peer, _)| *peer != node);
        let lapsed = expired.iter().filter(|peer| peer.settled < *last && is_away(peer.node));
        self.report.saw_times(LEASE_OVER, lapsed.count() as u64);
        if let Some(message) = self.needed(node, &removed) {
            self.fail("a tombstone stays while a peer may need it", message);
        }
        for (place, grave, _) in &removed {
            for graves in [&mut self.graves, &mut self.nodes[node].removed] {
                graves.entry(place.clone()).or_default().join(*grave);
            }
        }
    }

    /// Whether something was excepted from the rule that what was deleted stays so: files
    /// went back or were copied, or a lease was over.
    pub(crate) fn excepted(&self) -> bool {
        self.lossy || self.lapsed() || self.report.faults.contains_key(&Fault::Clone)
    }

    /// Whether a tombstone went without waiting for a peer whose lease was over.
    pub(crate) fn lapsed(&self) -> bool {
        self.report.coverage.contains_key(LEASE_OVER)
    }

    /// A removed tombstone that somebody who was registered lacks, or that is followed by
    /// something older on its way from there. What a peer lost since its last session
    /// isn't known yet.
    fn needed(&self, node: usize, removed: &[Tombstone]) -> Option<String> {
        if self.lapsed() || self.report.faults.contains_key(&Fault::Clone) {
            return None;
        }
        let ours = &self.nodes[node];
        let peers = (0..self.nodes.len()).filter(|peer| {
            let theirs = &self.nodes[*peer];
            let now = (theirs.losses, ours.losses);
            !theirs.gone && ours.met.get(&theirs.id).is_some_and(|then| *then == now)
        });
        for peer in peers {
            let theirs = self.nodes[peer].oracle()?;
            let limited = self.is_limited(node, peer);
            let lacks = |(place, grave, _): &&Tombstone| {
                let last = grave.last;
                let facts = theirs.facts(place);
                let holds = facts.is_some_and(|facts| facts.version() >= last);
                // Who doesn't see all has only to lack what it was given before the delete.
                let holds = holds || (limited && !facts.is_some_and(Facts::exists));
                let holds = holds || (limited && !self.was_given(node, peer, place));
                let taken = theirs.withdrawn.contains(place);
                let holds = holds || taken || self.policies.refused.contains(place);
                // A file that went back has it again. Whoever was linked while it was gone
                // has passed its place, and is told if it writes below it.
                let again = ours.removed.get(place).is_some_and(|before| last <= before.last);
                let again = again && ours.losses > 0;
                // Nor is it sent to who has all else from where it was written, of one that
                // was linked late and had removed it.
                let before = self.graves.get(place).filter(|_| self.met_late);
                let elsewhere = before.is_some_and(|before| last <= before.last);
                !holds
                    && !again
                    && !elsewhere
                    && theirs.grave(place).is_none_or(|grave| grave.last < last)
            };
            if let Some((place, grave, seq)) = removed.iter().find(lacks) {
                let (key, hlc, is) = (&place.1, grave.last.hlc, theirs.describe(place));
                let what = format!("{} {key} at {hlc} in seq {seq} of node {node}", place.0);
                return Some(format!("{what}, of which node {peer} has {is}"));
            }
            // Who doesn't see the delete acknowledges it, and may get another record of that
            // name from others.
            if limited {
                continue;
            }
            let sent = self.on_their_way(peer, node);
            let late = sent.into_iter().find(|operation| {
                // Whoever was linked late may bring it to one that removed the delete.
                operation.change != Change::Delete
                    && !operation.is_withdrawal()
                    && !self.may_be_gone_elsewhere(operation)
                    && removed.iter().any(|(place, grave, _)| {
                        !self.policies.refused.contains(place)
                            && (&place.0, &place.1) == (&operation.collection, &operation.key)
                            && operation.version < grave.ended
                            && !self.came_back.contains(place)
                    })
            });
            if let Some(late) = late {
                let (key, hlc) = (&late.key, late.version.hlc);
                return Some(format!("{key} at {hlc} is on its way from {peer} to {node}"));
            }
        }
        None
    }

    /// What one node sent that another didn't merge yet, as far as can be told.
    fn on_their_way(&self, from: usize, to: usize) -> Vec<Operation> {
        let sent = self.connections.iter().flat_map(|(_, found)| found.late_from(from, to));
        let sent = sent.flat_map(|changes| changes.operations);
        let sender = self.nodes[from].id;
        let jobs = self.nodes[to].jobs.iter().filter_map(|job| match job {
            Job::Merge { batch, .. } if batch.peer == sender && !batch.roll => Some(batch),
            _ => None,
        });
        sent.chain(jobs.flat_map(|batch| batch.operations.clone())).collect()
    }

    /// Checks what a merge did to records whose tombstones were removed.
    pub(crate) fn check_graves(&mut self, node: usize, connection: u64, merged: &Expected) {
        self.report.saw_times("told again", merged.told_again);
        self.report.saw_times("buried", merged.buried.len() as u64);
        self.report.saw_times("came back", merged.revived.len() as u64);
        // It was here, or at the peer before that went back, and was merged or left out.
        let named = merged.buried.iter().find(|(place, version)| {
            // Who deleted what it might not has forgotten what others never deleted, and what one
            // took back another may have given again, in part.
            let taken = self.has_others(node) && self.was_withdrawn(node, place);
            !taken
                && !self.policies.refused.contains(place)
                && self.graves.get(place).is_none_or(|grave| *version > grave.last)
        });
        if let Some(((_, key), _)) = named {
            let message = format!("{key} at node {node}");
            self.fail("what is buried was known, deleted and forgotten", message);
        }
        // What one doesn't see all of comes and goes, and another one has deleted its own.
        let excepted = self.excepted() || self.met_late || self.sees_part(node);
        // Another policy shows what neither had told the other.
        let excepted = excepted || self.report.faults.contains_key(&Fault::PolicyChange);
        // Who deleted what it might not may be given it again.
        let mut revived = merged.revived.iter().filter(|_| !excepted);
        // And who wasn't told of the delete may write the record anew.
        let found = self.connections.get(connection);
        let limited = found.is_some_and(|found| self.links[found.link].limited);
        let known = |place: &Place| limited || self.came_back.contains(place);
        let revived =
            revived.find(|place| !self.policies.refused.contains(*place) && !known(place));
        if let Some((_, key)) = revived {
            let message = format!("{key} at node {node}");
            self.fail("what was deleted doesn't come back", message);
        }
        self.came_back.extend(merged.revived.iter().cloned());
    }

    /// Lets all tombstones go once all is quiet, and checks that none is left.
    pub(crate) fn purge_last(&mut self) {
        let both_ways = self.all_reach_all() && self.plan.purge_ms.is_some();
        if !both_ways {
            return;
        }
        for node in 0..self.nodes.len() {
            let Some(life) = &self.nodes[node].life else { continue };
            let database = life.database.clone();
            // Those that left, and ids that were given up.
            // All is quiet: what a session that was replaced still waits for won't come.
            for (connection, side) in self.connections.of_node(node) {
                let link = self.connections.get(connection).map(|found| found.link);
                let replaced =
                    link.is_none_or(|link| self.links[link].connection != Some(connection));
                if let Some(end) = self.connections.end_mut(connection, side).filter(|_| replaced) {
                    end.settled = Seq(u64::MAX);
                }
            }
            let present = self.settled(node).into_iter().map(|(peer, _)| peer);
            let present = present.collect::<BTreeSet<_>>();
            let peers = ready(database.peers()).and_then(Result::ok).unwrap_or_default();
            let gone = |peer: &&RegisteredPeer| !present.contains(&peer.node);
            for peer in peers.iter().filter(gone) {
                drop(ready(database.unregister(peer.node)));
            }
            self.store_settled(node);
            self.remove_tombstones(node);
            let held = self.held(node);
            if let Some(place) = held.any_tombstone() {
                let peers = ready(database.peers()).and_then(Result::ok).unwrap_or_default();
                let peers = peers.iter().map(|peer| format!("{} {}", peer.name, peer.settled));
                let peers = peers.collect::<Vec<_>>().join(", ");
                let (key, is) = (&place.1, held.describe(place));
                let end = database.feed().head();
                let message = format!("{key} at node {node} is {is}; head {end}, {peers}");
                self.fail("a tombstone that everybody has goes", message);
            }
        }
    }
}

impl Connection {
    /// The changes from one node to another that it may still take.
    fn late_from(&self, from: usize, to: usize) -> Vec<Changes> {
        let side = (0..2).find(|side| (self.nodes[*side], self.nodes[1 - side]) == (from, to));
        let side = side.filter(|_| !self.tainted);
        let Some((side, end)) = side.and_then(|side| Some((side, self.ends[1 - side].as_ref()?)))
        else {
            return Vec::new();
        };
        let wire = &self.wires[side];
        let frames = wire.frames.iter().filter(|_| !wire.dead).chain(&end.inbox);
        let frames = frames.filter_map(|arrival| match arrival {
            Arrival::Frame(frame) => expand(frame.clone(), CompressionSet::BUILT).ok(),
            Arrival::Closed => None,
        });
        let changes = frames.filter_map(|frame| match Message::decode(frame) {
            Ok(Message::Changes(frame)) if !frame.more => {
                Changes::decode_defined(&frame.payload, &wire.definitions).ok()
            }
            _ => None,
        });
        changes.collect()
    }
}
