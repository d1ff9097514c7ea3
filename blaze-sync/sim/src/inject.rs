//! Lets things go wrong, and ends it.

use blaze_codec::Role;
use blaze_db_adapter::DatabaseAdapter;
use blaze_sync_protocol::Input;

use crate::fault::Fault;
use crate::network::Link;
use crate::node::Image;
use crate::plan::{LinkPlan, NodePlan, draw_mode};
use crate::ready::ready;
use crate::rng::Rng;
use crate::storage::Stop;
use crate::world::{Event, Over, World};

/// More nodes than this don't join.
const NODES_MAX: usize = 12;

impl World {
    /// Lets something go wrong that the seed has a weight for, if it is switched on.
    pub(crate) fn fault(&mut self, rng: &mut Rng) {
        let faults = &self.config.faults;
        // A fault that is switched off keeps its place, so that the others stay.
        let weight = |fault: Fault| {
            self.plan.weights[fault as usize] * u64::from(faults.weight(fault).max(1))
        };
        let mut at = rng.below(Fault::ALL.into_iter().map(weight).sum());
        for fault in Fault::ALL {
            let Some(rest) = at.checked_sub(weight(fault)) else {
                if faults.has(fault) {
                    self.inject(fault, rng);
                }
                return;
            };
            at = rest;
        }
    }

    /// Does it; `None` if there was nothing that it could happen to.
    fn inject(&mut self, fault: Fault, rng: &mut Rng) -> Option<()> {
        let lasts_ms = if rng.percent(20) { rng.between(50, 20_000) } else { rng.between(5, 800) };
        match fault {
            Fault::Disconnect | Fault::HalfOpen | Fault::SlowReader => {
                self.inject_connection(fault, rng, lasts_ms)
            }
            Fault::Duplicate | Fault::Lose => {
                // It happens with the next frame of changes.
                let connection = self.any_connection(rng)?;
                let wire = &mut self.connections.get_mut(connection)?.wires[rng.index(2)];
                wire.mishap = Some(fault);
                Some(())
            }
            Fault::Delay => {
                let link = self.any_link(rng)?;
                self.links[link].latency_ms = rng.between(50, 1_500);
                self.happened(fault, &[("link", link as u64)]);
                self.schedule(lasts_ms, Event::Over(Over::Slow { link }));
                Some(())
            }
            Fault::Reorder => {
                self.happened(fault, &[]);
                for link in 0..self.links.len() {
                    self.links[link].latency_ms =
                        if rng.percent(50) { 0 } else { rng.between(20, 400) };
                    self.schedule(lasts_ms, Event::Over(Over::Slow { link }));
                }
                Some(())
            }
            Fault::Partition => self.partition(rng, lasts_ms),
            Fault::Restart | Fault::Crash | Fault::PowerCut => {
                self.inject_stop(fault, rng, lasts_ms)
            }
            Fault::Torn => {
                let node = self.running(rng)?;
                self.write(rng, node);
                let how = if rng.percent(50) { Stop::Kill } else { Stop::PowerCut };
                let at_work = !self.nodes[node].jobs.is_empty();
                self.happened(fault, &[("node", node as u64), ("at work", u64::from(at_work))]);
                self.take_down(node, how, rng.percent(25), lasts_ms);
                Some(())
            }
            Fault::ClockJump | Fault::ClockDrift | Fault::ClockBeyond => {
                self.inject_clock(fault, rng, lasts_ms)
            }
            Fault::DiskFull => {
                let node = self.running(rng)?;
                self.fill(node, lasts_ms);
                Some(())
            }
            Fault::Skew => {
                let node = self.running(rng)?;
                self.nodes[node].speaks = rng.pick(&[(1, 3), (2, 3)]);
                self.happened(fault, &[("node", node as u64)]);
                self.cut_node(node);
                self.schedule(lasts_ms, Event::Over(Over::Skew { node }));
                Some(())
            }
            Fault::ModeChange => {
                let link = self.any_link(rng)?;
                self.links[link].refused = rng.percent(40);
                if !self.links[link].refused {
                    self.links[link].mode = draw_mode(rng);
                }
                self.happened(fault, &[("link", link as u64)]);
                self.trace.detail(|| self.links[link].mode.to_string());
                self.cut_link(link);
                self.schedule(lasts_ms, Event::Over(Over::Refused { link }));
                Some(())
            }
            Fault::RoleChange => {
                let node = self.running(rng)?;
                let role = if rng.percent(50) { Role::Server } else { Role::Client };
                let found = &mut self.nodes[node];
                ready(found.life.as_ref()?.database.set_role(role))?.ok()?;
                found.role = role;
                self.happened(fault, &[("node", node as u64), ("role", role as u64)]);
                Some(())
            }
            Fault::PolicyChange => self.change_policy(rng),
            Fault::Overreach => self.overreach(rng, lasts_ms),
            Fault::Join => self.join(rng),
            Fault::Leave => self.leave(rng),
            Fault::Restore => self.restore(rng, lasts_ms),
            Fault::Clone => self.copy(rng),
        }
    }

