//! `cargo xtask ci`: all that must pass.

use anyhow::Result;
use clap::Args;

use crate::cargo::{self, Workspace};

/// Run all that must pass before a change is sent: the tests, the lints, some seeds.
///
/// This is `.ci/run`: the test command of the README, word for word, then
/// `cargo xtask lint`, 500 seeds of `cargo xtask sim`, others each time,
/// `cargo xtask fuzz --smoke`, with other inputs each time, and
/// `cargo xtask bench stages --check`.
#[derive(Debug, Args)]
pub(crate) struct Ci {}

impl Ci {
    #[expect(clippy::unused_self, reason = "tasks are run alike")]
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        cargo::run(workspace.program("bash").arg(".ci/run"))
    }
}
