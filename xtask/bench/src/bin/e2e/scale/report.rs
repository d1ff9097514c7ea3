//! How cost grows, as tables.

use std::fmt::Write as _;

use super::found::{Figure, Found};
use super::marks::ratio;
use super::{Part, Row};

/// A section: what it is called, how it is read, and its columns after the store and the size.
struct Section {
    part: Part,
    title: &'static str,
    note: &'static str,
    size: &'static str,
    columns: &'static [Column],
}

/// A figure of Blaze or the floor in a unit, or how many times longer Blaze took.
enum Column {
    Blaze(&'static str, Figure, f64),
    Floor(&'static str, Figure, f64),
    /// Of times; of rates, it is the floor's by Blaze's.
    Ratio(Figure),
}

use Column::{Blaze, Floor, Ratio};

const MICROS: f64 = 1e-3;
const MB: f64 = 1e-6;
const KIB: f64 = 1.0 / 1024.0;

const SECTIONS: [Section; 4] = [
    Section {
        part: Part::Records,
        title: "Growth: records that are there",
        note: "Source and replica hold so many records and are in sync: then one operation in \
               flight, streaming by 1,000 operations a transaction, and updates of held records \
               in random order, streaming the same way. The floor's updates are bare SQLite's, \
               or of a B-tree.",
        size: "records",
        columns: &[
            Blaze("p50 µs", Figure::P50Ns, MICROS),
            Blaze("p99 µs", Figure::P99Ns, MICROS),
            Floor("floor p50 µs", Figure::P50Ns, MICROS),
            Ratio(Figure::P50Ns),
            Blaze("streaming /s", Figure::PerSecond, 1.0),
            Floor("floor /s", Figure::PerSecond, 1.0),
            Ratio(Figure::PerSecond),
            Blaze("random updates /s", Figure::UpdatesPerSecond, 1.0),
            Floor("floor /s", Figure::UpdatesPerSecond, 1.0),
            Ratio(Figure::UpdatesPerSecond),
        ],
    },
    Section {
        part: Part::Transaction,
        title: "Growth: operations of a transaction",
        note: "Streaming into empty databases.",
        size: "operations",
        columns: &[
            Blaze("operations /s", Figure::PerSecond, 1.0),
            Blaze("transactions /s", Figure::TransactionsPerSecond, 1.0),
            Floor("floor operations /s", Figure::PerSecond, 1.0),
            Ratio(Figure::PerSecond),
        ],
    },
    Section {
        part: Part::Bytes,
        title: "Growth: bytes of a record",
        note: "Streaming into empty databases, by 1,000 records a transaction, or as many as \
               take 1 MiB.",
        size: "bytes",
        columns: &[
            Blaze("per second", Figure::PerSecond, 1.0),
            Floor("floor per second", Figure::PerSecond, 1.0),
            Blaze("MB/s", Figure::BytesPerSecond, MB),
            Floor("floor MB/s", Figure::BytesPerSecond, MB),
            Ratio(Figure::PerSecond),
        ],
    },
    Section {
        part: Part::Peers,
        title: "Growth: peers of one hub",
        note: "The hub is a process, and all its peers, each with a database in memory, are \
               another. One operation in flight: from before the insert until the last peer's \
               observer has it, and until the hub knows that all have. The floor writes to one \
               socket after the other, and each peer has a thread. Idle is the hub's CPU time as \
               a share of one core while nothing is done but heartbeats; memory is the hub's, \
               with all peers idle, beyond what it took without.",
        size: "peers",
        columns: &[
            Blaze("p50 µs", Figure::P50Ns, MICROS),
            Blaze("p99 µs", Figure::P99Ns, MICROS),
            Floor("floor p50 µs", Figure::P50Ns, MICROS),
            Ratio(Figure::P50Ns),
            Blaze("acknowledged p50 µs", Figure::AckedP50Ns, MICROS),
            Floor("floor acknowledged p50 µs", Figure::AckedP50Ns, MICROS),
            Blaze("idle %", Figure::IdleShare, 100.0),
            Blaze("KiB a peer", Figure::PeerBytes, KIB),
        ],
    },
];

/// Writes a section for each part that was measured.
pub(crate) fn write(
    out: &mut String,
    rows: &[Row],
    mut after_title: impl FnMut(&mut String, &str) -> std::fmt::Result,
) -> std::fmt::Result {
    for Section { part, title, note, size, columns } in &SECTIONS {
        let rows: Vec<_> = rows.iter().filter(|row| row.point.part == *part).collect();
        if rows.is_empty() {
            continue;
        }
        writeln!(out, "\n## {title}\n\n{note}\n")?;
        after_title(out, title)?;
        let names = columns.iter().map(Column::name).collect::<Vec<_>>().join(" | ");
        writeln!(out, "| store | {size} | {names} |")?;
        writeln!(out, "|---|--:|{}", "--:|".repeat(columns.len()))?;
        for row in rows {
            write!(out, "| {} | {} |", row.point.store, row.point.size())?;
            for column in *columns {
                write!(out, " {} |", column.cell(row).map_or_else(|| "–".to_owned(), number))?;
            }
            writeln!(out)?;
        }
    }
    Ok(())
}

impl Column {
    const fn name(&self) -> &'static str {
        match self {
            Blaze(name, ..) | Floor(name, ..) => name,
            Ratio(_) => "×",
        }
    }

    fn cell(&self, row: &Row) -> Option<f64> {
        let figure = |found: &Found, figure, unit| Some(found.get(&figure)? * unit);
        match *self {
            Blaze(_, of, unit) => figure(&row.blaze, of, unit),
            Floor(_, of, unit) => figure(&row.floor, of, unit),
            Ratio(Figure::P50Ns) => ratio(&row.blaze, &row.floor, Figure::P50Ns),
            Ratio(rate) => ratio(&row.floor, &row.blaze, rate),
        }
    }
}

/// With about three digits.
fn number(figure: f64) -> String {
    let places = match figure {
        ..0.1 => 3,
        0.1..10.0 => 2,
        10.0..1000.0 => 1,
        _ => 0,
    };
    format!("{figure:.places$}")
}

#[cfg(test)]
mod tests {
    use super::super::{Hub, Point, Work};
    use super::*;
    use crate::spec::Store;

    #[test]
    fn a_ratio_is_how_much_longer_blaze_took_whichever_is_measured() {
        let work = Work::Hub(Hub { peers: 10, idle_ms: 1, singles: 1, warm_up: 0 });
        let point = Point { part: Part::Peers, store: Store::Process, work };
        let found = |p50, rate| Found::from([(Figure::P50Ns, p50), (Figure::PerSecond, rate)]);
        let row = Row { point, floor: found(100.0, 300.0), blaze: found(200.0, 100.0) };
        assert_eq!(Ratio(Figure::P50Ns).cell(&row), Some(2.0));
        assert_eq!(Ratio(Figure::PerSecond).cell(&row), Some(3.0));
        assert_eq!(Ratio(Figure::UpdatesPerSecond).cell(&row), None);
        let mut out = String::new();
        write(&mut out, &[row], |_, _| Ok(())).expect("a String takes everything");
        assert!(out.contains("| process | 10 | 0.20 | – | 0.10 | 2.00 | – | – | – | – |"), "{out}");
        assert_eq!(out.matches("\n## ").count(), 1);
    }

    #[test]
    fn numbers_have_about_three_digits() {
        assert_eq!(
            [0.0123, 1.234, 56.78, 123_456.7].map(number),
            ["0.012", "1.23", "56.8", "123457"]
        );
    }
}
