//! A Redis server of one side, as durable as the case asks for.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use blaze_sync::Durability;

use super::Way;
use super::client::Client;
use crate::alternatives::program::{self, Server};
use crate::spec::{Side, Spec};

pub(super) struct RedisServer {
    server: Server,
    socket: PathBuf,
    /// The other side's, when this is the replica's.
    primary_socket: PathBuf,
}

/// Where the writer's server listens.
pub(super) fn source_socket(spec: &Spec) -> PathBuf {
    spec.directory.join("redis-source.sock")
}

impl RedisServer {
    pub(super) fn start(spec: &Spec, way: Way) -> Result<(Self, Client)> {
        let primary_socket = source_socket(spec);
        let (name, socket) = if spec.side == Side::Source {
            ("source", primary_socket.clone())
        } else {
            ("replica", spec.directory.join("redis-replica.sock"))
        };
        let port = if way == Way::Replica { free_port()? } else { 0 };
        let (appendonly, appendfsync) = match spec.case.store.durability() {
            Durability::Memory => ("no", "no"),
            Durability::Process => ("yes", "everysec"),
            Durability::Disk => ("yes", "always"),
        };
        let directory = spec.directory.to_str().context("the directory's name is no text")?;
        let args = [
            ("--bind", "127.0.0.1"),
            ("--port", &port.to_string()),
            ("--unixsocket", socket.to_str().context("the socket's name is no text")?),
            ("--dir", directory),
            ("--save", ""),
            ("--appendonly", appendonly),
            ("--appendfsync", appendfsync),
            ("--appenddirname", name),
            ("--dbfilename", &format!("{name}.rdb")),
            // A replica's first sync goes at once, and without a file in between.
            ("--repl-diskless-sync", "yes"),
            ("--repl-diskless-sync-delay", "0"),
            ("--repl-diskless-load", "on-empty-db"),
            // Nobody is cut off for being slower than what streams.
            ("--client-output-buffer-limit", "pubsub 0 0 0"),
        ];
        let args = args.into_iter().flat_map(|(key, value)| [key.to_owned(), value.to_owned()]);
        let server = Server::start(program::REDIS, args.collect())?;
        let mut server = Self { server, socket, primary_socket };
        let socket = server.socket.clone();
        let mut client = server.server.wait_for(|| Client::connect(&socket))?;
        server.settle(&mut client)?;
        Ok((server, client))
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Replicates the other side's server until it has all of it, written as it
    /// is configured.
    pub(super) fn follow(&mut self, client: &mut Client) -> Result<()> {
        let mut primary = Client::connect(&self.primary_socket)?;
        let port = primary.text(&[b"INFO", b"server"])?;
        let port = field(&port, "tcp_port").context("redis tells no port")?.to_owned();
        client.text(&[b"REPLICAOF", b"127.0.0.1", port.as_bytes()])?;
        self.server.wait_for(|| {
            let replication = client.text(&[b"INFO", b"replication"])?;
            let link = field(&replication, "master_link_status");
            ensure!(link == Some("up"), "the link to the primary is {link:?}");
            Ok(())
        })?;
        self.settle(client)
    }

    /// Waits until the log is up to date: it is written anew in the background
    /// whenever it is switched on.
    fn settle(&mut self, client: &mut Client) -> Result<()> {
        self.server.wait_for(|| {
            let persistence = client.text(&[b"INFO", b"persistence"])?;
            for busy in ["loading", "aof_rewrite_in_progress", "aof_rewrite_scheduled"] {
                let value = field(&persistence, busy);
                ensure!(value == Some("0"), "{busy} is {value:?}");
            }
            Ok(())
        })
    }
}

/// A port that nobody uses now; should that change until the server has it, the
/// server doesn't start.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The value of a line such as `key:value`.
fn field<'text>(info: &'text str, key: &str) -> Option<&'text str> {
    let mut values = info.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    values.next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let info = "# Persistence\r\nloading_now:2\r\nloading:0\r\nport:63\r\n";
        assert_eq!(field(info, "loading"), Some("0"));
        assert_eq!(field(info, "port"), Some("63"));
        assert_eq!(field(info, "por"), None);
    }
}
