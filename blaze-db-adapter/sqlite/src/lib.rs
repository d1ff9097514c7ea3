//! SQLite and SQLCipher databases for Blaze.
