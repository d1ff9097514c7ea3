//! Names of collections and fields.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

use smol_str::SmolStr;

use crate::limits::NAME_BYTES_MAX;

/// The name of a collection or of a field: 1 to 255 bytes of UTF-8.
///
/// Cheap to clone: short names are stored inline, longer ones are shared.
///
/// ```
/// use blaze_codec::{Name, NameError};
///
/// assert_eq!(Name::new("notes")?, "notes");
/// assert_eq!(Name::new(""), Err(NameError::Empty));
/// # Ok::<(), NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(SmolStr);

/// Why a text can't be a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The text is empty.
    #[error("a name must have at least 1 byte")]
    Empty,
    /// The text is longer than [`Name::BYTES_MAX`].
    #[error("a name of {found} bytes is too long, at most {max} are allowed")]
    TooLong {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        max: usize,
    },
}

impl Name {
    /// The longest name, in bytes of UTF-8.
    pub const BYTES_MAX: usize = NAME_BYTES_MAX;

    /// Makes a name of a text.
    ///
    /// # Errors
    ///
    /// [`NameError`] if `text` is empty or longer than [`Self::BYTES_MAX`].
    pub fn new(text: &str) -> Result<Self, NameError> {
        Self::check(text)?;
        Ok(Self(SmolStr::new(text)))
    }

    /// Whether a text can be a name.
    pub(crate) const fn check(text: &str) -> Result<(), NameError> {
        match text.len() {
            0 => Err(NameError::Empty),
            1..=Self::BYTES_MAX => Ok(()),
            found => Err(NameError::TooLong { found, max: Self::BYTES_MAX }),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for Name {
    type Error = NameError;

    fn try_from(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}
