//! Why a type and a record don't fit.

use std::fmt::{self, Display};

use crate::{DecodeError, NameError, ValueError};

/// Why a type can't be made a record or value, or one of these a type. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct TypedError(Box<Located>);

/// Boxed, for each step of reading and writing returns one, or rather none.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Located {
    path: String,
    kind: TypedErrorKind,
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TypedErrorKind {
    /// An integer beyond 64 signed bits.
    #[error("integer {number} doesn't fit into 64 signed bits; keep it as text or bytes")]
    Integer {
        /// The integer in decimal.
        number: String,
    },
    /// A map's key that has no text.
    #[error("a map's key can be a text, an integer, a boolean or a uuid, not {found}")]
    Key {
        /// What kind of value it is.
        found: &'static str,
    },
    /// A field's or key's name that is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// `Some` of what is null, which would come back as `None`.
    #[error("`Some` of nothing can't be told from `None`; use an enum instead")]
    NestedNone,
    /// Two fields of one name, such as of a flattened struct.
    #[error("the field is given twice; rename one of the two")]
    Twice,
    /// Something that isn't a struct or map.
    #[error("a record is made of a struct or map, not of {found}")]
    NotRecord {
        /// What kind of value it is.
        found: &'static str,
    },
    /// What was written breaks a limit.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// Bytes that aren't a value.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// What a type's own implementation says.
    #[error("{0}")]
    Message(String),
}

impl TypedError {
    /// The path of the field, such as `authors[2].name`; empty for the whole.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// What is wrong.
    pub const fn kind(&self) -> &TypedErrorKind {
        &self.0.kind
    }

    /// The error, one field further out.
    pub(super) fn in_field(mut self, name: &str) -> Self {
        let separator =
            if self.0.path.is_empty() || self.0.path.starts_with('[') { "" } else { "." };
        self.0.path.insert_str(0, separator);
        self.0.path.insert_str(0, name);
        self
    }

    /// The error, one array further out.
    pub(super) fn in_element(self, index: usize) -> Self {
        self.in_field(&format!("[{index}]"))
    }
}

impl Display for TypedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.path.is_empty() {
            write!(f, "field `{}`: ", self.0.path)?;
        }
        self.0.kind.fmt(f)
    }
}

impl<K: Into<TypedErrorKind>> From<K> for TypedError {
    fn from(kind: K) -> Self {
        Self(Box::new(Located { path: String::new(), kind: kind.into() }))
    }
}

impl serde::ser::Error for TypedError {
    fn custom<T: Display>(message: T) -> Self {
        TypedErrorKind::Message(message.to_string()).into()
    }
}

impl serde::de::Error for TypedError {
    fn custom<T: Display>(message: T) -> Self {
        TypedErrorKind::Message(message.to_string()).into()
    }
}
