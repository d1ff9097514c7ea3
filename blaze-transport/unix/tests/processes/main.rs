//! What other processes, also of other users, can and can't do.

mod activation;
mod child;
mod kills;
mod strangers;
