//! What is printed: results on standard output, everything else on standard error.

use std::fmt::{Display, Write as _};
use std::io::{self, BufWriter, ErrorKind, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

/// Good news.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Something to look at.
pub(crate) const NOTABLE: Style = AnsiColor::Yellow.on_default();
/// Bad news.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What identifies something.
pub(crate) const NAME: Style = AnsiColor::Cyan.on_default();

/// Standard output, buffered. Flush it at the end: only then is an error seen.
pub(crate) struct Out {
    inner: BufWriter<Box<dyn Write>>,
}

impl Out {
    /// For people: styles are kept on a terminal and stripped elsewhere.
    pub(crate) fn styled() -> Self {
        Self { inner: BufWriter::new(Box::new(anstream::stdout())) }
    }

    /// For programs: every byte is written as it is.
    pub(crate) fn raw() -> Self {
        Self { inner: BufWriter::new(Box::new(io::stdout())) }
    }

    /// Writes a line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut *self, value)?;
        self.write_all(b"\n")
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes).map_err(closed)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush().map_err(closed)
    }
}

/// Nobody reads standard output any more.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed")]
struct Closed;

fn closed(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::BrokenPipe => io::Error::new(ErrorKind::BrokenPipe, Closed),
        _ => error,
    }
}

/// Whether an error says that nobody reads standard output any more.
pub(crate) fn is_closed(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        matches!(inner, Some(inner) if inner.is::<Closed>())
    })
}

/// Tells an error and its causes, and never fails itself.
pub(crate) fn error(error: &anyhow::Error) {
    let mut text = format!("{BAD}error:{BAD:#} {}", printable(error));
    let mut before = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // A transparent error repeats what it wraps.
        if cause != before {
            let _ = write!(text, "\n  caused by: {}", printable(&cause));
        }
        before = cause;
    }
    tell(&text);
}

/// Tells something to look at.
pub(crate) fn warning(text: impl Display) {
    tell(&format!("{NOTABLE}warning:{NOTABLE:#} {}", printable(text)));
}

/// Tells what was done besides.
pub(crate) fn note(text: impl Display) {
    tell(&printable(text));
}

fn tell(text: &str) {
    // Where standard error is closed, there is nobody left to tell.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// A text with its control characters made visible: a name or a value that came
/// from elsewhere must not be able to steer the terminal.
pub(crate) fn printable(text: impl Display) -> String {
    let text = text.to_string();
    let steers = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    if !text.contains(steers) {
        return text;
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if steers(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// "1 record", "2 records".
pub(crate) fn count(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_made_visible() {
        assert_eq!(printable("a\u{1b}[2Jb\u{9b}é\n"), "a\\u{1b}[2Jb\\u{9b}é\n");
    }

    #[test]
    fn only_our_own_broken_pipe_is_quiet() {
        let ours = anyhow::Error::new(closed(ErrorKind::BrokenPipe.into())).context("listing");
        assert!(is_closed(&ours));
        assert!(!is_closed(&anyhow::Error::new(io::Error::from(ErrorKind::BrokenPipe))));
    }
}
