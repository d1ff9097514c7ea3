//! The figures, told as they come and kept for JSON.

use serde::Serialize;

use crate::args::Part;
use crate::campaign::Results;
use crate::control::Level;
use crate::cuts::Tally;
use crate::kills::{self, stall};

/// What a run of so many minutes is expected to reach on 2 cores that it has for itself.
const MINUTES_LONG: f64 = 10.0;
const CUTS_EXPECTED: u64 = 5_000;
const KILLS_EXPECTED: u64 = 500;

/// What all parts came to.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    seed: u64,
    control: Vec<Level>,
    cuts: Option<Results<Tally>>,
    errors: Option<Results<Tally>>,
    kills: Option<Results<kills::Tally>>,
    stalled: Option<Results<stall::Tally>>,
    skipped: Vec<String>,
    violations: Vec<String>,
}

impl Report {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// A part that can't run here.
    pub(crate) fn skip(&mut self, part: Part, why: &str) {
        eprintln!("==> {}: skipped, {why}", part.name());
        self.skipped.push(format!("{}: {why}", part.name()));
    }

    /// How many things went wrong.
    pub(crate) fn violations(&self) -> usize {
        self.violations.len()
    }

    pub(crate) fn control(&mut self, levels: Vec<Level>) {
        eprintln!("==> control: bare SQLite in WAL mode under the same cuts");
        for level in &levels {
            let Level { synchronous, cuts, acknowledged, lost, corrupt } = level;
            eprintln!(
                "    synchronous={synchronous:<6} {cuts} cuts, {acknowledged} acknowledged, {lost} lost, {corrupt} files corrupt"
            );
            self.violated(level.violation());
        }
        self.control = levels;
    }

    pub(crate) fn cuts(&mut self, results: Results<Tally>) {
        let Tally { files, encrypted, rounds, cuts, large_cuts, .. } = &results.figures;
        let Tally { acknowledged_disk, acknowledged_process, merges, lost_process, .. } =
            &results.figures;
        let Tally { cuts_disk, cuts_process, .. } = &results.figures;
        eprintln!(
            "==> cuts: {cuts} power cuts in {:.1} s ({}), {large_cuts} of them in large rounds; {rounds} rounds of {files} files, {encrypted} encrypted",
            results.seconds,
            rate(*cuts, results.seconds)
        );
        eprintln!(
            "    disk: {cuts_disk} cuts, {acknowledged_disk} acknowledged, 0 lost; process: {cuts_process} cuts, {acknowledged_process} acknowledged, {lost_process} lost (allowed); {merges} of them merges"
        );
        let happened = [
            ("power cut at disk", *cuts_disk),
            ("power cut at process", *cuts_process),
            ("commit at disk", *acknowledged_disk),
            ("commit lost at process", *lost_process),
            ("merge", *merges),
            ("encrypted file", *encrypted),
        ];
        self.expect(Part::Cuts, *cuts >= 300, &happened);
        self.violated(results.violations.clone());
        self.cuts = Some(results);
    }

    pub(crate) fn errors(&mut self, results: Results<Tally>) {
        let Tally { rounds, cuts, acknowledged_disk, refused, unknown, failed, .. } =
            &results.figures;
        let Tally { sync_errors, write_errors, read_errors, .. } = &results.figures;
        eprintln!(
            "==> errors: {sync_errors} syncs, {write_errors} writes and {read_errors} reads failed in {:.1} s; {rounds} rounds, {cuts} power cuts after them",
            results.seconds
        );
        eprintln!(
            "    {acknowledged_disk} acknowledged, 0 lost; {refused} refused, {unknown} of them with an unknown outcome; {failed} openings or closings failed"
        );
        let happened = [
            ("failed sync", *sync_errors),
            ("failed write", *write_errors),
            ("failed read", *read_errors),
            ("unknown outcome", *unknown),
            ("failed opening or closing", *failed),
            ("power cut afterwards", *cuts),
        ];
        self.expect(Part::Errors, sync_errors + write_errors + read_errors >= 200, &happened);
        self.violated(results.violations.clone());
        self.errors = Some(results);
    }

