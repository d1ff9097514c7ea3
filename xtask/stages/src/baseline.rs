//! What stages cost when that was last accepted, and whether they cost more now.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::measure;
use crate::work::STAGES;

/// By how much a figure may differ: compilers and libraries do, in small releases.
const TOLERANCE: f64 = 0.05;
/// Fewer allocations than this, an operation, aren't worth a word.
const ALLOCATIONS_MIN: f64 = 0.05;

/// What is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Baseline {
    /// By what instructions were counted; by something else they are other ones.
    counted_by: String,
    stages: BTreeMap<String, Costs>,
}

/// An operation's.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Costs {
    allocations: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<f64>,
}

/// Compares with what is stored, or stores.
pub(crate) fn run(store: bool) -> Result<()> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("baseline.json");
    let counted_by = counted_by();
    let accepted: Baseline = match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .with_context(|| format!("{} can't be understood", path.display()))?,
        Err(_) if store => Baseline { counted_by: String::new(), stages: BTreeMap::new() },
        Err(error) => return Err(error).context("nothing is stored to compare with; use --store"),
    };
    let comparable = counted_by.as_ref() == Some(&accepted.counted_by);
    if !comparable && !store {
        let here = counted_by.as_deref().unwrap_or("no valgrind");
        println!(
            "instructions are not compared: they were counted by {}, here is {here}",
            accepted.counted_by
        );
    }
    let counts = if store { counted_by.is_some() } else { comparable };
    let (mut found, mut dearer) = (BTreeMap::new(), 0);
    for stage in STAGES {
        let instructions = if counts { measure::instructions(stage)? } else { None };
        let costs = Costs { allocations: measure::allocations(stage)?, instructions };
        let before = accepted.stages.get(stage.name);
        dearer += usize::from(!tell(stage.name, costs, before));
        found.insert(stage.name.to_owned(), costs);
    }
    if store {
        let counted_by = counted_by.unwrap_or_default();
        let text = serde_json::to_string_pretty(&Baseline { counted_by, stages: found })?;
        std::fs::write(&path, text + "\n").with_context(|| path.display().to_string())?;
        return Ok(());
    }
    if dearer > 0 {
        bail!(
            "{dearer} stages cost more or less than before by more than {:.0} %; if that is as it should be: cargo xtask bench stages --store",
            100.0 * TOLERANCE
        );
    }
    Ok(())
}

/// Prints a line, and tells whether the stage costs what it did.
fn tell(name: &str, costs: Costs, before: Option<&Costs>) -> bool {
    let mut same = true;
    let mut part = |what: &str, now: f64, before: Option<f64>, least: f64| {
        let Some(before) = before else { return format!("{now:>9.1} {what} (new)") };
        let changed = (now - before).abs() > (TOLERANCE * before).max(least);
        same &= !changed;
        let mark = if changed { " !" } else { "" };
        format!("{now:>9.1} {what} ({:+.1} %){mark}", 100.0 * (now - before) / before.max(least))
    };
    let allocations = before.map(|before| before.allocations);
    let mut line = part("allocations", costs.allocations, allocations, ALLOCATIONS_MIN);
    if let Some(now) = costs.instructions {
        let before = before.and_then(|before| before.instructions);
        line += &part("instructions", now, before, 1.0);
    }
    println!("{name:<22}{line}");
    same
}

/// The compiler, valgrind, the C library and the processor's kind, on which the count
/// depends.
fn counted_by() -> Option<String> {
    let version = |program: &str, question: &str| {
        let output = Command::new(program).arg(question).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    };
    let rustc = version("rustc", "--version")?;
    let (valgrind, libc) =
        (version("valgrind", "--version")?, version("getconf", "GNU_LIBC_VERSION")?);
    Some(format!("{rustc}, {valgrind}, {libc}, {}", std::env::consts::ARCH))
}
