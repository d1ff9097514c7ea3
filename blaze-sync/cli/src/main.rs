//! The `blaze` program.
fn main() {}
