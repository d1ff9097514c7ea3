//! The end of a run: everything is healed, becomes quiet, and is compared.

use std::collections::BTreeMap;
use std::sync::Arc;

use blaze_codec::{Mode, Seq, Version};
use blaze_db_adapter::Observer;
use blaze_db_adapter_memory::MemoryDatabase;

use crate::clock::START_MS;
use crate::fault::Fault;
use crate::network::sends;
use crate::oracle::{Graves, Oracle};
use crate::policy::link_view;
use crate::ready::ready;
use crate::report::Crossings;
use crate::world::{Event, Over, World};

/// How long it may take until all is quiet, in virtual time, beyond what clocks that
/// were ahead make it wait.
const QUIET_MS_MAX: u64 = 300_000;
/// Commits of all nodes that are always allowed before all is quiet.
const COMMITS_MAX: usize = 2_000;
/// Between two looks.
const LOOK_MS: u64 = 1_100;

impl World {
    /// Ends all that is wrong, and begins to look whether all is quiet.
    pub(crate) fn heal(&mut self) {
        self.note("heal", &[]);
        for node in 0..self.nodes.len() {
            self.over(Over::Full { node });
            self.over(Over::Clock { node });
            self.over(Over::Skew { node });
            self.over(Over::Down { node });
        }
        for link in 0..self.links.len() {
            self.over(Over::Blocked { link });
            self.over(Over::Slow { link });
            self.over(Over::Refused { link });
            self.over(Over::Overreach { link });
        }
        let connections = self.connections.iter().map(|(number, _)| number).collect::<Vec<_>>();
        for connection in connections {
            for side in [0, 1] {
                if let Some(end) = self.connections.end_mut(connection, side) {
                    end.slow_until_ms = 0;
                }
                self.schedule(0, Event::Take { connection, side });
            }
            if let Some(found) = self.connections.get_mut(connection) {
                found.wires.iter_mut().for_each(|wire| wire.mishap = None);
            }
        }
        let true_ms = START_MS.cast_unsigned() + self.now_ms;
        let clocks = self.nodes.iter().filter_map(|node| Some(node.oracle()?.clock.millis()));
        let ahead_ms = clocks.max().unwrap_or(0).saturating_sub(true_ms);
        let commits = self.nodes.iter().map(|node| node.log.len()).sum::<usize>();
        self.commits_max = COMMITS_MAX.max(commits * (self.nodes.len() + 2));
        self.quiet_by_ms = self.now_ms + ahead_ms + QUIET_MS_MAX;
        self.schedule(LOOK_MS, Event::Settle);
    }

    /// Looks whether all is quiet twice in a row, and then compares.
    pub(crate) fn settle(&mut self) {
        let heads = self.nodes.iter().map(|node| node.log.len()).collect::<Vec<_>>();
        let commits = heads.iter().sum::<usize>();
        match self.unquiet() {
            Some(message) if commits > self.commits_max => {
                let message = format!("{commits} commits, and no end: {message}");
                return self.fail("all becomes quiet", message);
            }
            None if self.quiet_heads.as_ref() == Some(&heads) => {
                self.compare();
                self.purge_last();
                self.measure();
                self.done = true;
                return;
            }
            None => self.quiet_heads = Some(heads),
            Some(message) if self.now_ms > self.quiet_by_ms => {
                return self.fail("all becomes quiet", message);
            }
            Some(_) => self.quiet_heads = None,
        }
        self.schedule(LOOK_MS, Event::Settle);
    }

    /// What isn't done yet.
    fn unquiet(&self) -> Option<String> {
        let busy = self.nodes.iter().position(|node| !node.jobs.is_empty());
        if let Some(node) = busy {
            return Some(format!("node {node} still writes"));
        }
        let links = self.links.iter().filter(|link| !link.gone);
        links.enumerate().find_map(|(number, link)| {
            let Some(connection) = link.connection else {
                return Some(format!("link {number} is down"));
            };
            if (0..2).any(|side| self.connections.end(connection, side).is_none()) {
                return Some(format!("one side of link {number} is gone"));
            }
            [0, 1].into_iter().filter(|side| sends(link.mode, *side)).find_map(|side| {
                let [from, to] = [link.nodes[side], link.nodes[1 - side]];
                let (sender, receiver) = (&self.nodes[from], self.nodes[to].life.as_ref()?);
                let life = sender.life.as_ref()?;
                let view = link_view(&link.scopes);
                let held = life.held_by(&receiver.database, view).unwrap_or_default();
                let (end, acked) = (life.head(), self.acked(connection, side));
                (held != end || acked != Some(end)).then(|| {
                    format!(
                        "node {to} holds {held} of node {from}, which is at {end} and knows {acked:?}"
                    )
                })
            })
        })
    }

