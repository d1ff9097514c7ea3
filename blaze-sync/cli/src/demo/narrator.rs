//! How the demo tells its story: in lines for people, or not at all.

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

use super::place::Place;
use super::wire::ConflictLine;

/// Tells the story on standard output.
#[derive(Debug)]
pub(super) struct Narrator {
    /// Whether only the figures are asked for.
    pub(super) silent: bool,
}

impl Narrator {
    /// Begins another part of the story.
    pub(super) fn title(&self, text: &str) {
        if !self.silent {
            let bold = anstyle::Style::new().bold();
            anstream::println!("\n{bold}{text}{bold:#}");
        }
    }

    pub(super) fn tell(&self, text: &str) {
        if !self.silent {
            anstream::println!("  {text}");
        }
    }

    pub(super) fn conflict(&self, conflict: Option<&ConflictLine>) {
        if let Some(ConflictLine { record, field, won, lost, .. }) = conflict {
            self.tell(&format!("{record}, {field}: {won:?} won over {lost:?}"));
        }
    }

    /// Tells where the databases are, and how to look at them.
    pub(super) fn kept(&self, directory: &Path, places: &[Place]) {
        self.title(&format!("The databases are kept in {}", directory.display()));
        for Place { path, password } in places {
            self.tell(&format!("BLAZE_PASSWORD={password} blaze list {}", path.display()));
        }
    }
}

/// A counter that is shown on a terminal only.
pub(super) fn progress(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("  {spinner} {human_pos} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.with_message(what)
}
