//! Boards with a part's own flash and RAM and nothing else, so that code, model and request share the one, and buffers are
//! made for one model's size in the other. A feature names the board.
#![no_std]

mod board;
#[cfg(feature = "generate")]
pub mod stories;

pub use emberlm_semihosted::exit;
pub use emberlm_semihosted::memory::{model_partition, request_partition};

use board::NEED;
use emberlm_core::planner::Need;
use emberlm_firmware::{Buffers, StaticBuffers, static_buffers};
use emberlm_semihosted::{Machine, Semihosted, SysTick};

/// Bytes of RAM that the linker script has for variables.
const RAM_BYTES: usize = match usize::from_str_radix(env!("RAM_BYTES"), 10) {
    Ok(bytes) => bytes,
    Err(_) => panic!("build.rs writes a number"),
};

// What other variables take, the linker adds.
const _: () = check(&NEED);

/// Refuses buffers for which there is no RAM when a program is built.
///
/// # Panics
/// They do not fit.
pub const fn check(need: &Need) {
    assert!(
        need.bytes() < RAM_BYTES,
        "the buffers do not fit: choose another KV type, a shorter context or fewer positions at a time"
    );
}

/// One layer's keys and values and every residual of a full context. A model that takes more is refused with what it needs.
static BUFFERS: static_buffers!(NEED) = StaticBuffers::new();

/// The board that the feature names.
pub struct Small;

impl Machine for Small {
    const NAME: &'static str = board::NAME;
    type Kernel = board::Kernel;
    type Clock = SysTick<{ board::CLOCK_MHZ }>;
}

/// The running board and its buffers; `None` when called a second time, or without a debugger.
pub fn take() -> Option<(Semihosted<Small>, Buffers<'static>)> {
    Semihosted::take(&BUFFERS)
}
