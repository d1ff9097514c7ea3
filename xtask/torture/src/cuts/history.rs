//! What one file must hold, over all rounds that it went through.

use std::collections::HashMap;

use super::{Ack, Said};
use crate::plan::{self, Size, State};

/// What is known of a file after its last check.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Each lane's last commit, and what its collection holds.
    pub(super) lanes: Vec<(u64, State)>,
    /// Who has had each place in the feed: round, lane and number.
    taken: HashMap<(u64, u64), (u64, u64, u64)>,
}

/// What a round's check counted.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Found {
    pub(super) acked_disk: u64,
    pub(super) acked_process: u64,
    pub(super) merges: u64,
    pub(super) lost_process: u64,
}

impl History {
    /// A file that doesn't exist yet.
    pub(crate) fn new(lanes: u64) -> Self {
        let lanes = (0..lanes).map(|_| (0, State::new())).collect();
        Self { lanes, taken: HashMap::new() }
    }

    /// Checks what survived of a round against what was said in it, and goes on from
    /// there: whether the power was
    /// cut, and each lane's last commit and what its collection holds, as found.
    ///
    /// # Errors
    ///
    /// What is wrong.
    pub(super) fn accept(
        &mut self,
        round: u64,
        cut: bool,
        (seed, size): (u64, Size),
        said: &[Said],
        found: Vec<(u64, State)>,
    ) -> Result<Found, String> {
        let acks = || {
            said.iter()
                .filter_map(|said| if let Said::Acked(ack) = said { Some(*ack) } else { None })
        };
        let mut counted = Found::default();
        for ack in acks() {
            self.take(round, ack)?;
            *(if ack.disk { &mut counted.acked_disk } else { &mut counted.acked_process }) += 1;
            counted.merges += u64::from(ack.lane == super::MERGING);
        }
        let reached = self.follow(said)?;
        let survived = |ack: &Ack| ack.number <= found[index(ack.lane)].0;
        // Whatever comes before a commit that survived must have survived, too.
        let floor = acks().filter(|ack| ack.disk || survived(ack)).map(|ack| ack.seq).max();
        for ack in acks().filter(|ack| !survived(ack)) {
            if ack.disk || !cut {
                return Err(format!("an acknowledged commit is lost: {ack:?}"));
            }
            if Some(ack.seq) <= floor {
                return Err(format!("{ack:?} is lost, though a later commit is there: {floor:?}"));
            }
            counted.lost_process += 1;
        }
        for (lane, (number, state)) in found.into_iter().enumerate() {
            let (done, expected) = &mut self.lanes[lane];
            let started = reached[lane] + 1;
            if !(*done..=started).contains(&number) {
                return Err(format!(
                    "lane {lane} is at commit {number}, which is not in {done}..={started}"
                ));
            }
            for number in *done + 1..=number {
                plan::apply(expected, &plan::writes(seed, lane as u64, number, size));
            }
            if *expected != state {
                let differs =
                    expected.iter().find(|(key, content)| state.get(key) != Some(content));
                let extra = state.keys().find(|key| !expected.contains_key(key));
                return Err(format!(
                    "lane {lane} at commit {number} differs: expected {differs:?}, not key {extra:?}"
                ));
            }
            *done = number;
        }
        Ok(counted)
    }

    /// Each lane's last commit that was there or acknowledged when the round ended.
    fn follow(&self, said: &[Said]) -> Result<Vec<u64>, String> {
        let mut reached: Vec<u64> = self.lanes.iter().map(|(done, _)| *done).collect();
        for said in said {
            let (lane, number, allowed) = match said {
                // One whose outcome was unknown may be there after all.
                Said::At { lane, number } => (*lane, *number, 0..=1),
                Said::Acked(ack) => (ack.lane, ack.number, 1..=1),
                _ => continue,
            };
            let before = &mut reached[index(lane)];
            if !number.checked_sub(*before).is_some_and(|step| allowed.contains(&step)) {
                return Err(format!("lane {lane} is at commit {number} after {before}"));
            }
            *before = number;
        }
        Ok(reached)
    }

    /// No place in a feed is given to two commits, whatever was lost in between.
    ///
    /// This is the rule for incarnations, in whatever way a database keeps it.
    fn take(&mut self, round: u64, ack: Ack) -> Result<(), String> {
        let place = (ack.incarnation, ack.seq);
        match self.taken.insert(place, (round, ack.lane, ack.number)) {
            None => Ok(()),
            Some((earlier, lane, number)) => Err(format!(
                "seq {} of incarnation {:x} was handed out twice: in round {earlier} to commit {number} of lane {lane}, in round {round} to {ack:?}",
                ack.seq, ack.incarnation
            )),
        }
    }
}

fn index(lane: u64) -> usize {
    usize::try_from(lane).expect("a few lanes")
}
