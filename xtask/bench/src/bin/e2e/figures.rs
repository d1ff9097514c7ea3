//! What a run came to, in a few figures.

use std::time::Duration;

use serde::Serialize;

use crate::spec::{Outcome, Workload};

/// The shares of the samples, of 10,000, that a distribution is kept at: closer to
/// each other where it rises.
pub(crate) const SHARES: [usize; 25] = [
    0, 500, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000, 7_500, 8_000, 8_500, 9_000, 9_200,
    9_400, 9_600, 9_700, 9_800, 9_900, 9_920, 9_940, 9_960, 9_970, 9_980, 9_990,
];

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
    /// How the samples are distributed: what so many of 10,000 as [`SHARES`] says
    /// don't exceed. Empty without samples.
    pub(crate) curve_ns: Vec<u64>,
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
        let shares = if samples.is_empty() { &[] } else { &SHARES[..] };
        Self {
            p50_ns: percentile(&samples, 50),
            p99_ns: percentile(&samples, 99),
            max_ns: percentile(&samples, 100),
            commit_p50_ns: percentile(&commits, 50),
            elapsed_ns: outcomes.iter().map(|outcome| outcome.elapsed_ns).max().unwrap_or(0),
            curve_ns: shares.iter().map(|share| quantile(&samples, *share)).collect(),
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
        let shares = 0..runs.first()?.curve_ns.len();
        Some(Self {
            p50_ns: median(&|run| run.p50_ns),
            p99_ns: median(&|run| run.p99_ns),
            max_ns: median(&|run| run.max_ns),
            commit_p50_ns: median(&|run| run.commit_p50_ns),
            elapsed_ns: median(&|run| run.elapsed_ns),
            curve_ns: shares.map(|share| median(&|run| run.curve_ns[share])).collect(),
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
    quantile(ascending, percent * 100)
}

/// The smallest of the ascending values that so many of 10,000 don't exceed; 0 if
/// there is none.
pub(crate) fn quantile(ascending: &[u64], share: usize) -> u64 {
    let place = (ascending.len() * share).div_ceil(10_000);
    ascending.get(place.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Figures, SHARES, percentile, quantile};
    use crate::spec::Outcome;

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

    #[test]
    fn quantiles_are_finer_than_percentiles() {
        let values: Vec<u64> = (1..=2_000).collect();
        assert_eq!(quantile(&values, 0), 1);
        assert_eq!(quantile(&values, 9_990), 1_998);
        assert_eq!(quantile(&values, 10_000), 2_000);
    }

    #[test]
    fn a_curve_is_that_of_all_samples_and_its_median_that_of_each_point() {
        assert!(SHARES.is_sorted());
        let run = |times: u64| {
            let samples_ns = (1..=2_000).rev().map(|ns| ns * times).collect();
            Figures::of(&[Outcome { samples_ns, ..Outcome::default() }, Outcome::default()])
        };
        let runs = [run(1), run(3), run(2)];
        let curve = Figures::median(&runs).expect("there are runs").curve_ns;
        assert_eq!(curve, run(2).curve_ns);
        assert_eq!((curve[0], curve[6], curve[24]), (2, 2_000, 3_996));
        assert!(Figures::of(&[Outcome::default()]).curve_ns.is_empty());
    }
}
