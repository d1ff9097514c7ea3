//! The one error of the facade.

use blaze_codec::NameError;
use blaze_codec::typed::TypedError;
use blaze_db_adapter::DatabaseError;
use blaze_topology::TopologyError;
use blaze_transport::{EndpointError, TransportError};

/// What went wrong, from whichever layer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A transport.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// An endpoint that is not one.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The topology.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// A name that a collection or field can't have.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A type that doesn't fit a record.
    #[error(transparent)]
    Typed(#[from] TypedError),
    /// No transport was added for an endpoint's scheme.
    #[error(
        "no transport for {scheme:?} endpoints; there are: {known}; hand one to `with_transports`"
    )]
    NoTransport {
        /// The endpoint's scheme.
        scheme: String,
        /// The schemes that there are.
        known: String,
    },
    /// A node that this topology doesn't have.
    #[error("this topology has no such node; register its database first")]
    UnknownNode,
}
