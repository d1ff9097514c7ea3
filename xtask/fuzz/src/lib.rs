//! Hostile bytes for the codec and for sessions: what `cargo xtask fuzz` runs.
//!
//! A [`Target`] is a function of bytes that panics if a promise is broken. The program
//! `libfuzzer` gives it to libFuzzer, which looks for inputs that reach new code; the
//! program `fuzz` seeds and starts that, or runs the stored inputs and random changes of
//! them by itself. [`Bound`] says how much memory a target may take for its input.
//! Tested by `cargo test --manifest-path xtask/fuzz/Cargo.toml`.

mod bound;
mod heap;
mod make;
pub mod mutate;
pub mod seeds;
mod source;
mod targets;

pub use bound::{Bound, Seen};
pub use targets::Target;
