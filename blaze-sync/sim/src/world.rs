//! Everything in a run, and the loop over what happens next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use blaze_codec::{Mode, Role};

use crate::Config;
use crate::clock::{Clock, Time};
use crate::fault::Fault;
use crate::network::{Connections, Link};
use crate::node::{Image, Node};
use crate::oracle::{Graves, Oracle, Place};
use crate::plan::{LinkPlan, NodePlan, Plan};
use crate::policy::{Policies, describe_scopes};
use crate::report::{Failure, Report};
use crate::rng::Rng;
use crate::scopes::Scopes;
use crate::script::Script;
use crate::trace::Trace;

/// More events than any run needs.
const EVENTS_MAX: u64 = 5_000_000;

/// Everything in a run.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact by itself")]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) config: Config,
    pub(crate) plan: Plan,
    pub(crate) rng: Rng,
    time: Time,
    pub(crate) now_ms: u64,
    queue: BTreeMap<(u64, u64), Event>,
    scheduled: u64,
    events: u64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) links: Vec<Link>,
    pub(crate) connections: Connections,
    /// All that was committed and still exists somewhere.
    pub(crate) expected: Oracle,
    /// Whether something that was committed may exist no more.
    pub(crate) lossy: bool,
    /// The greatest version of each tombstone that was removed anywhere.
    pub(crate) graves: Graves,
    /// Whether two met for the first time after one had removed tombstones.
    pub(crate) met_late: bool,
    /// Whether who missed tombstones was sent what came after over a link on which it
    /// couldn't be asked for a roll.
    pub(crate) missed_one_way: bool,
    /// Whether who missed tombstones was asked for its roll.
    pub(crate) roll_called: bool,
    /// What was deleted and came back, where that is excepted.
    pub(crate) came_back: BTreeSet<Place>,
    pub(crate) policies: Policies,
    /// The scenario, until it is over.
    pub(crate) script: Option<Script>,
    pub(crate) trace: Trace,
    pub(crate) report: Report,
    pub(crate) failure: Option<(&'static str, String)>,
    pub(crate) steps: usize,
    /// Distinguishes the values that are written.
    pub(crate) values: i64,
    pub(crate) done: bool,
    /// When all must be quiet.
    pub(crate) quiet_by_ms: u64,
    /// More commits by then are taken to have no end.
    pub(crate) commits_max: usize,
    /// The heads when all was quiet the last time.
    pub(crate) quiet_heads: Option<Vec<usize>>,
}

/// What happens next.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event {
    /// The next step of the workload or the faults.
    Step,
    /// A frame arrives.
    Deliver { connection: u64, to: usize },
    /// A side takes what has arrived.
    Take { connection: u64, side: usize },
    /// A session's timeout may have come.
    Timer { connection: u64, side: usize },
    /// A link is to be made.
    Connect { link: usize, attempt: u64 },
    /// A transaction is written.
    Written { node: usize, life: u64 },
    /// The sessions of a node hear of its feed's head.
    Wake { node: usize, life: u64 },
    /// What a node has written is made durable.
    Sync { node: usize, life: u64 },
    /// A node stores what has settled, and removes tombstones.
    Purge { node: usize, life: u64 },
    /// A fault is over.
    Over(Over),
    /// A look at whether all is quiet.
    Settle,
}

/// What is over.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Over {
    Down { node: usize },
    Blocked { link: usize },
    Slow { link: usize },
    Refused { link: usize },
    Full { node: usize },
    Clock { node: usize },
    Skew { node: usize },
    Overreach { link: usize },
    Dying { connection: u64 },
}

