//! Where inputs are.

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use blaze_fuzz::{Target, seeds};

/// How the names of stored inputs begin that once broke a promise: they stay.
pub(crate) const FOUND: &str = "found-";

/// The inputs of the repository.
pub(crate) fn stored(target: Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name())
}

/// Where cargo builds.
pub(crate) fn target_dir() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().unwrap_or(root);
    // Relative to where cargo was started, as cargo takes it.
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// What earlier runs found worth keeping.
pub(crate) fn working(target: Target) -> PathBuf {
    target_dir().join("fuzz/corpus").join(target.name())
}

/// The inputs that broke a promise.
pub(crate) fn artifacts(target: Target) -> PathBuf {
    target_dir().join("fuzz/artifacts").join(target.name())
}

/// Puts the generated inputs where libFuzzer begins.
pub(crate) fn seed(target: Target) -> Result<()> {
    make(&working(target))?;
    for seed in seeds::of(target) {
        save(&working(target), "seed-", &seed)?;
    }
    Ok(())
}

pub(crate) fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))
}

/// Saves an input under a name that follows from its bytes.
pub(crate) fn save(folder: &Path, prefix: &str, input: &[u8]) -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let path = folder.join(format!("{prefix}{:016x}", hasher.finish()));
    fs::write(&path, input).with_context(|| format!("can't write {}", path.display()))?;
    Ok(path)
}

/// The files of a folder in the order of their names; none if there is no folder.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let paths = entries.map(|entry| Ok(entry?.path()));
    let mut paths: Vec<_> = paths.collect::<Result<_>>()?;
    paths.sort();
    Ok(paths)
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("can't read {}", path.display()))
}
