//! How Blaze moves frames between two peers.
//!
//! A [`Transport`] connects to an [`Endpoint`] or listens at one, and hands out
//! [`Connection`]s: a [`FrameSender`], a [`FrameReceiver`] and what is known of the peer.
//! Frames are opaque bytes here; what they mean is the protocol's business.
//!
//! A transport over a byte stream needs no framing of its own: [`framed`] turns the two halves
//! of any stream into a sender and a receiver. The crate `blaze-transport-conformance` checks
//! that an implementation keeps every rule written at the traits.

mod endpoint;
mod error;
mod framed;
mod peer;
mod policy;
mod transport;

pub use blaze_codec::message::Compression;
pub use endpoint::{Endpoint, EndpointError};
pub use error::TransportError;
pub use framed::{
    FRAME_BYTES_MAX, FRAME_BYTES_MIN, FrameLimits, FramedReceiver, FramedSender, framed,
};
pub use peer::{PeerInfo, Principal};
pub use policy::{POLICY_NAME_BYTES_MAX, PolicyNameError, check_policy_name};
pub use transport::{Connection, FrameReceiver, FrameSender, Listener, Transport};