    pub(crate) fn kills(
        &mut self,
        results: Results<kills::Tally>,
        has_shim: bool,
        without: &[String],
    ) {
        let kills::Tally { pairs, stars, chains, kills, faults, records, .. } = &results.figures;
        let kills::Tally { acknowledged_disk, acknowledged_process, synced, .. } = &results.figures;
        let kills::Tally { at_risk, lost_process, refused, unopened, .. } = &results.figures;
        let kills::Tally { lost_restored, told_here, told_peers, .. } = &results.figures;
        eprintln!(
            "==> kills: {kills} kills in {:.1} s ({}); {pairs} pairs, {stars} stars and {chains} chains",
            results.seconds,
            rate(*kills, results.seconds)
        );
        let skipped = |name: &str| match name {
            "power cut" if !has_shim => true,
            "disk full" if results.figures.without_room > 0 => true,
            _ => without.iter().any(|without| without == name),
        };
        let happened: Vec<_> = faults.iter().map(|(name, count)| (*name, *count)).collect();
        let told = [
            ("restored node that was told", *told_here),
            ("peer of a restored node that was told", *told_peers),
        ];
        let told = told.into_iter().filter(|_| !skipped("backup put back"));
        let happened = happened.into_iter().filter(|(name, _)| !skipped(name)).chain(told);
        let happened: Vec<_> = happened.collect();
        self.expect(Part::Kills, *kills >= 500, &happened);
        let faults = faults.iter().map(|(name, count)| format!("{count} {name}"));
        eprintln!("    troubles: {}", faults.collect::<Vec<_>>().join(", "));
        eprintln!(
            "    disk: {acknowledged_disk} acknowledged, 0 lost; process: {acknowledged_process} acknowledged, 0 lost by kills, {lost_process} of {at_risk} at risk lost by power cuts (allowed)"
        );
        eprintln!(
            "    {lost_restored} commits that no peer had went with files that went back or copies that left (allowed); told {told_here} times to the restored, {told_peers} to their peers"
        );
        eprintln!(
            "    {records} records equal on all replicas; {synced} times all peers had everything; {refused} commits found no room; {unopened} starts failed as they had to"
        );
        if results.figures.without_room > 0 {
            eprintln!(
                "    disk full: skipped at times, user namespaces with a tmpfs are not allowed"
            );
        }
        self.violated(results.violations.clone());
        self.kills = Some(results);
    }

    pub(crate) fn stalled(&mut self, results: Results<stall::Tally>) {
        let stall::Tally { stalls, commits, bytes, before_kib, grew_kib, .. } = &results.figures;
        let grew_after_kib = results.figures.grew_after_kib;
        let stall::Tally { live_p99_us, live_slowest_us, .. } = &results.figures;
        let stall::Tally { stalled_p99_us, stalled_slowest_us, .. } = &results.figures;
        eprintln!(
            "==> stalled: {stalls} receivers stood still in {:.1} s, while {commits} commits with {} MiB were made for them",
            results.seconds,
            bytes / (1024 * 1024)
        );
        eprintln!(
            "    the sender's memory grew by {grew_kib} KiB beside {before_kib} KiB, {} KiB allowed; by {grew_after_kib} KiB while the receiver caught up",
            stall::GREW_KIB_MAX
        );
        eprintln!(
            "    of 100 commits 99 took at most {stalled_p99_us} µs, all {stalled_slowest_us} µs; while the receiver read, {live_p99_us} µs and {live_slowest_us} µs"
        );
        self.violated(results.violations.clone());
        self.stalled = Some(results);
    }

    /// Tells how much there was of what counts most, and warns if a long run had less
    /// of it than is expected of one: too little may have been tried.
    pub(crate) fn totals(&self, minutes: f64) {
        let figures = |cuts: &Results<Tally>| {
            let Tally { cuts_disk, cuts_process, .. } = cuts.figures;
            let disk = ("power cuts at Disk", cuts_disk, CUTS_EXPECTED);
            [disk, ("power cuts at Process", cuts_process, CUTS_EXPECTED)]
        };
        let mut totals: Vec<_> = self.cuts.iter().flat_map(figures).collect();
        if let Some(kills) = &self.kills {
            totals.push(("kills", kills.figures.kills, KILLS_EXPECTED));
        }
        if totals.is_empty() {
            return;
        }
        let told = totals.iter().map(|(what, count, _)| format!("{count} {what}"));
        eprintln!("==> in all: {}", told.collect::<Vec<_>>().join(", "));
        let few = totals.iter().filter(|(_, count, expected)| count < expected);
        for (what, count, expected) in few.filter(|_| minutes >= MINUTES_LONG) {
            eprintln!(
                "warning: {count} {what}, {expected} are expected of {MINUTES_LONG} minutes or more; give it more time or cores"
            );
        }
    }

    /// What never happened in a run that was long enough for it was not tested.
    fn expect(&mut self, part: Part, enough: bool, happened: &[(&str, u64)]) {
        let missing = happened.iter().filter(|(_, count)| enough && *count == 0);
        let missing = missing.map(|(what, _)| format!("{}: there was no {what}", part.name()));
        self.violated(missing.collect::<Vec<_>>());
    }

    fn violated(&mut self, violations: impl IntoIterator<Item = String>) {
        for violation in violations {
            eprintln!("error: {violation}");
            self.violations.push(violation);
        }
    }
}

fn rate(count: u64, seconds: f64) -> String {
    let minutes = (seconds / 60.0).max(f64::EPSILON);
    #[expect(clippy::cast_precision_loss, reason = "it is told without decimals")]
    let rate = count as f64 / minutes;
    format!("{rate:.0} a minute")
}
