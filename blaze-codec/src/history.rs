//! Which incarnation committed which seqs of a feed.

use serde::{Deserialize, Serialize};

use crate::{Checkpoint, Incarnation, Seq};

/// The most spans that a history keeps. A peer that was last seen before the oldest
/// of them exchanges everything anew.
pub const HISTORY_SPANS_MAX: usize = 128;

/// Seqs of a feed that one incarnation committed: from `first` to where the next
/// span begins, or to the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Who committed them.
    pub incarnation: Incarnation,
    /// The first of them.
    pub first: Seq,
}

/// The spans of a feed, in the order of their seqs; at least one.
///
/// A database draws a new incarnation at each opening that commits. So two files
/// that were once the same (a backup that was restored, a copy) commit different
/// changes under different incarnations, although under equal seqs, and their
/// histories tell up to where they are the same. (Raft's terms and Kafka's leader
/// epochs, KIP-101, find the end of a common prefix in the same way.)
///
/// ```
/// use blaze_codec::{Checkpoint, History, Incarnation, Seq, Span};
///
/// let span = |incarnation, first| Span { incarnation: Incarnation(incarnation), first: Seq(first) };
/// // Restored from a backup that ended at seq 100, and gone on from there.
/// let history = History::new(vec![span(7, 1), span(8, 101)]).unwrap();
/// let held = |incarnation, seq| Checkpoint { incarnation: Incarnation(incarnation), seq: Seq(seq) };
/// assert_eq!(history.common(held(7, 90), Seq(150)), Seq(90));
/// assert_eq!(history.common(held(7, 120), Seq(150)), Seq(100));
/// assert_eq!(history.common(held(8, 120), Seq(150)), Seq(120));
/// assert_eq!(history.common(held(9, 120), Seq(150)), Seq::ZERO);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Span>", into = "Vec<Span>")]
pub struct History(Vec<Span>);

/// Why spans are no [`History`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a history has 1 to {HISTORY_SPANS_MAX} spans whose first seqs ascend")]
pub struct HistoryError;

impl History {
    /// The history of these spans.
    ///
    /// # Errors
    ///
    /// [`HistoryError`] if there are none, too many, or they don't ascend.
    pub fn new(spans: Vec<Span>) -> Result<Self, HistoryError> {
        let ascend = spans.windows(2).all(|pair| pair[0].first < pair[1].first);
        let sized = (1..=HISTORY_SPANS_MAX).contains(&spans.len());
        if ascend && sized { Ok(Self(spans)) } else { Err(HistoryError) }
    }

    /// The spans, in the order of their seqs.
    pub fn spans(&self) -> &[Span] {
        &self.0
    }

    /// The incarnation that commits now.
    ///
    /// # Panics
    ///
    /// Never: there is at least one span.
    pub fn latest(&self) -> Incarnation {
        self.0.last().expect("a history has a span").incarnation
    }

    /// The history of the feed that one sees through a scope of this
    /// [digest](crate::Scope::digest), which is another feed, whose places are none of this
    /// one; 0 is all of it.
    #[must_use]
    pub fn through(&self, scope: u64) -> Self {
        let seen = |span: &Span| Span { incarnation: span.incarnation.through(scope), ..*span };
        Self(self.0.iter().map(seen).collect())
    }

    /// The place in the feed that a seq is.
    pub fn place(&self, seq: Seq) -> Checkpoint {
        let span = self.0.iter().rev().find(|span| span.first <= seq).unwrap_or(&self.0[0]);
        Checkpoint { incarnation: span.incarnation, seq }
    }

    /// The last seq up to which this feed, which ends at `head`, and one in which
    /// `place` was reached are the same; [`Seq::ZERO`] if that isn't known.
    pub fn common(&self, place: Checkpoint, head: Seq) -> Seq {
        self.end(place.incarnation, head).map_or(Seq::ZERO, |end| end.min(place.seq))
    }

    /// Whether `place` was reached in this feed, which ends at `head`.
    pub fn covers(&self, place: Checkpoint, head: Seq) -> bool {
        self.end(place.incarnation, head).is_some_and(|end| place.seq <= end)
    }

    /// The last seq that an incarnation committed, if it is one of this feed.
    fn end(&self, incarnation: Incarnation, head: Seq) -> Option<Seq> {
        let found = self.0.iter().position(|span| span.incarnation == incarnation)?;
        let next = self.0.get(found + 1);
        Some(next.map_or(head, |next| Seq(next.first.0.saturating_sub(1))))
    }

