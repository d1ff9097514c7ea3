//! How alternatives stand against Blaze, computed from the same run.

use std::time::Duration;

use super::catalogue::Has;
use super::{Alternative, Beside};
use crate::figures::Figures;
use crate::marks::Mark;
use crate::rounds::Measured;
use crate::spec::Workload;

/// What is closer than this is within what a busy machine's runs differ by.
const EVEN: f64 = 1.4;

/// How many times longer an alternative took than Blaze in the same case; `None`
/// if either wasn't measured.
pub(super) fn times(beside: &Beside, measured: &Measured) -> Option<f64> {
    let alternative = beside.figures.as_ref()?;
    let blaze = measured.blaze.as_ref()?;
    let each = |figures, workload| seconds_each(figures, workload);
    Some(each(alternative, beside.workload) / each(blaze, measured.case.workload))
}

/// An operation's time: its median where each was timed, its share where all were.
fn seconds_each(figures: &Figures, workload: Workload) -> f64 {
    match workload {
        Workload::Latency { .. } | Workload::Connect { .. } => {
            Duration::from_nanos(figures.p50_ns).as_secs_f64()
        }
        Workload::Stream { .. } | Workload::Sync { .. } => 1.0 / figures.per_second(workload),
    }
}

/// What a ratio means.
pub(super) fn verdict(times: f64) -> &'static str {
    if times > EVEN {
        "Blaze is faster"
    } else if times < EVEN.recip() {
        "**Blaze is slower**"
    } else {
        "about even"
    }
}

/// For each case, whether Blaze is faster than the fastest alternative, and so than
/// all of them; and the same among those that give the reader a replica as Blaze does.
pub(crate) fn marks(measured: &[Measured]) -> Vec<Mark> {
    let marks = measured.iter().flat_map(|measured| {
        let replicas = |alternative: Alternative| alternative.has() == Has::Replica;
        [
            mark(measured, "every alternative", |_| true),
            mark(measured, "every one with a replica at each side", replicas),
        ]
    });
    marks.flatten().collect()
}

fn mark(measured: &Measured, whom: &str, counts: impl Fn(Alternative) -> bool) -> Option<Mark> {
    let counted = measured.beside.iter().filter(|beside| counts(beside.alternative));
    let timed = counted.filter_map(|beside| Some((times(beside, measured)?, beside)));
    let (found, fastest) = timed.min_by(|(one, _), (other, _)| one.total_cmp(other))?;
    let (case, name) = (measured.case, fastest.alternative.name());
    Some(Mark {
        what: format!("{case}, faster than {whom}, the fastest of which is {name}"),
        entry: false,
        limit: 1.0,
        found,
        unit: "×",
        at_least: true,
    })
}

#[cfg(test)]
mod tests {
    use super::{marks, times, verdict};
    use crate::alternatives::{Alternative, Beside};
    use crate::figures::Figures;
    use crate::marks::Mark;
    use crate::rounds::Measured;
    use crate::spec::{Case, Outcome, Store, Transport, Workload};

    fn figures(p50_ns: u64, elapsed_ns: u64) -> Figures {
        let outcome = Outcome { samples_ns: vec![p50_ns], elapsed_ns, ..Outcome::default() };
        Figures::of(&[outcome])
    }

    fn measured(workload: Workload, blaze: Figures, beside: Vec<Beside>) -> Measured {
        let case = Case { workload, transport: Transport::Unix, store: Store::Process };
        Measured { case, floor: None, blaze: Some(blaze), beside }
    }

    #[test]
    fn a_stream_of_fewer_operations_is_compared_by_each() {
        let stream = |operations| Workload::Stream { operations, per_transaction: 1 };
        let figures_of_fewer = Some(figures(0, 5_000));
        let beside = Beside {
            alternative: Alternative::Automerge,
            workload: stream(10),
            figures: figures_of_fewer,
        };
        let measured = measured(stream(100), figures(0, 10_000), vec![beside.clone()]);
        let times = times(&beside, &measured).unwrap();
        assert!((times - 5.0).abs() < 1e-9, "{times}");
    }

    #[test]
    fn one_that_is_faster_misses_the_mark_and_one_that_failed_says_nothing() {
        let latency = Workload::Latency { warm_up: 1, count: 1 };
        let beside = |alternative, p50_ns: Option<u64>| Beside {
            alternative,
            workload: latency,
            figures: p50_ns.map(|p50_ns| figures(p50_ns, 0)),
        };
        let slower = beside(Alternative::Redis, Some(300));
        let failed = beside(Alternative::Nats, None);
        let faster = beside(Alternative::SqliteSpin, Some(50));

        let some = measured(latency, figures(100, 0), vec![failed.clone(), slower.clone()]);
        let mark = marks(&[some]).remove(0);
        assert!(mark.reached() && !mark.fails(), "{mark:?}");
        assert!(mark.what.contains("Redis"), "{mark:?}");

        let all = measured(latency, figures(100, 0), vec![failed.clone(), slower, faster]);
        let mark = marks(&[all]).remove(0);
        assert!(!mark.reached() && !mark.fails(), "{mark:?}");
        assert!(mark.what.contains("spinning"), "{mark:?}");

        let replica = beside(Alternative::Session, Some(200));
        let faster = beside(Alternative::SqliteSpin, Some(50));
        let both = measured(latency, figures(100, 0), vec![faster, replica]);
        let reached: Vec<_> = marks(&[both]).iter().map(Mark::reached).collect();
        assert_eq!(reached, [false, true], "of all, and of those with a replica");

        assert!(marks(&[measured(latency, figures(100, 0), vec![failed])]).is_empty());
    }

    #[test]
    fn a_verdict_needs_more_than_noise() {
        assert_eq!(verdict(1.5), "Blaze is faster");
        assert_eq!(verdict(1.2), "about even");
        assert_eq!(verdict(0.8), "about even");
        assert_eq!(verdict(0.5), "**Blaze is slower**");
    }
}
