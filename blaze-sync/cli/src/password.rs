//! Where a password comes from: a file, the environment or the terminal, never an
//! argument, which every process on the device could see.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use zeroize::Zeroizing;

use crate::args::AccessArgs;
use crate::output;

const VARIABLE: &str = "BLAZE_PASSWORD";
const READABLE_BY_OTHERS: u32 = 0o077;

/// A password, and where it comes from. Wiped when dropped.
pub(crate) struct Password {
    text: Zeroizing<String>,
    source: String,
}

impl Password {
    fn new(text: Zeroizing<String>, source: String) -> Result<Self> {
        if text.is_empty() {
            bail!("the password from {source} is empty; leave it out for a plain file");
        }
        Ok(Self { text, source })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Where it comes from, for messages.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }
}

/// The password that the file or the environment gives, if any does.
pub(crate) fn given(access: &AccessArgs) -> Result<Option<Password>> {
    if let Some(path) = &access.password_file {
        return from_file(path).map(Some);
    }
    match std::env::var(VARIABLE) {
        Ok(text) => Password::new(text.into(), VARIABLE.to_owned()).map(Some),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(error).context(VARIABLE),
    }
}

/// Asks for the password of a database that is there.
pub(crate) fn ask(path: &Path) -> Result<Password> {
    prompt(path, &format!("{} is encrypted", path.display()), "Password for")
}

/// Asks for the password of a new database, twice.
pub(crate) fn choose(path: &Path) -> Result<Password> {
    let password = prompt(path, "a new password is needed", "New password for")?;
    let again = prompt(path, "a new password is needed", "The same again for")?;
    if *password.text != *again.text {
        bail!("the two passwords differ; nothing was made");
    }
    Ok(password)
}

fn prompt(path: &Path, why: &str, what: &str) -> Result<Password> {
    // Standard input may be a pipe with data, and the terminal is there all the same.
    if File::options().read(true).write(true).open("/dev/tty").is_err() {
        return Err(anyhow!(
            "{why}, and there is no terminal to ask for the password at; give --password-file \
             FILE, set {VARIABLE}, or run this in a terminal"
        ));
    }
    let question = format!("{what} {}: ", path.display());
    let text = rpassword::prompt_password(question).context("can't ask for the password")?;
    Password::new(text.into(), "the terminal".to_owned())
}

fn from_file(path: &Path) -> Result<Password> {
    let place = path.display();
    let bytes = fs::read(path).with_context(|| format!("can't read the password file {place}"))?;
    let bytes = Zeroizing::new(bytes);
    let text = str::from_utf8(&bytes)
        .with_context(|| format!("the password file {place} is not UTF-8 text"))?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.contains('\n') {
        bail!("the password file {place} has several lines; leave the password alone in it");
    }
    warn_if_readable(path)?;
    Password::new(line.to_owned().into(), place.to_string())
}

fn warn_if_readable(path: &Path) -> Result<()> {
    let metadata = fs::metadata(path).context("can't look at the password file")?;
    let mode = metadata.permissions().mode() & 0o7777;
    // A pipe, such as a shell's <(command), has nothing to be read twice.
    if metadata.is_file() && mode & READABLE_BY_OTHERS != 0 {
        let path = path.display();
        output::warning(format_args!(
            "other users may read the password file {path} (mode {mode:04o}); run `chmod 600 {path}`"
        ));
    }
    Ok(())
}
