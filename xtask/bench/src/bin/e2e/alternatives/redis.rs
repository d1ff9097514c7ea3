//! Redis: one server for both sides, or one for each with replication between them.

mod client;
mod server;

use anyhow::{Result, ensure};
use blaze_sync::Durability;

use self::client::{Client, Reply};
use self::server::RedisServer;
use super::harness::{Read, Write};
use super::rows::{Received, Row};
use crate::floor::pipe::Pipe;
use crate::spec::{Spec, Workload};

const CHANNEL: &[u8] = b"bench";

/// How the reader gets rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// In messages from the server.
    Channel,
    /// From its own server, which a message says has them.
    Replica,
}

/// Writes to the server.
pub(super) struct Writer {
    client: Client,
    way: Way,
    /// Whether replies are read at the end only.
    pipelined: bool,
    message: Vec<u8>,
    /// Ends after the client.
    _server: RedisServer,
}

/// Listens to the writer's server.
pub(super) struct Subscriber {
    messages: Client,
    questions: Client,
}

/// Listens to a server of its own, a replica.
pub(super) struct Replica {
    questions: Client,
    messages: Client,
    server: RedisServer,
}

impl Writer {
    pub(super) fn open(spec: &Spec, way: Way) -> Result<Self> {
        let (server, client) = RedisServer::start(spec, way)?;
        // Where nothing is kept there is nothing to await before the next transaction.
        let pipelined = spec.case.store.durability() == Durability::Memory
            && matches!(spec.case.workload, Workload::Stream { .. });
        Ok(Self { client, way, pipelined, message: Vec::new(), _server: server })
    }

    fn set(&mut self, rows: &[Row]) {
        let values = rows.iter().flat_map(|row| [&row.key[..], &row.value]);
        let command: &[u8] = if rows.len() == 1 { b"SET" } else { b"MSET" };
        self.client.ask([command].into_iter().chain(values));
    }
}

impl Write for Writer {
    fn commit(&mut self, rows: &[Row], _pipe: &mut Pipe) -> Result<()> {
        self.set(rows);
        self.message.clear();
        match self.way {
            Way::Channel => rows.iter().for_each(|row| row.append_to(&mut self.message)),
            Way::Replica => self.message.extend_from_slice(&Received::of(rows)?.head()?),
        }
        self.client.ask([b"PUBLISH", CHANNEL, &self.message]);
        if self.pipelined { self.client.send_large() } else { self.client.replies().map(drop) }
    }

    fn flush(&mut self) -> Result<()> {
        self.client.replies().map(drop)
    }

    fn load(&mut self, rows: &[Row]) -> Result<()> {
        self.set(rows);
        self.client.replies().map(drop)
    }
}

impl Subscriber {
    pub(super) fn open(spec: &Spec) -> Result<Self> {
        let socket = server::source_socket(spec);
        let mut messages = Client::connect(&socket)?;
        subscribe(&mut messages)?;
        Ok(Self { messages, questions: Client::connect(&socket)? })
    }
}

impl Read for Subscriber {
    fn receive(&mut self, _pipe: &mut Pipe) -> Result<Received> {
        Received::in_bytes(&message(&mut self.messages)?)
    }

    fn sync(&mut self, _rows: usize, _pipe: &mut Pipe) -> Result<()> {
        Ok(())
    }

    fn len(&mut self) -> Result<usize> {
        self.questions.keys()
    }
}

impl Replica {
    pub(super) fn open(spec: &Spec) -> Result<Self> {
        let (mut server, mut questions) = RedisServer::start(spec, Way::Replica)?;
        let mut messages = Client::connect(server.socket())?;
        subscribe(&mut messages)?;
        if !matches!(spec.case.workload, Workload::Sync { .. }) {
            server.follow(&mut questions)?;
            // The primary streams only when it next hears from the replica, which
            // takes up to a second once, and is no part of what a row takes.
            let mut primary = Client::connect(&server::source_socket(spec))?;
            primary.ask([b"PUBLISH", CHANNEL, b"live"]);
            primary.replies()?;
            message(&mut messages)?;
        }
        Ok(Self { questions, messages, server })
    }
}

impl Read for Replica {
    fn receive(&mut self, _pipe: &mut Pipe) -> Result<Received> {
        // A replica does what its primary did in the same order, and says so when
        // that is written.
        Ok(Received::split(&message(&mut self.messages)?)?.0)
    }

    fn sync(&mut self, _rows: usize, _pipe: &mut Pipe) -> Result<()> {
        self.server.follow(&mut self.questions)
    }

    fn len(&mut self) -> Result<usize> {
        self.questions.keys()
    }
}

fn subscribe(client: &mut Client) -> Result<()> {
    client.ask([b"SUBSCRIBE", CHANNEL]);
    client.replies().map(drop)
}

/// Waits for the next message.
fn message(client: &mut Client) -> Result<Vec<u8>> {
    let Reply::Array(parts) = client.reply()? else {
        anyhow::bail!("redis sent no message");
    };
    ensure!(parts.len() == 3, "a message has {} parts", parts.len());
    parts.into_iter().next_back().map_or_else(|| anyhow::bail!("no payload"), Reply::into_bytes)
}
