//! The host side of Emberlm.
#![deny(unsafe_code)]

pub mod checkpoint;
pub mod cli;
pub mod console;
pub mod convention;
pub mod convert;
pub mod device;
pub mod engine;
pub mod error;
pub mod input;
pub mod kernel;
mod mapped;
pub mod output;
pub mod reference;
pub mod tokenizer;
pub mod verbs;
