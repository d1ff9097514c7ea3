//! What the two sides say to each other, within TLS.
//!
//! | from | bytes | meaning |
//! |---|---|---|
//! | joiner | 4, 32 | which ticket, and the proof that the joiner knows it |
//! | issuer | 1, 32 | yes, and the proof that the issuer knows it, too; or no, and nothing more |
//! | joiner | 1 | yes: it has seen that |
//! | issuer | 1 | yes: it trusts the joiner |
//!
//! The issuer trusts the joiner before it says the last of them, the joiner the issuer when it has
//! that.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    Paired, PairingError, Ticket, Tickets,
    proof::{self, Binding, PROOF_BYTES},
    ticket::{ID_BYTES, TicketId},
    tickets::Claim,
};
use crate::{HandshakeError, PublicKey, TrustError, TrustStore, TrustedPeer, handshake::Secured};

const YES: u8 = 1;
const NO: u8 = 0;

/// The side that issued the ticket. The client's key may be anybody's.
pub(crate) async fn serve(
    mut session: Secured,
    own: &PublicKey,
    tickets: &Tickets,
    trust: &TrustStore,
) -> io::Result<()> {
    let binding = Binding::of(&session, own).map_err(io::Error::other)?;
    let mut id = TicketId::default();
    // Whoever leaves without a word only asked who listens here.
    if session.stream.read(&mut id[..1]).await? == 0 {
        return Ok(());
    }
    session.stream.read_exact(&mut id[1..]).await?;
    let mut proof = [0; PROOF_BYTES];
    session.stream.read_exact(&mut proof).await?;
    let claim = match tickets.take(id, &proof, &binding) {
        Ok(claim) => claim,
        Err(error) => {
            // The same for whatever reason, so that a stranger learns nothing by it.
            session.stream.write_u8(NO).await?;
            session.stream.shutdown().await?;
            return Err(io::Error::other(error));
        }
    };
    if let Err(error) = confirm(&mut session, &claim, &binding).await {
        claim.fail(&PairingError::Unconfirmed(error));
        return Err(io::Error::other(HandshakeError::PairingBroke));
    }
    let mut peer = claim.peer.clone();
    if peer.is_unnamed() {
        peer.name = session.key.fingerprint().short();
    }
    let paired = Paired { key: session.key, peer, words: binding.words() };
    claim.redeem(paired, trust).map_err(io::Error::other)?;
    // Whether the joiner hears of it or not, it's trusted, and people are shown its words. Who
    // doesn't hear of it doesn't trust this node, and can pair again.
    let told = async {
        session.stream.write_u8(YES).await?;
        session.stream.shutdown().await
    };
    let _ = told.await;
    Ok(())
}

/// Proves the issuer's side, and waits until the joiner has seen that.
async fn confirm(session: &mut Secured, claim: &Claim, binding: &Binding) -> io::Result<()> {
    let proof = claim.verifier.prove(binding);
    session.stream.write_all(&[&[YES], &proof[..]].concat()).await?;
    session.stream.flush().await?;
    expect_yes(session).await
}

/// The side that redeems the ticket. The server's key is the ticket's.
pub(crate) async fn redeem(
    mut session: Secured,
    own: &PublicKey,
    ticket: &Ticket,
    trust: &TrustStore,
    peer: TrustedPeer,
) -> Result<Paired, PairingError> {
    let binding = Binding::of(&session, own);
    let binding = binding.map_err(|error| PairingError::Unconfirmed(io::Error::other(error)))?;
    let proof = proof::prove(&ticket.secret, &binding);
    let answered = async {
        let mut message = Vec::with_capacity(ID_BYTES + PROOF_BYTES);
        message.extend_from_slice(&ticket.id);
        message.extend_from_slice(&proof);
        session.stream.write_all(&message).await?;
        session.stream.flush().await?;
        if session.stream.read_u8().await? != YES {
            return Ok(None);
        }
        let mut proof = [0; PROOF_BYTES];
        session.stream.read_exact(&mut proof).await.map(|_| Some(proof))
    };
    let Some(proof) = answered.await.map_err(PairingError::Unconfirmed)? else {
        return Err(PairingError::Refused);
    };
    if !proof::is_issuers(&ticket.secret, &proof, &binding) {
        return Err(PairingError::IssuerUnproved);
    }
    let confirmed = async {
        session.stream.write_u8(YES).await?;
        session.stream.flush().await?;
        expect_yes(&mut session).await
    };
    confirmed.await.map_err(PairingError::Unconfirmed)?;
    trust_at_once(trust, ticket.issuer, &peer)?;
    Ok(Paired { key: ticket.issuer, peer, words: binding.words() })
}

/// Trusts a peer. One that a power cut may undo is trusted, too, and people have to see whom.
pub(super) fn trust_at_once(
    trust: &TrustStore,
    key: PublicKey,
    peer: &TrustedPeer,
) -> Result<(), TrustError> {
    match trust.trust(key, peer.clone()) {
        Err(TrustError::Unsynced { .. }) => Ok(()),
        trusted => trusted,
    }
}

async fn expect_yes(session: &mut Secured) -> io::Result<()> {
    match session.stream.read_u8().await? {
        YES => Ok(()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
