//! What must hold when the troubles are over: equal replicas, and nothing lost.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::case::Case;
use super::node::Node;
use super::{Command, Said};
use crate::plan::{Content, State};
use crate::worker;

/// Replicas that differ for longer than this stay different.
const PATIENCE: Duration = Duration::from_secs(60);

/// Lets every node run, waits until all are equal, and checks what they hold.
///
/// # Errors
///
/// What is wrong.
pub(super) fn verify(case: &mut Case<'_>) -> Result<()> {
    heal(case)?;
    let records = converge(&mut case.nodes)?;
    case.tally.records += records as u64;
    let lanes = dump(&mut case.nodes[0])?;
    for node in &mut case.nodes {
        node.close()?;
        integrity(node).with_context(|| format!("the file of {}", node.task.name))?;
    }
    for node in case.nodes.iter().chain(&case.gone) {
        let ledger = &node.ledger;
        let lost = ledger.check(&lanes).with_context(|| node.task.name.clone())?;
        case.tally.lost_process += lost.process;
        case.tally.lost_restored += lost.restored;
        let told = node.went_back + node.peer_went_back;
        ensure!(
            case.lossy || told == 0,
            "{} is told that a database went back, but none did",
            node.task.name
        );
        case.tally.told_here += node.went_back;
        case.tally.told_peers += node.peer_went_back;
        let acknowledged = if node.task.disk {
            &mut case.tally.acknowledged_disk
        } else {
            &mut case.tally.acknowledged_process
        };
        *acknowledged += ledger.acked;
        case.tally.synced += ledger.synced;
        case.tally.at_risk += ledger.at_risk;
        case.tally.refused += node.refused;
    }
    Ok(())
}

/// All nodes run, none writes, and each listens where it is looked for.
fn heal(case: &mut Case<'_>) -> Result<()> {
    case.mend(None)?;
    for node in &mut case.nodes {
        node.ask(Command::Quiet, |said| matches!(said, Said::Quiet))?;
    }
    Ok(())
}

/// Waits until all replicas are equal; gives how many records they have.
pub(super) fn converge(nodes: &mut [Node]) -> Result<usize> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut digests = Vec::new();
        for node in &mut *nodes {
            let said = node.ask(Command::Digest, |said| matches!(said, Said::Digest { .. }))?;
            if let Said::Digest { records, digest } = said {
                digests.push((records, digest));
            }
        }
        if digests.iter().all(|digest| *digest == digests[0]) {
            return Ok(digests[0].0);
        }
        let waited = PATIENCE.as_secs();
        ensure!(Instant::now() < deadline, "replicas differ after {waited} s: {digests:?}");
        sleep(Duration::from_millis(10));
    }
}

fn dump(node: &mut Node) -> Result<BTreeMap<u64, (u64, State)>> {
    let mut lanes = BTreeMap::new();
    let answers = |said: &Said| matches!(said, Said::Lane { .. } | Said::Done);
    let mut said = node.ask(Command::Dump, answers)?;
    while let Said::Lane { lane, number, records } = said {
        let records = records.into_iter();
        let records = records.map(|(key, mark, bytes)| (key, Content { mark, bytes }));
        lanes.insert(lane, (number, records.collect()));
        said = node.wait_for(answers)?;
    }
    Ok(lanes)
}

fn integrity(node: &Node) -> Result<()> {
    let task = (&node.task.path, &node.task.password);
    let mut command = worker::command("integrity-worker", &task)?;
    if let Some(room) = &node.room {
        command = room.enter(&command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    }
    let outcome = worker::run::<Said>(command)?;
    if !outcome.status.success() {
        bail!("{}", outcome.complaint.trim());
    }
    Ok(())
}
