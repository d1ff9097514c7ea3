//! What a run came to, in a few figures.

use std::time::Duration;

use serde::Serialize;

use crate::spec::{Outcome, Workload};

/// A run's figures, or their medians over several runs. What a workload doesn't
/// measure is 0.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figures {
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
    pub(crate) max_ns: u64,
    /// The local commit alone.
    pub(crate) commit_p50_ns: u64,
    pub(crate) elapsed_ns: u64,
    /// Of each process: the source's and the replica's, or that of both.
    pub(crate) peak_rss_kib: Vec<u64>,
}

impl Figures {
    pub(crate) fn of(outcomes: &[Outcome]) -> Self {
        let joined = |part: fn(&Outcome) -> &Vec<u64>| {
            let mut all: Vec<u64> = outcomes.iter().flat_map(part).copied().collect();
            all.sort_unstable();
            all
        };
        let samples = joined(|outcome| &outcome.samples_ns);
        let commits = joined(|outcome| &outcome.commits_ns);
        Self {
            p50_ns: percentile(&samples, 50),
            p99_ns: percentile(&samples, 99),
            max_ns: percentile(&samples, 100),
            commit_p50_ns: percentile(&commits, 50),
            elapsed_ns: outcomes.iter().map(|outcome| outcome.elapsed_ns).max().unwrap_or(0),
            peak_rss_kib: outcomes.iter().map(|outcome| outcome.rss_kib).collect(),
        }
    }

    /// The median of each figure by itself; `None` without runs.
    pub(crate) fn median(runs: &[Self]) -> Option<Self> {
        let median = |figure: &dyn Fn(&Self) -> u64| {
            let mut all: Vec<u64> = runs.iter().map(figure).collect();
            all.sort_unstable();
            percentile(&all, 50)
        };
        let processes = 0..runs.first()?.peak_rss_kib.len();
        Some(Self {
            p50_ns: median(&|run| run.p50_ns),
            p99_ns: median(&|run| run.p99_ns),
            max_ns: median(&|run| run.max_ns),
            commit_p50_ns: median(&|run| run.commit_p50_ns),
            elapsed_ns: median(&|run| run.elapsed_ns),
            peak_rss_kib: processes.map(|side| median(&|run| run.peak_rss_kib[side])).collect(),
        })
    }

    /// The one time that tells most: of an operation, or of everything.
    pub(crate) const fn time_ns(&self, workload: Workload) -> u64 {
        match workload {
            Workload::Latency { .. } | Workload::Connect { .. } => self.p50_ns,
            Workload::Stream { .. } | Workload::Sync { .. } => self.elapsed_ns,
        }
    }

    /// Operations or records a second.
    pub(crate) fn per_second(&self, workload: Workload) -> f64 {
        // Counts stay far below where a float leaves one out.
        let count = u32::try_from(workload.count()).map_or(f64::INFINITY, f64::from);
        count / Duration::from_nanos(self.elapsed_ns).as_secs_f64()
    }

    /// How many times longer this took than the floor.
    pub(crate) fn ratio(&self, floor: &Self, workload: Workload) -> f64 {
        let seconds =
            |figures: &Self| Duration::from_nanos(figures.time_ns(workload)).as_secs_f64();
        seconds(self) / seconds(floor)
    }
}

/// The smallest of the ascending values that so many percent don't exceed; 0 if
/// there is none.
fn percentile(ascending: &[u64], percent: usize) -> u64 {
    let place = (ascending.len() * percent).div_ceil(100);
    ascending.get(place.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<u64> = (1..=200).collect();
        assert_eq!(percentile(&values, 50), 100);
        assert_eq!(percentile(&values, 99), 198);
        assert_eq!(percentile(&values, 100), 200);
        assert_eq!(percentile(&[3, 5, 9], 50), 5);
        assert_eq!(percentile(&[7], 99), 7);
        assert_eq!(percentile(&[], 50), 0);
    }
}
