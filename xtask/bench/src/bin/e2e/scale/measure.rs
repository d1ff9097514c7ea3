//! Runs each point on the floor and on Blaze, in turns.

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::found::{self, Found};
use super::{Part, Point, Spec, plan};
use crate::args::Args;
use crate::process::Worker;
use crate::rounds::progress;
use crate::spec::{Outcome, Side, System};

/// A point and its medians.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) point: Point,
    pub(crate) floor: Found,
    pub(crate) blaze: Found,
}

/// Measures all points of these parts in rounds.
pub(crate) fn measure(args: &Args, parts: &[Part]) -> Result<Vec<Row>> {
    let points = plan::points(args, parts);
    let mut runs: Vec<(Vec<Found>, Vec<Found>)> = vec![Default::default(); points.len()];
    for round in 1..=args.rounds() {
        for (number, (point, (floors, blazes))) in points.iter().zip(&mut runs).enumerate() {
            progress(&format!(
                "growth: round {round}, {} of {}: {point}",
                number + 1,
                points.len()
            ));
            floors.push(run(args, *point, System::Floor)?);
            blazes.push(run(args, *point, System::Blaze)?);
        }
    }
    progress("");
    let rows = points.into_iter().zip(runs).map(|(point, (floors, blazes))| Row {
        point,
        floor: found::median(&floors),
        blaze: found::median(&blazes),
    });
    Ok(rows.collect())
}

fn run(args: &Args, point: Point, system: System) -> Result<Found> {
    let context = || format!("can't measure {system:?}: {point}");
    let directory = tempfile::Builder::new().prefix("blaze-bench").tempdir_in(args.directory());
    let directory = directory.with_context(context)?;
    let spec = |side| {
        let (runtime, directory) = (args.runtime, directory.path().to_owned());
        Spec { system, point, runtime, side, directory }
    };
    let outcomes = run_pair(spec).with_context(context)?;
    Ok(found::found(&point, &outcomes))
}

/// The source's outcome and that of the replica or the peers. The source begins when
/// the other has everything that was there before.
fn run_pair(spec: impl Fn(Side) -> Spec) -> Result<[Outcome; 2]> {
    let mut source = Worker::start_scale(&spec(Side::Source))?;
    let endpoint = source.ready()?;
    let mut replica = Worker::start_scale(&spec(Side::Replica { endpoint }))?;
    replica.ready()?;
    source.finish()?;
    let outcome = source.done()?;
    replica.finish()?;
    Ok([outcome, replica.done()?])
}
