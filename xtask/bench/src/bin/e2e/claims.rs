//! What the forerunner of Blaze claimed, beside what this run found.

mod encoding;

use std::fmt::{self, Write as _};

use serde::Serialize;

use self::encoding::Encoding;
use crate::figures::Figures;
use crate::plan::BATCH;
use crate::rounds::Measured;
use crate::scale::float;
use crate::spec::{Case, Store, Transport, Workload};

/// A range that was claimed, and what was found instead, in several ways.
#[derive(Debug, Serialize)]
pub(crate) struct Claim {
    what: &'static str,
    claimed: Range,
    found: Vec<Found>,
}

/// From the worse end to the better one.
#[derive(Debug, Clone, Copy, Serialize)]
struct Range {
    worse: f64,
    better: f64,
    unit: &'static str,
}

#[derive(Debug, Serialize)]
struct Found {
    /// With which store, or of how many operations.
    with: String,
    figure: f64,
    verdict: Verdict,
}

/// How a figure stands to a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// Better than the better end.
    Beaten,
    /// Within the range.
    Met,
    Missed,
}

/// A claim about cases over one transport.
struct About {
    what: &'static str,
    claimed: Range,
    transport: Transport,
    stores: &'static [Store],
    figure: fn(Case, &Figures) -> Option<f64>,
}

const IN_MEMORY: &[Store] = &[Store::Memory];
const ALL: &[Store] = &[Store::Memory, Store::Process, Store::Disk];

const UNIX: (Range, Range) = (range(0.5, 0.3, " ms"), range(5_000.0, 20_000.0, "/s"));
// Below 0.1 ms has no worse end.
const MEM: (Range, Range) = (range(0.1, 0.1, " ms"), range(10_000.0, 50_000.0, "/s"));
const TCP: (Range, Range) = (range(5.0, 5.0, " ms"), range(1_000.0, 10_000.0, "/s"));

const ABOUT: [About; 10] = [
    about("Unix socket: an operation", UNIX.0, Transport::Unix, ALL, latency_ms),
    about("Unix socket: operations, each a transaction", UNIX.1, Transport::Unix, ALL, singles),
    about("Unix socket: operations, 1,000 a transaction", UNIX.1, Transport::Unix, ALL, batched),
    about("in memory: an operation", MEM.0, Transport::Mem, IN_MEMORY, latency_ms),
    about("in memory: operations, each a transaction", MEM.1, Transport::Mem, IN_MEMORY, singles),
    about("in memory: operations, 1,000 a transaction", MEM.1, Transport::Mem, IN_MEMORY, batched),
    about("TCP: an operation", TCP.0, Transport::Tcp, ALL, latency_ms),
    about("TCP: operations, each a transaction", TCP.1, Transport::Tcp, ALL, singles),
    about("TCP: operations, 1,000 a transaction", TCP.1, Transport::Tcp, ALL, batched),
    about("Unix socket: to connect", range(2.0, 1.0, " ms"), Transport::Unix, ALL, connect_ms),
];

const fn about(
    what: &'static str,
    claimed: Range,
    transport: Transport,
    stores: &'static [Store],
    figure: fn(Case, &Figures) -> Option<f64>,
) -> About {
    About { what, claimed, transport, stores, figure }
}

const fn range(worse: f64, better: f64, unit: &'static str) -> Range {
    Range { worse, better, unit }
}

/// Holds this run against the claims, as far as it measured what they are about.
pub(crate) fn hold(measured: &[Measured]) -> Vec<Claim> {
    let runs: Vec<_> = measured
        .iter()
        .filter_map(|Measured { case, blaze, .. }| Some((*case, blaze.as_ref()?)))
        .collect();
    if runs.is_empty() {
        return Vec::new();
    }
    let claims = ABOUT.iter().map(|about| about.hold(&runs)).chain(of_encoding());
    claims.filter(|claim| !claim.found.is_empty()).collect()
}

fn of_encoding() -> [Claim; 2] {
    let encodings = Encoding::measure();
    let claim = |what, claimed: Range, figure: fn(&Encoding) -> f64| {
        let found = encodings
            .iter()
            .map(|encoding| Found::of(encoding.with().to_owned(), figure(encoding), claimed));
        Claim { what, claimed, found: found.collect() }
    };
    [
        claim("encoding, of JSON's speed", range(5.0, 10.0, "×"), Encoding::times_faster),
        claim("encoding, less bytes than JSON", range(34.0, 67.0, " %"), Encoding::percent_less),
    ]
}

impl About {
    fn hold(&self, runs: &[(Case, &Figures)]) -> Claim {
        let found = self.stores.iter().filter_map(|store| {
            let figure = runs.iter().find_map(|(case, figures)| {
                let here = (case.transport, case.store) == (self.transport, *store);
                if here { (self.figure)(*case, figures) } else { None }
            })?;
            Some(Found::of(store.to_string(), figure, self.claimed))
        });
        Claim { what: self.what, claimed: self.claimed, found: found.collect() }
    }
}

fn latency_ms(case: Case, figures: &Figures) -> Option<f64> {
    matches!(case.workload, Workload::Latency { .. }).then(|| float(figures.p50_ns) / 1e6)
}

fn connect_ms(case: Case, figures: &Figures) -> Option<f64> {
    matches!(case.workload, Workload::Connect { .. }).then(|| float(figures.p50_ns) / 1e6)
}