    /// Compares the replicas with each other and with what they should hold.
    fn compare(&mut self) {
        for node in 0..self.nodes.len() {
            let Some(life) = &self.nodes[node].life else { continue };
            let database = life.database.clone();
            self.check_contents(node, database.as_ref());
            self.check_observer(node, database);
        }
        self.compare_limited();
        let links = self.links.iter().filter(|link| !link.gone && !link.limited);
        let nodes = links.flat_map(|link| {
            let both_ways = link.mode == Mode::Bidirectional;
            [0, 1].map(|side| {
                (sends(link.mode, side), both_ways, link.nodes[side], link.nodes[1 - side])
            })
        });
        let nodes = nodes.filter(|(sends, ..)| *sends).collect::<Vec<_>>();
        for (_, both_ways, from, to) in nodes {
            let apart = self.taken_back(self.nodes[from].group);
            let (mut from, to) = (self.held(from), self.held(to));
            from.without(&apart);
            // What a copy wrote before it was one, the original is taken to have, though it
            // may have deleted it and forgotten that.
            if self.report.faults.contains_key(&Fault::Clone) {
                from.forget(&self.came_back, &self.graves, true);
            }
            // Who sends nothing may have deleted what the other still has.
            if !both_ways || self.missed_one_way {
                from.forget_ended(&self.graves);
            }
            let check = "a receiver has what its sender has";
            self.check_within(check, &from, &to, &Graves::default());
        }
        let any = self.excepted() || self.met_late;
        let mut expected = self.expected.clone();
        expected.forget(&self.came_back, &self.graves, any);
        let limited = self.plan.scopes.is_any();
        let removed = self.graves.clone();
        for node in (0..self.nodes.len()).filter(|node| !self.nodes[*node].gone).collect::<Vec<_>>()
        {
            let mut promised = self.nodes[node].promised.clone();
            promised.forget(&self.came_back, &self.graves, any);
            promised.without(&self.taken_back(self.nodes[node].group));
            let held = self.held(node);
            let check = "what was promised to survive is there";
            self.check_within(check, &promised, &held, &removed);
            let check = "nothing is there that nobody wrote";
            self.check_within(check, &held, &self.expected.clone(), &Graves::default());
            if limited {
                self.check_common(node, &held, any);
            } else if self.all_reach_all() {
                self.check_within(
                    "what was written and survived is everywhere",
                    &expected,
                    &held,
                    &removed,
                );
            }
        }
    }

    /// Checks that one who observes from the beginning sees each record's last change.
    fn check_observer(&mut self, node: usize, database: Arc<MemoryDatabase>) {
        let mut observer = Observer::after(database, None, Seq::ZERO);
        let (mut seen, mut last) = (BTreeMap::new(), Seq::ZERO);
        while let Some(Ok(observed)) = ready(observer.next()) {
            if observed.seq < last {
                let message = format!("node {node}: seq {} after {last}", observed.seq);
                return self.fail("an observer sees each change once and in order", message);
            }
            last = observed.seq;
            let latest = seen.entry((observed.collection, observed.key)).or_default();
            *latest = observed.version.max(*latest);
        }
        let Some(life) = &self.nodes[node].life else { return };
        // Of a record that was deleted and forgotten, what the ring still has is seen, too.
        let seen_more =
            |place, seen: Version| life.oracle.grave(place).is_some_and(|grave| seen <= grave.last);
        let missed = life.oracle.latest().find(|(place, version)| {
            let seen = seen.get(*place).copied().unwrap_or_default();
            let more = seen_more(place, seen) || life.oracle.withdrawn.contains(*place);
            seen != *version && !(seen > *version && more)
        });
        if let Some((place, version)) = missed {
            let message =
                format!("node {node}: {} at {version:?}, not {:?}", place.1, seen.get(place));
            self.fail("an observer misses no record", message);
        }
    }

    pub(crate) fn held(&self, node: usize) -> Oracle {
        let life = self.nodes[node].life.as_ref();
        life.and_then(|life| Oracle::of(life.database.as_ref())).unwrap_or_default()
    }

    pub(crate) fn check_within(
        &mut self,
        check: &'static str,
        less: &Oracle,
        more: &Oracle,
        removed: &Graves,
    ) {
        if let Some(place) = less.differs_in(more, removed) {
            let (less, more) = (less.describe(place), more.describe(place));
            self.fail(check, format!("{}: {less} is not in {more}", place.1));
        }
    }

    /// How often operations crossed the links, if nothing went wrong.
    fn measure(&mut self) {
        let both_ways = self.links.iter().all(|link| link.mode == Mode::Bidirectional);
        let doubled = (0..self.links.len()).any(|link| self.is_doubled(link));
        let limited = self.plan.scopes.is_any();
        if !self.report.faults.is_empty() || !both_ways || doubled || limited {
            return;
        }
        let wanted = self.report.operations * self.links.len() as u64;
        let crossings = Crossings { arrived: self.report.crossings, wanted };
        self.report.quiet.insert(self.plan.shape, crossings);
    }
}
