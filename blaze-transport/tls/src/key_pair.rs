//! A node's key pair: what proves to its peers that it is itself.

mod file;

use std::{fmt, path::Path, sync::Arc};

use ring::{
    rand::{SecureRandom, SystemRandom},
    signature::{Ed25519KeyPair, KeyPair as _},
};
use rustls::{crypto::ring::sign::any_eddsa_type, pki_types::PrivatePkcs8KeyDer, sign::SigningKey};
use zeroize::Zeroizing;

pub use file::KeyFileError;

use crate::{Fingerprint, PublicKey};

/// What stands before the seed of an Ed25519 key in PKCS #8 (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
const SEED_BYTES: usize = 32;

/// What a private key is made of; zeroed when it's dropped.
type Seed = Zeroizing<[u8; SEED_BYTES]>;

/// A node's private key and its public key, Ed25519.
///
/// It belongs into a file of its own, outside the database, so that a copied database isn't a
/// copied identity. What this crate holds of the private key is zeroed after use; the copy that
/// signs is the TLS library's and lives as long as the pair. Nothing prints it.
#[derive(Clone)]
pub struct KeyPair {
    public: PublicKey,
    signer: Arc<dyn SigningKey>,
}

impl KeyPair {
    /// A new pair that is kept nowhere.
    ///
    /// # Errors
    ///
    /// [`KeyFileError::NoRandomness`] if the system has none.
    pub fn generate() -> Result<Self, KeyFileError> {
        Ok(Self::from_seed(&random_seed()?))
    }

    /// Reads the pair from its file, or makes one if there's no file yet. Of several processes
    /// that do so at once, one makes the pair and all have it.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`] if others could read the file, it isn't one, or it can't be read or
    /// written. Nothing that is there is changed.
    pub fn open_or_create(path: impl AsRef<Path>) -> Result<Self, KeyFileError> {
        let path = path.as_ref();
        match Self::open(path) {
            Err(KeyFileError::Missing { .. }) => {}
            opened => return opened,
        }
        match Self::create(path) {
            Err(KeyFileError::Exists { .. }) => Self::open(path),
            created => created,
        }
    }

    /// Reads the pair from its file.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`] if others could read the file, it isn't one, or it can't be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, KeyFileError> {
        Ok(Self::from_seed(&file::read(path.as_ref())?))
    }

    /// Makes a pair and its file, which only this user can read from the moment it exists.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`] if there's a file already, or it can't be written. Nothing is left
    /// behind, but for a file that a power cut may undo.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, KeyFileError> {
        let seed = random_seed()?;
        file::create(path.as_ref(), &seed)?;
        Ok(Self::from_seed(&seed))
    }

    fn from_seed(seed: &Seed) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&**seed);
        let pair = pair.expect("any 32 bytes are a private key");
        let public = pair.public_key().as_ref().try_into();
        let public = PublicKey::from_bytes(public.expect("a public key has 32 bytes"));
        let mut pkcs8 = Zeroizing::new([0; PKCS8_PREFIX.len() + SEED_BYTES]);
        pkcs8[..PKCS8_PREFIX.len()].copy_from_slice(&PKCS8_PREFIX);
        pkcs8[PKCS8_PREFIX.len()..].copy_from_slice(&**seed);
        let signer = any_eddsa_type(&PrivatePkcs8KeyDer::from(&pkcs8[..]));
        Self { public, signer: signer.expect("the same key in another form") }
    }

    /// The public key, by which peers trust this node.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// What people compare of the public key.
    pub fn fingerprint(&self) -> Fingerprint {
        self.public.fingerprint()
    }

    pub(crate) fn signer(&self) -> Arc<dyn SigningKey> {
        Arc::clone(&self.signer)
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({})", self.fingerprint())
    }
}

fn random_seed() -> Result<Seed, KeyFileError> {
    let mut seed = Seed::default();
    SystemRandom::new().fill(&mut *seed).map_err(|_| KeyFileError::NoRandomness)?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_the_key_of_the_standard() {
        // RFC 8032, section 7.1, test 1.
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        let seed: PublicKey = seed.parse().unwrap();
        let pair = KeyPair::from_seed(&Zeroizing::new(*seed.as_bytes()));
        assert_eq!(pair.public().to_string(), public);
        let shown = format!("{pair:?}");
        assert_eq!(shown, format!("KeyPair({})", pair.fingerprint().words()));
    }
}
