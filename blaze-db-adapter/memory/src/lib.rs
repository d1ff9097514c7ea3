//! In-memory database for Blaze: the reference model.
