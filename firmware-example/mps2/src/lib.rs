//! The MPS2 boards: memory map, clock, console and the ways out.
#![no_std]

mod buffers;
mod clock;
mod exit;
mod memory;

pub use exit::exit;
pub use memory::{model_partition, request_partition};

use core::fmt;

use cortex_m_semihosting::hio::{self, HostStream};
use emberlm_core::kernel::CortexMDsp;
use emberlm_firmware::{Board, Buffers};

/// A running MPS2 board whose console is semihosting.
pub struct Mps2 {
    console: HostStream,
}

impl Mps2 {
    /// Starts the clock, sets up the heap, opens the console and hands out the static buffers; `None` when called a
    /// second time, or without a debugger.
    pub fn take() -> Option<(Self, Buffers<'static>)> {
        clock::start()?;
        memory::init_heap();
        Some((Self { console: hio::hstdout().ok()? }, buffers::take()?))
    }
}

impl fmt::Write for Mps2 {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.console.write_all(text.as_bytes()).map_err(|()| fmt::Error)
    }
}

impl Board for Mps2 {
    const NAME: &'static str = "mps2-an386";

    type Kernel = CortexMDsp;

    /// QEMU's `-icount shift=0` executes an instruction a nanosecond; the core's clock has 25 MHz.
    const INSTRUCTIONS_PER_TICK: u64 = 40;

    fn ticks(&self) -> u64 {
        clock::ticks()
    }

    fn static_bytes(&self) -> usize {
        memory::static_bytes()
    }

    fn stack_bytes(&self) -> usize {
        memory::stack().high_water_bytes()
    }

    fn heap_free(&self) -> usize {
        memory::heap_free()
    }
}
