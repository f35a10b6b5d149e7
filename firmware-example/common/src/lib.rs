//! The programs of the example firmware.
//!
//! They run on any [`Board`]; a board package adds memory, a clock, a console and the entry point. What they print is
//! made of lines `key: value` and ends with `done: ok` or `done: failed`; the board's exit code says the same.
//!
//! [`console`] is the one that talks: it reads prompts where a board has an [`Input`], and writes what follows.
//! [`score`] serves a request; [`self_test`] and [`steps`] need none. [`score_copied`], [`self_test_copied`] and
//! [`steps_copied`] do the same with a model that is not in memory. `kernels` and `profile`, which need a heap, count
//! instructions, the first without a model.
//!
//! [`serve`] is [`score`] and [`console`], as often as a host asks for them over a cable.
#![no_std]
#![deny(unsafe_code)]

#[cfg(feature = "heap")]
extern crate alloc;

mod board;
mod buffers;
mod bundled;
#[cfg(feature = "cable")]
mod cable;
mod console;
#[cfg(feature = "heap")]
mod counting;
mod error;
#[cfg(feature = "heap")]
mod heap;
mod input;
#[cfg(feature = "heap")]
mod kernels;
mod medium;
#[cfg(feature = "heap")]
mod misfits;
#[cfg(feature = "heap")]
mod profile;
mod report;
mod score;
mod scoring;
mod self_test;
mod simulated_nor;
mod spi_nor;
mod stack;
mod static_buffers;
mod steps;
mod tokens;

pub use board::Board;
pub use buffers::{BATCH, Buffers};
pub use bundled::{SHAKESPEARE_CHAR, TINY};
#[cfg(feature = "cable")]
pub use cable::serve;
pub use console::{console, console_need};
pub use error::ProgramError;
pub use input::{Input, MAX_LINE};
#[cfg(feature = "heap")]
pub use kernels::kernels;
#[cfg(feature = "heap")]
pub use profile::profile;
pub use score::{Partitions, score, score_copied};
pub use self_test::{self_test, self_test_copied};
pub use simulated_nor::SimulatedNor;
pub use spi_nor::spi_nor;
pub use stack::PaintedStack;
pub use static_buffers::StaticBuffers;
pub use steps::{steps, steps_copied};
