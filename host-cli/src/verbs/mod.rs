//! The command: its words, one module a verb, and where a verb's own words go.
//!
//! `cli` turns words into a verb and a verb's end into an exit code; `examples` are what helps end with, [`options`] the words
//! that several verbs share.
//! A verb prints its report to the [`console`], which has the progress bars too, with an `estimate` of the time left;
//! [`running`] is one with the loss so far. [`vocabulary`] is what a blob holds of a checkpoint's, `against` a checkpoint
//! with its blobs. [`error`] sums up the errors of every floor below, [`outcome`] says how a verb ended.

mod against;
pub mod bench;
mod cli;
mod closed;
pub mod compare;
pub mod completions;
pub mod console;
pub mod convert;
pub mod demo;
pub mod device;
pub mod error;
mod estimate;
pub mod eval;
mod examples;
pub mod generate;
pub mod init;
pub mod inspect;
mod layout_template;
pub mod man;
pub mod merge;
pub mod options;
pub mod outcome;
pub mod pack;
pub mod page;
pub mod plan;
pub mod report;
pub mod running;
pub mod surprisal;
pub mod tokenize;
pub mod verify;
pub mod vocabulary;

pub use cli::{command, run};
