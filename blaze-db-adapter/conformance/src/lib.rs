//! The rules that every Blaze database adapter must keep, as tests.
