//! Links that are limited to a part of a database, and what must hold of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use blaze_codec::message::{Changes, CompressionSet, Message, expand};
use blaze_codec::{Change, Mode, Name, Operation, Rule, Scope, Seq};
use blaze_db_adapter::{Audience, DatabaseAdapter, Limit};
use blaze_sync_engine::export::Export;
use blaze_sync_protocol::Batch;
use bytes::Bytes;

use crate::check::describe_one;
use crate::fault::Fault;
use crate::network::{Connection, Link};
use crate::oracle::{Facts, Oracle, Place, place_of};
use crate::ready::ready;
use crate::rng::Rng;
use crate::scopes::Scopes;
use crate::world::{Event, Over, World};

mod compare;

pub(crate) use compare::link_view;

const CROSSES: &str = "nothing crosses a link against its policy";

/// What a side of a session lets the other one do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Terms {
    /// What the peer may see and write, and who it is; `None` if all.
    pub(crate) limit: Option<Arc<Limit>>,
    /// Whether it limits this side, and so may withdraw records.
    pub(crate) withdraws: bool,
}

/// What is known of policies beside what the links say.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    /// The records that met the scope of a link's side since it has that.
    met: BTreeMap<(usize, usize), BTreeSet<Place>>,
    /// The records that a node may have given another by any of its scopes, or was given by
    /// it.
    given: BTreeMap<(usize, usize), BTreeSet<Place>>,
    /// The records that were on their way between a node and one that it limits.
    told: BTreeSet<(usize, usize, Place)>,
    /// The records that somebody wrote who might not.
    pub(crate) refused: BTreeSet<Place>,
    /// What each group of nodes, without limits among them, should come to hold.
    pub(crate) common: BTreeMap<usize, Oracle>,
}

/// What a peer was told of records that it sees in part.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// When each was withdrawn last, zero if never; `None` if it was never given it.
    told: BTreeMap<Place, Option<Seq>>,
    holds: Seq,
}

impl Heard {
    /// Whether it was never given a record, or is about to lose it.
    pub(crate) fn lacks(&self, place: &Place) -> bool {
        let told = self.told.get(place);
        told.is_some_and(|withdrawn| withdrawn.is_none_or(|seq| seq > self.holds))
    }

    /// Whether it was ever withdrawn from it.
    pub(crate) fn was_withdrawn(&self, place: &Place) -> bool {
        self.told.get(place).is_some_and(|withdrawn| *withdrawn > Some(Seq::ZERO))
    }

    pub(crate) fn was_given(&self, place: &Place) -> bool {
        self.told.get(place).is_some_and(Option::is_some)
    }
}

impl Terms {
    fn rule(&self, collection: &Name) -> Option<&Rule> {
        self.limit.as_ref()?.scope.rule(collection)
    }

    /// Whether what its peer may write of a collection depends on values.
    pub(crate) fn judges(&self, collection: &Name) -> bool {
        self.rule(collection).is_some_and(|rule| rule.condition().is_some())
    }

    /// Whether its peer sees a record that is this.
    pub(crate) fn sees(&self, place: &Place, facts: &Facts) -> bool {
        self.limit.as_ref().is_none_or(|limit| facts.meets(&limit.scope, place))
    }
}

impl World {
    /// What is seen and written by the peer of a session's side.
    pub(crate) fn terms(&mut self, connection: u64, side: usize) -> Terms {
        let end = self.connections.end(connection, side);
        let peer = end.and_then(|end| end.session.peer());
        let withdraws = peer.is_some_and(|peer| peer.limits);
        let limit = self.export(connection, side).and_then(|export| export.limit.clone());
        Terms { limit, withdraws }
    }

    /// What of the feed a session's peer gets, if that isn't all.
    pub(crate) fn export(&mut self, connection: u64, side: usize) -> Option<Arc<Export>> {
        let found = self.connections.get(connection)?;
        let (scope, overreaches) = (found.scopes[side].clone(), found.overreaches);
        let principal = format!("user {}", self.nodes[found.nodes[1 - side]].original);
        let end = self.connections.end_mut(connection, side)?;
        let accepted = end.session.accepted().cloned().filter(|_| !overreaches);
        if end.export.is_none() && (scope.is_some() || accepted.is_some()) {
            let peer = end.session.peer()?;
            let (audience, former) = (Audience { node: peer.node, principal }, peer.former.clone());
            let limit = scope.map(|scope| Arc::new(Limit { scope, audience }));
            end.export = Some(Arc::new(Export { limit, accepted, former }));
        }
        end.export.clone()
    }

    /// What the peer was told of a batch's records, as far as the database has noted it.
    pub(crate) fn heard(&self, node: usize, batch: &Batch, terms: &Terms) -> Heard {
        let Some(limit) = &terms.limit else { return Heard::default() };
        let Some(life) = &self.nodes[node].life else { return Heard::default() };
        let places = batch.operations.iter().map(place_of).collect::<Vec<_>>();
        let shared = ready(life.database.shared(&limit.audience, &places)).and_then(Result::ok);
        let told = places.into_iter().zip(shared.unwrap_or_default()).collect();
        Heard { told, holds: batch.holds }
    }

