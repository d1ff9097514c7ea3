//! What other processes, also of other users, can and can't do.

mod child;
mod kills;
mod strangers;
