//! Where operations were written first, and what a peer has of there.

use blaze_codec::message::ROOTS_MAX;
use blaze_codec::{Checkpoint, HISTORY_SPANS_MAX, Seq};

#[cfg(feature = "canary")]
use crate::canary::{self, Canary};

/// The roots of what is merged in one commit: the greatest place of each incarnation.
#[derive(Debug, Default)]
pub(crate) struct Roots {
    /// In the order of their incarnations.
    places: Vec<Checkpoint>,
    /// Whether there are more than can be told.
    many: bool,
}

impl Roots {
    pub(crate) fn add(&mut self, place: Checkpoint) {
        match self.places.binary_search_by_key(&place.incarnation, |place| place.incarnation) {
            Ok(at) => self.places[at].seq = self.places[at].seq.max(place.seq),
            Err(at) if self.places.len() < ROOTS_MAX => self.places.insert(at, place),
            Err(_) => self.many = true,
        }
    }

    /// All of them, or the place in the peer's feed that is reached, which takes in
    /// whatever they are.
    pub(crate) fn or(self, reached: Checkpoint) -> Vec<Checkpoint> {
        if self.many { vec![reached] } else { self.places }
    }
}

/// Places up to which a peer has feeds that aren't its own, as it told in this session.
///
/// It gets what is committed there by another way as well, for it was that which it told
/// of. So the two sides needn't both send it, and take turns: who sent last goes on, as it
/// seems to have the faster way, and the other keeps back. If both sent, the one with the
/// smaller node id goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Places(Vec<Told>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    place: Checkpoint,
    /// How far this side sent what was committed there.
    sent: Seq,
    /// Whether it is the peer that goes on.
    theirs: bool,
}

impl Places {
    /// The peer sent what was written first up to these places, and has all up to there;
    /// `first` tells whether this side has the smaller id. What was told of longest ago
    /// makes room.
    pub(crate) fn learn(&mut self, roots: &[Checkpoint], first: bool) {
        for root in roots {
            let known = self.0.iter().position(|told| told.place.incarnation == root.incarnation);
            if let Some(at) = known {
                let Told { place, sent, .. } = self.0.remove(at);
                let theirs = !first || sent < root.seq;
                let place = Checkpoint { seq: place.seq.max(root.seq), ..place };
                self.0.push(Told { place, sent, theirs });
                continue;
            }
            if self.0.len() == HISTORY_SPANS_MAX {
                self.0.remove(0);
            }
            // Nobody knows whether this side sent it as well.
            self.0.push(Told { place: *root, sent: Seq::ZERO, theirs: !first });
        }
    }

    /// This side sends what was written first up to these places.
    pub(crate) fn sent(&mut self, roots: &[Checkpoint]) {
        for root in roots {
            let mut told = self.0.iter_mut();
            if let Some(told) = told.find(|told| told.place.incarnation == root.incarnation) {
                (told.sent, told.theirs) = (told.sent.max(root.seq), false);
            }
        }
    }

    /// Whether the peer has all up to a place.
    pub(crate) fn cover(&self, place: Checkpoint) -> bool {
        #[cfg(feature = "canary")]
        if canary::is(Canary::PlacesOfAnyIncarnation) {
            return self.0.iter().any(|told| place.seq <= told.place.seq);
        }
        self.told(place).is_some_and(|told| place.seq <= told.place.seq)
    }

    /// Whether it is the peer's turn to send what was committed there: it is about to get
    /// it by another way.
    pub(crate) fn is_their_turn(&self, place: Checkpoint) -> bool {
        self.told(place).is_some_and(|told| told.theirs)
    }

    fn told(&self, place: Checkpoint) -> Option<&Told> {
        self.0.iter().rev().find(|told| told.place.incarnation == place.incarnation)
    }
}

#[cfg(test)]
mod tests {
    use blaze_codec::Incarnation;

    use super::*;

    fn place(incarnation: u64, seq: u64) -> Checkpoint {
        Checkpoint { incarnation: Incarnation(incarnation), seq: Seq(seq) }
    }

    #[test]
    fn roots_are_the_greatest_of_each_incarnation_or_the_place_that_takes_them_in() {
        let mut roots = Roots::default();
        for at in [place(7, 2), place(3, 9), place(7, 5), place(3, 4)] {
            roots.add(at);
        }
        assert_eq!(roots.or(place(1, 1)), [place(3, 9), place(7, 5)]);
        let mut many = Roots::default();
        (0..=ROOTS_MAX as u64).for_each(|incarnation| many.add(place(incarnation, 1)));
        assert_eq!(many.or(place(1, 8)), [place(1, 8)]);
    }

    #[test]
    fn a_place_covers_what_lies_before_it_in_its_own_feed() {
        let mut places = Places::default();
        places.learn(&[place(1, 5)], true);
        places.learn(&[place(1, 3)], true);
        assert!(places.cover(place(1, 5)) && places.cover(place(1, 1)));
        assert!(!places.cover(place(1, 6)) && !places.cover(place(2, 1)));
    }

    #[test]
    fn who_sent_last_goes_on_and_of_two_the_one_with_the_smaller_id() {
        for first in [false, true] {
            let mut places = Places::default();
            assert!(!places.is_their_turn(place(1, 1)), "nothing was told");
            places.learn(&[place(1, 5)], first);
            assert_eq!(places.is_their_turn(place(1, 6)), !first);
            places.sent(&[place(1, 6), place(2, 1)]);
            assert!(!places.is_their_turn(place(1, 7)) && places.cover(place(1, 5)));
            assert!(!places.cover(place(1, 6)), "it isn't known to have arrived");
            places.learn(&[place(1, 6)], first);
            assert_eq!(places.is_their_turn(place(1, 7)), !first, "both sent it");
            places.learn(&[place(1, 7)], first);
            assert!(places.is_their_turn(place(1, 8)), "only the peer sent it");
        }
    }

    #[test]
    fn what_was_told_longest_ago_makes_room() {
        let mut places = Places::default();
        let count = HISTORY_SPANS_MAX as u64;
        (0..count).for_each(|incarnation| places.learn(&[place(incarnation, 1)], true));
        places.learn(&[place(0, 2)], true);
        places.learn(&[place(count, 1)], true);
        assert_eq!(places.0.len(), HISTORY_SPANS_MAX);
        assert!(places.cover(place(0, 2)) && places.cover(place(count, 1)));
        assert!(!places.cover(place(1, 1)));
    }
}
