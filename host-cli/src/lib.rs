//! The host side of Emberlm.
#![deny(unsafe_code)]

pub mod checkpoint;
mod mapped;
pub mod reference;
pub mod tokenizer;
