//! The rules that every Blaze transport must keep, as tests.
