//! Options that several verbs share: the words, and what they come to.

pub mod board;
pub mod bos;
pub mod calibration;
pub mod input;
pub mod kernel;
pub mod kv;
pub mod model;
pub mod prune;
pub mod replacing;
pub mod shard;
pub mod task;
pub mod threads;
pub mod windowing;