    /// A node's disk is full for a while.
    pub(crate) fn fill(&mut self, node: usize, lasts_ms: u64) {
        self.nodes[node].full = true;
        self.happened(Fault::DiskFull, &[("node", node as u64)]);
        self.schedule(lasts_ms, Event::Over(Over::Full { node }));
    }

    /// A side takes no frames for a while.
    pub(crate) fn slow_down(&mut self, connection: u64, side: usize, lasts_ms: u64) -> Option<()> {
        self.happened(Fault::SlowReader, &[("connection", connection), ("side", side as u64)]);
        let slow_until_ms = self.now_ms + lasts_ms;
        self.connections.end_mut(connection, side)?.slow_until_ms = slow_until_ms;
        self.schedule(lasts_ms, Event::Take { connection, side });
        Some(())
    }

    fn inject_connection(&mut self, fault: Fault, rng: &mut Rng, lasts_ms: u64) -> Option<()> {
        let (connection, side) = (self.any_connection(rng)?, rng.index(2));
        if fault == Fault::SlowReader {
            return self.slow_down(connection, side, lasts_ms);
        }
        self.happened(fault, &[("connection", connection), ("side", side as u64)]);
        if fault == Fault::Disconnect {
            self.cut(connection);
            return Some(());
        }
        let found = self.connections.get_mut(connection)?;
        found.wires[side].dead = true;
        if rng.percent(60) {
            found.wires[1 - side].dead = true;
            self.feed(connection, side, Input::Disconnected("the connection was reset".to_owned()));
        }
        Some(())
    }

    fn inject_stop(&mut self, fault: Fault, rng: &mut Rng, lasts_ms: u64) -> Option<()> {
        let node = self.running(rng)?;
        let how = match fault {
            Fault::Restart => Stop::Close,
            Fault::Crash => Stop::Kill,
            _ => Stop::PowerCut,
        };
        self.happened(fault, &[("node", node as u64)]);
        self.take_down(node, how, rng.percent(25), lasts_ms);
        Some(())
    }

    fn take_down(&mut self, node: usize, how: Stop, unanswered: bool, lasts_ms: u64) {
        self.stop(node, how, unanswered);
        self.schedule(lasts_ms, Event::Over(Over::Down { node }));
    }

    fn inject_clock(&mut self, fault: Fault, rng: &mut Rng, lasts_ms: u64) -> Option<()> {
        let node = self.running(rng)?;
        let sign = if rng.percent(50) { 1 } else { -1 };
        let clock = &self.nodes[node].clock;
        match fault {
            Fault::ClockJump => clock.set(sign * rng.between(1, 60_000).cast_signed(), 0),
            Fault::ClockDrift => {
                clock.set(clock.offset_ms(), sign * rng.between(100, 300_000).cast_signed());
            }
            _ => clock.set(sign * rng.between(310_000, 380_000).cast_signed(), 0),
        }
        let offset_ms = clock.offset_ms();
        self.happened(fault, &[("node", node as u64), ("ms", offset_ms.unsigned_abs())]);
        self.schedule(lasts_ms, Event::Over(Over::Clock { node }));
        Some(())
    }

    fn partition(&mut self, rng: &mut Rng, lasts_ms: u64) -> Option<()> {
        let sides = (0..self.nodes.len()).map(|_| rng.percent(50)).collect::<Vec<_>>();
        let across = (0..self.links.len()).filter(|link| {
            let link = &self.links[*link];
            !link.gone && sides[link.nodes[0]] != sides[link.nodes[1]]
        });
        let across = across.collect::<Vec<_>>();
        self.happened(Fault::Partition, &[("links", across.len() as u64)]);
        let silently = rng.percent(60);
        for link in &across {
            self.links[*link].blocked = true;
            if silently {
                self.hold(*link, true);
            } else {
                self.cut_link(*link);
            }
            self.schedule(lasts_ms, Event::Over(Over::Blocked { link: *link }));
        }
        (!across.is_empty()).then_some(())
    }

    fn join(&mut self, rng: &mut Rng) -> Option<()> {
        let other = self.running(rng).filter(|_| self.nodes.len() < NODES_MAX)?;
        self.happened(Fault::Join, &[]);
        let other = self.owner(other).unwrap_or(other);
        let plan = NodePlan::draw(rng, rng.clone().percent(30));
        let node = self.add_node(&plan);
        self.nodes[node].group = self.nodes[other].group;
        self.add_link(&LinkPlan::draw(rng, (other, node), false));
        Some(())
    }