    /// Whether a record was ever withdrawn from a node.
    pub(crate) fn was_withdrawn(&self, node: usize, place: &Place) -> bool {
        self.nodes[node].oracle().is_some_and(|oracle| oracle.withdrawn.contains(place))
    }

    /// Gives each node the group of those to which no link is limited.
    pub(crate) fn group(&mut self) {
        for node in 0..self.nodes.len() {
            self.nodes[node].group = node;
        }
        for _ in 0..self.nodes.len() {
            for link in self.links.iter().filter(|link| !link.limited) {
                let least = link.nodes.map(|node| self.nodes[node].group).into_iter().min();
                for node in link.nodes {
                    self.nodes[node].group = least.unwrap_or(node);
                }
            }
        }
    }

    /// Notes which records meet the scopes of a node's links.
    pub(crate) fn meet(&mut self, node: usize, places: Option<&[Operation]>) {
        if !self.plan.scopes.is_any() {
            return;
        }
        let found = &self.nodes[node];
        let Some(oracle) = found.oracle() else { return };
        let policies = &mut self.policies;
        for (number, link) in self.links.iter().enumerate().filter(|(_, link)| !link.gone) {
            for side in [0, 1].into_iter().filter(|side| link.nodes[*side] == node) {
                let Some(scope) = &link.scopes[side] else { continue };
                let met = match places {
                    None => oracle.met_by(scope),
                    Some(operations) => oracle.clone_places(operations).met_by(scope),
                };
                let peer = self.nodes[link.nodes[1 - side]].original;
                let given = policies.given.entry((node, peer)).or_default();
                given.extend(met.iter().cloned());
                policies.met.entry((number, side)).or_default().extend(met);
            }
        }
    }

    /// Whether a node, or another of its group, is limited by one of another group.
    pub(crate) fn sees_part(&self, node: usize) -> bool {
        let group = self.nodes[node].group;
        let limits = |link: &Link, side: usize| {
            link.limited && self.nodes[link.nodes[1 - side]].group == group
        };
        self.links.iter().any(|link| {
            [0, 1].into_iter().any(|side| {
                limits(link, side) && (link.owner == side || link.scopes[side].is_some())
            })
        })
    }

    /// Whether one node may have told another of a record, or was told of it.
    pub(crate) fn was_given(&self, owner: usize, peer: usize, place: &Place) -> bool {
        // Where both limit each other, much of what one gives the other doesn't take; and who
        // only receives keeps its own.
        let mut links = self.links.iter().filter(|link| link.limited);
        let of_both = |link: &Link| link.nodes == [owner, peer] || link.nodes == [peer, owner];
        let mutual = |link: &Link| {
            link.scopes.iter().all(Option::is_some) || link.mode != Mode::Bidirectional
        };
        let changed = self.report.faults.contains_key(&Fault::PolicyChange);
        if changed || links.any(|link| of_both(link) && mutual(link)) {
            return false;
        }
        self.policies.told.contains(&(owner, peer, place.clone()))
    }

    /// A node's copy knows what it gave, and what it has is its own.
    pub(crate) fn copy_given(&mut self, node: usize, copy: usize) {
        let own = self.nodes[copy].oracle().into_iter().flat_map(Oracle::places).cloned();
        let own = own.collect::<Vec<_>>();
        self.nodes[copy].wrote.extend(own);
        let given = self.policies.given.clone().into_iter();
        let given = given.filter(|((owner, _), _)| *owner == node);
        self.policies.given.extend(given.map(|((_, peer), places)| ((copy, peer), places)));
    }

    /// A limited link gets another policy, with which it begins anew.
    pub(crate) fn change_policy(&mut self, rng: &mut Rng) -> Option<()> {
        let link = self.limited_link(rng)?;
        let owner = self.links[link].owner;
        let none = rng.percent(10);
        let scopes = self.plan.scopes.draw(rng, owner);
        self.happened(Fault::PolicyChange, &[("link", link as u64)]);
        self.trace.detail(|| describe_scopes(&scopes));
        self.cut_link(link);
        for side in [0, 1] {
            self.policies.met.remove(&(link, side));
            let found = &mut self.links[link];
            found.was_unlimited[side] |= scopes[side].is_none() || none;
        }
        self.links[link].scopes = if none { [None, None] } else { scopes };
        for node in self.links[link].nodes {
            self.meet(node, None);
        }
        Some(())
    }

    /// A limited side sends what it may not write, for a while.
    pub(crate) fn overreach(&mut self, rng: &mut Rng, lasts_ms: u64) -> Option<()> {
        let link = self.limited_link(rng)?;
        self.happened(Fault::Overreach, &[("link", link as u64)]);
        self.links[link].overreaches = true;
        self.cut_link(link);
        self.schedule(lasts_ms, Event::Over(Over::Overreach { link }));
        Some(())
    }

    fn limited_link(&self, rng: &mut Rng) -> Option<usize> {
        let limited = |link: &usize| self.links[*link].limited && !self.links[*link].gone;
        rng.pick(&(0..self.links.len()).filter(limited).collect::<Vec<_>>())
    }

