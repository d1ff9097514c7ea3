//! The data model of Blaze, and BlazeBinary: its bytes.
//!
//! This crate does no I/O, knows no runtime and depends on no other crate of
//! the workspace. `FORMAT.md` beside it is normative for the bytes.

mod check;
mod clock;
mod error;
mod form;
mod history;
mod ids;
mod key;
mod name;
mod names;
mod nodes;
mod operation;
mod reader;
mod record;
mod scope;
mod text;
mod value;
mod values;

pub mod batch;
pub mod binary;
pub mod blazedb;
#[cfg(feature = "stream")]
pub mod frame;
pub mod limits;
pub mod message;
pub mod typed;
pub mod view;

pub use check::ValueError;
pub use clock::{ClockDrift, Hlc, HlcClock};
pub use error::DecodeError;
pub use history::{HISTORY_SPANS_MAX, History, HistoryError, Span};
pub use ids::{Checkpoint, Incarnation, Mode, NodeId, ParseNodeIdError, Role, Seq, Version};
pub use key::{KeyError, RecordKey};
pub use name::{Name, NameError};
pub use operation::{Change, Operation};
pub use record::{IntoIter as RecordIntoIter, Iter as RecordIter, Record};
pub use scope::{Condition, Rule, Scope, ScopeError};
pub use text::Text;
pub use uuid::Uuid;
pub use value::{Timestamp, Value};
