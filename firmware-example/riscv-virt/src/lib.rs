//! The RISC-V board that QEMU calls `virt`: memory map, clock, and what becomes of a fault. The target says which
//! extensions the core has.
#![no_std]

mod board;
mod fault;

pub use emberlm_semihosted::memory::{model_partition, request_partition};
pub use emberlm_semihosted::{HostFile, exit};

use core::fmt;

use emberlm_firmware::{BATCH, Board, Buffers, Input, StaticBuffers};
use emberlm_semihosted::{Console, heap, memory};
use riscv::register::minstret;

/// For models of up to the bundled ones' size and somewhat beyond.
static BUFFERS: StaticBuffers<{ 128 * 1024 }, { 128 * 1024 }, { 16 * 1024 }, { 1024 + 1 }, BATCH> =
    StaticBuffers::new();

/// A running board whose console is semihosting.
pub struct Virt {
    console: Console,
}

impl Virt {
    /// Paints the stack, sets up the heap, opens the console and hands out the static buffers; `None` when called a
    /// second time, or without a debugger.
    pub fn take() -> Option<(Self, Buffers<'static>)> {
        memory::stack().paint();
        let buffers = BUFFERS.take()?;
        heap::init();
        Some((Self { console: Console::open()? }, buffers))
    }
}

impl fmt::Write for Virt {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.console.write_str(text)
    }
}

impl Input for Virt {
    fn read_byte(&mut self) -> Result<Option<u8>, fmt::Error> {
        self.console.read_byte()
    }
}

impl Board for Virt {
    const NAME: &'static str = board::NAME;

    type Kernel = board::Kernel;

    /// The counter counts instructions.
    const TICKS_PER_1000_INSTRUCTIONS: u64 = 1000;

    fn ticks(&self) -> u64 {
        minstret::read64()
    }

    fn static_bytes(&self) -> usize {
        memory::static_bytes() - heap::BYTES
    }

    fn stack_bytes(&self) -> usize {
        memory::stack().high_water_bytes()
    }

    fn heap_free(&self) -> usize {
        heap::free()
    }
}