    /// Checks that a side of a limited link sends nothing against its policy.
    pub(crate) fn check_frame(&mut self, connection: u64, side: usize, frame: &Bytes) {
        let Some(found) = self.connections.get_mut(connection) else { return };
        if !found.is_limited() {
            return;
        }
        let Some((changes, roll)) = found.changes_in(side, frame) else { return };
        let [from, to] = [found.nodes[side], found.nodes[1 - side]];
        let (link, overreaches) = (found.link, found.overreaches);
        let [ours, theirs] = [&found.scopes[side], &found.scopes[1 - side]];
        let theirs_scope = theirs.clone();
        let original = |node: usize| self.nodes[node].original;
        let given = self.policies.given.get(&(from, original(to)));
        let met = self.policies.met.get(&(link, side));
        let allowed = |operation: &&Operation| {
            let withdraws = operation.is_withdrawal() && !roll;
            let is_told = withdraws || matches!(operation.change, Change::Delete);
            let known = if is_told { given } else { met };
            let place = place_of(operation);
            let is_known = ours.is_none() || known.is_some_and(|known| known.contains(&place));
            let shows =
                |scope: &Option<Arc<Scope>>| scope.as_ref().is_none_or(|it| shows(it, operation));
            is_known && (withdraws || shows(ours)) && (overreaches || shows(theirs))
        };
        let wrong = changes.operations.iter().find(|operation| !allowed(operation));
        let mut wrong =
            wrong.map(|wrong| format!("node {from} tells node {to} {}", describe_one(wrong)));
        if !changes.range.roots.is_empty() && !overreaches {
            wrong = Some(format!("node {from} names roots to node {to}, which doesn't see all"));
        }
        if let Some(wrong) = wrong {
            self.fail(CROSSES, if roll { format!("{wrong}, in a roll") } else { wrong });
        }
        // Whoever has it may be told that it is gone, if it is taken at all.
        let takes = |collection: &Name| {
            theirs_scope.as_ref().is_none_or(|scope| scope.rule(collection).is_some())
        };
        let places = changes.operations.into_iter().filter(|it| takes(&it.collection));
        let places = places.map(|operation| (operation.collection, operation.key));
        let places = places.collect::<Vec<_>>();
        for place in &places {
            self.policies.told.insert((from, to, place.clone()));
        }
        let from = self.nodes[from].original;
        self.policies.given.entry((to, from)).or_default().extend(places);
    }

    /// Notes that a node heard of records from another.
    pub(crate) fn hear(&mut self, node: usize, connection: u64, batch: &Batch) {
        let Some(found) = self.connections.get(connection).filter(|found| found.is_limited())
        else {
            return;
        };
        let [one, other] = found.nodes;
        let peer = if one == node { other } else { one };
        let places = batch.operations.iter().map(place_of);
        self.policies.told.extend(places.map(|place| (node, peer, place)));
    }

    /// Checks that a session merges only what its peer may write.
    pub(crate) fn check_scope(&mut self, node: usize, terms: &Terms, operations: &[Operation]) {
        let Some(scope) = terms.limit.as_ref().map(|limit| &limit.scope) else { return };
        if let Some(wrong) = operations.iter().find(|operation| !shows(scope, operation)) {
            self.fail(CROSSES, format!("node {node} merged {}", describe_one(wrong)));
        }
    }
}

impl Connection {
    /// Whether a side limits the other one.
    pub(crate) fn is_limited(&self) -> bool {
        self.scopes.iter().any(Option::is_some)
    }

    /// The changes or the piece of a roll that a side's frame brings to an end, and whether
    /// they are a roll.
    fn changes_in(&mut self, side: usize, frame: &Bytes) -> Option<(Changes, bool)> {
        let body = expand(frame.clone(), CompressionSet::BUILT).ok()?;
        let wire = &mut self.wires[side];
        match Message::decode(body).ok()? {
            Message::Changes(frame) => {
                wire.pieces.extend_from_slice(&frame.payload);
                if frame.more {
                    return None;
                }
                let payload = std::mem::take(&mut wire.pieces);
                Some((Changes::decode_defined(&payload, &wire.definitions).ok()?, false))
            }
            Message::Roll(payload) => Some((Changes::decode(&payload).ok()?, true)),
            _ => None,
        }
    }
}

/// Whether a scope has an operation's collection and fields.
fn shows(scope: &Scope, operation: &Operation) -> bool {
    let rule = scope.rule(&operation.collection);
    rule.is_some_and(|rule| rule.hidden_field(&operation.change).is_none())
}

/// Scopes, for people.
pub(crate) fn describe_scopes(scopes: &Scopes) -> String {
    let one = |scope: &Option<Arc<Scope>>| match scope {
        None => "all".to_owned(),
        Some(scope) => {
            let rule = |rule: &Rule| format!("{:?} {:?}", rule.fields(), rule.condition());
            let rules = scope.rules().map(|(name, it)| format!("{name}: {}", rule(it)));
            format!("{{{}}}", rules.collect::<Vec<_>>().join("; "))
        }
    };
    format!("connector gives {}, acceptor {}", one(&scopes[0]), one(&scopes[1]))
}
