//! `cargo xtask lint`: all that can be checked without running anything.

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::cargo::{self, Workspace};
use crate::layers;

/// Check formatting, lints, docs, layers and licences; without a step, all of them.
///
/// Every step runs, even if an earlier one failed, and the failed ones are named
/// at the end.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask lint              everything
  cargo xtask lint fmt clippy   only these two")]
pub(crate) struct Lint {
    /// What to check.
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Step {
    /// Formatting (`cargo fmt --all` mends it).
    Fmt,
    /// Clippy over all targets; a warning is an error.
    Clippy,
    /// Docs build, and their links lead somewhere.
    Doc,
    /// Crates depend on the layers below them only.
    Layers,
    /// Licences, duplicates and sources, if cargo-deny is installed.
    Deny,
}

impl Lint {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let steps = if self.steps.is_empty() { Step::value_variants() } else { &self.steps };
        let mut failed = Vec::new();
        for step in steps {
            if let Err(error) = step.run(workspace) {
                eprintln!("error: {error:#}");
                failed.push(format!("{step:?}").to_lowercase());
            }
        }
        if !failed.is_empty() {
            let again = failed.join(" ");
            bail!(
                "{} of {} steps failed; again: cargo xtask lint {again}",
                failed.len(),
                steps.len()
            );
        }
        eprintln!("==> lint passed");
        Ok(())
    }
}

impl Step {
    fn run(self, workspace: &Workspace) -> Result<()> {
        match self {
            Self::Fmt => cargo::run(&mut workspace.cargo(&["fmt", "--all", "--check"])),
            Self::Clippy => cargo::run(&mut workspace.cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ])),
            Self::Doc => cargo::run(
                workspace
                    .cargo(&["doc", "--workspace", "--no-deps"])
                    .env("RUSTDOCFLAGS", "-D warnings"),
            ),
            Self::Layers => check_layers(workspace),
            Self::Deny => check_deny(workspace),
        }
    }
}

/// Checks what each crate sees, with all of its features and on all systems.
fn check_layers(workspace: &Workspace) -> Result<()> {
    eprintln!("==> layers: cargo tree of each crate against the rules");
    let tree = ["tree", "--edges", "normal", "--target", "all", "--format", " {p}"];
    let members = cargo::read(workspace.cargo(&tree).args(["--workspace", "--depth", "0"]))?;
    let members = layers::package_names(&members);
    let mut violations = layers::check_rules(&members);
    for member in &members {
        let options = ["--all-features", "--prefix", "depth", "--package", member];
        let tree = cargo::read(workspace.cargo(&tree).args(options))?;
        violations.extend(layers::check_tree(member, &tree, &members));
    }
    for violation in &violations {
        eprintln!("error: {violation}");
    }
    if !violations.is_empty() {
        bail!("{} rules of layers are broken", violations.len());
    }
    Ok(())
}

/// Advisories are left out: their database lies elsewhere than crates.io, and
/// changes without the code.
fn check_deny(workspace: &Workspace) -> Result<()> {
    if cargo::read(&mut workspace.cargo(&["deny", "--version"])).is_err() {
        eprintln!(
            "==> deny: skipped, cargo-deny is not installed (cargo install --locked cargo-deny)"
        );
        return Ok(());
    }
    cargo::run(&mut workspace.cargo(&["deny", "check", "bans", "licenses", "sources"]))
}