    /// The last place in `other`, which ends at `other_head`, up to which the feeds
    /// are the same, if there is one.
    pub fn fork(&self, head: Seq, other: &Self, other_head: Seq) -> Option<Checkpoint> {
        let ends = self.0.iter().skip(1).map(|next| Seq(next.first.0.saturating_sub(1)));
        let ends: Vec<_> = ends.chain([head]).collect();
        let spans = self.0.iter().zip(ends).rev();
        let places = spans.map(|(span, seq)| Checkpoint { incarnation: span.incarnation, seq });
        let common = places.map(|place| other.common(place, other_head));
        common.max().filter(|seq| *seq > Seq::ZERO).map(|seq| other.place(seq))
    }
}

impl TryFrom<Vec<Span>> for History {
    type Error = HistoryError;

    fn try_from(spans: Vec<Span>) -> Result<Self, HistoryError> {
        Self::new(spans)
    }
}

impl From<History> for Vec<Span> {
    fn from(history: History) -> Self {
        history.0
    }
}

impl From<Incarnation> for History {
    /// A feed that one incarnation committed from the start.
    fn from(incarnation: Incarnation) -> Self {
        Self(vec![Span { incarnation, first: Seq(1) }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(spans: &[(u64, u64)]) -> History {
        let span = |&(incarnation, first): &(u64, u64)| Span {
            incarnation: Incarnation(incarnation),
            first: Seq(first),
        };
        History::new(spans.iter().map(span).collect()).unwrap()
    }

    fn place(incarnation: u64, seq: u64) -> Checkpoint {
        Checkpoint { incarnation: Incarnation(incarnation), seq: Seq(seq) }
    }

    #[test]
    fn a_place_is_in_the_span_that_committed_it() {
        let history = history(&[(1, 1), (2, 5), (3, 9)]);
        let found = [1, 4, 5, 8, 9, 100].map(|seq| history.place(Seq(seq)).incarnation.0);
        assert_eq!(found, [1, 1, 2, 2, 3, 3]);
        assert_eq!(history.place(Seq::ZERO).incarnation, Incarnation(1));
        assert_eq!(history.latest(), Incarnation(3));
    }

    #[test]
    fn a_feed_covers_what_it_reached_and_nothing_else() {
        let history = history(&[(1, 1), (2, 5)]);
        assert!(history.covers(place(1, 4), Seq(9)) && history.covers(place(2, 9), Seq(9)));
        assert!(!history.covers(place(1, 5), Seq(9)), "it was committed by another");
        assert!(!history.covers(place(2, 10), Seq(9)), "it is beyond the head");
        assert!(!history.covers(place(3, 1), Seq(9)), "it is of an unknown incarnation");
        assert!(!history.covers(place(3, 0), Seq(9)), "even where nothing was reached");
    }

    #[test]
    fn a_fork_is_where_two_feeds_were_last_the_same() {
        let (old, new) = (history(&[(1, 1), (2, 5)]), history(&[(1, 1), (2, 5), (3, 8)]));
        assert_eq!(old.fork(Seq(12), &new, Seq(20)), Some(place(2, 7)));
        assert_eq!(new.fork(Seq(20), &old, Seq(12)), Some(place(2, 7)));
        assert_eq!(old.fork(Seq(6), &new, Seq(20)), Some(place(2, 6)), "it is the shorter one");
        assert_eq!(old.fork(Seq(12), &history(&[(4, 1)]), Seq(20)), None);
        // Each went on by itself from seq 4.
        assert_eq!(
            history(&[(1, 1), (8, 5)]).fork(Seq(6), &history(&[(1, 1), (9, 5)]), Seq(9)),
            Some(place(1, 4))
        );
    }

    #[test]
    fn spans_that_make_no_history_are_refused_in_a_hello_too() {
        let spans = |firsts: &[u64]| -> Vec<Span> {
            firsts
                .iter()
                .map(|&first| Span { incarnation: Incarnation(9), first: Seq(first) })
                .collect()
        };
        let many: Vec<_> = (1..=HISTORY_SPANS_MAX as u64 + 1).collect();
        for wrong in [spans(&[]), spans(&[3, 3]), spans(&[3, 2]), spans(&many)] {
            assert_eq!(History::new(wrong.clone()), Err(HistoryError));
            let bytes = postcard::to_stdvec(&wrong).unwrap();
            postcard::from_bytes::<History>(&bytes).unwrap_err();
        }
        let most = History::new(spans(&many[1..])).unwrap();
        let bytes = postcard::to_stdvec(&most).unwrap();
        assert_eq!(postcard::from_bytes::<History>(&bytes).unwrap(), most);
    }
}
