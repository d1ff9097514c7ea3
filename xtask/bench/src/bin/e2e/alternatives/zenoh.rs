//! Zenoh: messages from one peer to another, which keep nothing.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use zenoh::handlers::FifoChannelHandler;
use zenoh::pubsub::{Publisher, Subscriber};
use zenoh::qos::CongestionControl;
use zenoh::sample::Sample;
use zenoh::{Config, Session, Wait as _};

use super::harness::{Read, Write};
use super::rows::{Received, Row};
use crate::floor::pipe::Pipe;
use crate::spec::{Spec, Workload};

const KEY: &str = "bench";

/// Publishes to the peer.
pub(super) struct Writer {
    publisher: Publisher<'static>,
    heard: bool,
    /// Ends after the publisher.
    _session: Session,
}

/// Hears from the peer.
pub(super) struct Reader {
    subscriber: Subscriber<FifoChannelHandler<Sample>>,
    rows: usize,
    _session: Session,
}

impl Writer {
    pub(super) fn open(spec: &Spec) -> Result<Self> {
        let session = open("listen", &spec.directory)?;
        let publisher = session.declare_publisher(KEY);
        // Nothing is left out when the reader is slower; and what is one at a time
        // doesn't wait for more to go with.
        let one_at_a_time = matches!(spec.case.workload, Workload::Latency { .. });
        let publisher =
            publisher.congestion_control(CongestionControl::Block).express(one_at_a_time);
        let publisher = publisher.wait().map_err(|error| anyhow!("{error}"))?;
        Ok(Self { publisher, heard: false, _session: session })
    }

    /// Waits until the peer is known to listen: what is published before is lost.
    fn wait_for_reader(&mut self) -> Result<()> {
        while !self.heard {
            let status = self.publisher.matching_status().wait();
            self.heard = status.map_err(|error| anyhow!("{error}"))?.matching();
        }
        Ok(())
    }
}

impl Write for Writer {
    fn commit(&mut self, rows: &[Row], _pipe: &mut Pipe) -> Result<()> {
        self.wait_for_reader()?;
        let mut message = Vec::new();
        for row in rows {
            row.append_to(&mut message);
        }
        self.publisher.put(message).wait().map_err(|error| anyhow!("{error}"))
    }

    fn load(&mut self, _rows: &[Row]) -> Result<()> {
        bail!("zenoh keeps nothing")
    }
}

impl Reader {
    pub(super) fn open(spec: &Spec) -> Result<Self> {
        let session = open("connect", &spec.directory)?;
        let subscriber = session.declare_subscriber(KEY).wait();
        let subscriber = subscriber.map_err(|error| anyhow!("{error}"))?;
        Ok(Self { subscriber, rows: 0, _session: session })
    }
}

impl Read for Reader {
    fn receive(&mut self, _pipe: &mut Pipe) -> Result<Received> {
        let sample = self.subscriber.recv().map_err(|error| anyhow!("{error}"))?;
        let received = Received::in_bytes(&sample.payload().to_bytes())?;
        self.rows += received.rows;
        Ok(received)
    }

    fn sync(&mut self, _rows: usize, _pipe: &mut Pipe) -> Result<()> {
        bail!("zenoh keeps nothing")
    }

    fn len(&mut self) -> Result<usize> {
        Ok(self.rows)
    }
}

/// A peer that listens at the socket, or connects to it.
fn open(what: &str, directory: &Path) -> Result<Session> {
    let mut config = Config::default();
    let endpoint = format!("unixsock-stream/{}", directory.join("zenoh.sock").display());
    let other = if what == "listen" { "connect" } else { "listen" };
    let settings = [
        ("mode", "\"peer\"".to_owned()),
        ("scouting/multicast/enabled", "false".to_owned()),
        (&format!("{what}/endpoints"), serde_json::to_string(&[endpoint])?),
        (&format!("{other}/endpoints"), "[]".to_owned()),
    ];
    for (key, value) in settings {
        config.insert_json5(key, &value).map_err(|error| anyhow!("{error}"))?;
    }
    zenoh::open(config).wait().map_err(|error| anyhow!("{error}"))
}
