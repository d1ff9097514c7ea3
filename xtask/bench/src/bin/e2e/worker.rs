//! A worker from the inside: it does what its spec says and reports on standard output.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use tokio::sync::oneshot;

use crate::spec::{Message, Outcome, RuntimeKind, Spec, System};
use crate::{blaze, floor};

/// What standard input says when the other worker is done.
pub(crate) const FINISH: &str = "finish";

const WORKERS: usize = 2;

/// Tells a worker that the other one is done.
pub(crate) type Finish = oneshot::Receiver<()>;

/// Does what the spec says, reports, and then goes on until it is killed: the
/// other worker may still wait for what a session has to say.
pub(crate) fn run(spec: &str) -> Result<()> {
    let finish = watch_input();
    let spec: Spec = serde_json::from_str(spec).context("a worker's spec is JSON")?;
    match spec.system {
        System::Floor => report(floor::run(&spec, finish))?,
        System::Blaze => run_blaze(spec, finish)?,
    }
    loop {
        std::thread::park();
    }
}

/// The sessions run in tasks, and so does the workload: what a runtime blocks on
/// is no task and would be woken across threads.
fn run_blaze(spec: Spec, finish: Finish) -> Result<()> {
    let mut builder = match spec.runtime {
        RuntimeKind::Multi => tokio::runtime::Builder::new_multi_thread(),
        RuntimeKind::Current => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = builder.worker_threads(WORKERS).enable_all().build()?;
    runtime.block_on(async {
        report(tokio::spawn(blaze::run(spec, finish)).await?)?;
        std::future::pending().await
    })
}

fn report(outcome: Result<Outcome>) -> Result<()> {
    say(&match outcome {
        Ok(outcome) => Message::Done(outcome),
        Err(error) => Message::Failed { error: format!("{error:#}") },
    })
}

/// Says something to the benchmark.
pub(crate) fn say(message: &Message) -> Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    Ok(out.flush()?)
}

/// Hears when the other worker is done, and ends this one with the benchmark.
fn watch_input() -> Finish {
    let (done, finish) = oneshot::channel();
    std::thread::spawn(move || {
        let mut done = Some(done);
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if line == FINISH {
                // Who leads doesn't wait for it.
                let _ = done.take().map(|done| done.send(()));
            }
        }
        std::process::exit(1);
    });
    finish
}
