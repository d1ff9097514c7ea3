//! Opening a database as the options say.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
#[cfg(feature = "tls")]
use blaze_sync::Identity;
use blaze_sync::{Database, DatabaseError, Durability, Error};

use crate::args::{AccessArgs, CreateArgs, ReadArgs, WriteArgs};
use crate::output;
use crate::password::{self, Password};

impl ReadArgs {
    /// Opens the database for reading, beside a process that may be writing.
    pub(crate) async fn open(&self) -> Result<Database> {
        let Self { path, access } = self;
        Opening { path, access, durability: None, size_max: None }.open(None).await
    }
}

impl WriteArgs {
    /// Opens a database that is there.
    pub(crate) async fn open(&self) -> Result<Database> {
        if is_new(&self.path) {
            bail!("there is no database at {}", self.path.display());
        }
        self.opening().open(None).await
    }

    /// Adds to an error for lack of room that there is a limit besides the disk's.
    pub(crate) fn explain(&self, error: Error) -> anyhow::Error {
        match (error, self.size_max) {
            (error @ Error::Database(DatabaseError::Full), Some(bytes)) => {
                let limit = format!("--size-max lets the file grow to {bytes} bytes; raise it");
                anyhow!(error).context(limit)
            }
            (error, _) => error.into(),
        }
    }

    fn opening(&self) -> Opening<'_> {
        let Self { path, access, durability, size_max } = self;
        Opening { path, access, durability: Some(*durability), size_max: *size_max }
    }
}

impl CreateArgs {
    /// Opens a database, and makes it if there is none.
    pub(crate) async fn open(&self) -> Result<Database> {
        let Self { write, encrypt } = self;
        let path = &write.path;
        if !is_new(path) {
            let asked = if *encrypt && password::given(&write.access)?.is_none() {
                Some(password::ask(path)?)
            } else {
                None
            };
            return write.opening().open(asked).await;
        }
        let password = match password::given(&write.access)? {
            None if *encrypt => Some(password::choose(path)?),
            given => given,
        };
        let encrypted = if password.is_some() { "encrypted" } else { "not encrypted" };
        let db = write.opening().open(password).await?;
        output::note(format_args!("made {}, {encrypted}", path.display()));
        Ok(db)
    }
}

#[cfg(feature = "tls")]
impl CreateArgs {
    /// Who a database is, beside a process that may be writing it. It's made if there is none.
    pub(crate) async fn identity(&self) -> Result<Identity> {
        let WriteArgs { path, access, .. } = &self.write;
        let db = if is_new(path) {
            self.open().await?
        } else {
            Opening { path, access, durability: None, size_max: None }.open(None).await?
        };
        let identity = db.identity();
        db.close().await?;
        Ok(identity)
    }
}

/// A database about to be opened.
struct Opening<'a> {
    path: &'a Path,
    access: &'a AccessArgs,
    /// `None` to only read.
    durability: Option<Durability>,
    size_max: Option<u64>,
}

impl Opening<'_> {
    /// Opens it with this password, else with one that is given by other means, else
    /// with none, and asks for one if it turns out that one is needed.
    async fn open(&self, password: Option<Password>) -> Result<Database> {
        let mut password = match password {
            None => password::given(self.access)?,
            some => some,
        };
        let mut database = self.access.database.clone();
        loop {
            let error = match self.attempt(password.as_ref(), database.as_deref()).await {
                Ok(db) => {
                    if db.identity().copied {
                        let path = self.path.display();
                        output::note(format_args!(
                            "{path} is a copy of another file, or of a backup: it is a replica of its own from now on"
                        ));
                    }
                    return Ok(db);
                }
                Err(Error::Database(error)) => error,
                Err(error) => return Err(error.into()),
            };
            match (error, &password) {
                (DatabaseError::PasswordRequired { .. }, None) => {
                    password = Some(password::ask(self.path)?);
                }
                // Nobody asked for another name: it is what the file says.
                (DatabaseError::OtherDatabase { found, .. }, _) if database.is_none() => {
                    database = Some(found);
                }
                (error @ DatabaseError::OtherDatabase { .. }, _) => {
                    return Err(anyhow!("{error}; leave --database out"));
                }
                (
                    error @ (DatabaseError::WrongPassword { .. }
                    | DatabaseError::NotEncrypted { .. }),
                    Some(password),
                ) => return Err(anyhow!("{error} (it was taken from {})", password.source())),
                (error, _) => return Err(error.into()),
            }
        }
    }

    async fn attempt(
        &self,
        password: Option<&Password>,
        database: Option<&str>,
    ) -> Result<Database, Error> {
        let mut options = Database::open(self.path);
        if let Some(password) = password {
            options = options.password(password.text());
        }
        if let Some(database) = database {
            options = options.name(database);
        }
        if let Some(bytes) = self.size_max {
            options = options.size_bytes_max(bytes);
        }
        match self.durability {
            Some(durability) => options.durability(durability).await,
            None => options.read_only(true).await,
        }
    }
}

/// Whether opening this path for writing would make a database.
fn is_new(path: &Path) -> bool {
    std::fs::metadata(path).map_or_else(
        |error| error.kind() == std::io::ErrorKind::NotFound,
        |metadata| metadata.is_file() && metadata.len() == 0,
    )
}

/// The path with something behind its name: what lies beside a database.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
