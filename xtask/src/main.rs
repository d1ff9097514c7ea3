//! Development tasks of the Blaze workspace.
fn main() {}
