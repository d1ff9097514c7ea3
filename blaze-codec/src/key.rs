//! The key of a record within its collection.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::limits::KEY_BYTES_MAX;

/// Identifies a record within its collection: a UUID, or any key of at most 1 KiB.
///
/// Keys of different kinds are different keys. Keys of one kind are ordered as
/// their contents are; [`Self::to_bytes`] keeps that order.
///
/// ```
/// use blaze_codec::RecordKey;
///
/// assert_eq!("42".parse(), Ok(RecordKey::Int(42)));
/// assert_eq!(RecordKey::from("a text").to_bytes(), b"\x03a text");
/// assert!(RecordKey::unique() < RecordKey::Int(i64::MIN));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKey {
    /// A UUID; version 7, ordered by time, is the default for new records.
    Uuid(Uuid),
    /// A number, such as a table's integer primary key.
    Int(i64),
    /// A text of at most [`Self::BYTES_MAX`] bytes.
    Text(String),
    /// At most [`Self::BYTES_MAX`] bytes, such as a composite primary key.
    Bytes(Vec<u8>),
}

/// Why something can't be a [`RecordKey`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key is longer than [`RecordKey::BYTES_MAX`].
    #[error("a key of {found} bytes is too long, at most {max} are allowed")]
    TooLong {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The bytes are not what [`RecordKey::to_bytes`] makes.
    #[error("these bytes are not a record key")]
    Malformed,
}

const TAG_UUID: u8 = 1;
const TAG_INT: u8 = 2;
const TAG_TEXT: u8 = 3;
const TAG_BYTES: u8 = 4;

impl RecordKey {
    /// The longest text or byte key.
    pub const BYTES_MAX: usize = KEY_BYTES_MAX;

    /// A new UUID of version 7: ordered by the time of its making.
    pub fn unique() -> Self {
        Self::Uuid(Uuid::now_v7())
    }

    /// Checks the key's length.
    ///
    /// # Errors
    ///
    /// [`KeyError::TooLong`] if a text or byte key exceeds [`Self::BYTES_MAX`].
    pub fn check(&self) -> Result<(), KeyError> {
        let found = match self {
            Self::Uuid(_) | Self::Int(_) => return Ok(()),
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        };
        if found > Self::BYTES_MAX {
            return Err(KeyError::TooLong { found, max: Self::BYTES_MAX });
        }
        Ok(())
    }

    /// One kind byte and the content, so that bytes compare as keys do:
    /// 1 + 16 bytes of UUID, 2 + big-endian integer with its sign bit flipped,
    /// 3 + UTF-8, or 4 + bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (tag, content): (u8, &[u8]) = match self {
            Self::Uuid(uuid) => (TAG_UUID, uuid.as_bytes()),
            Self::Int(int) => (TAG_INT, &(*int ^ i64::MIN).to_be_bytes()),
            Self::Text(text) => (TAG_TEXT, text.as_bytes()),
            Self::Bytes(bytes) => (TAG_BYTES, bytes),
        };
        let mut bytes = Vec::with_capacity(1 + content.len());
        bytes.push(tag);
        bytes.extend_from_slice(content);
        bytes
    }

    /// The key that [`Self::to_bytes`] made these bytes of.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if `bytes` are not such a key, or one too long.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let (&tag, content) = bytes.split_first().ok_or(KeyError::Malformed)?;
        let key = match tag {
            TAG_UUID => Self::Uuid(Uuid::from_slice(content).map_err(|_| KeyError::Malformed)?),
            TAG_INT => {
                let flipped = content.try_into().map_err(|_| KeyError::Malformed)?;
                Self::Int(i64::from_be_bytes(flipped) ^ i64::MIN)
            }
            TAG_TEXT => {
                let text = std::str::from_utf8(content).map_err(|_| KeyError::Malformed)?;
                Self::Text(text.to_owned())
            }
            TAG_BYTES => Self::Bytes(content.to_vec()),
            _ => return Err(KeyError::Malformed),
        };
        key.check()?;
        Ok(key)
    }
}

impl From<Uuid> for RecordKey {
    fn from(uuid: Uuid) -> Self {
        Self::Uuid(uuid)
    }
}

impl From<i64> for RecordKey {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl From<&str> for RecordKey {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for RecordKey {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&RecordKey> for RecordKey {
    fn from(key: &RecordKey) -> Self {
        key.clone()
    }
}

/// A UUID, a number, a text as it is, or `0x` and hexadecimal digits.
impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid(uuid) => uuid.fmt(f),
            Self::Int(int) => int.fmt(f),
            Self::Text(text) => text.fmt(f),
            Self::Bytes(bytes) => {
                f.write_str("0x")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

/// A hyphenated UUID, a decimal integer, or else a text: what a person types.
impl FromStr for RecordKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let canonical_int = || text.parse::<i64>().ok().filter(|int| int.to_string() == text);
        let key = match (text.len() == 36).then(|| Uuid::try_parse(text)) {
            Some(Ok(uuid)) => Self::Uuid(uuid),
            _ => canonical_int().map_or_else(|| Self::Text(text.to_owned()), Self::Int),
        };
        key.check()?;
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_round_trip_and_keep_the_order_of_ints() {
        let ints = [i64::MIN, -1, 0, 1, i64::MAX];
        let bytes: Vec<_> = ints.iter().map(|int| RecordKey::Int(*int).to_bytes()).collect();
        assert!(bytes.is_sorted());
        for key in [
            RecordKey::unique(),
            RecordKey::Int(-7),
            "a text".into(),
            RecordKey::Bytes(vec![0, 255]),
        ] {
            assert_eq!(RecordKey::from_bytes(&key.to_bytes()), Ok(key));
        }
    }

    #[test]
    fn what_a_person_types_finds_its_kind() {
        let uuid = Uuid::from_u128(7);
        assert_eq!(uuid.to_string().parse(), Ok(RecordKey::Uuid(uuid)));
        assert_eq!("42".parse(), Ok(RecordKey::Int(42)));
        assert_eq!("042".parse(), Ok(RecordKey::from("042")));
        assert!("x".repeat(1025).parse::<RecordKey>().is_err());
    }

    #[test]
    fn malformed_bytes_are_refused() {
        for bytes in [&[][..], &[9, 1], &[1, 2], &[2, 0], &[3, 0xff]] {
            assert_eq!(RecordKey::from_bytes(bytes), Err(KeyError::Malformed));
        }
    }
}
