//! The figures, as a table for people and as JSON for programs.

use serde::Serialize;

use crate::attacks::Outcome;

/// What all attacks came to.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    seed: u64,
    attacks: Vec<Row>,
    /// Honest commits that were acknowledged, which all replicas hold.
    committed: u64,
    /// Records of each replica at the end, which are equal.
    records: u64,
}

/// What one attack came to, over one transport.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) over: &'static str,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
    pub(crate) seconds: f64,
    pub(crate) cost: Cost,
    pub(crate) visible: Visible,
    pub(crate) skipped: Option<&'static str>,
    /// What isn't as it has to be.
    pub(crate) wrong: Vec<String>,
}

/// The hub's memory.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Cost {
    pub(crate) before_kib: u64,
    pub(crate) peak_kib: u64,
    pub(crate) after_kib: u64,
    /// How far the peak may lie above what was before.
    pub(crate) grows_kib_max: u64,
}

/// How long honest commits took until the other peer saw them.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Visible {
    count: u64,
    p50_us: u64,
    p99_us: u64,
    pub(crate) slowest_us: u64,
}

impl Visible {
    pub(crate) fn of(mut took_us: Vec<u64>) -> Self {
        took_us.sort_unstable();
        let at = |percent: usize| {
            let index = (took_us.len() * percent).div_ceil(100).saturating_sub(1);
            took_us.get(index).copied().unwrap_or_default()
        };
        let count = took_us.len() as u64;
        Self { count, p50_us: at(50), p99_us: at(99), slowest_us: at(100) }
    }
}

impl Report {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed, attacks: Vec::new(), committed: 0, records: 0 }
    }

    pub(crate) fn push(&mut self, row: Row) {
        for wrong in &row.wrong {
            eprintln!("error: {} over {}: {wrong}", row.name, row.over);
        }
        self.attacks.push(row);
    }

    pub(crate) const fn end(&mut self, committed: u64, records: u64) {
        (self.committed, self.records) = (committed, records);
    }

    /// How many things went wrong.
    pub(crate) fn violations(&self) -> usize {
        self.attacks.iter().map(|row| row.wrong.len()).sum()
    }

    /// The table, in Markdown.
    pub(crate) fn print(&self) {
        println!(
            "| attack | over | tried | in s | the attacker saw | the hub said | hub, MiB: before / peak / after | allowed | visible, ms: p50 / p99 |"
        );
        println!("|---|---|--:|--:|---|---|--:|--:|--:|");
        for row in &self.attacks {
            let Cost { before_kib, peak_kib, after_kib, grows_kib_max } = row.cost;
            let Visible { p50_us, p99_us, .. } = row.visible;
            let (tried, saw, said) = match (row.skipped, row.outcome.tried) {
                (Some(why), _) => ("–".to_owned(), format!("SKIPPED: {why}"), ""),
                (None, 0) => ("–".to_owned(), String::new(), ""),
                (None, tried) => {
                    (tried.to_string(), row.outcome.saw.clone(), row.outcome.said.as_str())
                }
            };
            println!(
                "| {} | {} | {tried} | {:.1} | {} | {} | {} / {} / {} | +{} | {} / {} |",
                row.name,
                row.over,
                row.seconds,
                cell(&saw),
                cell(said),
                tenths(before_kib, 1024),
                tenths(peak_kib, 1024),
                tenths(after_kib, 1024),
                grows_kib_max / 1024,
                tenths(p50_us, 1_000),
                tenths(p99_us, 1_000),
            );
        }
        println!();
        println!(
            "{} honest commits were acknowledged; each of 3 replicas holds them, among {} records that are equal (seed {}).",
            self.committed, self.records, self.seed
        );
    }
}

/// A cell that is one, and not too long.
fn cell(text: &str) -> String {
    const CHARACTERS_MAX: usize = 160;
    let text = text.replace('|', "/").replace('\n', " ");
    if text.chars().count() <= CHARACTERS_MAX {
        return text;
    }
    text.chars().take(CHARACTERS_MAX).chain(['…']).collect()
}

/// A quotient with one decimal.
fn tenths(value: u64, unit: u64) -> String {
    let tenths = (10 * value + unit / 2) / unit;
    format!("{}.{}", tenths / 10, tenths % 10)
}