impl World {
    pub(crate) fn new(seed: u64, config: &Config) -> Self {
        let plan = Plan::draw(seed, config);
        let mut world = Self {
            seed,
            config: *config,
            rng: Rng::new(seed, 1),
            time: Arc::new(AtomicU64::new(0)),
            now_ms: 0,
            queue: BTreeMap::new(),
            scheduled: 0,
            events: 0,
            nodes: Vec::new(),
            links: Vec::new(),
            connections: Connections::default(),
            expected: Oracle::default(),
            lossy: false,
            graves: Graves::default(),
            met_late: false,
            missed_one_way: false,
            roll_called: false,
            came_back: BTreeSet::new(),
            policies: Policies::default(),
            script: plan.scenario.map(Script::new),
            trace: Trace::new(config.story),
            report: Report::default(),
            failure: None,
            steps: 0,
            values: 0,
            done: false,
            quiet_by_ms: u64::MAX,
            commits_max: usize::MAX,
            quiet_heads: None,
            plan,
        };
        for node in world.plan.nodes.clone() {
            world.add_node(&node);
        }
        for link in world.plan.links.clone() {
            world.add_link(&link);
        }
        for (link, owner, scopes) in world.plan.scopes.links.clone() {
            world.limit_link(link, owner, scopes);
        }
        world.group();
        for (link, lasts_ms) in world.plan.late_links.clone() {
            world.links[link].blocked = true;
            world.schedule(lasts_ms, Event::Over(Over::Blocked { link }));
        }
        world.schedule(1, Event::Step);
        world
    }

    /// Runs to the end.
    pub(crate) fn run(&mut self) {
        while self.failure.is_none() && !self.done {
            let Some(((at_ms, _), event)) = self.queue.pop_first() else {
                self.fail("all becomes quiet", "nothing is left to happen".to_owned());
                return;
            };
            self.events += 1;
            if self.events > EVENTS_MAX {
                self.fail("all becomes quiet", format!("{EVENTS_MAX} events were not enough"));
            }
            self.now_ms = at_ms;
            self.time.store(at_ms, Relaxed);
            self.handle(event);
            self.direct();
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Step => self.step(),
            Event::Deliver { connection, to } => self.deliver(connection, to),
            Event::Take { connection, side } => self.take(connection, side),
            Event::Timer { connection, side } => self.timer(connection, side),
            Event::Connect { link, attempt } => self.connect(link, attempt),
            Event::Written { node, life } => self.written(node, life),
            Event::Wake { node, life } => self.wake(node, life),
            Event::Sync { node, life } => self.sync(node, life),
            Event::Purge { node, life } => self.purge(node, life),
            Event::Over(over) => self.over(over),
            Event::Settle => self.settle(),
        }
    }

    /// What became of it.
    pub(crate) fn finish(mut self) -> Result<Report, Failure> {
        let hash = self.trace.hash();
        if let Some((check, message)) = self.failure {
            let (seed, steps) = (self.seed, self.steps);
            let story = self.trace.into_lines();
            return Err(Failure { seed, check, message, story, hash, steps });
        }
        self.report.seeds = 1;
        self.report.hash = hash;
        self.report.virtual_ms = self.now_ms;
        self.report.shapes.insert(self.plan.shape, 1);
        Ok(self.report)
    }

    /// What must hold didn't; only the first such thing counts.
    pub(crate) fn fail(&mut self, check: &'static str, message: String) {
        if self.failure.is_none() {
            self.note("failure", &[]);
            self.trace.detail(|| format!("{check}: {message}"));
            self.trace.end();
            self.failure = Some((check, message));
        }
    }

    pub(crate) fn schedule(&mut self, after_ms: u64, event: Event) {
        self.scheduled += 1;
        self.queue.insert((self.now_ms.saturating_add(after_ms), self.scheduled), event);
    }

