//! The sending direction: feed in, frames out, as far as credit goes.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use blaze_codec::batch::Entry;
use blaze_codec::message::{Ack, Body, Compression, Start, encode_changes};
use blaze_codec::{Checkpoint, History, Seq};
use bytes::Bytes;

#[cfg(feature = "canary")]
use crate::canary::{self, Canary};
use crate::roots::Places;
use crate::{CREDIT_BYTES_MAX, Known, Outgoing, OutgoingItem, SessionError};

/// Seqs that the peer knows anyway are told after so many, so that its checkpoint
/// keeps up.
const UNTOLD_MAX: u64 = 64;
/// They are told at the latest after so long, in milliseconds.
const UNTOLD_MS: u64 = 1_000;
/// How long what the peer gets by another way as well is kept back at most, in
/// milliseconds: longer than two links with the round trip of a country and a disk's
/// write take, and hardly noticed by people where the other way breaks.
const DEFER_MS: u64 = 100;

/// What this side sends of its feed.
///
/// Three places in the feed, in this order: `acked` (the peer has it, durably),
/// `told` (the last range that was queued ends here), `read` (everything up to
/// here was sent or is known to the peer).
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact by itself")]
pub(crate) struct Outbound {
    acked: Seq,
    told: Seq,
    read: Seq,
    head: Seq,
    /// The head when the session began: the peer waits to reach it.
    announced: Seq,
    credit: u64,
    queue: VecDeque<Queued>,
    /// What the peer was told of the feed's dictionary.
    told_of: HashSet<Entry>,
    compression: Compression,
    /// What was read last and isn't queued yet: the peer may be about to get it by another
    /// way, and what follows keeps its place. Nothing more is read until it is empty.
    kept: VecDeque<OutgoingItem>,
    /// Since when.
    kept_ms: u64,
    /// Whether this side has the smaller node id.
    first: bool,
    /// What the peer told that it has of the feeds of others.
    places: Arc<Places>,
    reading: bool,
    /// Whether records may have been left out because they changed again later: in what
    /// was read last, or in an earlier session, of which nothing is known. At first, too:
    /// the peer may have forgotten deletes that are left out as known to it.
    behind: bool,
    /// Whether something was left out of what was read, or may have been in an earlier
    /// session, from which the peer may go on in the middle.
    left_out: bool,
    /// Below this, what the peer acknowledged may lack what was left out.
    whole: Seq,
    /// Up to where nothing was left out of what was read and of what the peer had before.
    since: Seq,
    /// The same of what it acknowledged.
    complete: Seq,
    /// Since when there is something untold.
    untold_ms: Option<u64>,
    /// Whether the peer lets this side send.
    started: bool,
    /// Whether something was read.
    begun: bool,
    /// What the peer had merged before the session, up to where that is still the same.
    had_merged: Seq,
    /// Up to where the roll that the peer asks for was sent, and to where it goes.
    roll: Option<(Seq, Seq)>,
}

/// A frame that waits to be sent.
#[derive(Debug)]
enum Queued {
    /// Changes, or a piece of a roll.
    Changes(Body),
    /// A definition of what changes need.
    Definition(Bytes),
}

impl Queued {
    /// The credit that it costs. Definitions cost none: there is a limit to all of them.
    const fn cost(&self) -> u64 {
        match self {
            Self::Changes(body) => body.bytes().len() as u64,
            Self::Definition(_) => 0,
        }
    }
}

impl Outbound {
    /// Starts after what the peer has, with the credit that it grants.
    pub(crate) fn resume(
        after: Seq,
        announced: Seq,
        credit: u64,
        frame_bytes_max: usize,
        first: bool,
    ) -> Result<Self, SessionError> {
        if credit < frame_bytes_max as u64 {
            return Err(SessionError::Violation { rule: "the first credit covers a frame" });
        }
        Ok(Self {
            acked: after,
            told: after,
            read: after,
            head: announced,
            announced,
            credit: credit.min(CREDIT_BYTES_MAX),
            queue: VecDeque::new(),
            told_of: HashSet::new(),
            compression: Compression::None,
            kept: VecDeque::new(),
            kept_ms: 0,
            first,
            places: Arc::default(),
            reading: false,
            behind: after < announced,
            left_out: after > Seq::ZERO && after < announced,
            whole: Seq::ZERO,
            since: after,
            complete: after,
            untold_ms: None,
            started: false,
            begun: false,
            had_merged: after,
            roll: None,
        })
    }

    /// Compresses what is sent from now on.
    pub(crate) fn compress(&mut self, compression: Compression) {
        self.compression = compression;
    }

    /// The peer had merged more than it goes on from, up to here.
    pub(crate) fn had_merged(&mut self, through: Seq) {
        self.had_merged = self.had_merged.max(through);
    }

