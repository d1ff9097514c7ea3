//! NATS `JetStream`: messages that a server keeps in files, and a consumer of them.

use std::path::Path;

use anyhow::{Context as _, Result};
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::stream::{Config, StorageType, Stream};
use async_nats::jetstream::{self, Context};
use blaze_sync::Durability;
use futures_util::StreamExt as _;
use serde::Deserialize;
use tokio::runtime::Runtime;

use super::harness::{Read, Write};
use super::program::{self, Server};
use super::rows::{Received, Row};
use crate::floor::pipe::Pipe;
use crate::spec::{Spec, Workload};

const STREAM: &str = "bench";

/// Publishes to the server.
pub(super) struct Writer {
    runtime: Runtime,
    context: Context,
    /// Ends after the client.
    _server: Server,
}

/// Consumes from the server.
pub(super) struct Reader {
    runtime: Runtime,
    context: Context,
    messages: Option<pull::Ordered>,
}

impl Writer {
    pub(super) fn open(spec: &Spec) -> Result<Self> {
        let directory = spec.directory.to_str().context("the directory's name is no text")?;
        let sync_interval = match spec.case.store.durability() {
            Durability::Disk => "sync_interval: always",
            Durability::Process | Durability::Memory => "",
        };
        let config = format!("{directory}/nats.conf");
        std::fs::write(
            &config,
            format!(
                "listen: \"127.0.0.1:-1\"\nports_file_dir: \"{directory}\"\n\
                 jetstream {{ store_dir: \"{directory}\"\n {sync_interval} }}\n"
            ),
        )?;
        let mut server = Server::start(program::NATS, vec!["-c".to_owned(), config])?;
        let runtime = runtime()?;
        let context = server.wait_for(|| connect(&runtime, &spec.directory))?;
        let stream = Config {
            name: STREAM.to_owned(),
            subjects: vec![STREAM.to_owned()],
            storage: StorageType::File,
            ..Config::default()
        };
        server.wait_for(|| Ok(runtime.block_on(context.create_stream(stream.clone()))?))?;
        Ok(Self { runtime, context, _server: server })
    }

    /// Publishes the rows, and waits until the server has all of them.
    fn publish(&self, rows: &[Row]) -> Result<()> {
        self.runtime.block_on(async {
            let mut acks = Vec::with_capacity(rows.len());
            for row in rows {
                let mut message = Vec::new();
                row.append_to(&mut message);
                acks.push(self.context.publish(STREAM, message.into()).await?);
            }
            for ack in acks {
                ack.await?;
            }
            Ok(())
        })
    }
}

impl Write for Writer {
    fn commit(&mut self, rows: &[Row], _pipe: &mut Pipe) -> Result<()> {
        self.publish(rows)
    }

    fn load(&mut self, rows: &[Row]) -> Result<()> {
        self.publish(rows)
    }
}

impl Reader {
    pub(super) fn open(spec: &Spec) -> Result<Self> {
        let runtime = runtime()?;
        let context = connect(&runtime, &spec.directory)?;
        let mut reader = Self { runtime, context, messages: None };
        if !matches!(spec.case.workload, Workload::Sync { .. }) {
            reader.consume()?;
        }
        Ok(reader)
    }

    fn consume(&mut self) -> Result<()> {
        let consumer = pull::OrderedConfig::default();
        self.messages = Some(self.runtime.block_on(async {
            let consumer = self.stream().await?.create_consumer(consumer).await?;
            anyhow::Ok(consumer.messages().await?)
        })?);
        Ok(())
    }

    async fn stream(&self) -> Result<Stream> {
        Ok(self.context.get_stream(STREAM).await?)
    }
}

impl Read for Reader {
    fn receive(&mut self, _pipe: &mut Pipe) -> Result<Received> {
        let messages = self.messages.as_mut().context("nothing is consumed yet")?;
        let message = self.runtime.block_on(messages.next()).context("the stream ended")??;
        Received::in_bytes(&message.payload)
    }

    fn sync(&mut self, rows: usize, pipe: &mut Pipe) -> Result<()> {
        self.consume()?;
        let mut found = 0;
        while found < rows {
            found += self.receive(pipe)?.rows;
        }
        Ok(())
    }

    fn len(&mut self) -> Result<usize> {
        let mut stream = self.runtime.block_on(self.stream())?;
        let info = self.runtime.block_on(stream.info())?;
        Ok(info.state.messages.try_into()?)
    }
}

/// One thread, as each side waits for one thing at a time: it is then woken by the
/// socket itself.
fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

fn connect(runtime: &Runtime, directory: &Path) -> Result<Context> {
    let url = url(directory)?;
    // Both start tasks.
    let _entered = runtime.enter();
    let client = runtime.block_on(async_nats::connect(url))?;
    Ok(jetstream::new(client))
}

/// Where the server says that it listens.
fn url(directory: &Path) -> Result<String> {
    #[derive(Deserialize)]
    struct Ports {
        nats: Vec<String>,
    }

    let mut files = std::fs::read_dir(directory)?.filter_map(Result::ok).map(|file| file.path());
    let file = files.find(|path| path.extension().is_some_and(|ending| ending == "ports"));
    let file = file.context("nats-server tells no port")?;
    let ports: Ports = serde_json::from_slice(&std::fs::read(file)?)?;
    ports.nats.into_iter().next().context("nats-server listens nowhere")
}
