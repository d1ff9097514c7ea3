//! The figures, told as they come and kept for JSON.

use serde::Serialize;

use crate::args::Part;
use crate::campaign::Results;
use crate::control::Level;
use crate::cuts::Tally;
use crate::kills;

/// What all parts came to.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    seed: u64,
    control: Vec<Level>,
    cuts: Option<Results<Tally>>,
    errors: Option<Results<Tally>>,
    kills: Option<Results<kills::Tally>>,
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
        eprintln!(
            "==> cuts: {cuts} power cuts in {:.1} s ({}), {large_cuts} of them in large rounds; {rounds} rounds of {files} files, {encrypted} encrypted",
            results.seconds,
            rate(*cuts, results.seconds)
        );
        eprintln!(
            "    disk: {acknowledged_disk} acknowledged, 0 lost; process: {acknowledged_process} acknowledged, {lost_process} lost (allowed); {merges} of them merges"
        );
        let happened = [
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
        let happened: Vec<_> = happened.into_iter().filter(|(name, _)| !skipped(name)).collect();
        self.expect(Part::Kills, *kills >= 500, &happened);
        let faults = faults.iter().map(|(name, count)| format!("{count} {name}"));
        eprintln!("    troubles: {}", faults.collect::<Vec<_>>().join(", "));
        eprintln!(
            "    disk: {acknowledged_disk} acknowledged, 0 lost; process: {acknowledged_process} acknowledged, 0 lost by kills, {lost_process} of {at_risk} at risk lost by power cuts (allowed)"
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
