//! Builds the instrumented program, and lets libFuzzer drive it.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use blaze_fuzz::Target;

use crate::args::Args;
use crate::corpus;
use crate::stats::{self, Stats};
use crate::workers;

/// What makes the stable compiler count edges and tell comparisons, in the way that
/// libFuzzer reads: `SanitizerCoverage`, a pass of LLVM. In one unit of code generation,
/// for what it instruments isn't inlined into another.
const FLAGS: &str = "--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cllvm-args=-simplifycfg-branch-fold-threshold=0";

/// An input that takes longer is a find, in seconds.
const SECONDS_MAX: u64 = 10;

pub(crate) fn run(args: &Args) -> Result<()> {
    let program = build()?;
    workers::run(args, "each becomes a test, and a file in xtask/fuzz/corpus", |target| {
        eprintln!("==> {target}: {} min", args.minutes);
        one(&program, target, args.minutes)
    })
}

/// Builds for the host by its name: flags then don't reach build scripts, which nothing
/// would count for.
pub(crate) fn build() -> Result<PathBuf> {
    let host = host()?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--release", "--no-default-features"]);
    command.args(["--features", "libfuzzer", "--bin", "libfuzzer", "--target", &host]);
    command.arg("--manifest-path").arg(manifest);
    command.arg("--target-dir").arg(corpus::target_dir());
    command.env("RUSTFLAGS", FLAGS);
    eprintln!("==> building with libFuzzer");
    let status = command.status().context("cargo can't be started")?;
    if !status.success() {
        bail!(
            "libFuzzer can't be built ({status}); it is C++: install a compiler such as g++, or use --smoke"
        );
    }
    Ok(corpus::target_dir().join(host).join("release/libfuzzer"))
}

fn host() -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().context("rustc can't be started")?;
    let told = String::from_utf8_lossy(&output.stdout);
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}

/// Runs a target for a time, or until something is found.
fn one(program: &Path, target: Target, minutes: f64) -> Result<Stats> {
    corpus::seed(target)?;
    let artifacts = corpus::artifacts(target);
    corpus::make(&artifacts)?;
    let before = corpus::files(&artifacts)?;
    let log = artifacts.with_file_name(format!("{target}.log"));
    let seconds = (minutes * 60.0).max(1.0).round();
    let started = Instant::now();
    let mut command = libfuzzer(program, target);
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-timeout={SECONDS_MAX}"));
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.args(["-print_final_stats=1", "-rss_limit_mb=1024"]);
    command.arg(corpus::working(target));
    command.args(Some(corpus::stored(target)).filter(|folder| folder.exists()));
    command.stderr(File::create(&log).with_context(|| format!("can't write {}", log.display()))?);
    let status = command.status().context("libFuzzer can't be started")?;
    let elapsed = started.elapsed().as_secs_f64();
    let mut found = corpus::files(&artifacts)?;
    found.retain(|path| !before.contains(path));
    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    if !status.success() {
        let told = |line: &&str| line.contains("panicked at") || line.contains("ERROR");
        let lines = text.lines().skip_while(|line| !told(line));
        lines.take(3).for_each(|line| eprintln!("{target}: {line}"));
        if found.is_empty() {
            bail!("{target} failed ({status}) without an input; see {}", log.display());
        }
    }
    Ok(stats::parse(target, &text, elapsed, found))
}

/// libFuzzer with what belongs to a target.
pub(crate) fn libfuzzer(program: &Path, target: Target) -> Command {
    let mut command = Command::new(program);
    command.env("BLAZE_FUZZ_TARGET", target.name());
    command.arg(format!("-max_len={}", target.input_bytes_max()));
    command
}