    /// The peer may go on in the middle, and have all there was up to here only.
    pub(crate) fn had_all(&mut self, through: Seq) {
        self.since = self.since.min(through);
        self.complete = self.complete.min(through);
    }

    /// The peer lets this side send, its roll first if it asks for that.
    pub(crate) fn start(&mut self, start: Start) -> Result<(), SessionError> {
        if self.started {
            return Err(SessionError::Violation { rule: "one start a session" });
        }
        if start.roll.is_some_and(|through| through > self.had_merged) {
            return Err(SessionError::Violation { rule: "a roll is of what was merged before" });
        }
        self.started = true;
        #[cfg(feature = "canary")]
        let start = match start.roll {
            Some(_) if canary::is(Canary::RollOfEverything) => Start { roll: Some(self.head) },
            _ => start,
        };
        self.roll = start.roll.map(|through| (Seq::ZERO, through));
        Ok(())
    }

    /// The peer is registered; tombstones are gone up to `purged`. Single commits up to
    /// there tell of records that were forgotten before it was.
    pub(crate) fn registered(&mut self, purged: Seq) {
        self.behind |= self.read < purged;
    }

    /// What of the roll to read next, if it is time to.
    pub(crate) fn poll_roll(&mut self) -> Option<(Seq, Seq)> {
        if self.reading || !self.queue.is_empty() || self.credit == 0 {
            return None;
        }
        self.reading = self.roll.is_some();
        self.roll
    }

    /// Queues a piece of the roll.
    pub(crate) fn queue_roll(&mut self, outgoing: Outgoing) {
        self.reading = false;
        let Some((reached, through)) = &mut self.roll else { return };
        for item in outgoing.items {
            *reached = item.through;
            self.queue.extend(item.encoded.frames.into_iter().map(Queued::Changes));
        }
        if reached < through {
            return;
        }
        self.roll = None;
        // What changed meanwhile isn't in the roll, and the peer may have forgotten what
        // its last change is based on.
        self.behind |= self.read < self.head;
    }

    /// Whether there is something to send, of which nothing was read yet.
    pub(crate) fn is_to_begin(&self) -> bool {
        !self.begun && self.read < self.head
    }

    /// The seq up to which the peer has acknowledged the feed.
    pub(crate) const fn acked(&self) -> Seq {
        self.acked
    }

    pub(crate) fn head(&mut self, head: Seq) {
        self.head = self.head.max(head);
    }

    /// Where and how much to read next, if it is time to.
    ///
    /// The third tells whether single commits won't do; see [`Output::Read`](crate::Output::Read).
    pub(crate) fn poll_read(&mut self) -> Option<(Seq, u64, bool)> {
        let open = self.started && self.roll.is_none();
        let waits = !self.queue.is_empty() || !self.kept.is_empty();
        if !open || self.reading || waits || self.credit == 0 || self.read >= self.head {
            return None;
        }
        self.reading = true;
        if !self.left_out {
            self.since = self.since.max(self.read);
        }
        Some((self.read, self.credit, self.behind))
    }

    /// Whether something was left out of what was read, and comes with what follows.
    pub(crate) const fn left_out(&self) -> bool {
        self.left_out
    }

    /// Up to where nothing was left out of what the peer had or was sent: what it was to hear
    /// that happened later it may not have been told.
    pub(crate) const fn since(&self) -> Seq {
        self.since
    }

    /// Up to where the peer acknowledged all there was, though it be less than it did of what
    /// was sent.
    pub(crate) const fn complete(&self) -> Seq {
        self.complete
    }

    /// The peer told that it has all up to these places.
    pub(crate) fn learn(&mut self, roots: &[Checkpoint]) {
        if !roots.is_empty() {
            Arc::make_mut(&mut self.places).learn(roots, self.first);
        }
    }

    /// What a peer of this history has anyway.
    pub(crate) fn known_to(&self, history: &Arc<History>) -> Known {
        Known { history: Arc::clone(history), places: Arc::clone(&self.places) }
    }

    /// Takes what was read; [`Self::poll_kept`] queues it.
    pub(crate) fn take(&mut self, outgoing: Outgoing, now_ms: u64) {
        (self.reading, self.begun, self.left_out) = (false, true, outgoing.left_out);
        let was_behind = std::mem::replace(&mut self.behind, outgoing.behind);
        if let Some(last) = outgoing.items.last().filter(|_| was_behind) {
            self.whole = last.through;
        }
        self.kept.extend(outgoing.items);
        self.kept_ms = now_ms;
    }

