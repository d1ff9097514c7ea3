//! Where an app of the demo keeps its database, and what is in there once it is gone.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use blaze_sync::{CollectionInfo, Database};
use serde::Serialize;

/// Where an app's database is, and its password.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) password: String,
}

impl Place {
    /// A file of this directory, and a password that nobody knows yet.
    pub(super) fn new(directory: &Path, file: &str) -> Result<Self> {
        Ok(Self { path: directory.join(file), password: random_password()? })
    }

    /// The file's name.
    pub(super) fn file(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Opens the database to be read; no app may have it open.
    pub(super) async fn read(&self) -> Result<Database> {
        Ok(Database::open(&self.path).password(&self.password).read_only(true).await?)
    }

    /// How many records of a collection the database has; no app may have it open.
    pub(super) async fn count(&self, collection: &str) -> Result<u64> {
        let db = self.read().await?;
        let collections = db.collections().await?;
        db.close().await?;
        Ok(records(&collections, collection))
    }
}

/// How many records one of the collections has: none if it isn't there.
pub(super) fn records(collections: &[CollectionInfo], name: &str) -> u64 {
    let found = collections.iter().find(|info| info.name == name);
    found.map_or(0, |info| info.records)
}

fn random_password() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no randomness: {error}"))?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}
