//! Runs each case on the floor and on Blaze, in turns.

use std::io::IsTerminal as _;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::args::Args;
use crate::figures::Figures;
use crate::process::Worker;
use crate::spec::{Case, Lead, Outcome, Side, Spec, Store, System, Transport};
use crate::{floor, plan};

/// A case and its medians.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) case: Case,
    pub(crate) floor: Option<Figures>,
    pub(crate) blaze: Option<Figures>,
}

/// Measures all cases in rounds, so that what else the machine does meets all of
/// them alike.
pub(crate) fn measure(args: &Args) -> Result<Vec<Measured>> {
    let cases = plan::cases(args);
    let mut runs: Vec<(Vec<Figures>, Vec<Figures>)> = vec![Default::default(); cases.len()];
    for round in 1..=args.rounds() {
        for (number, (case, (floors, blazes))) in cases.iter().zip(&mut runs).enumerate() {
            progress(&format!("round {round}, {} of {}: {case}", number + 1, cases.len()));
            if floor::exists(case.transport, case.workload) {
                floors.push(run(args, *case, System::Floor)?);
            }
            if case.store != Store::Nothing {
                blazes.push(run(args, *case, System::Blaze)?);
            }
        }
    }
    progress("");
    let measured = cases.into_iter().zip(runs).map(|(case, (floors, blazes))| Measured {
        case,
        floor: Figures::median(&floors),
        blaze: Figures::median(&blazes),
    });
    Ok(measured.collect())
}

fn run(args: &Args, case: Case, system: System) -> Result<Figures> {
    let context = || format!("can't measure {system:?}: {case}");
    let directory = tempfile::Builder::new().prefix("blaze-bench").tempdir_in(args.directory());
    let directory = directory.with_context(context)?;
    let spec = |side| {
        let (runtime, directory) = (args.runtime, directory.path().to_owned());
        Spec { system, case, runtime, side, directory }
    };
    let outcomes = if case.transport == Transport::Mem {
        Worker::start(&spec(Side::Both))?.done().map(|outcome| vec![outcome])
    } else {
        run_pair(spec)
    };
    Ok(Figures::of(&outcomes.with_context(context)?))
}

/// The source's outcome and the replica's.
fn run_pair(spec: impl Fn(Side) -> Spec) -> Result<Vec<Outcome>> {
    let mut source = Worker::start(&spec(Side::Source))?;
    let endpoint = source.ready()?;
    let replica_spec = spec(Side::Replica { endpoint });
    let mut replica = Worker::start(&replica_spec)?;
    let (source, replica) = match replica_spec.case.workload.lead() {
        Lead::Source => {
            let outcome = source.done()?;
            replica.finish()?;
            (outcome, replica.done()?)
        }
        Lead::Replica => {
            let outcome = replica.done()?;
            source.finish()?;
            (source.done()?, outcome)
        }
    };
    Ok(vec![source, replica])
}

/// Shows what is being done, if somebody looks.
pub(crate) fn progress(what: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{what}");
    }
}
