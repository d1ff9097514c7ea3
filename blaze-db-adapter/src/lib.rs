//! What Blaze needs of a database, and the one merge rule.
