//! What is told of links, conflicts and withdrawals, to people or to programs.

mod link;

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use blaze_sync::{
    Conflict, Endpoint, Identity, LinkId, LinkState, LinkStatus, NodeId, Observer, Origin, Role,
    Value, WentBack, Withdrawal,
};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use crate::keys;
use crate::output::{self, NAME, NOTABLE, Out, count, is_closed, printable, printable_json};

/// Strangers that are told of a minute: anybody can make any number of attempts.
const STRANGERS_MAX: u32 = 20;

/// What is told of a node.
pub(super) struct Events {
    pub(super) links: watch::Receiver<BTreeMap<LinkId, LinkStatus>>,
    pub(super) ended: broadcast::Receiver<LinkStatus>,
    pub(super) conflicts: broadcast::Receiver<Conflict>,
    pub(super) withdrawals: broadcast::Receiver<Withdrawal>,
    pub(super) changes: Observer,
}

/// Tells what happens, a line each, and counts for the end.
pub(super) struct Report {
    out: Out,
    json: bool,
    started: Instant,
    events: Option<Events>,
    links: BTreeMap<LinkId, LinkStatus>,
    /// What was last told of a link, to people.
    told: BTreeMap<LinkId, String>,
    /// What they call themselves.
    peers: BTreeMap<NodeId, String>,
    /// The minute, since it started, in which strangers were last refused, and how many.
    strangers: (u64, u32),
    received: u64,
    conflicts: u64,
    withdrawals: u64,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        Self {
            out: if json { Out::raw() } else { Out::styled() },
            json,
            started: Instant::now(),
            events: None,
            links: BTreeMap::new(),
            told: BTreeMap::new(),
            peers: BTreeMap::new(),
            strangers: (0, 0),
            received: 0,
            conflicts: 0,
            withdrawals: 0,
        }
    }

    pub(super) fn started(&mut self, name: &str, role: Role, identity: &Identity) {
        let database = &identity.database;
        if self.json {
            self.object(&json!({
                "event": "started", "name": name, "role": role.to_string(),
                "database": database, "node": identity.node.to_string(),
                "copied": identity.copied,
            }));
            return;
        }
        let name = printable(name);
        let text =
            format!("{NAME}{name}{NAME:#} is a {role} of database {database:?}; ctrl-C ends it");
        self.line(&text);
    }

    pub(super) fn listening(&mut self, endpoint: &Endpoint) {
        if self.json {
            let endpoint = endpoint.to_string();
            self.object(&json!({ "event": "listening", "endpoint": endpoint }));
            return;
        }
        let endpoint = printable(endpoint);
        self.line(&format!("listening at {NAME}{endpoint}{NAME:#}"));
    }

    /// Follows these events from now on.
    pub(super) fn follow(&mut self, mut events: Events) {
        events.links.mark_changed();
        self.events = Some(events);
    }

    /// Waits for something to happen, and tells it.
    ///
    /// # Errors
    ///
    /// If nothing can happen any more.
    pub(super) async fn next(&mut self) -> Result<()> {
        let events = self.events.as_mut().context("nothing is followed")?;
        tokio::select! {
            result = events.links.changed() => {
                result.context("the links are gone")?;
                let links = events.links.borrow_and_update().clone();
                self.links(&links);
            }
            ended = events.ended.recv() => match ended {
                Ok(ended) => self.ended(&ended),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => bail!("the node is gone"),
            },
            conflict = events.conflicts.recv() => match conflict {
                Ok(conflict) => self.conflict(&conflict),
                Err(RecvError::Lagged(missed)) => self.missed(missed),
                Err(RecvError::Closed) => bail!("the node is gone"),
            },
            withdrawal = events.withdrawals.recv() => match withdrawal {
                Ok(withdrawal) => self.withdrawal(&withdrawal),
                Err(RecvError::Lagged(missed)) => self.missed_withdrawals(missed),
                Err(RecvError::Closed) => bail!("the node is gone"),
            },
            change = events.changes.next() => {
                if matches!(change?.origin, Some(Origin::Peer { .. })) {
                    self.received += 1;
                }
            }
        }
        Ok(())
    }

    /// Tells what has happened already.
    pub(super) async fn drain(&mut self) -> Result<()> {
        while self.events.is_some() {
            tokio::select! {
                biased;
                result = self.next() => result?,
                () = std::future::ready(()) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Tells what is new since the last call.
    fn links(&mut self, links: &BTreeMap<LinkId, LinkStatus>) {
        let before = std::mem::replace(&mut self.links, links.clone());
        for (id, status) in links {
            let told = before.get(id).is_some_and(|before| before.state == status.state);
            // How a link ended is told once, when it has.
            if !told && !matches!(status.state, LinkState::Closed { .. }) {
                self.link(status);
            }
            let missed = before.get(id).is_some_and(|before| before.missed_tombstones);
            if status.missed_tombstones && !missed {
                self.missed_tombstones(status);
            }
            let before = before.get(id).and_then(|before| before.went_back);
            if let Some(went_back) = status.went_back.filter(|found| before != Some(*found)) {
                self.went_back(status, went_back);
            }
        }
        self.told.retain(|id, _| links.contains_key(id));
    }

    /// Tells how a link ended, unless too many strangers have been refused of late.
    fn ended(&mut self, status: &LinkStatus) {
        if status.peer.is_some() {
            return self.link(status);
        }
        let minute = self.started.elapsed().as_secs() / 60;
        let refused = if self.strangers.0 == minute { self.strangers.1 + 1 } else { 1 };
        self.strangers = (minute, refused);
        match refused {
            ..=STRANGERS_MAX => self.link(status),
            _ if refused == STRANGERS_MAX + 1 => output::warning(
                "more strangers are refused than are told of, for the rest of this minute",
            ),
            _ => {}
        }
    }

    fn link(&mut self, status: &LinkStatus) {
        if let Some(peer) = status.peer.as_ref().filter(|_| status.is_connected()) {
            self.peers.insert(peer.node, peer.name.clone());
        }
        if self.json {
            self.object(&link::object(status));
            return;
        }
        let text = link::text(status);
        // Every attempt that fails as the last one did would repeat it.
        let Some(text) = text.filter(|text| self.told.get(&status.id) != Some(text)) else {
            return;
        };
        self.line(&text);
        self.told.insert(status.id, text);
    }

    /// Tells that a database isn't what it was when it was last exchanged with.
    fn went_back(&mut self, status: &LinkStatus, went_back: WentBack) {
        let WentBack { here, held, common } = went_back;
        let name = status.peer.as_ref().map_or("a peer", |peer| &peer.name);
        if self.json {
            self.object(&json!({
                "event": "went_back", "here": here, "peer": name, "held": held.0,
                "common": common.0,
            }));
            return;
        }
        let name = printable(name);
        let (whose, other) = if here {
            ("this database".to_owned(), format!("{name} had"))
        } else {
            (format!("the database of {name}"), "this one had".to_owned())
        };
        self.line(&format!(
            "{NOTABLE}restored{NOTABLE:#}: {whose} went back to commit {common}, {other} {held}: a backup was put back, or a power cut took the last ones; they are merged again"
        ));
    }

    /// Tells that a peer was away for too long.
    fn missed_tombstones(&mut self, status: &LinkStatus) {
        let name = status.peer.as_ref().map_or("a peer", |peer| &peer.name);
        if self.json {
            return self.object(&json!({ "event": "missed_tombstones", "peer": name }));
        }
        let name = printable(name);
        self.line(&format!(
            "{NOTABLE}back after long{NOTABLE:#}: {name} had not heard of all that was deleted, and is told now; what it wrote itself is kept"
        ));
    }

    fn conflict(&mut self, conflict: &Conflict) {
        self.conflicts += 1;
        let Conflict { collection, key, field, winner, loser } = conflict;
        let key = keys::to_text(key);
        if self.json {
            self.object(&json!({
                "event": "conflict", "collection": collection, "key": key, "field": field,
                "kept": winner.value, "kept_from": winner.version.node.to_string(),
                "lost": loser.value, "lost_from": loser.version.node.to_string(),
            }));
            return;
        }
        let place = printable(format_args!("{collection}/{key} {field}"));
        let (kept, lost) = (value_text(winner.value.as_ref()), value_text(loser.value.as_ref()));
        self.line(&format!("{NOTABLE}conflict{NOTABLE:#} in {place}: kept {kept}, lost {lost}"));
    }

    /// Tells that conflicts came faster than they could be told.
    fn missed(&mut self, missed: u64) {
        self.conflicts += missed;
        if self.json {
            self.object(&json!({ "event": "conflicts_missed", "count": missed }));
            return;
        }
        self.line(&format!("{NOTABLE}{} more{NOTABLE:#}, not shown", count(missed, "conflict")));
    }

    /// Tells that a record went as a policy says, without being deleted.
    fn withdrawal(&mut self, withdrawal: &Withdrawal) {
        self.withdrawals += 1;
        let Withdrawal { peer, collection, key, record } = withdrawal;
        let (key, name) = (keys::to_text(key), self.peers.get(peer));
        if self.json {
            // Whose database it went from.
            let from = if record.is_some() { "here" } else { "peer" };
            let (node, collection) = (peer.to_string(), collection.as_str());
            return self.object(&json!({
                "event": "withdrawal", "from": from, "peer": name, "node": node,
                "collection": collection, "key": key, "record": record,
            }));
        }
        let place = printable(format_args!("{collection}/{key}"));
        let name = name.map_or_else(|| peer.to_string(), printable);
        self.line(&match record {
            Some(record) => {
                let was = serde_json::to_string(record).expect("a record is JSON");
                let was = printable_json(&was);
                format!("{NOTABLE}withdrawn{NOTABLE:#} by {name}: {place}, here it was {was}")
            }
            None => format!(
                "{NOTABLE}withdrawn{NOTABLE:#} from {name}: {place}, which its policy doesn't let it write so; nothing was changed here"
            ),
        });
    }

    /// Tells that withdrawals came faster than they could be told.
    fn missed_withdrawals(&mut self, missed: u64) {
        self.withdrawals += missed;
        if self.json {
            return self.object(&json!({ "event": "withdrawals_missed", "count": missed }));
        }
        let missed = count(missed, "withdrawal");
        self.line(&format!("{NOTABLE}{missed} more{NOTABLE:#}, not shown"));
    }

    /// Tells what there was in all.
    pub(super) fn closed(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64();
        let (received, peers) = (self.received, self.peers.len() as u64);
        if self.json {
            self.object(&json!({
                "event": "closed", "seconds": seconds, "peers": peers,
                "changes_received": received, "conflicts": self.conflicts,
                "withdrawals": self.withdrawals,
            }));
            return;
        }
        let withdrawals = match self.withdrawals {
            0 => String::new(),
            some => format!(", {}", count(some, "withdrawal")),
        };
        self.line(&format!(
            "closed after {seconds:.1} s: {}, {} received, {}{withdrawals}",
            count(peers, "peer"),
            count(received, "change"),
            count(self.conflicts, "conflict"),
        ));
    }

    fn line(&mut self, text: &str) {
        let told = writeln!(self.out, "{text}").and_then(|()| self.out.flush());
        self.heard(told);
    }

    fn object(&mut self, object: &serde_json::Value) {
        let told = self.out.json(object).and_then(|()| self.out.flush());
        self.heard(told);
    }

    /// Goes on without an audience once there is none: a reader that left, or a full
    /// disk below a log, is no reason to stop replicating.
    fn heard(&mut self, told: std::io::Result<()>) {
        let Err(error) = told.map_err(anyhow::Error::new) else { return };
        self.out = Out::nowhere();
        if !is_closed(&error) {
            output::warning(format_args!("can't write to standard output, going on: {error}"));
        }
    }
}

/// A value as JSON, or that there is none.
fn value_text(value: Option<&Value>) -> String {
    match value {
        Some(value) => printable_json(&serde_json::to_string(value).expect("a value is JSON")),
        None => "its removal".to_owned(),
    }
}
