//! Which pictures the report has, and what is in each.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::axis::Axis;
use super::bars::Bars;
use super::lines::Lines;
use super::{BLUE, GREY, ORANGE, Panel, Series, Sheet};
use crate::figures::{Figures, SHARES};
use crate::plan::BATCH;
use crate::rounds::Measured;
use crate::scale::{self, Figure, Part, float};
use crate::spec::{Store, System, Transport, Workload};

/// A picture that was saved.
#[derive(Debug)]
pub(crate) struct Picture {
    /// The section of the report that it belongs to.
    pub(crate) section: &'static str,
    /// What shows it there.
    pub(crate) markdown: String,
}

/// A picture that was drawn.
struct Drawn {
    section: &'static str,
    title: String,
    name: &'static str,
    svg: String,
}

/// What a panel of growth shows: its title, which figure, in which unit, and whether
/// from 0 on.
type Growth = (&'static str, Figure, f64, &'static str, bool);

const RECORDS: [Growth; 3] = [
    ("One operation in flight", Figure::P50Ns, 1e-3, "p50, µs", true),
    ("Streaming", Figure::PerSecond, 1.0, "operations a second", false),
    ("Random updates", Figure::UpdatesPerSecond, 1.0, "operations a second", false),
];
const TRANSACTION: [Growth; 2] = [
    ("Operations", Figure::PerSecond, 1.0, "operations a second", false),
    ("Transactions", Figure::TransactionsPerSecond, 1.0, "transactions a second", false),
];
const BYTES: [Growth; 2] = [
    ("Records", Figure::PerSecond, 1.0, "records a second", false),
    ("Bytes", Figure::BytesPerSecond, 1e-6, "MB a second", false),
];
const PEERS: [Growth; 4] = [
    ("Until the last peer has it", Figure::P50Ns, 1e-3, "p50, µs", false),
    ("Until the hub knows that all have", Figure::AckedP50Ns, 1e-3, "p50, µs", false),
    ("Idle: the hub's share of one core", Figure::IdleShare, 100.0, "%", true),
    ("Idle: the hub's memory for each peer", Figure::PeerBytes, 1.0 / 1024.0, "KiB", true),
];

/// Draws all pictures that there are figures for, and saves them beside the report.
pub(crate) fn save(
    report: &Path,
    measured: &[Measured],
    grown: &[scale::Row],
) -> Result<Vec<Picture>> {
    draw(measured, grown).iter().map(|drawn| drawn.save(report)).collect()
}

fn draw(measured: &[Measured], grown: &[scale::Row]) -> Vec<Drawn> {
    let growth = |part, section, name, title: &str, of, panels: &[Growth]| {
        let rows: Vec<_> = grown.iter().filter(|row| row.point.part == part).collect();
        let title = title.to_owned();
        (!rows.is_empty()).then(|| Drawn {
            section,
            svg: growth(&rows, &title, of, panels).svg(),
            title,
            name,
        })
    };
    let pictures = [
        latency(measured),
        throughput(measured),
        growth(
            Part::Records,
            "Growth: records that are there",
            "records",
            "With so many records there",
            "records",
            &RECORDS,
        ),
        growth(
            Part::Transaction,
            "Growth: operations of a transaction",
            "transaction",
            "Streaming by transactions of so many operations",
            "operations of a transaction",
            &TRANSACTION,
        ),
        growth(
            Part::Bytes,
            "Growth: bytes of a record",
            "bytes",
            "Streaming records of so many bytes",
            "bytes of a record",
            &BYTES,
        ),
        growth(
            Part::Peers,
            "Growth: peers of one hub",
            "peers",
            "A hub with so many peers",
            "peers",
            &PEERS,
        ),
    ];
    pictures.into_iter().flatten().collect()
}

impl Drawn {
    fn save(&self, report: &Path) -> Result<Picture> {
        let stem = report.file_stem().unwrap_or_default().to_string_lossy();
        let file = format!("{stem}-{}.svg", self.name);
        let path = report.with_file_name(&file);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, &self.svg)
            .with_context(|| format!("can't write {}", path.display()))?;
        Ok(Picture { section: self.section, markdown: format!("![{}]({file})", self.title) })
    }
}

/// How latencies are distributed, with each durability.
fn latency(measured: &[Measured]) -> Option<Drawn> {
    let wanted = [
        (Transport::Unix, Store::Memory, "Unix socket, in memory"),
        (Transport::Unix, Store::Process, "Unix socket, SQLite, process"),
        (Transport::Unix, Store::Disk, "Unix socket, SQLite, disk"),
        (Transport::Mem, Store::Memory, "One process, in memory"),
    ];
    let panel = |(transport, store, title)| {
        let found = measured.iter().find(|Measured { case, .. }| {
            matches!(case.workload, Workload::Latency { .. })
                && (case.transport, case.store) == (transport, store)
        })?;
        Some(Panel::Lines(distribution(title, [found.blaze.as_ref(), found.floor.as_ref()])))
    };
    let panels: Vec<_> = wanted.into_iter().filter_map(panel).collect();
    let title = "Latency, one operation in flight: so many take at most so long".to_owned();
    let series = blaze_and_floor();
    (!panels.is_empty()).then(|| Drawn {
        section: "Latency",
        svg: Sheet { title: title.clone(), series, panels }.svg(),
        title,
        name: "latency",
    })
}

fn distribution(title: &str, runs: [Option<&Figures>; 2]) -> Lines {
    let share = |share: usize| float(share as u64) / 10_000.0;
    let curve = |run: Option<&Figures>| {
        let curve = run.map(|run| run.curve_ns.as_slice()).unwrap_or_default();
        let points = SHARES.iter().zip(curve);
        points.map(|(of, ns)| (share(*of), float(*ns) * 1e-3)).collect()
    };
    let points: Vec<Vec<_>> = runs.into_iter().map(curve).collect();
    let micros = points.iter().flatten().map(|(_, micros)| *micros);
    let y = Axis::log("µs", micros);
    Lines { title: title.to_owned(), x: Axis::nines("share of the operations"), y, points }
}

