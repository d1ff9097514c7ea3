//! Which incarnation a database's next commits belong to.

use blaze_codec::{Checkpoint, HISTORY_SPANS_MAX, History, Incarnation, Seq, Span};

/// The spans of a database's feed, and what this opening adds to them. Every adapter
/// keeps one while it is open, and stores what it says.
///
/// Two files that were once the same must never commit different changes under one
/// seq of one incarnation that a peer has been told. So each opening draws an
/// incarnation, which begins with its first commit. Seqs that no peer was told yet
/// are taken over by it: openings that only write locally add no span each.
#[derive(Debug, Clone)]
pub struct Lineage {
    spans: Vec<Span>,
    /// Whether a peer may have been told of the last span.
    told: bool,
    /// What this opening drew.
    drawn: Incarnation,
    /// Whether a peer was told of this opening's incarnation.
    announced: bool,
}

/// How the stored spans change: the last one is new, or replaces the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineageChange {
    /// The last span as it is now. A stored one with the same first seq goes.
    pub last: Span,
    /// Whether a peer may have been told of it.
    pub told: bool,
    /// Spans that begin before this seq are forgotten.
    pub oldest: Seq,
}

impl Lineage {
    /// What is stored (the spans, none in a new database, and whether a peer may
    /// have been told of the last one), and what this opening drew.
    pub const fn open(spans: Vec<Span>, told: bool, drawn: Incarnation) -> Self {
        Self { spans, told, drawn, announced: false }
    }

    /// Another opening of what is stored now.
    #[must_use]
    pub fn reopened(&self, drawn: Incarnation) -> Self {
        Self::open(self.spans.clone(), self.told, drawn)
    }

    /// Whether this opening has committed.
    fn has_begun(&self) -> bool {
        self.spans.last().is_some_and(|last| last.incarnation == self.drawn)
    }

    /// What a commit that takes `seq` has to store, in its transaction.
    /// [`apply`](Self::apply) it once that is committed.
    pub fn commit(&self, seq: Seq) -> Option<LineageChange> {
        if self.has_begun() {
            return None;
        }
        let incarnation = self.drawn;
        let mut spans = self.spans.clone();
        match spans.last_mut() {
            Some(last) if !self.told => last.incarnation = incarnation,
            _ => spans.push(Span { incarnation, first: seq }),
        }
        let surplus = spans.len().saturating_sub(HISTORY_SPANS_MAX);
        let (oldest, last) = (spans.get(surplus)?.first, *spans.last()?);
        Some(LineageChange { last, told: self.announced, oldest })
    }

    /// What is to be stored before a peer is told of the feed.
    /// [`apply`](Self::apply) it once that is committed.
    pub fn announce(&mut self) -> Option<LineageChange> {
        self.announced = true;
        let (oldest, last) = (self.spans.first()?.first, *self.spans.last()?);
        (!self.told).then_some(LineageChange { last, told: true, oldest })
    }

    /// Goes on from what is stored now. If its transaction failed, a change must not
    /// be applied: the next commit has to store it again.
    pub fn apply(&mut self, change: LineageChange) {
        let LineageChange { last, told, oldest } = change;
        self.spans.retain(|span| span.first >= oldest && span.first != last.first);
        self.spans.push(last);
        self.told = told;
    }

    /// What a peer is told: besides the spans, the one that this opening's first
    /// commit, after `head`, would begin.
    ///
    /// # Panics
    ///
    /// Never: the spans ascend, and are few.
    pub fn history(&self, head: Seq) -> History {
        let mut spans = self.spans.clone();
        if !self.has_begun() {
            let surplus = (spans.len() + 1).saturating_sub(HISTORY_SPANS_MAX);
            spans.drain(..surplus);
            spans.push(Span { incarnation: self.drawn, first: head.next() });
        }
        History::new(spans).expect("a lineage's spans ascend")
    }
}

