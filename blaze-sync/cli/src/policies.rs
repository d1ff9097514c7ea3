//! Policies, by name: what peers see and write, as a file says.

mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use blaze_sync::{Scope, check_policy_name};
use rustix::process::geteuid;

/// What the options stand below in the help.
const HEADING: &str = "Policy options";
/// Some dozens of scopes of the largest size.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Whoever may write the file says who sees what.
const FORBIDDEN: u32 = 0o022;

/// How a file of policies is written, for the help.
pub(crate) const HELP: &str = r#"Policies:
  --policies names a file of them in JSON, each by its name: what a peer sees of this
  database, and may write to it.

  {"anna": {"notes": {"fields": ["text", "owner"], "where": {"owner": "anna"}}, "tags": {}},
   "kiosk": {"articles": {"where": {"price": {"$above": 0, "$below": 5000},
                                    "$not": {"state": {"$in": ["draft", "sold"]}}}}}}

  A collection that isn't named is hidden. Without "fields" all of them are seen, without
  "where" all records. A record that doesn't meet it any more is withdrawn from the peer, and
  not deleted; so is one that the peer wrote itself and that doesn't meet it: the peer loses
  it, and says so. What is in other collections and fields stays there.

  All that stands in "where" must hold: "FIELD": VALUE, or of "FIELD" {"$in": [VALUES]},
  {"$has": VALUE} (of an array), {"$below": VALUE}, {"$above": VALUE}; "$any": [{...}, ...] of
  which one must hold, "$not": {...} which must not.

  Whom `blaze pair --policy`, --allow-user or --allow-group gave a policy has that one, --policy
  is for all others. A link with a peer whose policy isn't in the file is refused.
"#;

/// Which policies there are, and which one is for whoever has none.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct PolicyArgs {
    /// Take the policies, by which peers see and write a part of this database, from this file
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    policies: Option<PathBuf>,

    /// The policy for peers that have none of their own; without it they see and write everything
    #[arg(long, value_name = "NAME", requires = "policies", help_heading = HEADING)]
    policy: Option<String>,
}

impl PolicyArgs {
    /// Reads the file, if one is given.
    pub(crate) fn open(self) -> Result<Policies> {
        let Some(path) = self.policies else { return Ok(Policies::default()) };
        let failed = || format!("can't use the policies in {}", path.display());
        let text = read(&path).with_context(failed)?;
        let known = read::parse(&text).map_err(anyhow::Error::msg).with_context(failed)?;
        let mut policies = Policies { path: Some(path), known, ..Policies::default() };
        if let Some(name) = &self.policy {
            policies.check(name).context("--policy can't be used")?;
            policies.others = policies.known.get(name).cloned();
        }
        Ok(policies)
    }
}

/// What peers see and write.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    path: Option<PathBuf>,
    /// By their names.
    pub(crate) known: BTreeMap<String, Arc<Scope>>,
    /// That of whoever has none of his own; everything if there is none.
    pub(crate) others: Option<Arc<Scope>>,
}

impl Policies {
    /// # Errors
    ///
    /// If there is no policy of this name, with those that there are.
    pub(crate) fn check(&self, name: &str) -> Result<()> {
        if self.known.contains_key(name) {
            return Ok(());
        }
        let Some(path) = &self.path else {
            bail!("no policy is called {name:?}, as there are none; give --policies FILE");
        };
        let names = self.known.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let names = if names.is_empty() { "none" } else { &names };
        bail!("no policy is called {name:?}; {} has {names}", path.display())
    }
}

/// A policy's name, as an argument.
///
/// # Errors
///
/// A sentence if it can't be one.
pub(crate) fn name(text: &str) -> std::result::Result<String, String> {
    check_policy_name(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

/// The text of a file that only this user, or root, may write.
fn read(path: &Path) -> Result<String> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.mode() & FORBIDDEN != 0 {
        bail!("others may write it, and so say who sees what; run chmod go-w on it");
    }
    let owner = metadata.uid();
    if ![0, geteuid().as_raw()].contains(&owner) {
        bail!("it belongs to uid {owner}, who may say who sees what; use a file of yours");
    }
    let mut text = String::new();
    let bytes = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if bytes as u64 > FILE_BYTES_MAX {
        bail!("it has more than {FILE_BYTES_MAX} bytes");
    }
    Ok(text)
}
