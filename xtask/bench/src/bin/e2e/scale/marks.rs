//! Limits of what growth may cost.

use super::found::{Figure, Found};
use super::{Part, Row};
use crate::marks::Mark;
use crate::spec::Store;

/// How many times as long it may take with the most records as with the fewest.
const SLOWER: f64 = 1.3;
/// The peers of the hub whose idle time is limited, and the share of one core in percent.
const IDLE_PEERS: usize = 10;
const IDLE_PERCENT: f64 = 0.1;

/// The marks of what was measured; none of them is an entry mark.
pub(crate) fn judge(rows: &[Row]) -> Vec<Mark> {
    let mut marks = Vec::new();
    for (store, name) in [(Store::Memory, "in memory"), (Store::Process, "with process")] {
        let held = |row: &&Row| row.point.part == Part::Records && row.point.store == store;
        let (least, most) = (
            rows.iter().filter(held).min_by_key(|row| row.point.size()),
            rows.iter().filter(held).max_by_key(|row| row.point.size()),
        );
        let Some((least, most)) = least.zip(most) else { continue };
        let (few, many) = (least.point.size(), most.point.size());
        let goal = |what, ratio: Option<f64>| {
            let what = format!("{what} {name} with {many} records, of that with {few}");
            Some(goal(what, ratio?, SLOWER, "×"))
        };
        marks.extend(goal("latency", ratio(&most.blaze, &least.blaze, Figure::P50Ns)));
        marks.extend(goal("time to stream", ratio(&least.blaze, &most.blaze, Figure::PerSecond)));
    }
    let hub = rows
        .iter()
        .find(|row| row.point.part == Part::Peers && row.point.size() == IDLE_PEERS)
        .and_then(|row| row.blaze.get(&Figure::IdleShare));
    let what = || format!("idle hub of {IDLE_PEERS} peers, of one core");
    marks.extend(hub.map(|share| goal(what(), share * 100.0, IDLE_PERCENT, " %")));
    marks
}

/// How many times as much the one is, if both are known.
pub(super) fn ratio(over: &Found, under: &Found, figure: Figure) -> Option<f64> {
    Some(over.get(&figure)? / under.get(&figure)?)
}

const fn goal(what: String, found: f64, limit: f64, unit: &'static str) -> Mark {
    Mark { what, entry: false, limit, found, unit, at_least: false }
}

#[cfg(test)]
mod tests {
    use super::super::{Hub, Load, Point, Work};
    use super::*;

    fn held(held: usize, p50: f64, rate: f64) -> Row {
        let load = Load {
            held,
            record_bytes: 200,
            singles: 1,
            warm_up: 0,
            operations: 1,
            updates: 0,
            per_transaction: 1,
        };
        let point = Point { part: Part::Records, store: Store::Process, work: Work::Load(load) };
        let blaze = Found::from([(Figure::P50Ns, p50), (Figure::PerSecond, rate)]);
        Row { point, floor: Found::new(), blaze }
    }

    #[test]
    fn the_most_records_are_held_against_the_fewest() {
        let rows =
            [held(1_000, 100.0, 50.0), held(10_000, 900.0, 1.0), held(1_000_000, 120.0, 25.0)];
        let marks = judge(&rows);
        let found: Vec<_> = marks.iter().map(|mark| (mark.found, mark.reached())).collect();
        assert_eq!(found, [(1.2, true), (2.0, false)]);
        assert!(!marks.iter().any(Mark::fails));
    }

    #[test]
    fn only_the_hub_of_ten_has_to_be_idle() {
        let hub = |peers, share| {
            let work = Work::Hub(Hub { peers, idle_ms: 1, singles: 1, warm_up: 0 });
            let point = Point { part: Part::Peers, store: Store::Process, work };
            Row { point, floor: Found::new(), blaze: Found::from([(Figure::IdleShare, share)]) }
        };
        let marks = judge(&[hub(1, 0.5), hub(10, 0.0005), hub(100, 0.5)]);
        assert_eq!(marks.len(), 1);
        assert!(marks[0].reached() && (marks[0].found - 0.05).abs() < 1e-9, "{marks:?}");
    }
}
