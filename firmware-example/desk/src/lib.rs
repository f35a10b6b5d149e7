//! Boards with Cortex-M cores that people own. A feature names the board.
//!
//! They run at the clock that they wake up with, but for the program `cable`, and touch nothing but memory, the cycle counter and the debug probe's
//! channel: what a product adds (clocks, pins, a radio) is its own.
#![no_std]

mod board;
#[cfg(feature = "rp2040")]
mod boot2;
mod buffers;
mod clock;
mod memory;
#[cfg(feature = "rp2350")]
mod start_block;
#[cfg(feature = "rp2040")]
mod uart;

pub use board::{Desk, Kernel};
pub use buffers::{CONFIG, KV, N_CTX};
pub use memory::model_partition;
#[cfg(feature = "rp2040")]
pub use uart::Uart;

// What happens to a panic: its message goes to the probe, and the core stops.
use panic_rtt_target as _;
