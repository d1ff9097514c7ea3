//! Proofs that both sides know a ticket's secret, each good for one TLS session only.
//!
//! As in SCRAM (RFC 5802), the side that issued the ticket keeps only what a proof can be checked
//! by: who reads that can't make one. The secret is random, so that it needs no salt.

use ring::hmac;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{handshake::Secured, public_key::PublicKey, sha256::sha256, words::words};

pub(crate) const SECRET_BYTES: usize = 16;
pub(crate) const PROOF_BYTES: usize = 32;
const VERIFIER_BYTES: usize = 64;

/// A ticket's secret: 128 random bits.
pub(crate) type Secret = Zeroizing<[u8; SECRET_BYTES]>;
pub(crate) type Proof = [u8; PROOF_BYTES];

const JOINER: &[u8] = b"blaze pairing 1, joiner";
const ISSUER: &[u8] = b"blaze pairing 1, issuer";
const WORDS: &[u8] = b"blaze pairing 1, words";
const EXPORTER: &[u8] = b"EXPORTER-blaze-pairing-1";

/// What both ends of one TLS session know, and nobody else: its exporter (RFC 8446, section 7.5)
/// over both keys.
pub(crate) struct Binding([u8; 32]);

impl Binding {
    /// The binding of a session, where `own` is the key of this side.
    pub(crate) fn of(session: &Secured, own: &PublicKey) -> Result<Self, rustls::Error> {
        // The exporter by itself covers the issuer's key, but not the joiner's.
        let (joiner, issuer) =
            if session.is_client() { (own, &session.key) } else { (&session.key, own) };
        let keys = [&joiner.as_bytes()[..], issuer.as_bytes()].concat();
        session.export([0; 32], EXPORTER, &keys).map(Self)
    }

    /// Words that are the same on both sides if they have one session.
    pub(crate) fn words(&self) -> String {
        words(&sha256(&[WORDS, &self.0]))
    }
}

/// What the issuer keeps of a ticket's secret.
#[derive(Clone)]
pub(crate) struct Verifier {
    /// The hash of what the joiner proves with.
    joiner_hash: [u8; 32],
    /// What the issuer proves with.
    issuer_key: Zeroizing<[u8; 32]>,
}

impl Verifier {
    pub(crate) fn new(secret: &Secret) -> Self {
        let joiner_key = joiner_key(secret);
        Self { joiner_hash: sha256(&[&*joiner_key]), issuer_key: issuer_key(secret) }
    }

    /// Whether the proof is that of a joiner who knows the secret, made for this session.
    pub(crate) fn accepts(&self, proof: &Proof, binding: &Binding) -> bool {
        let mask = mask(&self.joiner_hash, binding);
        let joiner_key = Zeroizing::new(xor(proof, &mask));
        sha256(&[&*joiner_key]).ct_eq(&self.joiner_hash).into()
    }

    /// The issuer's own proof.
    pub(crate) fn prove(&self, binding: &Binding) -> Proof {
        mac(&*self.issuer_key, &binding.0)
    }

    /// Both, for where it's kept.
    pub(crate) fn to_bytes(&self) -> Zeroizing<[u8; VERIFIER_BYTES]> {
        let mut bytes = Zeroizing::new([0; VERIFIER_BYTES]);
        let (hash, key) = bytes.split_at_mut(self.joiner_hash.len());
        hash.copy_from_slice(&self.joiner_hash);
        key.copy_from_slice(&*self.issuer_key);
        bytes
    }

    /// Takes [`to_bytes`](Self::to_bytes) back.
    pub(crate) fn from_bytes(bytes: &[u8; VERIFIER_BYTES]) -> Self {
        let half = |begin| std::array::from_fn(|index| bytes[begin + index]);
        Self { joiner_hash: half(0), issuer_key: Zeroizing::new(half(VERIFIER_BYTES / 2)) }
    }
}

/// The joiner's proof.
pub(crate) fn prove(secret: &Secret, binding: &Binding) -> Proof {
    let joiner_key = joiner_key(secret);
    xor(&joiner_key, &mask(&sha256(&[&*joiner_key]), binding))
}

/// Whether the proof is the issuer's, made for this session.
pub(crate) fn is_issuers(secret: &Secret, proof: &Proof, binding: &Binding) -> bool {
    mac(&*issuer_key(secret), &binding.0).ct_eq(proof).into()
}

fn joiner_key(secret: &Secret) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(mac(&**secret, JOINER))
}

fn issuer_key(secret: &Secret) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(mac(&**secret, ISSUER))
}

/// What hides the joiner's key in its proof: another one for each session.
fn mask(joiner_hash: &[u8; 32], binding: &Binding) -> [u8; 32] {
    mac(joiner_hash, &binding.0)
}

fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    tag.as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes")
}

fn xor(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    std::array::from_fn(|index| left[index] ^ right[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_good_for_its_secret_its_session_and_its_side() {
        let (secret, other) = (Secret::new([1; 16]), Secret::new([2; 16]));
        let (here, there) = (Binding([3; 32]), Binding([4; 32]));
        let verifier = Verifier::new(&secret);
        let verifier = Verifier::from_bytes(&verifier.to_bytes());
        let proof = prove(&secret, &here);
        assert!(verifier.accepts(&proof, &here));
        assert!(!verifier.accepts(&proof, &there), "of another session");
        assert!(!verifier.accepts(&prove(&other, &here), &here), "of another secret");
        assert!(!verifier.accepts(&verifier.prove(&here), &here), "of the other side");
        for bit in 0..256 {
            let mut changed = proof;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!verifier.accepts(&changed, &here));
        }

        let proof = verifier.prove(&here);
        assert!(is_issuers(&secret, &proof, &here));
        assert!(!is_issuers(&secret, &proof, &there), "of another session");
        assert!(!is_issuers(&other, &proof, &here), "of another secret");
        assert!(!is_issuers(&secret, &prove(&secret, &here), &here), "of the other side");
    }

    #[test]
    fn what_is_kept_makes_no_proof() {
        let secret = Secret::new([1; 16]);
        let binding = Binding([3; 32]);
        let verifier = Verifier::new(&secret);
        let hash = verifier.joiner_hash;
        for guess in [hash, mask(&hash, &binding), xor(&hash, &mask(&hash, &binding)), [0; 32]] {
            assert!(!verifier.accepts(&guess, &binding));
        }
    }
}
