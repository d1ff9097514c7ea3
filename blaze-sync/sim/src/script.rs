//! Runs a scenario: each of its steps, once what the one before did shows.

use blaze_codec::{RecordKey, Seq, record};
use blaze_db_adapter::{Write, WriteKind};

use crate::fault::Fault;
use crate::node::Job;
use crate::oracle::{Facts, Place};
use crate::scenario::{Scenario, ScenarioPlan};
use crate::storage::Stop;
use crate::workload::collection;
use crate::world::{Event, Over, World};

/// A scenario that hasn't come to its end after so long is given up.
const SCENARIO_MS_MAX: u64 = 10_000;

/// How far a scenario is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script {
    plan: ScenarioPlan,
    /// The steps that are done, and when the last one was.
    done: u64,
    done_ms: u64,
}

/// That a step was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Step,
    All,
}

impl Script {
    pub(crate) const fn new(plan: ScenarioPlan) -> Self {
        Self { plan, done: 0, done_ms: 0 }
    }
}

impl World {
    /// Does the next step of the scenario, if there is one and it is time to.
    pub(crate) fn direct(&mut self) {
        let Some(script) = self.script else { return };
        let ScenarioPlan { scenario, begins_ms, .. } = script.plan;
        if self.now_ms < begins_ms {
            return;
        }
        let done = match scenario {
            Scenario::PeerRestored => self.peer_restored(&script),
            Scenario::RollBrokenOff => self.roll_broken_off(&script),
            Scenario::LinkBehind => self.link_behind(&script),
        };
        if done.is_some() {
            self.note("scenario", &[("kind", scenario as u64), ("step", script.done)]);
            self.trace.detail(|| format!("({scenario})"));
        }
        match done {
            Some(Done::Step) => {
                let (done, done_ms) = (script.done + 1, self.now_ms);
                self.script = Some(Script { done, done_ms, ..script });
            }
            Some(Done::All) => {
                self.script = None;
                *self.report.scenarios.entry(scenario).or_default() += 1;
            }
            None if self.now_ms > begins_ms + SCENARIO_MS_MAX => self.script = None,
            None => {}
        }
    }

    fn peer_restored(&mut self, script: &Script) -> Option<Done> {
        let ScenarioPlan { near, far, wait_ms, lasts_ms, .. } = script.plan;
        match script.done {
            0 => self.put(near, self.place()),
            1 => {
                self.settled_record(near, far).filter(|record| record.exists())?;
                let image = self.nodes[far].image()?;
                self.nodes[far].backups.push(image);
                self.delete(near)
            }
            2 => {
                self.settled_record(near, far).filter(|record| !record.exists())?;
                if self.nodes[near].full {
                    return None;
                }
                let place = self.place();
                let mut backups = self.nodes[far].backups.iter();
                let backup = backups.rfind(|backup| backup.oracle.exists(&place))?.clone();
                self.store_settled(near);
                self.put_back(far, backup, wait_ms);
                Some(Done::Step)
            }
            3 => {
                let (connection, side) = self.met_again(near, far)?;
                self.record(near).filter(|record| !record.exists())?;
                self.record(far).filter(|record| record.exists())?;
                self.slow_down(connection, 1 - side, lasts_ms)?;
                Some(Done::Step)
            }
            _ => self.remove_after(near, script.done_ms + wait_ms),
        }
    }

    fn roll_broken_off(&mut self, script: &Script) -> Option<Done> {
        let ScenarioPlan { near, far, lasts_ms, .. } = script.plan;
        match script.done {
            0 => self.put(near, self.place()),
            1 => {
                self.settled_record(near, far).filter(|record| record.exists())?;
                self.happened(Fault::Restart, &[("node", far as u64)]);
                self.stop(far, Stop::Close, false);
                self.schedule(SCENARIO_MS_MAX, Event::Over(Over::Down { node: far }));
                self.delete(near)
            }
            2 => {
                let place = self.place();
                self.nodes[near].life.as_ref()?.oracle.grave(&place)?;
                // Something newer is there to be sent.
                let (collection, _) = place;
                let other = self.plan.keys.cast_signed() + 1;
                self.put(near, (collection, RecordKey::Int(other)))?;
                self.start(far);
                Some(Done::Step)
            }
            _ => {
                self.met_again(near, far)?;
                self.record(far).filter(|record| record.exists())?;
                self.fill(near, lasts_ms);
                Some(Done::All)
            }
        }
    }

