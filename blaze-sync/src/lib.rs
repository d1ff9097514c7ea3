//! Keeps embedded databases in sync: one import for users.
