//! The host side of Emberlm.
#![deny(unsafe_code)]

mod checkout;
pub mod checkpoint;
pub mod cli;
pub mod console;
pub mod convention;
pub mod convert;
pub mod crosscheck;
pub mod device;
pub mod engine;
pub mod error;
pub mod evaluate;
pub mod init;
pub mod input;
pub mod inspect;
pub mod jobs;
pub mod kernel;
mod mapped;
pub mod model_file;
pub mod output;
mod peak;
pub mod reference;
pub mod report;
pub mod task;
pub mod tokenizer;
pub mod verbs;
pub mod workers;
