//! TLS transport for Blaze: between devices, encrypted, and only with peers that were paired.
//!
//! Each side has a [`KeyPair`] and shows its raw public key (TLS 1.3, RFC 7250); there are no
//! certificates, no authorities and no expiry dates. Each accepts exactly the keys in its
//! [`TrustStore`]. A session ends as soon as its peer is revoked there.
//!
//! ```
//! use blaze_transport::Transport;
//! use blaze_transport_tls::{KeyPair, TlsTransport, TrustStore, TrustedPeer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (laptop, phone) = (KeyPair::generate()?, KeyPair::generate()?);
//! let trusted_by_laptop = TrustStore::in_memory();
//! trusted_by_laptop.trust(phone.public(), TrustedPeer::new("phone"))?;
//! let trusted_by_phone = TrustStore::in_memory();
//! trusted_by_phone.trust(laptop.public(), TrustedPeer::new("laptop"))?;
//!
//! let laptop = TlsTransport::new(&laptop, trusted_by_laptop);
//! let phone = TlsTransport::new(&phone, trusted_by_phone);
//! let mut listener = laptop.listen(&"tls://127.0.0.1:0".parse()?).await?;
//! let endpoint = listener.endpoint().clone();
//! let (client, server) = tokio::join!(phone.connect(&endpoint), listener.accept());
//! let (mut client, mut server) = (client?, server?);
//! client.sender.feed("hello".into())?;
//! client.sender.flush().await?;
//! assert_eq!(server.receiver.recv().await?.unwrap(), "hello");
//! # Ok(())
//! # }
//! ```

mod base32;
mod config;
mod error;
mod guarded;
mod handshake;
mod hex;
mod key_pair;
mod listener;
mod metered;
mod own_file;
mod pairing;
mod public_key;
mod sha256;
mod transport;
mod trust;
mod words;

pub use error::HandshakeError;
pub use key_pair::{KeyFileError, KeyPair};
pub use pairing::{IssuedTicket, Paired, PairingError, Ticket, TicketError};
pub use public_key::{Fingerprint, PublicKey, PublicKeyError};
pub use transport::TlsTransport;
pub use trust::{TrustError, TrustStore, TrustedPeer};
