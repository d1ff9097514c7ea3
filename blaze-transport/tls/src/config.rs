//! TLS as Blaze speaks it: version 1.3, raw Ed25519 keys on both sides, and nothing besides.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, OtherError,
    PeerIncompatible, ServerConfig, SignatureScheme,
    client::{
        AlwaysResolvesClientRawPublicKeys, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key},
    pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
    server::{
        AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
    version::TLS13,
};

use crate::{KeyPair, PublicKey, TrustStore, error::Untrusted};

/// The protocol within TLS, for sessions.
pub(crate) const SESSION_PROTOCOL: &[u8] = b"blaze/1";

const HAS_TLS13: &str = "the provider has what TLS 1.3 takes";

/// Whose keys a side accepts.
#[derive(Clone, Debug)]
pub(crate) enum Accepts {
    /// Those in the store, asked anew at each handshake.
    Trusted(TrustStore),
    /// This one.
    Only(PublicKey),
    /// Anybody's, as a proof follows.
    Anybodys,
}

impl Accepts {
    fn accepts(&self, key: &PublicKey) -> bool {
        match self {
            Self::Trusted(store) => store.peer(key).is_some(),
            Self::Only(expected) => key == expected,
            Self::Anybodys => true,
        }
    }
}

/// How the side that connects speaks TLS.
pub(crate) fn client(key_pair: &KeyPair, accepts: Accepts, protocol: &[u8]) -> Arc<ClientConfig> {
    let provider = provider();
    let verifier = Verifier::new(accepts);
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .expect(HAS_TLS13)
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified(
            key_pair,
        ))));
    config.alpn_protocols = vec![protocol.to_vec()];
    // Whoever is on the way needn't know whom this node looks for.
    config.enable_sni = false;
    // A session that is resumed would skip the question whether the key is still trusted.
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// How the side that listens speaks TLS.
pub(crate) fn server(key_pair: &KeyPair, accepts: Accepts, protocol: &[u8]) -> Arc<ServerConfig> {
    let verifier = Verifier::new(accepts);
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect(HAS_TLS13)
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified(key_pair))));
    config.alpn_protocols = vec![protocol.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Arc::new(config)
}

fn provider() -> Arc<CryptoProvider> {
    let kx_groups = vec![ring::kx_group::X25519];
    Arc::new(CryptoProvider { kx_groups, ..ring::default_provider() })
}

fn certified(key_pair: &KeyPair) -> Arc<CertifiedKey> {
    let raw = CertificateDer::from(key_pair.public().to_spki().to_vec());
    Arc::new(CertifiedKey::new(vec![raw], key_pair.signer()))
}

/// Asks of a peer's key only whether it's accepted, and that the peer has its private half.
#[derive(Debug)]
struct Verifier {
    accepts: Accepts,
    provider: CryptoProvider,
}

impl Verifier {
    fn new(accepts: Accepts) -> Self {
        Self { accepts, provider: ring::default_provider() }
    }

    fn verify_key(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<(), rustls::Error> {
        let key = PublicKey::from_spki(end_entity).filter(|_| intermediates.is_empty());
        let key = key.ok_or(CertificateError::BadEncoding)?;
        if self.accepts.accepts(&key) {
            return Ok(());
        }
        let untrusted = Untrusted(key.fingerprint());
        Err(CertificateError::Other(OtherError(Arc::new(untrusted))).into())
    }

    fn verify_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let spki = SubjectPublicKeyInfoDer::from(key.as_ref());
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &spki, signature, algorithms)
    }
}

/// Never asked for, as neither side offers TLS 1.2.
fn tls12() -> rustls::Error {
    PeerIncompatible::Tls12NotOffered.into()
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verify_key(end_entity, intermediates).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify_signature(message, key, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.verify_key(end_entity, intermediates).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify_signature(message, key, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