fn singles(case: Case, figures: &Figures) -> Option<f64> {
    let singly = matches!(case.workload, Workload::Stream { per_transaction: 1, .. });
    singly.then(|| figures.per_second(case.workload))
}

fn batched(case: Case, figures: &Figures) -> Option<f64> {
    let batched = matches!(case.workload, Workload::Stream { per_transaction: BATCH, .. });
    batched.then(|| figures.per_second(case.workload))
}

impl Found {
    fn of(with: String, figure: f64, claimed: Range) -> Self {
        Self { with, figure, verdict: claimed.verdict(figure) }
    }
}

impl Range {
    fn verdict(self, figure: f64) -> Verdict {
        let less_is_better = matches!(self.unit, " ms");
        let reaches = |end| if less_is_better { figure <= end } else { figure >= end };
        match (reaches(self.better), reaches(self.worse)) {
            (true, _) => Verdict::Beaten,
            (false, true) => Verdict::Met,
            (false, false) => Verdict::Missed,
        }
    }
}

/// Writes what was held against claims as a table.
pub(crate) fn write(out: &mut String, claims: &[Claim]) -> fmt::Result {
    if claims.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## Claims of the forerunner\n")?;
    writeln!(
        out,
        "What an earlier product of the kind said of itself, without saying how durable its \
         commits are, beside this run. A claim is beaten by what is better than its better end, \
         and met by what is within its range. Encoding is that of 1,000 new issues of six \
         fields, in one batch, each by itself, and each by itself with the dictionary that a \
         session has told before; JSON is serde_json's, of the same operations.\n"
    )?;
    writeln!(out, "| claim | claimed | found |\n|---|---|---|")?;
    for Claim { what, claimed, found } in claims {
        let found: Vec<_> = found.iter().map(|found| found.cell(claimed.unit)).collect();
        writeln!(out, "| {what} | {claimed} | {} |", found.join("<br>"))?;
    }
    Ok(())
}

impl Found {
    fn cell(&self, unit: &str) -> String {
        let Self { with, figure, verdict } = self;
        let places = match figure {
            ..1.0 => 3,
            1.0..100.0 => 1,
            _ => 0,
        };
        format!("{with}: {figure:.places$}{unit}, {verdict}")
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { worse, better, unit } = self;
        let (least, most) = (worse.min(*better), worse.max(*better));
        // Which of them is equal only if there is one.
        if least < most { write!(f, "{least}–{most}{unit}") } else { write!(f, "{most}{unit}") }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Beaten => "**beaten**",
            Self::Met => "met",
            Self::Missed => "**missed**",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Outcome;

    #[test]
    fn a_claim_is_beaten_beyond_its_better_end() {
        let (ms, rate) = UNIX;
        let verdicts = [0.29, 0.31, 0.51].map(|figure| ms.verdict(figure));
        assert_eq!(verdicts, [Verdict::Beaten, Verdict::Met, Verdict::Missed]);
        let verdicts = [20_001.0, 19_999.0, 4_999.0].map(|figure| rate.verdict(figure));
        assert_eq!(verdicts, [Verdict::Beaten, Verdict::Met, Verdict::Missed]);
    }

    #[test]
    fn figures_are_those_of_the_cases_that_a_claim_is_about() {
        let case = |workload, store| Case { workload, transport: Transport::Unix, store };
        let latency = Workload::Latency { warm_up: 0, count: 1 };
        let stream = |per_transaction| Workload::Stream { operations: 9_000, per_transaction };
        let figures = |samples_ns, elapsed_ns| {
            Figures::of(&[Outcome { samples_ns, elapsed_ns, ..Outcome::default() }])
        };
        let [took, streamed] = [figures(vec![400_000], 0), figures(Vec::new(), 1_000_000_000)];
        let runs = [
            (case(stream(1), Store::Process), &streamed),
            (case(latency, Store::Disk), &took),
            (Case { transport: Transport::Tcp, ..case(latency, Store::Memory) }, &took),
        ];
        let held = |about: &About| {
            let found = about.hold(&runs).found.into_iter();
            found.map(|found| (found.with, found.figure, found.verdict)).collect::<Vec<_>>()
        };
        assert_eq!(held(&ABOUT[0]), [("disk".to_owned(), 0.4, Verdict::Met)]);
        assert_eq!(held(&ABOUT[1]), [("process".to_owned(), 9_000.0, Verdict::Met)]);
        assert!(held(&ABOUT[2]).is_empty() && held(&ABOUT[3]).is_empty());
        assert_eq!(held(&ABOUT[6]), [("memory".to_owned(), 0.4, Verdict::Beaten)]);
    }

    #[test]
    fn the_table_says_what_was_claimed_and_found() {
        let claimed = range(2.0, 1.0, " ms");
        let found = vec![
            Found::of("memory".to_owned(), 0.17, claimed),
            Found::of("disk".to_owned(), 2.4, claimed),
        ];
        let mut out = String::new();
        write(&mut out, &[Claim { what: "to connect", claimed, found }]).expect("a String");
        let row = "| to connect | 1–2 ms | memory: 0.170 ms, **beaten**<br>disk: 2.4 ms, \
                   **missed** |";
        assert!(out.contains(row), "{out}");
        assert_eq!(MEM.0.to_string(), "0.1 ms");
    }
}
