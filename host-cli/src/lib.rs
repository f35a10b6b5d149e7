//! The host side of Emberlm.
#![deny(unsafe_code)]

pub mod checkpoint;
pub mod cli;
pub mod console;
pub mod convention;
pub mod error;
pub mod input;
mod mapped;
pub mod reference;
pub mod tokenizer;
pub mod verbs;
