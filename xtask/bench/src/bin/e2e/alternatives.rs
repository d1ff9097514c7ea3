//! What a user could pick instead of Blaze, measured beside it: the same records
//! from one process to another, at the durability that each promises.

#[cfg(feature = "automerge")]
mod automerge;
mod catalogue;
mod harness;
#[cfg(feature = "iroh")]
mod iroh;
mod judge;
#[cfg(feature = "nats")]
mod nats;
mod program;
mod redis;
mod rows;
#[cfg(feature = "session")]
mod session;
mod sqlite;
mod table;
#[cfg(feature = "yrs")]
mod yrs;
#[cfg(feature = "zenoh")]
mod zenoh;

use anyhow::{Result, bail};
use serde::Serialize;

pub(crate) use self::catalogue::Alternative;
use self::harness::{Read, Write, read, write};
pub(crate) use self::judge::marks;
pub(crate) use self::program::become_program;
pub(crate) use self::table::write_section;
use crate::args::Args;
use crate::figures::Figures;
use crate::spec::{Case, Outcome, Side, Spec, Workload};

/// An alternative in a case.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Beside {
    pub(crate) alternative: Alternative,
    /// The case's, or less of it where that would take minutes.
    pub(crate) workload: Workload,
    /// `None` if it failed.
    pub(crate) figures: Option<Figures>,
}

/// Why something isn't in the tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Absent {
    pub(crate) alternative: Alternative,
    pub(crate) why: String,
}

/// The alternatives that are asked for: those that can be measured here, and why
/// others can't.
pub(crate) fn find(args: &Args) -> (Vec<Alternative>, Vec<Absent>) {
    let (mut present, mut absent) = (Vec::new(), Vec::new());
    for alternative in args.alternatives() {
        match alternative.missing() {
            None => {
                present.push(alternative);
                let why = alternative.incomplete();
                absent.extend(why.map(|why| Absent { alternative, why: why.to_owned() }));
            }
            Some(why) => absent.push(Absent { alternative, why }),
        }
    }
    (present, absent)
}

/// The alternatives that do what a case does at its durability, and how much of
/// it each is to do.
pub(crate) fn beside(present: &[Alternative], case: Case) -> Vec<(Alternative, Workload)> {
    let comparable = present.iter().filter(|alternative| alternative.does(case));
    comparable.map(|&alternative| (alternative, alternative.share(case.workload))).collect()
}

/// Does one side's part.
pub(crate) fn run(spec: &Spec, alternative: Alternative) -> Result<Outcome> {
    match alternative {
        Alternative::SqliteSpin | Alternative::SqlitePoll | Alternative::SqliteBackup => {
            let waiting = sqlite::Waiting::of(alternative);
            side(
                spec,
                || sqlite::Writer::open(spec, waiting),
                || sqlite::Reader::open(spec, waiting),
            )
        }
        Alternative::Redis => side(
            spec,
            || redis::Writer::open(spec, redis::Way::Channel),
            || redis::Subscriber::open(spec),
        ),
        Alternative::RedisReplica => side(
            spec,
            || redis::Writer::open(spec, redis::Way::Replica),
            || redis::Replica::open(spec),
        ),
        #[cfg(feature = "session")]
        Alternative::Session => {
            side(spec, || session::Peer::open(spec), || session::Peer::open(spec))
        }
        #[cfg(feature = "nats")]
        Alternative::Nats => side(spec, || nats::Writer::open(spec), || nats::Reader::open(spec)),
        #[cfg(feature = "yrs")]
        Alternative::Yrs => {
            side(spec, || Ok(yrs::Document::default()), || Ok(yrs::Document::default()))
        }
        #[cfg(feature = "automerge")]
        Alternative::Automerge => {
            side(spec, || Ok(automerge::Document::default()), || Ok(automerge::Document::default()))
        }
        #[cfg(feature = "zenoh")]
        Alternative::Zenoh => {
            side(spec, || zenoh::Writer::open(spec), || zenoh::Reader::open(spec))
        }
        #[cfg(feature = "iroh")]
        Alternative::Iroh => side(spec, || iroh::Writer::open(spec), || iroh::Reader::open(spec)),
        #[allow(unreachable_patterns, reason = "there is no other when all are built in")]
        other => bail!("{} isn't built in", other.name()),
    }
}

fn side<W: Write, R: Read>(
    spec: &Spec,
    writer: impl FnOnce() -> Result<W>,
    reader: impl FnOnce() -> Result<R>,
) -> Result<Outcome> {
    match &spec.side {
        Side::Source => write(spec, writer()?),
        Side::Replica { endpoint } => read(spec, endpoint, reader()?),
        Side::Both => bail!("an alternative takes two processes"),
    }
}
