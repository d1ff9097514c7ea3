//! What happened in many runs, as text and as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use blaze_sync_sim::{Config, Crossings, Failure, Fault, Report, Scenario};

/// The counts, for people.
pub(crate) fn text(report: &Report, took: Duration) -> String {
    let mut out = String::new();
    let seconds = took.as_secs_f64();
    // Writing to a string doesn't fail.
    let _ = writeln!(
        out,
        "{} seeds in {seconds:.1} s ({:.0} a second): {} commits, {} operations, {} crossings, {} h of virtual time, hash {:016x}",
        report.seeds,
        rate(report.seeds, seconds),
        report.commits,
        report.operations,
        report.crossings,
        report.virtual_ms / 3_600_000,
        report.hash,
    );
    list(&mut out, "shapes", report.shapes.iter());
    list(&mut out, "faults", report.faults.iter());
    list(&mut out, "scenarios", report.scenarios.iter());
    list(&mut out, "seen", report.coverage.iter());
    let quiet = report
        .quiet
        .iter()
        .map(|(shape, crossings)| (shape, format!("{:.3}", per_link(crossings))));
    list(&mut out, "crossings of a link an operation, without faults", quiet);
    out
}

fn list<K: std::fmt::Display, V: std::fmt::Display>(
    out: &mut String,
    title: &str,
    entries: impl Iterator<Item = (K, V)>,
) {
    let entries = entries.map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>();
    let _ = writeln!(out, "{title}: {}", entries.join(", "));
}

/// The counts, for programs.
pub(crate) fn json(report: &Report, failure: Option<&Failure>, took: Duration) -> String {
    let map = |entries: Vec<String>| format!("{{{}}}", entries.join(","));
    let faults = report.faults.iter().map(|(name, count)| format!("\"{name}\":{count}")).collect();
    let scenarios = report.scenarios.iter();
    let scenarios = scenarios.map(|(name, count)| format!("\"{name}\":{count}")).collect();
    let seen = report.coverage.iter().map(|(name, count)| format!("\"{name}\":{count}")).collect();
    let quiet = report
        .quiet
        .iter()
        .map(|(shape, crossings)| format!("\"{shape}\":{:.4}", per_link(crossings)));
    let failure = failure.map_or("null".to_owned(), |failure| {
        let message = failure.to_string();
        let message: String = message.chars().filter(|letter| !letter.is_control()).collect();
        let message = message.replace('\\', "\\\\").replace('"', "\\\"");
        format!("{{\"seed\":{},\"message\":\"{message}\"}}", failure.seed)
    });
    format!(
        "{{\"seeds\":{},\"seconds\":{:.3},\"hash\":\"{:016x}\",\"commits\":{},\"operations\":{},\"crossings\":{},\"virtual_ms\":{},\"faults\":{},\"scenarios\":{},\"seen\":{},\"quiet_crossings\":{},\"failure\":{failure}}}",
        report.seeds,
        took.as_secs_f64(),
        report.hash,
        report.commits,
        report.operations,
        report.crossings,
        report.virtual_ms,
        map(faults),
        map(scenarios),
        map(seen),
        map(quiet.collect()),
    )
}

/// Faults and scenarios that are on and never happened.
pub(crate) fn idle(report: &Report, config: &Config) -> Vec<String> {
    let faults = Fault::ALL.into_iter().filter(|fault| config.faults.has(*fault));
    let limited = config.scope_percent > 0;
    let faults = faults.filter(|fault| limited || !fault.is_of_policies());
    let faults = faults.filter(|fault| !report.faults.contains_key(fault));
    let is_on = |scenario: &Scenario| config.scenario_percent > 0 && scenario.is_on(&config.faults);
    let scenarios = Scenario::ALL.into_iter().filter(is_on);
    let scenarios = scenarios.filter(|scenario| !report.scenarios.contains_key(scenario));
    faults.map(|fault| fault.to_string()).chain(scenarios.map(|name| name.to_string())).collect()
}

/// The faults that are on, with commas between.
pub(crate) fn faults_on(config: &Config) -> String {
    let on = Fault::ALL.into_iter().filter(|fault| config.faults.has(*fault));
    on.map(|fault| fault.to_string()).collect::<Vec<_>>().join(",")
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn rate(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds.max(0.001)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn per_link(crossings: &Crossings) -> f64 {
    crossings.arrived as f64 / (crossings.wanted.max(1)) as f64
}
