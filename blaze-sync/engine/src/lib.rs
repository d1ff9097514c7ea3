//! Drives replication sessions over transports and databases.
