//! Chooses the inputs that are stored in the repository: few and small ones that reach most.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use blaze_fuzz::Target;

use crate::{corpus, guided};

/// How many inputs of a target are stored, beside those that once broke a promise.
const INPUTS_MAX: usize = 32;
/// How long they are at most, in bytes.
const BYTES_MAX: u64 = 4 * 1024;
/// What a file costs beside its bytes.
const FILE_BYTES: u64 = 256;

/// An input with the features that it reaches: edges, and how often.
#[derive(Debug)]
struct Candidate {
    path: PathBuf,
    bytes: u64,
    features: BTreeSet<u32>,
}

pub(crate) fn run(targets: &[Target]) -> Result<()> {
    let program = guided::build()?;
    for target in targets {
        let candidates = candidates(&program, *target)?;
        let all: BTreeSet<_> = candidates.iter().flat_map(|one| &one.features).collect();
        let (from, features) = (candidates.len(), all.len());
        let (chosen, reached) = choose(candidates);
        let inputs = chosen.iter().map(|path| corpus::read(path)).collect::<Result<Vec<_>>>()?;
        let folder = corpus::stored(*target);
        corpus::make(&folder)?;
        for old in corpus::files(&folder)?.iter().filter(|path| !stays(path)) {
            fs::remove_file(old)?;
        }
        for input in &inputs {
            corpus::save(&folder, "", input)?;
        }
        let bytes: usize = inputs.iter().map(Vec::len).sum();
        println!(
            "{target}: {} of {from} inputs, {bytes} bytes, reach {reached} of {features} features",
            inputs.len()
        );
    }
    Ok(())
}

fn stays(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(corpus::FOUND))
}

/// Lets libFuzzer tell what each known input reaches.
fn candidates(program: &Path, target: Target) -> Result<Vec<Candidate>> {
    corpus::seed(target)?;
    let scratch = corpus::target_dir().join("fuzz/merge");
    corpus::make(&scratch)?;
    let (control, merged) = (scratch.join("control"), scratch.join("merged"));
    corpus::make(&merged)?;
    fs::remove_file(&control).ok();
    let mut command = guided::libfuzzer(program, target);
    command.arg("-set_cover_merge=1");
    command.arg(format!("-merge_control_file={}", control.display()));
    command.arg(&merged).arg(corpus::working(target));
    command.args(Some(corpus::stored(target)).filter(|folder| folder.exists()));
    let status = command.stderr(Stdio::null()).status().context("libFuzzer can't be started")?;
    let told = fs::read_to_string(&control).context("libFuzzer told nothing")?;
    fs::remove_dir_all(&scratch)?;
    if !status.success() {
        bail!("libFuzzer failed ({status}); fuzz {target} first");
    }
    let small = |candidate: &Candidate| candidate.bytes <= BYTES_MAX && !stays(&candidate.path);
    let mut candidates = read(&told).context("libFuzzer's control file has another form")?;
    candidates.retain(small);
    Ok(candidates)
}

/// Reads a control file: how many inputs there are, how many of them are chosen already,
/// their paths, and a line `FT` for each with what it reaches.
fn read(told: &str) -> Option<Vec<Candidate>> {
    let mut lines = told.lines();
    let count: usize = lines.next()?.parse().ok()?;
    lines.next()?;
    let paths: Vec<_> = lines.by_ref().take(count).map(PathBuf::from).collect();
    let reached = lines.filter_map(|line| line.strip_prefix("FT "));
    let candidates = reached.map(|line| {
        let mut numbers = line.split(' ').map(|number| number.parse::<u32>().ok());
        let path = paths.get(numbers.next()?? as usize)?.clone();
        let bytes = fs::metadata(&path).map_or(0, |about| about.len());
        Some(Candidate { path, bytes, features: numbers.collect::<Option<_>>()? })
    });
    candidates.collect()
}

/// One after the other, the input that adds most for its size; and how many features they
/// reach together.
fn choose(mut candidates: Vec<Candidate>) -> (Vec<PathBuf>, usize) {
    let (mut chosen, mut reached) = (Vec::new(), BTreeSet::new());
    while chosen.len() < INPUTS_MAX {
        candidates.retain_mut(|candidate| {
            candidate.features.retain(|feature| !reached.contains(feature));
            !candidate.features.is_empty()
        });
        let worth = |candidate: &Candidate| {
            candidate.features.len() as u64 * 1_000_000 / (FILE_BYTES + candidate.bytes)
        };
        let best = (0..candidates.len()).max_by_key(|at| worth(&candidates[*at]));
        let Some(best) = best.map(|at| candidates.swap_remove(at)) else { break };
        reached.extend(best.features);
        chosen.push(best.path);
    }
    (chosen, reached.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_file_is_read() {
        let told = "2\n0\n/a\n/b\nSTARTED 0 5\nFT 0 7 9\nCOV 0 1\nSTARTED 1 6\nFT 1 9\nCOV 1\n";
        let found = read(told).unwrap();
        let found: Vec<_> =
            found.iter().map(|one| (one.path.to_str(), one.features.len())).collect();
        assert_eq!(found, [(Some("/a"), 2), (Some("/b"), 1)]);
        assert!(read("two\n").is_none());
    }

    #[test]
    fn small_inputs_that_add_something_are_chosen() {
        let candidate = |path: &str, bytes, features: &[u32]| Candidate {
            path: path.into(),
            bytes,
            features: features.iter().copied().collect(),
        };
        let candidates = vec![
            candidate("large", 4_000, &[1, 2, 3]),
            candidate("small", 10, &[1, 2]),
            candidate("nothing more", 5, &[2]),
            candidate("another", 10, &[4]),
        ];
        let (chosen, reached) = choose(candidates);
        assert_eq!(chosen, ["small", "another", "large"].map(PathBuf::from));
        assert_eq!(reached, 4);
    }
}
