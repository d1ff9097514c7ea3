//! What the lanes of one node have written, so far as was said.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Result, bail};

use crate::plan::{self, Size, State, Writes};

/// A lane's commits, known by what an app said of them.
#[derive(Debug, Default)]
struct Lane {
    /// From which commit on which seed decided.
    seeds: Vec<(u64, u64)>,
    acked: u64,
    /// What must be there, whatever happened.
    kept: u64,
    /// What peers acknowledged that lose nothing.
    held: u64,
    /// Whether the file that it was written to has gone back, or is gone.
    restored: bool,
}

/// How far each lane was when a backup was made.
#[derive(Debug, Default)]
pub(super) struct Snapshot(BTreeMap<u64, Place>);

#[derive(Debug, Clone, Copy)]
struct Place {
    acked: u64,
    kept: u64,
}

/// Acknowledged commits that are gone, as they may be.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Lost {
    /// By a power cut at durability `Process`.
    pub(super) process: u64,
    /// By a file that went back or is gone.
    pub(super) restored: u64,
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
        self.begin();
    }

    fn begin(&mut self) {
        for lane in self.current() {
            self.lanes.insert(lane, Lane::default());
        }
    }

    /// What a copy of the file has now.
    pub(super) fn snapshot(&self) -> Snapshot {
        let place = |lane: &Lane| Place { acked: lane.acked, kept: lane.kept };
        Snapshot(self.lanes.iter().map(|(number, lane)| (*number, place(lane))).collect())
    }

    /// Whether peers have what a backup doesn't.
    pub(super) fn is_beyond(&self, backup: &Snapshot) -> bool {
        // One commit more than was acknowledged may be in it.
        let most = |lane| backup.0.get(lane).map_or(0, |place| place.acked + 1);
        self.lanes.iter().any(|(lane, known)| known.held > most(lane))
    }

    /// The file is as it was in a backup: of what it acknowledged later, only that
    /// stays which peers have. The lanes are left for new ones.
    pub(super) fn go_back(&mut self, backup: &Snapshot) {
        for (lane, known) in &mut self.lanes {
            let there = backup.0.get(lane).map_or(0, |place| place.kept);
            known.kept = known.kept.min(there.max(known.held));
            known.restored = true;
        }
        self.first += LANES;
        self.begin();
    }

    /// The file is gone for good.
    pub(super) fn leave(&mut self) {
        self.go_back(&Snapshot::default());
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

    /// Peers that lose nothing have these commits, and so they stay.
    pub(super) fn synced(&mut self, lanes: &[(u64, u64)]) {
        for (lane, number) in lanes {
            let known = self.lanes.get_mut(lane).expect("it was told its lanes");
            known.held = known.held.max((*number).min(known.acked));
            known.kept = known.kept.max(known.held);
        }
        self.synced += 1;
    }

    /// Checks what every replica holds now.
    pub(super) fn check(&self, found: &BTreeMap<u64, (u64, State)>) -> Result<Lost> {
        let mut lost = Lost::default();
        for (lane, known) in &self.lanes {
            let nothing = (0, State::new());
            let (number, state) = found.get(lane).unwrap_or(&nothing);
            if !(known.kept..=known.acked + 1).contains(number) {
                let (kept, acked) = (known.kept, known.acked);
                bail!(
                    "lane {lane} ended at commit {number}; {kept} are kept, {acked} acknowledged"
                );
            }
            let gone = known.acked.saturating_sub(*number);
            if known.restored {
                lost.restored += gone;
                known.check_window(*lane, state)?;
                continue;
            }
            lost.process += gone;
            let mut expected = State::new();
            for number in 1..=*number {
                plan::apply(&mut expected, &known.writes(*lane, number));
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

impl Lane {
    /// What a commit wrote.
    fn writes(&self, lane: u64, number: u64) -> Writes {
        let seed = self.seeds.iter().rev().find(|(first, _)| *first <= number);
        let (_, seed) = seed.expect("it was opened before it wrote");
        plan::writes(*seed, lane, number, Size::Small)
    }

    /// Checks that each record is as some commit left it, from the last one that must
    /// be there on. What peers have of the later ones needn't be a first part of them:
    /// what is read back from a feed comes without records that changed again.
    fn check_window(&self, lane: u64, state: &State) -> Result<()> {
        let mut expected = State::new();
        for number in 1..=self.kept {
            plan::apply(&mut expected, &self.writes(lane, number));
        }
        let mut later: BTreeMap<i64, Vec<_>> = BTreeMap::new();
        // The last one wasn't acknowledged, but may be there.
        for number in self.kept + 1..=self.acked + u64::from(!self.seeds.is_empty()) {
            for (key, content) in self.writes(lane, number) {
                later.entry(key).or_default().push(content);
            }
        }
        let keys: BTreeSet<_> = expected.keys().chain(state.keys()).collect();
        for key in keys {
            let (found, must) = (state.get(key), expected.get(key));
            let may = later.get(key).is_some_and(|later| later.contains(&found.copied()));
            if found != must && !may {
                let (kept, acked) = (self.kept, self.acked);
                bail!(
                    "lane {lane} of a restored file, key {key}: found {found:?}, which is not {must:?} as of commit {kept}, nor of any up to {acked}"
                );
            }
        }
        Ok(())
    }
}
