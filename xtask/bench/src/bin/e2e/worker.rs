//! A worker from the inside: it does what its spec says and reports on standard output.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use tokio::sync::oneshot;

use crate::spec::{Message, Outcome, RuntimeKind, Spec, System};
use crate::{alternatives, blaze, floor};

/// What standard input says when the other worker is done.
pub(crate) const FINISH: &str = "finish";

const WORKERS: usize = 2;

/// Tells a worker that the other one is done.
pub(crate) type Finish = oneshot::Receiver<()>;

/// Does what the spec says, reports, and then goes on until it is killed: the
/// other worker may still wait for what a session has to say.
pub(crate) fn run(spec: &str) -> Result<()> {
    let spec: Spec = serde_json::from_str(spec).context("a worker's spec is JSON")?;
    let finish = watch_input(spec.directory.clone());
    match spec.system {
        System::Floor => report(floor::run(&spec, finish))?,
        System::Blaze => run_blaze(spec, finish)?,
        System::Alternative(alternative) => report(alternatives::run(&spec, alternative))?,
    }
    wait_for_the_end()
}

/// As [`run`], for what shows how cost grows.
pub(crate) fn run_scale(spec: &str) -> Result<()> {
    let spec: crate::scale::Spec = serde_json::from_str(spec).context("a worker's spec is JSON")?;
    let finish = watch_input(spec.directory.clone());
    if spec.system == System::Floor {
        report(floor::scale::run(&spec, finish))?;
    } else {
        run_tasks(spec.runtime, blaze::scale::run(spec, finish))?;
    }
    wait_for_the_end()
}

fn wait_for_the_end() -> ! {
    loop {
        std::thread::park();
    }
}

fn run_blaze(spec: Spec, finish: Finish) -> Result<()> {
    run_tasks(spec.runtime, blaze::run(spec, finish))
}

/// The sessions run in tasks, and so does the workload: what a runtime blocks on
/// is no task and would be woken across threads.
fn run_tasks(
    runtime: RuntimeKind,
    workload: impl Future<Output = Result<Outcome>> + Send + 'static,
) -> Result<()> {
    let mut builder = match runtime {
        RuntimeKind::Multi => tokio::runtime::Builder::new_multi_thread(),
        RuntimeKind::Current => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = builder.worker_threads(WORKERS).enable_all().build()?;
    runtime.block_on(async {
        let outcome = tokio::spawn(workload).await?;
        // Nobody may be reading yet, and the sessions are not to wait for it.
        tokio::task::spawn_blocking(|| report(outcome)).await??;
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

/// Hears when the other worker is done, and that the benchmark is gone: then it
/// was killed, and what it can't remove any more is removed here.
fn watch_input(directory: PathBuf) -> Finish {
    let (done, finish) = oneshot::channel();
    std::thread::spawn(move || {
        let mut done = Some(done);
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if line == FINISH {
                // Who leads doesn't wait for it.
                let _ = done.take().map(|done| done.send(()));
            }
        }
        // The other worker may be faster.
        let _ = std::fs::remove_dir_all(directory);
        std::process::exit(1);
    });
    finish
}
