//! In-process transport for Blaze.
