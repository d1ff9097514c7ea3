//! The floor: the same workloads with nothing but a blocking stream and a store.
//!
//! No other way to move a commit from one database to another in the same
//! processes can be much faster, so Blaze's figures are given as multiples of
//! these. A record is a key of 16 bytes and a value of 200, whose first 8 are the
//! stamp; both sides commit it, as they do with Blaze. There is no merging, no
//! index by time, no checkpoint, no checksum and no flow control.

mod pipe;
mod store;

use anyhow::{Context as _, Result, ensure};
use blaze_sync::{RecordKey, Uuid};

use self::pipe::{Listener, Pipe};
use self::store::{Key, Row, RowStore};
use crate::spec::{Lead, Message, Outcome, Side, Spec, Store, Transport, Workload, monotonic_ns};
use crate::worker::{Finish, say};

const KEY_BYTES: usize = size_of::<Key>();
const VALUE_BYTES: usize = 200;
const ROW_BYTES: usize = KEY_BYTES + VALUE_BYTES;
/// Rows that are sent at once where the workload doesn't say.
const ROWS_AT_ONCE: usize = 1_000;
/// What says that everything is committed.
const ACK: [u8; 1] = [6];

/// Whether there is something to compare with: a queue in memory isn't connected to.
pub(crate) fn exists(transport: Transport, workload: Workload) -> bool {
    !matches!((transport, workload), (Transport::Mem, Workload::Connect { .. }))
}

/// Does one side's part, or both.
pub(crate) fn run(spec: &Spec, finish: Finish) -> Result<Outcome> {
    match &spec.side {
        Side::Source => {
            let mut source = open(spec, "source")?;
            load(&mut source, spec.case.workload)?;
            let listener = Listener::bind(&spec.endpoint())?;
            say(&Message::Ready { endpoint: listener.endpoint()? })?;
            let outcome = serve(spec.case.workload, &mut source, || listener.accept())?;
            if spec.case.workload.lead() == Lead::Replica {
                finish.blocking_recv()?;
            }
            outcome.with_rss()
        }
        Side::Replica { endpoint } => {
            let mut replica = open(spec, "replica")?;
            follow(spec.case.workload, &mut replica, || Pipe::connect(endpoint))?.with_rss()
        }
        Side::Both => both(spec),
    }
}

fn both(spec: &Spec) -> Result<Outcome> {
    let workload = spec.case.workload;
    let (mut source, mut replica) = (open(spec, "source")?, open(spec, "replica")?);
    load(&mut source, workload)?;
    let (mut near, mut far) = (Pipe::pair().map(Some), None);
    if let Ok(Some((_, theirs))) = &mut near {
        far = Some(std::mem::replace(theirs, Pipe::closed()));
    }
    let mut near = near?.map(|(ours, _)| ours);
    let following = std::thread::spawn(move || {
        follow(workload, &mut replica, || far.take().context("a queue connects once"))
    });
    let outcome = serve(workload, &mut source, || near.take().context("a queue connects once"))?;
    let followed = following.join().ok().context("the replica's thread panicked")??;
    outcome.and(followed).with_rss()
}

fn open(spec: &Spec, name: &str) -> Result<RowStore> {
    let store = spec.case.store;
    match store {
        Store::Nothing => Ok(RowStore::Nothing),
        Store::Memory => Ok(RowStore::Memory(std::collections::BTreeMap::new())),
        _ => RowStore::open(&spec.directory.join(format!("{name}.sqlite")), store),
    }
}