/// Notes that a merge reached a place in a peer's feed: the trail has the last place
/// that was reached of each of its incarnations, the latest that was merged first.
pub fn reach(trail: &mut Vec<Checkpoint>, reached: Checkpoint) {
    let known = trail.iter().position(|place| place.incarnation == reached.incarnation);
    // A late merge of an earlier session doesn't take it back.
    let before = known.map_or(Seq::ZERO, |known| trail.remove(known).seq);
    trail.insert(0, Checkpoint { seq: reached.seq.max(before), ..reached });
    trail.truncate(HISTORY_SPANS_MAX);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stored lineage, and openings of it.
    #[derive(Clone, Default)]
    struct File {
        spans: Vec<Span>,
        told: bool,
        head: u64,
    }

    impl File {
        fn open(&self, drawn: u64) -> Lineage {
            Lineage::open(self.spans.clone(), self.told, Incarnation(drawn))
        }

        fn store(&mut self, change: Option<LineageChange>) {
            let Some(LineageChange { last, told, oldest }) = change else { return };
            self.spans.retain(|span| span.first != last.first && span.first >= oldest);
            self.spans.push(last);
            self.told = told;
        }

        fn commit(&mut self, lineage: &mut Lineage) {
            self.head += 1;
            let change = lineage.commit(Seq(self.head));
            self.store(change);
            if let Some(change) = change {
                lineage.apply(change);
            }
        }

        fn announce(&mut self, lineage: &mut Lineage) -> History {
            let change = lineage.announce();
            self.store(change);
            if let Some(change) = change {
                lineage.apply(change);
            }
            lineage.history(Seq(self.head))
        }
    }

    fn spans(history: &History) -> Vec<(u64, u64)> {
        history.spans().iter().map(|span| (span.incarnation.0, span.first.0)).collect()
    }

    #[test]
    fn an_opening_that_commits_begins_a_span_unless_nobody_was_told_of_the_last() {
        let mut file = File::default();
        let mut first = file.open(1);
        assert_eq!(spans(&first.history(Seq::ZERO)), [(1, 1)]);
        file.commit(&mut first);
        file.commit(&mut first);
        // Nobody knows of it, so the next opening takes its seqs over.
        let mut second = file.open(2);
        file.commit(&mut second);
        assert_eq!(spans(&file.announce(&mut second)), [(2, 1)]);
        file.commit(&mut second);
        let mut third = file.open(3);
        assert_eq!(spans(&file.announce(&mut third)), [(2, 1), (3, 5)], "before its first commit");
        file.commit(&mut third);
        assert_eq!(spans(&third.history(Seq(file.head))), [(2, 1), (3, 5)]);
        assert!(file.told, "a peer was told of it before it began");
        // An opening that commits nothing leaves no trace.
        file.announce(&mut file.open(4));
        assert_eq!(spans(&file.announce(&mut file.open(5))), [(2, 1), (3, 5), (5, 6)]);
    }

    #[test]
    fn a_file_and_its_copies_never_tell_one_place_for_two_commits() {
        // Copies made at every moment of an opening that commits and tells.
        let mut file = File::default();
        let mut lineage = file.open(1);
        let mut copies = vec![file.clone()];
        for step in 0..8 {
            if step == 3 {
                file.announce(&mut lineage);
            } else {
                file.commit(&mut lineage);
            }
            copies.push(file.clone());
        }
        let told = file.announce(&mut lineage);
        let place = told.place(Seq(file.head));
        for (number, mut copy) in copies.into_iter().enumerate() {
            let same = copy.head;
            let mut lineage = copy.open(10 + number as u64);
            for _ in 0..9 {
                copy.commit(&mut lineage);
            }
            let history = copy.announce(&mut lineage);
            let common = history.common(place, Seq(copy.head)).0;
            assert!(common <= same, "{common} is beyond {same}, where the copy was made");
            // A copy of what a peer was told of is told apart exactly where it begins.
            assert!(number < 4 || common == same, "copy {number}: {common}, not {same}");
        }
    }

    #[test]
    fn what_a_failed_transaction_did_not_store_is_stored_by_the_next() {
        let mut file = File::default();
        let mut first = file.open(1);
        file.announce(&mut first);
        file.commit(&mut first);
        let mut second = file.open(2);
        let failed = second.commit(Seq(2));
        assert_eq!(second.commit(Seq(2)), failed, "it is still to be stored");
        file.commit(&mut second);
        assert_eq!(second.commit(Seq(3)), None);
        assert_eq!(spans(&file.announce(&mut second)), [(1, 1), (2, 2)]);
    }

    #[test]
    fn the_oldest_spans_are_forgotten() {
        let mut file = File::default();
        for drawn in 1..=HISTORY_SPANS_MAX as u64 + 10 {
            let mut lineage = file.open(drawn);
            file.announce(&mut lineage);
            file.commit(&mut lineage);
        }
        assert_eq!(file.spans.len(), HISTORY_SPANS_MAX);
        assert_eq!(file.spans[0].incarnation, Incarnation(11));
        let mut lineage = file.open(1_000);
        assert_eq!(file.announce(&mut lineage).spans().len(), HISTORY_SPANS_MAX);
    }
}