    fn link_behind(&mut self, script: &Script) -> Option<Done> {
        let ScenarioPlan { link, near, far, lasts_ms, .. } = script.plan;
        match script.done {
            0 => {
                let sessions = self.sessions(near, far);
                let registered = sessions.iter().filter(|(connection, side)| {
                    self.connections.end(*connection, *side).is_some_and(|end| end.registered)
                });
                if registered.count() < 2 {
                    return None;
                }
                self.put(far, self.place())?;
                self.happened(Fault::Partition, &[("links", 1)]);
                self.links[link].blocked = true;
                self.hold(link, true);
                self.schedule(lasts_ms, Event::Over(Over::Blocked { link }));
                Some(Done::Step)
            }
            1 => {
                self.record(near).filter(|record| record.exists())?;
                self.delete(near)
            }
            _ => {
                let record = self.record(near).filter(|record| !record.exists())?;
                let sessions = self.sessions(near, far).into_iter();
                let ends = sessions.filter_map(|(number, side)| self.connections.end(number, side));
                let settled = ends.map(|end| end.settled).max();
                settled.filter(|settled| *settled >= record.changed)?;
                self.remove_after(near, 0)
            }
        }
    }

    /// The scenario's record, which no random write is to.
    fn place(&self) -> Place {
        (collection(), RecordKey::Int(self.plan.keys.cast_signed()))
    }

    /// What a node knows of it.
    fn record(&self, node: usize) -> Option<&Facts> {
        self.nodes[node].life.as_ref()?.oracle.facts(&self.place())
    }

    /// The same, once the other one has it for good.
    fn settled_record(&self, node: usize, peer: usize) -> Option<&Facts> {
        let id = self.nodes[peer].life.as_ref().map(|_| self.nodes[peer].id)?;
        let settled = self.settled(node).into_iter().find(|(peer, _)| *peer == id);
        let settled = settled.map(|(_, settled)| settled).filter(|seq| *seq > Seq::ZERO)?;
        self.record(node).filter(|record| record.changed <= settled)
    }

    /// The sessions of a node with another.
    fn sessions(&self, node: usize, peer: usize) -> Vec<(u64, usize)> {
        let sessions = self.connections.of_node(node).into_iter();
        let with = sessions.filter(|(number, side)| {
            self.connections.get(*number).is_some_and(|found| found.nodes[1 - side] == peer)
        });
        with.collect()
    }

    /// A session of a node with another as that is now, once it is registered.
    fn met_again(&self, node: usize, peer: usize) -> Option<(u64, usize)> {
        let losses = self.nodes[peer].losses;
        self.sessions(node, peer).into_iter().find(|(number, side)| {
            let theirs = self.connections.end(*number, 1 - side);
            let ours = self.connections.end(*number, *side).filter(|_| theirs.is_some());
            ours.is_some_and(|end| end.registered && end.peer_losses == losses)
        })
    }

    fn put(&mut self, node: usize, place: Place) -> Option<Done> {
        self.values += 1;
        let record = record! { "a" => self.values };
        self.change(node, place, WriteKind::Put(record))
    }

    fn delete(&mut self, node: usize) -> Option<Done> {
        self.change(node, self.place(), WriteKind::Delete)
    }

    fn change(&mut self, node: usize, place: Place, kind: WriteKind) -> Option<Done> {
        self.nodes[node].life.as_ref()?;
        let (collection, key) = place;
        self.submit(node, Job::Commit(vec![Write { collection, key, kind }]));
        Some(Done::Step)
    }

    /// A node removes tombstones, as it does now and then anyway.
    fn remove_after(&mut self, node: usize, due_ms: u64) -> Option<Done> {
        let found = &self.nodes[node];
        if found.life.is_none() || found.full || self.now_ms < due_ms {
            return None;
        }
        self.store_settled(node);
        self.remove_tombstones(node);
        Some(Done::All)
    }
}
