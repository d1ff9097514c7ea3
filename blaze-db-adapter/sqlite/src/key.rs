//! From a password to the key of the file.

use std::fmt;
use std::fmt::Write;

use argon2::{Algorithm, Argon2, Params, Version};
use blaze_db_adapter::DatabaseError;
use zeroize::Zeroizing;

/// SQLCipher's salt: the first bytes of an encrypted file.
pub(crate) type Salt = [u8; 16];

/// Memory, passes and lanes of Argon2id: the second choice of the OWASP Password
/// Storage Cheat Sheet (equal in strength to its first, 46 MiB and one pass).
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const KEY_BYTES: usize = 32;

/// The statement that unlocks a connection. Wiped when dropped, and no `Debug`
/// shows it.
pub(crate) struct Key {
    pragma: Zeroizing<String>,
}

impl Key {
    /// Derives the key of the file with this salt.
    ///
    /// Takes some 20 ms and 19 MiB, on purpose.
    pub(crate) fn derive(password: &str, salt: &Salt) -> Result<Self, DatabaseError> {
        let failed = |error: argon2::Error| DatabaseError::Failed {
            action: "derive the key",
            source: error.to_string().into(),
        };
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(KEY_BYTES)).map_err(failed)?;
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(password.as_bytes(), salt, &mut *key)
            .map_err(failed)?;
        // Reserved ahead: a growing string would leave copies behind.
        let mut pragma = Zeroizing::new(String::with_capacity(128));
        pragma.push_str("PRAGMA key = \"x'");
        for byte in key.iter().chain(salt) {
            write!(pragma, "{byte:02x}").expect("strings don't fail");
        }
        pragma.push_str("'\"");
        Ok(Self { pragma })
    }

    pub(crate) fn pragma(&self) -> &str {
        &self.pragma
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}
