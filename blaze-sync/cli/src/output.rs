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

    /// For nobody: what is written is gone.
    pub(crate) fn nowhere() -> Self {
        Self { inner: BufWriter::new(Box::new(io::sink())) }
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

/// A text on one line, with what can't be printed made visible: a name or a reason
/// that came from elsewhere must not be able to steer the terminal, to look like
/// another line or column, or to turn the direction of writing.
pub(crate) fn printable(text: impl Display) -> String {
    let text = text.to_string();
    if text.chars().all(is_printable) {
        return text;
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_printable(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_unicode());
        }
    }
    shown
}

/// As [`printable`], for JSON, which means the same afterwards. The line breaks
/// between its parts stay; within a text JSON has none.
pub(crate) fn printable_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for character in json.chars() {
        if character == '\n' || is_printable(character) {
            shown.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // A string takes whatever is written to it.
            let _ = write!(shown, "\\u{unit:04x}");
        }
    }
    shown
}

/// Whether a character shows as itself, by the rule for the names of nodes: what
/// `escape_debug` leaves as it is. A letter comes first, because a combining mark
/// would be escaped where it has nothing to combine with.
pub(crate) fn is_printable(character: char) -> bool {
    if matches!(character, ' '..='~') {
        return true;
    }
    let shown = || String::from_iter(['x', character]).escape_debug().nth(1);
    shown() == Some(character)
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
        assert_eq!(printable("a\u{1b}[2Jb\u{9b}é"), "a\\u{1b}[2Jb\\u{9b}é");
        assert_eq!(printable("a\n\tb\u{202e}c"), "a\\u{a}\\u{9}b\\u{202e}c");
        for text in ["\"quoted\" \\ 'text'", "ümläut 🦀", "e\u{301}"] {
            assert_eq!(printable(text), text);
        }
    }

    #[test]
    fn printable_json_means_the_same() {
        let value = serde_json::json!({ "a\u{202e}": "\n\u{7f}\u{9b}\u{e0001}🦀" });
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let shown = printable_json(&text);
            assert!(shown.chars().all(|char| char == '\n' || is_printable(char)), "{shown:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }
    }

    #[test]
    fn only_our_own_broken_pipe_is_quiet() {
        let ours = anyhow::Error::new(closed(ErrorKind::BrokenPipe.into())).context("listing");
        assert!(is_closed(&ours));
        assert!(!is_closed(&anyhow::Error::new(io::Error::from(ErrorKind::BrokenPipe))));
    }
}
