//! The programs of the example firmware.
//!
//! They run on any [`Board`]; a board package adds memory, a clock, a console and the entry point. What they print is
//! made of lines `key: value` and ends with `done: ok` or `done: failed`; the board's exit code says the same.
//!
//! [`score`] serves a request, [`score_copied`] with a model that is not in memory; [`self_test`] needs none; [`kernels`] and [`profile`]
//! count instructions, the first without a model.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

mod board;
mod buffers;
mod counting;
mod error;
mod heads;
mod kernels;
mod medium;
mod profile;
mod report;
mod run;
mod score;
mod self_test;
mod stack;

pub use board::Board;
pub use buffers::{BATCH, Buffers};
pub use error::ProgramError;
pub use kernels::kernels;
pub use profile::profile;
pub use score::{Partitions, score, score_copied};
pub use self_test::self_test;
pub use stack::PaintedStack;
