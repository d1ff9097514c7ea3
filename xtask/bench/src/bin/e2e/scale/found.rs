//! What a run at one size came to, in a few figures.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Point, Work};
use crate::figures::quantile;
use crate::spec::Outcome;

/// What is known of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Figure {
    /// From before the insert until the replica's observer has it, or the last
    /// peer's, in nanoseconds.
    P50Ns,
    P99Ns,
    /// From before the insert until all peers have acknowledged it.
    AckedP50Ns,
    /// Inserts a second that streamed.
    PerSecond,
    /// The transactions that they came in.
    TransactionsPerSecond,
    /// Their bytes, as records.
    BytesPerSecond,
    /// Updates a second that streamed.
    UpdatesPerSecond,
    /// The hub's share of one core while nothing is done.
    IdleShare,
    /// Memory of the hub for each peer.
    PeerBytes,
}

/// The figures of a run, or their medians over several; what isn't measured isn't there.
pub(crate) type Found = BTreeMap<Figure, f64>;

/// What both workers found.
pub(super) fn found(point: &Point, outcomes: &[Outcome]) -> Found {
    let sorted = |part: fn(&Outcome) -> &Vec<u64>| {
        let mut all: Vec<u64> = outcomes.iter().flat_map(part).copied().collect();
        all.sort_unstable();
        all
    };
    let most = |part: fn(&Outcome) -> u64| float(outcomes.iter().map(part).max().unwrap_or(0));
    let (samples, acked) =
        (sorted(|outcome| &outcome.samples_ns), sorted(|outcome| &outcome.scale.acked_ns));
    let mut found = vec![
        (Figure::P50Ns, float(quantile(&samples, 5_000))),
        (Figure::P99Ns, float(quantile(&samples, 9_900))),
        (Figure::AckedP50Ns, float(quantile(&acked, 5_000))),
    ];
    match point.work {
        Work::Load(load) => {
            let rate = |count: usize, ns: f64| float(count as u64) * 1e9 / ns;
            let streamed = rate(load.operations, most(|outcome| outcome.scale.stream_ns));
            let updated = rate(load.updates, most(|outcome| outcome.scale.updates_ns));
            found.extend([
                (Figure::PerSecond, streamed),
                (Figure::TransactionsPerSecond, streamed / float(load.per_transaction as u64)),
                (Figure::BytesPerSecond, streamed * float(load.record_bytes as u64)),
                (Figure::UpdatesPerSecond, updated),
            ]);
        }
        Work::Hub(hub) => {
            let (cpu, idle) =
                (most(|outcome| outcome.scale.idle_cpu_ns), most(|outcome| outcome.scale.idle_ns));
            let bytes = most(|outcome| outcome.scale.peers_bytes);
            found.extend([
                (Figure::IdleShare, cpu / idle),
                (Figure::PeerBytes, bytes / float(hub.peers as u64)),
            ]);
        }
    }
    // What took no time wasn't measured.
    found.into_iter().filter(|(_, figure)| figure.is_finite() && *figure > 0.0).collect()
}

/// The median of each figure by itself.
pub(super) fn median(runs: &[Found]) -> Found {
    let figures = runs.first().into_iter().flat_map(BTreeMap::keys);
    let median = |figure: &Figure| {
        let mut all: Vec<f64> = runs.iter().filter_map(|run| run.get(figure)).copied().collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len().saturating_sub(1) / 2).map(|middle| (*figure, *middle))
    };
    figures.filter_map(median).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a figure to be printed")]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::super::{Hub, Load, Outcome as Grown, Part};
    use super::*;
    use crate::spec::Store;

    #[test]
    fn figures_are_of_both_workers_and_only_what_was_measured() {
        let load = Load {
            held: 0,
            record_bytes: 50,
            singles: 3,
            warm_up: 0,
            operations: 2_000,
            updates: 0,
            per_transaction: 10,
        };
        let point = Point { part: Part::Bytes, store: Store::Memory, work: Work::Load(load) };
        let source = Grown { stream_ns: 1_000_000_000, ..Grown::default() };
        let outcomes = [
            Outcome { scale: source, ..Outcome::default() },
            Outcome { samples_ns: vec![30, 10, 20], ..Outcome::default() },
        ];
        let expected = [
            (Figure::P50Ns, 20.0),
            (Figure::P99Ns, 30.0),
            (Figure::PerSecond, 2_000.0),
            (Figure::TransactionsPerSecond, 200.0),
            (Figure::BytesPerSecond, 100_000.0),
        ];
        assert_eq!(found(&point, &outcomes), Found::from(expected));
    }

    #[test]
    fn a_hub_has_figures_for_each_peer() {
        let hub = Hub { peers: 10, idle_ms: 0, singles: 1, warm_up: 0 };
        let point = Point { part: Part::Peers, store: Store::Process, work: Work::Hub(hub) };
        let scale = Grown {
            acked_ns: vec![9],
            idle_cpu_ns: 5,
            idle_ns: 100,
            peers_bytes: 4_000,
            ..Grown::default()
        };
        let found = found(&point, &[Outcome { scale, ..Outcome::default() }]);
        let expected =
            [(Figure::AckedP50Ns, 9.0), (Figure::IdleShare, 0.05), (Figure::PeerBytes, 400.0)];
        assert_eq!(found, Found::from(expected));
    }

    #[test]
    fn the_median_is_that_of_each_figure() {
        let run = |p50, rate| Found::from([(Figure::P50Ns, p50), (Figure::PerSecond, rate)]);
        let runs = [run(1.0, 90.0), run(2.0, 70.0), run(3.0, 80.0)];
        assert_eq!(median(&runs), run(2.0, 80.0));
        assert_eq!(median(&[]), Found::new());
    }
}
