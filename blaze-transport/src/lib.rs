//! How Blaze moves frames between two peers.
