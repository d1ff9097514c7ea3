//! Compares the two sides of limited links once all is quiet.

use std::collections::BTreeSet;

use crate::fault::Fault;
use crate::network::{Link, sends};
use crate::oracle::{Facts, Oracle, Place};
use crate::scopes::Scopes;
use crate::world::World;

/// What tells the feeds that one sees through the scopes of a link from others.
pub(crate) fn link_view(scopes: &Scopes) -> u64 {
    let [connector, acceptor] =
        [0, 1].map(|side| scopes[side].as_ref().map_or(0, |scope| scope.digest()));
    connector.rotate_left(1) ^ acceptor
}

impl World {
    /// Whether a link of two nodes is limited.
    pub(crate) fn is_limited(&self, one: usize, other: usize) -> bool {
        let mut links = self.links.iter().filter(|link| link.limited);
        links.any(|link| link.nodes == [one, other] || link.nodes == [other, one])
    }

    /// The records that were taken back from nodes of a group, which others may have still.
    pub(crate) fn taken_back(&self, group: usize) -> BTreeSet<Place> {
        let nodes = self.nodes.iter().filter(|node| node.group == group);
        let oracles = nodes.filter_map(|node| node.oracle());
        oracles.flat_map(|oracle| oracle.withdrawn.iter().cloned()).collect()
    }

    /// Checks that a node has what those have to which it is linked without limits.
    pub(crate) fn check_common(&mut self, node: usize, held: &Oracle, any: bool) {
        let group = self.nodes[node].group;
        let among = |node: usize| self.nodes[node].group == group && !self.nodes[node].gone;
        let of_group =
            |link: &Link| !link.gone && !link.limited && self.nodes[link.nodes[0]].group == group;
        if !self.reach_all(&among, of_group) {
            return;
        }
        let mut common = self.policies.common.get(&group).cloned().unwrap_or_default();
        common.forget(&self.came_back, &self.graves, any);
        common.without(&self.taken_back(group));
        let removed = self.graves.clone();
        self.check_within("what was written and survived is everywhere", &common, held, &removed);
    }

    /// Checks that each limited node has what it may see, and nothing else that isn't its own.
    pub(crate) fn compare_limited(&mut self) {
        for link in 0..self.links.len() {
            for side in [0, 1] {
                let found = &self.links[link];
                if found.limited && !found.gone && found.scopes[side].is_some() {
                    self.compare_side(link, side);
                }
            }
        }
    }

    fn compare_side(&mut self, link: usize, side: usize) {
        let found = &self.links[link];
        let [owner, peer] = [found.nodes[side], found.nodes[1 - side]];
        let (ours, theirs) = (self.held(owner), self.held(peer));
        let all = ours.places().chain(theirs.places()).cloned().collect::<BTreeSet<_>>();
        for place in all {
            let [here, there] =
                [&ours, &theirs].map(|held| held.facts(&place).cloned().unwrap_or_default());
            if let Some(wrong) = self.wrong_at((link, side), &place, &here, &there) {
                let (is, has) = (ours.describe(&place), theirs.describe(&place));
                let what = format!("{} {}", place.0, place.1);
                let message = format!(
                    "{what}: node {owner} has {is}; node {peer}, limited by it, has {has}: {wrong}"
                );
                return self.fail("who is limited has what it may see, and nothing else", message);
            }
        }
    }

    /// What is wrong with a record that a side's peer sees, or not.
    fn wrong_at(
        &self,
        (link, side): (usize, usize),
        place: &Place,
        here: &Facts,
        there: &Facts,
    ) -> Option<&'static str> {
        let found = &self.links[link];
        let peer = found.nodes[1 - side];
        let scope = found.scopes[side].as_ref()?;
        let rule = scope.rule(&place.0);
        let accepted = found.scopes[1 - side].as_ref().map(|scope| scope.rule(&place.0));
        let accepts = accepted.is_none_or(|rule| rule.is_some_and(|it| it.condition().is_none()));
        let shows = |field: &str| {
            let accepted = accepted.is_none_or(|rule| rule.is_some_and(|it| it.shows(field)));
            accepted && rule.is_some_and(|rule| rule.shows(field))
        };
        let (gives, takes) = (sends(found.mode, side), sends(found.mode, 1 - side));
        // What another took from who limits this one isn't withdrawn any further, and what was
        // written to it isn't kept.
        let owner = found.nodes[side];
        let farther = self.was_withdrawn(owner, place);
        if here.meets(scope, place) {
            let is_gone = |facts: &Facts| {
                let grave = self.graves.get(place);
                grave.is_some_and(|grave| facts.version() <= grave.last)
            };
            // Another one that limits it, too, may have taken it back.
            let lost_there = self.has_others(peer) && self.was_withdrawn(peer, place);
            let forgotten = (self.excepted() || self.met_late) && is_gone(here);
            let excused = lost_there || forgotten || farther;
            if gives && accepts && !excused && !here.part(shows).within(there) {
                return Some("it lacks what it may see");
            }
            let lost = gives
                && takes
                && !lost_there
                && !farther
                && !there.part(shows).within(here)
                && !is_gone(there);
            return (lost && accepts).then_some("what it wrote isn't there");
        }
        let may_stay = self.may_stay(link, side) || !gives;
        // What it wrote itself and can't send, or not of that collection, stays its own.
        let is_own = self.nodes[peer].wrote.contains(place) && (!takes || rule.is_none());
        // A file that went back has again what was refused and withdrawn.
        let again = self.nodes[peer].losses > 0 && self.policies.refused.contains(place);
        // Who was away for longer than the lease, or went back, hears of no delete by a policy
        // that has left the record out since.
        let changed = self.report.faults.contains_key(&Fault::PolicyChange);
        let away = self.lapsed() || self.nodes[peer].losses > 0;
        let away = away && changed && self.graves.contains_key(place);
        let is_own = is_own || again || farther || away;
        (there.exists() && !may_stay && !is_own).then_some("it may not see that")
    }

    /// Whether a node has several links, or had, or that which it is a copy of: what others gave
    /// it, it keeps.
    pub(crate) fn has_others(&self, node: usize) -> bool {
        let links = |node: usize| self.links.iter().filter(move |link| link.nodes.contains(&node));
        links(node).count() > 1 || links(self.nodes[node].original).count() > 1
    }

    /// Whether a side's peer may have a record that it may not see: from others, from before
    /// there was a scope, given by a file that went back and doesn't know of it, or, where both
    /// limit each other, its own, which the other one doesn't see either.
    fn may_stay(&self, link: usize, side: usize) -> bool {
        let found = &self.links[link];
        let [owner, peer] = [found.nodes[side], found.nodes[1 - side]];
        self.has_others(peer)
            || found.was_unlimited[side]
            || self.nodes[owner].losses > 0
            || found.scopes.iter().all(Option::is_some)
            || self.missed_one_way
    }
}
