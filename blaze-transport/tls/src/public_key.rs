//! The public keys by which peers know each other, and what people compare of them.

use std::{fmt, str::FromStr};

use crate::{hex, sha256::sha256, words};

/// What stands before an Ed25519 key in a `SubjectPublicKeyInfo` (RFC 8410, section 4).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0];
const KEY_BYTES: usize = 32;
const SPKI_BYTES: usize = SPKI_PREFIX.len() + KEY_BYTES;

/// A node's public key: Ed25519, 32 bytes. As text, 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; KEY_BYTES]);

/// The text is no public key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no public key: it must be 64 hexadecimal digits")]
pub struct PublicKeyError {
    /// The text that was given.
    pub text: String,
}

impl PublicKey {
    /// The key of these bytes.
    pub const fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// What people compare to know that they mean the same key.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(sha256(&[&self.to_spki()]))
    }

    /// The key as TLS carries it (RFC 7250).
    pub(crate) fn to_spki(self) -> [u8; SPKI_BYTES] {
        let mut spki = [0; SPKI_BYTES];
        spki[..SPKI_PREFIX.len()].copy_from_slice(&SPKI_PREFIX);
        spki[SPKI_PREFIX.len()..].copy_from_slice(&self.0);
        spki
    }

    /// Takes the key out of what TLS carries; `None` if it's of another kind.
    pub(crate) fn from_spki(spki: &[u8]) -> Option<Self> {
        spki.strip_prefix(&SPKI_PREFIX)?.try_into().ok().map(Self)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        let error = || PublicKeyError { text: text.to_owned() };
        hex::decode(text).map(Self).ok_or_else(error)
    }
}

/// What people compare of a key: the SHA-256 of its `SubjectPublicKeyInfo`, as words or in
/// hexadecimal.
///
/// The eight words stand for the first 128 bits: nobody can make another key that has them, too.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Eight words that can be read aloud.
    pub fn words(&self) -> String {
        words::words(&self.0)
    }

    /// The first two of its words, joined by a hyphen: a name for a key that has no other. It's
    /// for telling peers apart, and too short to compare keys by.
    pub fn short(&self) -> String {
        self.words().splitn(3, ' ').take(2).collect::<Vec<_>>().join("-")
    }

    /// All of it, as 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        hex::encode(&self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written() {
        let mut byte = 0;
        let bytes = std::array::from_fn(|_| {
            byte += 7;
            byte
        });
        let key = PublicKey::from_bytes(bytes);
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(key.to_string().to_uppercase().parse(), Ok(key));
        assert_eq!(PublicKey::from_spki(&key.to_spki()), Some(key));
        for wrong in ["", "00", "zz", &key.to_string()[2..], "+1"] {
            assert!(wrong.parse::<PublicKey>().is_err(), "{wrong}");
        }
        assert_eq!(PublicKey::from_spki(&key.to_spki()[1..]), None);
        assert_eq!(PublicKey::from_spki(&[&key.to_spki()[..], &[0]].concat()), None);
    }

    #[test]
    fn a_fingerprint_is_that_of_other_programs() {
        // `openssl pkey -pubin -outform DER | sha256sum`, of the key of RFC 8032, test 1.
        let key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        let fingerprint = key.parse::<PublicKey>().unwrap().fingerprint();
        assert_eq!(
            fingerprint.hex(),
            "06e3fd8fda29bb60ab59557de61edb0aecdb231134be30e75b455f8e1b792fa9"
        );
        assert_eq!(fingerprint.words().split(' ').count(), 8);
        assert_eq!(fingerprint.to_string(), fingerprint.words());
        assert_eq!(fingerprint.short().replace('-', " "), fingerprint.words()[..11]);
    }
}
