//! GPT-2 inference and streaming cross-entropy over quantised weights.
#![no_std]
#![deny(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod blob;
pub mod config;
pub mod crc;
pub mod error;
pub mod format;
pub mod kernel;
pub mod kv_cache;
pub mod loss;
pub mod model;
pub mod ops;
pub mod score;
pub mod scratch;
pub mod session;
pub mod sink;
pub mod source;
pub mod tokenizer;
pub mod window;
