//! Frames on a byte stream: length, checksum, body.
