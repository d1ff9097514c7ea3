//! What a check found, and how it is told.

use std::fmt::Display;
use std::io::{self, Write};

use anstyle::Style;
use serde::Serialize;

use crate::output::{BAD, GOOD, NOTABLE, Out, printable};

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// As it should be.
    Ok,
    /// Not wrong, but worth knowing.
    Hint,
    /// Wrong.
    Fault,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was checked, in a word.
    pub(super) check: &'static str,
    pub(super) status: Status,
    /// What was looked at.
    pub(super) subject: String,
    /// What was found.
    pub(super) text: String,
    /// What to do, unless nothing need be.
    pub(super) remedy: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, subject: impl Display, text: impl Into<String>) -> Self {
        let (subject, text) = (subject.to_string(), text.into());
        Self { check, status: Status::Ok, subject, text, remedy: None }
    }

    pub(super) fn hint(
        check: &'static str,
        subject: impl Display,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let remedy = Some(remedy.into());
        Self { status: Status::Hint, remedy, ..Self::ok(check, subject, text) }
    }

    pub(super) fn fault(
        check: &'static str,
        subject: impl Display,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let remedy = Some(remedy.into());
        Self { status: Status::Fault, remedy, ..Self::ok(check, subject, text) }
    }
}

/// A message in two: what is wrong, and after the last semicolon what to do, as the messages of
/// this workspace put it. `otherwise` is what to do if a message doesn't say.
pub(super) fn parted(message: &str, otherwise: &str) -> (String, String) {
    let (text, remedy) = message.rsplit_once("; ").unwrap_or((message, otherwise));
    (text.to_owned(), remedy.to_owned())
}

/// An error and its causes, in one line.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Tells the findings to a person: a line each, then what is wrong and what to do.
pub(super) fn tell(findings: &[Finding], out: &mut Out) -> io::Result<()> {
    for finding in findings {
        line(finding, out)?;
    }
    for fault in findings.iter().filter(|finding| finding.status == Status::Fault) {
        let (subject, text) = (printable(&fault.subject), printable(&fault.text));
        writeln!(out, "\n{BAD}{}{BAD:#} {subject}\n  wrong: {text}", fault.check)?;
        if let Some(remedy) = &fault.remedy {
            writeln!(out, "  do:    {}", printable(remedy))?;
        }
    }
    Ok(())
}

fn line(finding: &Finding, out: &mut Out) -> io::Result<()> {
    let (word, style) = word(finding.status);
    let (check, subject) = (finding.check, printable(&finding.subject));
    write!(out, "{style}{word:<5}{style:#}  {check:<9}  {subject}")?;
    // What is wrong follows below, where there is room for it.
    if finding.status != Status::Fault {
        write!(out, ": {}", printable(&finding.text))?;
        if let Some(remedy) = &finding.remedy {
            write!(out, "; {}", printable(remedy))?;
        }
    }
    writeln!(out)
}

const fn word(status: Status) -> (&'static str, Style) {
    match status {
        Status::Ok => ("ok", GOOD),
        Status::Hint => ("hint", NOTABLE),
        Status::Fault => ("fault", BAD),
    }
}

#[cfg(test)]
mod tests {
    use super::parted;

    #[test]
    fn what_to_do_is_told_apart() {
        let part = |message| parted(message, "look at it");
        let own = |text: &str, remedy: &str| (text.to_owned(), remedy.to_owned());
        assert_eq!(part("it is full; free some"), own("it is full", "free some"));
        assert_eq!(part("a; b; c"), own("a; b", "c"));
        assert_eq!(part("it is full"), own("it is full", "look at it"));
    }
}
