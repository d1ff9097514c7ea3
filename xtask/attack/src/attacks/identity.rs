//! Hellos of those who aren't who they say, or have no business here.

use std::io::Read as _;
use std::os::unix::net::UnixListener;
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use blaze_codec::frame::HEADER_BYTES;
use blaze_codec::limits::CONTROL_BYTES_MAX;
use blaze_codec::message::{Changes, Hello, Message, Reason};
use blaze_codec::{Incarnation, NodeId, Seq};
use blaze_sync::Mode;
use serde_json::Value;

use super::{Attack, Field, Outcome, attack};
use crate::honest::HONEST;
use crate::hub::blaze;
use crate::wire::{START, resume};

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        attack("hubs-id", "a hello with the hub's own node id", hubs_id),
        attack("peers-id", "a hello with the node id of a connected peer", peers_id),
        attack("replayed-hello", "a recorded hello of a connected peer, byte for byte", replay),
        attack("downgrade", "hellos of protocol versions that aren't spoken", downgrade),
        attack("stranger", "hellos of other databases, and of names that are none", stranger),
    ]
}

fn hubs_id(field: &Field<'_>) -> Result<Outcome> {
    let mut wire = field.target.greeted(1, |_| ())?;
    let Some(Message::Hello(hub)) = wire.hear()? else { bail!("the hub says no hello") };
    wire.end()?;
    let (tried, mut saw) = (field.scale(10, 100), String::new());
    for _ in 0..tried {
        let wire = field.target.greeted(1, |hello| hello.node = hub.node)?;
        saw = wire.refused(Reason::SameNode, "your database file is a copy")?;
    }
    Ok(Outcome::new(tried, saw))
}

/// The id of a node that wrote something honest: whoever may read learns it.
fn honest_node(field: &Field<'_>) -> Result<NodeId> {
    let mut wire = field.target.greeted(1, |hello| hello.mode = Mode::ReadOnly)?;
    wire.say(&resume());
    wire.say(&START);
    loop {
        let message = wire.hear_until(|message| matches!(message, Message::Changes(_)))?;
        let Message::Changes(frame) = message else { continue };
        ensure!(!frame.more, "the first changes come in pieces");
        let changes = Changes::decode(&frame.payload)?;
        let mut operations = changes.operations.iter();
        if let Some(operation) = operations.find(|found| found.collection.as_str() == HONEST) {
            return Ok(operation.version.node);
        }
    }
}

fn peers_id(field: &Field<'_>) -> Result<Outcome> {
    let node = honest_node(field)?;
    let (tried, mut saw) = (field.scale(10, 100), String::new());
    for number in 0..tried {
        let usurp = |hello: &mut Hello| {
            (hello.node, hello.head) = (node, Seq(1 + number));
            hello.history = Incarnation(field.seed ^ number).into();
        };
        let mut wire = field.target.greeted(1, usurp)?;
        // The hub waits a while for what a true copy would say to that.
        saw = wire.told(Reason::SameNode, "your database file is a copy")?;
    }
    Ok(Outcome::new(tried, saw))
}

/// A hello proves nothing, and nothing hangs on it: who the peer is the transport knows. A second
/// session by one is served as the first is, and that one goes on.
fn replay(field: &Field<'_>) -> Result<Outcome> {
    let mut victim = Recorded::start(field)?;
    let (tried, mut saw) = (field.scale(5, 50), String::new());
    for _ in 0..tried {
        let mut wire = field.target.connect()?;
        wire.write(&victim.hello);
        let answer = wire.hear()?;
        saw = match answer {
            Some(Message::Hello(_)) => "a hello, as the peer itself, whose link stands".to_owned(),
            Some(Message::Goodbye(goodbye)) => format!("goodbye: {}", goodbye.message),
            other => bail!("the hub said {other:?} to a hello"),
        };
        wire.say(&resume());
        wire.end()?;
    }
    victim.check_linked()?;
    Ok(Outcome::new(tried, saw))
}

/// A peer that also connects to somebody who notes its hello.
struct Recorded {
    process: Child,
    says: std::sync::mpsc::Receiver<String>,
    /// The frame.
    hello: Vec<u8>,
    hub: String,
}

impl Recorded {
    fn start(field: &Field<'_>) -> Result<Self> {
        let path = field.folder.join("recorder.sock");
        // That of the round before, if there was one.
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).context("can't listen")?;
        let (noting, hub) = (format!("unix:{}", path.display()), field.target.endpoint());
        let mut command = blaze(field.blaze, field.folder);
        command.args(["connect", "victim.blaze", &noting, &hub, "--json"]).stderr(Stdio::null());
        let mut process = command.spawn().context("can't start a peer")?;
        let says = crate::process::lines(process.stdout.take().context("no output")?);
        let (mut stream, _) = listener.accept()?;
        stream.set_read_timeout(Some(crate::PATIENCE))?;
        let mut hello = vec![0; HEADER_BYTES];
        stream.read_exact(&mut hello)?;
        let length = u32::from_le_bytes(hello[..4].try_into()?);
        hello.resize(HEADER_BYTES + usize::try_from(length)?, 0);
        stream.read_exact(&mut hello[HEADER_BYTES..])?;
        let mut recorded = Self { process, says, hello, hub };
        while recorded.next(crate::PATIENCE)?.context("the peer doesn't connect")? != "live" {}
        Ok(recorded)
    }

    /// The next state of its link to the hub, if that changes in time.
    fn next(&mut self, wait: std::time::Duration) -> Result<Option<String>> {
        loop {
            let Ok(line) = self.says.recv_timeout(wait) else { return Ok(None) };
            let line: Value = serde_json::from_str(&line)?;
            if line["event"] == "link" && line["endpoint"] == *self.hub {
                return Ok(line["state"].as_str().map(str::to_owned));
            }
        }
    }

    fn check_linked(&mut self) -> Result<()> {
        let moved = self.next(std::time::Duration::from_millis(200))?;
        ensure!(moved.is_none(), "the link of the one whose hello was replayed went: {moved:?}");
        Ok(())
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn downgrade(field: &Field<'_>) -> Result<Outcome> {
    let mut saw = String::new();
    let versions = [(0, 0), (2, 2), (7, 9), (u16::MAX, u16::MAX), (2, 1)];
    for (least, most) in versions {
        let wire = field.target.greeted(1, |hello| {
            (hello.protocol_min, hello.protocol_max) = (least, most);
        })?;
        saw = wire.refused(Reason::ProtocolVersion, "update the older side")?;
    }
    Ok(Outcome::new(versions.len() as u64, saw))
}

fn stranger(field: &Field<'_>) -> Result<Outcome> {
    let mut saw = String::new();
    let databases = ["other", "", "MAIN", "main\0", "../main"];
    for database in databases {
        let wire = field.target.greeted(1, |hello| hello.database = database.into())?;
        saw = wire.refused(Reason::Database, "is not served here")?;
    }
    let long = "x".repeat(Hello::NAME_BYTES_MAX + 1);
    let wire = field.target.greeted(1, |hello| hello.name = long)?;
    wire.refused(Reason::Violation, "a hello's name is at most 256 bytes long")?;
    let longer = "x".repeat(CONTROL_BYTES_MAX);
    let wire = field.target.greeted(1, |hello| hello.name = longer)?;
    wire.refused(Reason::Violation, "a hello is at most 4 KiB long")?;
    Ok(Outcome::new(databases.len() as u64 + 2, saw))
}