    /// Queues what was read, but for what the peer knows anyway, and as far as nothing
    /// has to be kept back.
    pub(crate) fn poll_kept(&mut self, now_ms: u64, history: &Arc<History>) {
        let due = now_ms >= self.kept_ms.saturating_add(DEFER_MS);
        #[cfg(feature = "canary")]
        let due = due && !canary::is(Canary::KeptBackForGood);
        while let Some(item) = self.kept.pop_front() {
            let unsent =
                item.encoded.frames.is_empty() || self.known_to(history).covers_all(&item.roots);
            if !unsent && !due && self.is_their_turn(&item.roots, history) {
                self.kept.push_front(item);
                return;
            }
            debug_assert!(item.after <= self.read, "a gap in what was read of the feed");
            self.read = self.read.max(item.through);
            if unsent {
                continue;
            }
            if self.told < item.after {
                self.tell(item.after);
            }
            self.told = item.through;
            #[cfg(feature = "canary")]
            if canary::is(Canary::DefinitionsForgotten) && item.through.0.is_multiple_of(5) {
                self.told_of.extend(item.encoded.needs.iter().map(|definition| definition.entry));
            }
            for definition in item.encoded.needs.iter() {
                if self.told_of.insert(definition.entry) {
                    self.queue.push_back(Queued::Definition(definition.frame.clone()));
                }
            }
            self.queue.extend(item.encoded.frames.into_iter().map(Queued::Changes));
            if !item.roots.is_empty() {
                Arc::make_mut(&mut self.places).sent(&item.roots);
            }
        }
    }

    /// Whether the peer may be about to get it by another way, so that this side waits.
    fn is_their_turn(&self, roots: &[Checkpoint], history: &Arc<History>) -> bool {
        let known = self.known_to(history);
        let mut lacks = roots.iter().filter(|root| !known.covers(**root));
        !roots.is_empty() && lacks.all(|root| self.places.is_their_turn(*root))
    }

    /// Lets the peer's checkpoint pass what it knows anyway, if it waits for that or
    /// enough of it has come together.
    pub(crate) fn poll_untold(&mut self, now_ms: u64) {
        if self.told == self.read || !self.queue.is_empty() {
            self.untold_ms = None;
            return;
        }
        let since = *self.untold_ms.get_or_insert(now_ms);
        let awaited = self.told < self.announced && self.announced <= self.read;
        let many = self.read.0 - self.told.0 >= UNTOLD_MAX;
        if awaited || many || now_ms >= since.saturating_add(UNTOLD_MS) {
            self.tell(self.read);
            self.untold_ms = None;
        }
    }

    /// When [`Self::poll_untold`] or [`Self::poll_kept`] is due.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        let untold = self.untold_ms.map(|since| since.saturating_add(UNTOLD_MS));
        let kept = (!self.kept.is_empty()).then(|| self.kept_ms.saturating_add(DEFER_MS));
        untold.into_iter().chain(kept).min()
    }

    fn tell(&mut self, through: Seq) {
        #[cfg(feature = "canary")]
        if canary::is(Canary::UntoldNeverTold) {
            return;
        }
        let frames = encode_changes(self.told, through, &[]).into_iter().map(Body::from);
        self.queue.extend(frames.map(Queued::Changes));
        self.told = through;
    }

    /// Whether credit allows the next frame.
    pub(crate) fn can_send(&self) -> bool {
        #[cfg(feature = "canary")]
        if canary::is(Canary::CreditIgnored) {
            return !self.queue.is_empty();
        }
        self.queue.front().is_some_and(|queued| queued.cost() <= self.credit)
    }

    /// The next frame, if credit allows it: for what the peer makes of it, however few bytes
    /// are sent.
    pub(crate) fn poll_frame(&mut self) -> Option<Bytes> {
        let bytes = self.queue.front()?.cost();
        #[cfg(feature = "canary")]
        let bytes = if canary::is(Canary::CreditIgnored) { 0 } else { bytes };
        self.credit = self.credit.checked_sub(bytes)?;
        Some(match self.queue.pop_front()? {
            Queued::Changes(body) => body.compressed(self.compression),
            Queued::Definition(frame) => frame,
        })
    }

    /// Takes an ack.
    pub(crate) fn ack(&mut self, ack: Ack) -> Result<(), SessionError> {
        if ack.through > self.told {
            return Err(SessionError::Violation { rule: "an ack covers only what was sent" });
        }
        self.acked = self.acked.max(ack.through);
        self.credit = self.credit.saturating_add(ack.credit).min(CREDIT_BYTES_MAX);
        self.complete = self.known().map_or(self.complete, |known| known.max(self.complete));
        Ok(())
    }

    /// The seq up to which the peer has everything: what it acknowledged, and
    /// what came from it anyway; `None` while it may lack what was left out.
    pub(crate) fn known(&self) -> Option<Seq> {
        #[cfg(feature = "canary")]
        if canary::is(Canary::KnownTooMuch) {
            return Some(self.read);
        }
        let known = if self.acked == self.told { self.read } else { self.acked };
        (!self.behind && known >= self.whole).then_some(known)
    }
}

#[cfg(test)]
mod tests;
