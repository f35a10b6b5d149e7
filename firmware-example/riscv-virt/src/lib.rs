//! The RISC-V board that QEMU calls `virt`: memory map, clock, and what becomes of a fault. The target says which
//! extensions the core has.
#![no_std]

mod board;
mod fault;
mod uart;

pub use emberlm_semihosted::memory::{model_partition, request_partition};
pub use emberlm_semihosted::{HostFile, exit};
pub use uart::Uart;

use emberlm_firmware::{BATCH, Buffers, StaticBuffers};
use emberlm_semihosted::{Clock, Machine, Semihosted};
use riscv::register::minstret;

/// For models of up to the bundled ones' size and somewhat beyond.
static BUFFERS: StaticBuffers<{ 160 * 1024 }, { 128 * 1024 }, { 16 * 1024 }, { 1024 + 1 }, BATCH> =
    StaticBuffers::new();

/// The board that the feature names.
pub struct Virt;

impl Machine for Virt {
    const NAME: &'static str = board::NAME;
    type Kernel = board::Kernel;
    type Clock = Minstret;
}

/// The core's counter of instructions, which always runs.
pub struct Minstret;

impl Clock for Minstret {
    const TICKS_PER_1000_INSTRUCTIONS: u64 = 1000;

    fn start() -> Option<()> {
        Some(())
    }

    fn ticks() -> u64 {
        minstret::read64()
    }
}

/// The running board and its buffers; `None` when called a second time, or without a debugger.
pub fn take() -> Option<(Semihosted<Virt>, Buffers<'static>)> {
    Semihosted::take(&BUFFERS)
}

/// The same without a console, and without a debugger.
pub fn take_silent() -> Option<(Semihosted<Virt>, Buffers<'static>)> {
    Semihosted::take_silent(&BUFFERS)
}
