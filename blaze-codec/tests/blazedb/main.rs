//! What BlazeDB writes: each form of it, and every way to be wrong.

#[path = "../common/mod.rs"]
mod common;
mod forms;
mod limits;
mod written;
mod wrong;