/// How many a second, over the Unix socket.
fn throughput(measured: &[Measured]) -> Option<Drawn> {
    type Holds = fn(Workload) -> bool;
    let wanted: [(&str, Holds); 3] = [
        ("Streaming, 1,000 operations a transaction", |workload| {
            matches!(workload, Workload::Stream { per_transaction: BATCH, .. })
        }),
        ("Streaming, one operation a transaction", |workload| {
            matches!(workload, Workload::Stream { per_transaction: 1, .. })
        }),
        ("First sync, records", |workload| matches!(workload, Workload::Sync { .. })),
    ];
    let panel = |(title, holds): (&str, Holds)| {
        let rows = measured.iter().filter(|Measured { case, .. }| {
            case.transport == Transport::Unix && holds(case.workload)
        });
        let group = |Measured { case, blaze, floor, .. }: &Measured| {
            let rate = |run: &Option<Figures>| Some(run.as_ref()?.per_second(case.workload));
            (case.store.to_string(), vec![rate(blaze), rate(floor)])
        };
        let groups: Vec<_> = rows.map(group).collect();
        (!groups.is_empty()).then(|| Panel::Bars(Bars::new(title, groups)))
    };
    let panels: Vec<_> = wanted.into_iter().filter_map(panel).collect();
    let title = "Operations and records a second over the Unix socket, more is better".to_owned();
    let series = blaze_and_floor();
    (!panels.is_empty()).then(|| Drawn {
        section: "Streaming",
        svg: Sheet { title: title.clone(), series, panels }.svg(),
        title,
        name: "throughput",
    })
}

fn blaze_and_floor() -> Vec<Series> {
    vec![Series::new("Blaze", ORANGE, false), Series::new("floor", GREY, false)]
}

/// A panel for each figure, in which each store has a line of Blaze and one of the floor.
fn growth(rows: &[&scale::Row], title: &str, of: &str, panels: &[Growth]) -> Sheet {
    let stores = [(Store::Memory, BLUE), (Store::Process, ORANGE)];
    let stores = stores.into_iter().filter(|(store, _)| {
        let mut with = rows.iter().filter(|row| row.point.store == *store);
        with.next().is_some()
    });
    let lines: Vec<_> = stores
        .flat_map(|(store, colour)| {
            [(store, System::Blaze, colour), (store, System::Floor, colour)]
        })
        .collect();
    let series = lines.iter().map(|(store, system, colour)| {
        let floor = *system == System::Floor;
        Series::new(format!("{}, {store}", if floor { "floor" } else { "Blaze" }), colour, floor)
    });
    let panel = |&(title, figure, unit, label, from_nothing): &Growth| {
        let points = lines.iter().map(|(store, system, _)| {
            let rows = rows.iter().filter(|row| row.point.store == *store);
            let point = |row: &&scale::Row| {
                let found = if *system == System::Floor { &row.floor } else { &row.blaze };
                Some((float(row.point.size() as u64), found.get(&figure)? * unit))
            };
            rows.filter_map(point).collect()
        });
        let points: Vec<Vec<_>> = points.collect();
        let all = || points.iter().flatten();
        let x = Axis::log(of, all().map(|(x, _)| *x));
        let values = all().map(|(_, y)| *y);
        let y = if from_nothing { Axis::linear(label, values) } else { Axis::log(label, values) };
        Panel::Lines(Lines { title: title.to_owned(), x, y, points })
    };
    let panels = panels.iter().map(panel).collect();
    Sheet { title: title.to_owned(), series: series.collect(), panels }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::{Hub, Point, Row, Work};
    use crate::spec::Outcome;

    fn row(peers: usize) -> Row {
        let work = Work::Hub(Hub { peers, idle_ms: 1, singles: 1, warm_up: 0 });
        let point = Point { part: Part::Peers, store: Store::Process, work };
        let found = |ns| [(Figure::P50Ns, ns), (Figure::IdleShare, 0.001)].into();
        Row { point, floor: found(50_000.0), blaze: found(80_000.0) }
    }

    #[test]
    fn a_picture_is_of_what_was_measured() {
        assert!(draw(&[], &[]).is_empty());
        let drawn = draw(&[], &[row(1), row(10)]);
        assert_eq!(drawn.len(), 1);
        let Drawn { section, svg, .. } = &drawn[0];
        assert_eq!(*section, "Growth: peers of one hub");
        // Two figures of two systems at two sizes each.
        assert_eq!((svg.matches("<polyline").count(), svg.matches("<circle").count()), (4, 8));
        assert!(svg.contains("Blaze, process") && !svg.contains("memory<"), "{svg}");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let saved = drawn[0].save(&directory.path().join("new/e2e.md")).expect("it can be saved");
        assert_eq!(saved.markdown, "![A hub with so many peers](e2e-peers.svg)");
        let found = std::fs::read_to_string(directory.path().join("new/e2e-peers.svg"));
        assert_eq!(found.expect("it was saved"), *svg);
    }

    #[test]
    fn a_distribution_goes_up_to_the_last_nine() {
        let outcome = Outcome { samples_ns: (1..=1_000).collect(), ..Outcome::default() };
        let lines = distribution("store", [Some(&Figures::of(&[outcome])), None]);
        let (share, micros) = *lines.points[0].last().expect("there are points");
        assert!((share - 0.999).abs() < 1e-9 && (micros - 0.999).abs() < 1e-9, "{share} {micros}");
        assert!(lines.points[1].is_empty());
    }
}
