//! Runs each case on the floor, on Blaze and on its alternatives, in turns.

use std::io::IsTerminal as _;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::alternatives::{Absent, Alternative, Beside};
use crate::args::Args;
use crate::figures::Figures;
use crate::process::Worker;
use crate::spec::{Case, Lead, Outcome, Side, Spec, Store, System, Transport, Workload};
use crate::{alternatives, floor, plan};

/// A case and its medians.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) case: Case,
    pub(crate) floor: Option<Figures>,
    pub(crate) blaze: Option<Figures>,
    pub(crate) beside: Vec<Beside>,
}

/// A case's runs so far.
#[derive(Default)]
struct Runs {
    floor: Vec<Figures>,
    blaze: Vec<Figures>,
    beside: Vec<(Alternative, Workload, Vec<Figures>)>,
}

/// Measures all cases in rounds, so that what else the machine does meets all of
/// them alike. An alternative that fails is absent from then on.
pub(crate) fn measure(
    args: &Args,
    present: &[Alternative],
    absent: &mut Vec<Absent>,
) -> Result<Vec<Measured>> {
    let cases = plan::cases(args);
    let mut runs: Vec<Runs> = cases.iter().map(|case| Runs::new(present, *case)).collect();
    for round in 1..=args.rounds() {
        for (number, (case, runs)) in cases.iter().zip(&mut runs).enumerate() {
            progress(&format!("round {round}, {} of {}: {case}", number + 1, cases.len()));
            if floor::exists(case.transport, case.workload) {
                runs.floor.push(run(args, *case, System::Floor)?);
            }
            if case.store != Store::Nothing {
                runs.blaze.push(run(args, *case, System::Blaze)?);
            }
            runs.measure_beside(args, *case, absent);
        }
    }
    progress("");
    Ok(cases.into_iter().zip(runs).map(|(case, runs)| runs.measured(case)).collect())
}

impl Runs {
    fn new(present: &[Alternative], case: Case) -> Self {
        let beside = alternatives::beside(present, case).into_iter();
        let beside = beside.map(|(alternative, workload)| (alternative, workload, Vec::new()));
        Self { beside: beside.collect(), ..Self::default() }
    }

    fn measure_beside(&mut self, args: &Args, case: Case, absent: &mut Vec<Absent>) {
        self.beside.retain_mut(|(alternative, workload, runs)| {
            let case = Case { workload: *workload, ..case };
            match run(args, case, System::Alternative(*alternative)) {
                Ok(figures) => runs.push(figures),
                Err(error) => {
                    let why = format!("{error:#}");
                    absent.push(Absent { alternative: *alternative, why });
                    return false;
                }
            }
            true
        });
    }

    fn measured(self, case: Case) -> Measured {
        let beside = self.beside.into_iter().map(|(alternative, workload, runs)| Beside {
            alternative,
            workload,
            figures: Figures::median(&runs),
        });
        let (floor, blaze) = (Figures::median(&self.floor), Figures::median(&self.blaze));
        Measured { case, floor, blaze, beside: beside.collect() }
    }
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
