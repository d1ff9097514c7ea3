//! What came of a run, and how it is shown.

use std::fmt::Write as _;
use std::path::PathBuf;

use blaze_fuzz::{Seen, Target};

/// What came of a target's run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stats {
    pub(crate) target: Target,
    pub(crate) executions: u64,
    pub(crate) seconds: f64,
    /// How many inputs it began with, or found worth keeping.
    pub(crate) corpus: u64,
    /// How many edges of the code were reached, if they are counted.
    pub(crate) coverage: Option<u64>,
    pub(crate) nearest: Seen,
    /// The inputs that broke a promise.
    pub(crate) found: Vec<PathBuf>,
}

/// A line a target, and one for each find with the command that runs it again.
pub(crate) fn table(stats: &[Stats]) -> String {
    let mut text = format!(
        "{:<10} {:>12} {:>9} {:>7} {:>9}  {:<38} {:>5}\n",
        "target", "executions", "a second", "corpus", "coverage", "nearest to its bound", "finds"
    );
    for Stats { target, executions, seconds, corpus, coverage, nearest, found } in stats {
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let rate = *executions as f64 / seconds.max(0.001);
        let coverage = coverage.map_or_else(|| "-".to_owned(), |edges| edges.to_string());
        let memory = format!(
            "{:.0} %: {} bytes took {} ({}x)",
            100.0 * nearest.share(),
            nearest.input,
            nearest.peak,
            nearest.peak / nearest.input.max(1)
        );
        let finds = found.len();
        writeln!(
            text,
            "{target:<10} {executions:>12} {rate:>9.0} {corpus:>7} {coverage:>9}  {memory:<38} {finds:>5}"
        )
        .expect("a String takes any text");
    }
    for Stats { target, found, .. } in stats {
        for path in found {
            writeln!(text, "found: cargo xtask fuzz {target} --replay {}", path.display())
                .expect("a String takes any text");
        }
    }
    text
}

/// Reads what libFuzzer and the target under it wrote; `found` is what it left.
pub(crate) fn parse(target: Target, log: &str, seconds: f64, found: Vec<PathBuf>) -> Stats {
    let field = |line: &str, name: &str| -> Option<u64> {
        let mut words = line.split_whitespace().skip_while(|word| *word != name);
        words.nth(1)?.split('/').next()?.parse().ok()
    };
    let last = |name: &str| log.lines().rev().find_map(|line| field(line, name));
    // Where it was stopped by a find there are no final statistics.
    let counted = || {
        let status = |line: &str| line.strip_prefix('#')?.split_whitespace().next()?.parse().ok();
        log.lines().rev().find_map(status)
    };
    let executions = last("stat::number_of_executed_units:").or_else(counted).unwrap_or(0);
    let nearest = log.lines().rev().find_map(|line| Seen::parse(line.strip_prefix("seen: ")?));
    let nearest = nearest.unwrap_or_default();
    let (corpus, coverage) = (last("corp:").unwrap_or(0), last("cov:"));
    Stats { target, executions, seconds, corpus, coverage, nearest, found }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "INFO: Seed: 1\n\
        #2\tINITED cov: 300 ft: 301 corp: 1/1b exec/s: 0 rss: 30Mb\n\
        seen: 10 5 100\n\
        #4096\tpulse  cov: 812 ft: 2207 corp: 340/17Kb lim: 43 exec/s: 2048 rss: 31Mb\n\
        seen: 50 20 120\n";

    #[test]
    fn a_log_is_read() {
        let ended = format!("{LOG}stat::number_of_executed_units: 5000\n");
        let stats = parse(Target::Batch, &ended, 2.0, vec![]);
        let seen = Seen { peak: 50, input: 20, allowed: 120 };
        assert_eq!((stats.executions, stats.corpus, stats.coverage), (5_000, 340, Some(812)));
        assert_eq!(stats.nearest, seen);
        assert_eq!(parse(Target::Batch, LOG, 2.0, vec![]).executions, 4_096);
        assert_eq!(parse(Target::Batch, "", 2.0, vec![]).executions, 0);
    }

    #[test]
    fn a_find_is_shown_with_its_command() {
        let stats = parse(Target::Frame, LOG, 2.0, vec!["folder/found-1".into()]);
        let text = table(&[stats]);
        assert!(
            text.contains(
                "frame              4096      2048     340       812  42 %: 20 bytes took 50 (2x)"
            ),
            "{text}"
        );
        assert!(text.ends_with("found: cargo xtask fuzz frame --replay folder/found-1\n"));
    }
}
