//! TCP transport for Blaze.
