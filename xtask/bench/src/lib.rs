//! What the benchmarks of Blaze share: the data that they write.

pub mod issues;
