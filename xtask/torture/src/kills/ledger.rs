//! What the lanes of one node have written, so far as was said.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Result, bail};

use crate::plan::{self, Size, State};

/// A lane's commits, known by what an app said of them.
#[derive(Debug, Default)]
struct Lane {
    /// From which commit on which seed decided.
    seeds: Vec<(u64, u64)>,
    acked: u64,
    /// What must be there, whatever happened.
    kept: u64,
}

/// All lanes that a node has written.
#[derive(Debug)]
pub(super) struct Ledger {
    first: u64,
    lanes: BTreeMap<u64, Lane>,
    taken: HashMap<(u64, u64), (u64, u64)>,
    /// The incarnation and the last seq that it was heard of.
    reached: (u64, u64),
    pub(super) acked: u64,
    pub(super) synced: u64,
    /// Acknowledged commits that a power cut could cost.
    pub(super) at_risk: u64,
}

/// Lanes that a node writes at a time.
const LANES: u64 = 2;

impl Ledger {
    /// No commit yet; lanes are numbered from `first`.
    pub(super) fn new(first: u64) -> Self {
        let (lanes, taken) = (BTreeMap::new(), HashMap::new());
        let reached = (0, 0);
        let mut ledger = Self { first, lanes, taken, reached, acked: 0, synced: 0, at_risk: 0 };
        ledger.renew();
        ledger
    }

    /// The lanes to write now.
    pub(super) fn current(&self) -> Vec<u64> {
        (self.first..self.first + LANES).collect()
    }

    /// Leaves the lanes for new ones: of their last commits, each may be lost, or be
    /// lost here and come back from a peer.
    pub(super) fn renew(&mut self) {
        if !self.lanes.is_empty() {
            for lane in self.current() {
                let lane = &self.lanes[&lane];
                self.at_risk += lane.acked - lane.kept;
            }
            self.first += LANES;
        }
        for lane in self.current() {
            self.lanes.insert(lane, Lane::default());
        }
    }

    /// The app opened its database; from here on `seed` decides what is written.
    pub(super) fn opened(
        &mut self,
        seed: u64,
        lanes: &[(u64, u64)],
        (incarnation, head): (u64, u64),
    ) -> Result<()> {
        let (before, reached) = self.reached;
        if incarnation == before && head < reached {
            bail!("its feed went from {reached} back to {head} in incarnation {incarnation:x}");
        }
        self.reached = (incarnation, head);
        for (lane, number) in lanes {
            let known = self.lanes.get_mut(lane).expect("it was told its lanes");
            let (kept, acked) = (known.kept, known.acked);
            if !(kept..=acked + 1).contains(number) {
                bail!(
                    "lane {lane} opened at commit {number}, which is not in {kept}..={}",
                    acked + 1
                );
            }
            known.seeds.push((number + 1, seed));
            (known.acked, known.kept) = (*number, *number);
        }
        Ok(())
    }

    /// A commit was acknowledged, at a level that `keeps` it whatever happens.
    pub(super) fn acked(
        &mut self,
        (lane, number): (u64, u64),
        (incarnation, seq): (u64, u64),
        keeps: bool,
    ) -> Result<()> {
        let known = self.lanes.get_mut(&lane).expect("it was told its lanes");
        if number != known.acked + 1 {
            bail!("lane {lane} made commit {number} after {}", known.acked);
        }
        known.acked = number;
        self.reached = (incarnation, seq.max(self.reached.1));
        known.kept = if keeps { number } else { known.kept };
        self.acked += 1;
        if let Some(earlier) = self.taken.insert((incarnation, seq), (lane, number)) {
            bail!(
                "seq {seq} of incarnation {incarnation:x} was handed out to {earlier:?} and to {:?}",
                (lane, number)
            );
        }
        Ok(())
    }

    /// Peers have these commits, and so they stay.
    pub(super) fn synced(&mut self, lanes: &[(u64, u64)]) {
        for (lane, number) in lanes {
            let known = self.lanes.get_mut(lane).expect("it was told its lanes");
            known.kept = known.kept.max((*number).min(known.acked));
        }
        self.synced += 1;
    }

    /// Checks what every replica holds now. Gives how many acknowledged commits are
    /// gone, as they may be after a power cut at durability `Process`.
    pub(super) fn check(&self, found: &BTreeMap<u64, (u64, State)>) -> Result<u64> {
        let mut lost = 0;
        for (lane, known) in &self.lanes {
            let nothing = (0, State::new());
            let (number, state) = found.get(lane).unwrap_or(&nothing);
            if !(known.kept..=known.acked + 1).contains(number) {
                let (kept, acked) = (known.kept, known.acked);
                bail!(
                    "lane {lane} ended at commit {number}; {kept} are kept, {acked} acknowledged"
                );
            }
            lost += known.acked.saturating_sub(*number);
            let mut expected = State::new();
            for number in 1..=*number {
                let seed = known.seeds.iter().rev().find(|(first, _)| *first <= number);
                let (_, seed) = seed.expect("it was opened before it wrote");
                plan::apply(&mut expected, &plan::writes(*seed, *lane, number, Size::Small));
            }
            if expected != *state {
                let missing =
                    expected.iter().find(|(key, content)| state.get(key) != Some(content));
                let extra = state.iter().find(|(key, _)| !expected.contains_key(key));
                bail!(
                    "lane {lane} at commit {number}: expected {missing:?}; resurrected {extra:?}"
                );
            }
        }
        Ok(lost)
    }
}
