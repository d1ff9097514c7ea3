//! Unix domain socket transport for Blaze.
