//! Sans-I/O replication sessions: no clock, no socket, no disk, no runtime.