    pub(crate) fn note(&mut self, label: &'static str, numbers: &[(&'static str, u64)]) {
        self.trace.note(self.now_ms, label, numbers);
    }

    /// Counts a fault that really happened.
    pub(crate) fn happened(&mut self, fault: Fault, numbers: &[(&'static str, u64)]) {
        *self.report.faults.entry(fault).or_default() += 1;
        self.note("fault", &[("kind", fault as u64)]);
        self.trace.detail(|| format!("({fault})"));
        if !numbers.is_empty() {
            self.note("    of", numbers);
        }
    }

    pub(crate) fn add_node(&mut self, plan: &NodePlan) -> usize {
        let clock = Clock::new(&self.time, plan.clock_offset_ms);
        let node = Node::new(plan, clock, &mut self.rng);
        self.place_node(plan, node)
    }

    /// Adds a node on the copy of another's file.
    pub(crate) fn add_copy(&mut self, plan: &NodePlan, image: Image, original: usize) -> usize {
        let clock = Clock::new(&self.time, plan.clock_offset_ms);
        let mut node = Node::new(plan, clock, &mut self.rng);
        node.log.clone_from(&self.nodes[original].log);
        node.synced = Some(image.clone());
        node.file = Some(image);
        self.place_node(plan, node)
    }

    fn place_node(&mut self, plan: &NodePlan, node: Node) -> usize {
        let index = self.nodes.len();
        let id = u64::from(plan.id.as_bytes()[0]);
        let server = u64::from(plan.role == Role::Server);
        self.note("node", &[("node", index as u64), ("id", id), ("server", server)]);
        self.trace.detail(|| format!("{} {:02x}", plan.durability, plan.id.as_bytes()[0]));
        self.nodes.push(node);
        (self.nodes[index].original, self.nodes[index].group) = (index, index);
        self.start(index);
        index
    }

    pub(crate) fn add_link(&mut self, plan: &LinkPlan) {
        let link = self.links.len();
        self.links.push(Link {
            nodes: [plan.connector, plan.acceptor],
            mode: plan.mode,
            refused: false,
            latency_ms: plan.latency_ms,
            latency_usual_ms: plan.latency_ms,
            blocked: false,
            failures: 0,
            attempt: 0,
            connection: None,
            gone: false,
            limited: false,
            owner: 0,
            scopes: [None, None],
            was_unlimited: [false; 2],
            overreaches: false,
        });
        let (from, to) = (plan.connector as u64, plan.acceptor as u64);
        self.note("link", &[("link", link as u64), ("from", from), ("to", to)]);
        self.trace.detail(|| plan.mode.to_string());
        self.connect_after(link, 0);
    }

    /// Limits a link that was just added.
    pub(crate) fn limit_link(&mut self, link: usize, owner: usize, scopes: Scopes) {
        self.note("limited", &[("link", link as u64)]);
        self.trace.detail(|| describe_scopes(&scopes));
        let found = &mut self.links[link];
        (found.limited, found.owner, found.scopes) = (true, owner, scopes);
        found.was_unlimited = [0, 1].map(|side| found.scopes[side].is_none());
        for node in self.links[link].nodes {
            self.meet(node, None);
        }
    }

    /// Whether all that is anywhere must come to be everywhere.
    pub(crate) fn all_reach_all(&self) -> bool {
        let alive = |node: usize| !self.nodes[node].gone;
        self.reach_all(&alive, |link| !link.gone)
    }

    /// Whether all that is at one of these nodes must come to be at all of them, over such
    /// links.
    pub(crate) fn reach_all(
        &self,
        among: &dyn Fn(usize) -> bool,
        over: impl Fn(&Link) -> bool,
    ) -> bool {
        let links = || self.links.iter().filter(|link| over(link));
        if links().any(|link| link.mode != Mode::Bidirectional) {
            return false;
        }
        let Some(first) = (0..self.nodes.len()).find(|node| among(*node)) else { return false };
        let mut reached = vec![false; self.nodes.len()];
        let mut open = vec![first];
        while let Some(node) = open.pop() {
            if std::mem::replace(&mut reached[node], true) {
                continue;
            }
            let linked = links().filter(|link| link.nodes.contains(&node));
            open.extend(linked.flat_map(|link| link.nodes));
        }
        reached.into_iter().enumerate().all(|(node, reached)| reached || !among(node))
    }
}
