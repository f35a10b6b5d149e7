//! Arm's MPS2 and MPS3 boards: memory maps, kernels, clocks. A feature names the board.
#![no_std]

mod board;
mod uart;

pub use emberlm_semihosted::memory::{model_partition, request_partition};
pub use emberlm_semihosted::{HostFile, exit};
pub use uart::Uart;

use emberlm_firmware::{BATCH, Buffers, StaticBuffers};
use emberlm_semihosted::{Machine, Semihosted, SysTick};

/// For models of up to the bundled ones' size and somewhat beyond.
static BUFFERS: StaticBuffers<{ 160 * 1024 }, { 128 * 1024 }, { 16 * 1024 }, { 1024 + 1 }, BATCH> =
    StaticBuffers::new();

/// The board that the feature names.
pub struct Mps;

impl Machine for Mps {
    const NAME: &'static str = board::NAME;
    type Kernel = board::Kernel;
    type Clock = SysTick<{ board::CLOCK_MHZ }>;
}

/// The running board and its buffers; `None` when called a second time, or without a debugger.
pub fn take() -> Option<(Semihosted<Mps>, Buffers<'static>)> {
    Semihosted::take(&BUFFERS)
}

/// The same without a console, and without a debugger.
pub fn take_silent() -> Option<(Semihosted<Mps>, Buffers<'static>)> {
    Semihosted::take_silent(&BUFFERS)
}
