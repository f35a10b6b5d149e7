//! One module a verb: its options, what they come to, and its report.

pub mod compare;
pub mod convert;
pub mod demo;
pub mod device;
pub mod eval;
pub mod generate;
pub mod init;
pub mod inspect;
pub mod plan;
pub mod surprisal;
pub mod tokenize;
pub mod verify;