    fn leave(&mut self, rng: &mut Rng) -> Option<()> {
        let node = self.running(rng)?;
        if self.nodes.iter().filter(|node| !node.gone).count() < 3 {
            return None;
        }
        self.happened(Fault::Leave, &[("node", node as u64)]);
        self.stop(node, Stop::Close, false);
        self.nodes[node].gone = true;
        for link in self.links.iter_mut().filter(|link| link.nodes.contains(&node)) {
            link.gone = true;
        }
        for link in 0..self.links.len() {
            if self.links[link].gone {
                self.cut_link(link);
            }
        }
        self.lost(node);
        Some(())
    }

    fn restore(&mut self, rng: &mut Rng, lasts_ms: u64) -> Option<()> {
        let node = self.running(rng)?;
        let count = self.nodes[node].backups.len();
        let backup = self.nodes[node].backups.get(rng.index(count))?.clone();
        self.put_back(node, backup, lasts_ms);
        Some(())
    }

    /// A node's file is put back to a backup.
    pub(crate) fn put_back(&mut self, node: usize, backup: Image, lasts_ms: u64) {
        self.happened(Fault::Restore, &[("node", node as u64), ("head", backup.snapshot.head().0)]);
        self.take_down(node, Stop::Kill, false, lasts_ms);
        let found = &mut self.nodes[node];
        found.promised = backup.oracle.clone();
        found.promised_until_cut.clear();
        found.synced = Some(backup.clone());
        found.file = Some(backup);
        self.lost(node);
    }

    fn copy(&mut self, rng: &mut Rng) -> Option<()> {
        let node = self.running(rng).filter(|_| self.nodes.len() < NODES_MAX)?;
        let other = self.running(rng)?;
        let image = self.nodes[node].image()?;
        self.happened(Fault::Clone, &[("node", node as u64)]);
        let plan = NodePlan { id: self.nodes[node].id, ..NodePlan::draw(rng, false) };
        let copy = self.add_copy(&plan, image, node);
        self.nodes[copy].original = self.nodes[node].original;
        self.copy_given(node, copy);
        let limited = self.links.iter().position(|link| {
            let side = link.nodes.iter().position(|found| *found == node);
            !link.gone && side.is_some_and(|side| link.scopes[1 - side].is_some())
        });
        let Some(limited) = limited else {
            self.nodes[copy].group = self.nodes[other].group;
            self.add_link(&LinkPlan::draw(rng, (other, copy), false));
            return Some(());
        };
        // Whoever was limited stays so.
        let Link { nodes, owner, scopes, was_unlimited, .. } = &self.links[limited];
        let [connector, acceptor] = nodes.map(|found| if found == node { copy } else { found });
        let (owner, scopes, was_unlimited) = (*owner, scopes.clone(), *was_unlimited);
        self.nodes[copy].group = copy;
        self.add_link(&LinkPlan { connector, acceptor, ..LinkPlan::draw(rng, (0, 1), false) });
        self.limit_link(self.links.len() - 1, owner, scopes);
        if let Some(link) = self.links.last_mut() {
            link.was_unlimited = was_unlimited;
        }
        Some(())
    }

    /// The one that limits a node which is to have no other peers.
    fn owner(&self, node: usize) -> Option<usize> {
        let links = self.links.iter().filter(|link| !self.plan.scopes.passes && !link.gone);
        let mut sides = links.flat_map(|link| [0, 1].map(|side| (link, side)));
        let (link, side) = sides.find(|(link, side)| {
            link.limited && link.nodes[*side] == node && link.scopes[1 - *side].is_some()
        })?;
        Some(link.nodes[1 - side])
    }

    fn cut_node(&mut self, node: usize) {
        for (connection, _) in self.connections.of_node(node) {
            self.cut(connection);
        }
    }

    fn any_connection(&self, rng: &mut Rng) -> Option<u64> {
        rng.pick(&self.connections.iter().map(|(number, _)| number).collect::<Vec<_>>())
    }

    fn any_link(&self, rng: &mut Rng) -> Option<usize> {
        let links = (0..self.links.len()).filter(|link| !self.links[*link].gone);
        rng.pick(&links.collect::<Vec<_>>())
    }

    /// Ends a fault.
    pub(crate) fn over(&mut self, over: Over) {
        match over {
            Over::Down { node } => self.start(node),
            Over::Blocked { link } => {
                self.links[link].blocked = false;
                self.hold(link, false);
            }
            Over::Slow { link } => self.links[link].latency_ms = self.links[link].latency_usual_ms,
            Over::Refused { link } => self.links[link].refused = false,
            Over::Full { node } => self.nodes[node].full = false,
            Over::Clock { node } => self.nodes[node].clock.set(0, 0),
            Over::Overreach { link } => {
                if std::mem::take(&mut self.links[link].overreaches) {
                    self.cut_link(link);
                }
            }
            Over::Skew { node } => {
                if self.nodes[node].speaks.take().is_some() {
                    self.cut_node(node);
                }
            }
            Over::Dying { connection } => self.cut(connection),
        }
    }
}
