//! Arm's MPS2 and MPS3 boards: memory maps, kernels, clocks. A feature names the board.
#![no_std]

mod board;

pub use emberlm_semihosted::memory::{model_partition, request_partition};
pub use emberlm_semihosted::{HostFile, exit};

use core::fmt;

use emberlm_firmware::{BATCH, Board, Buffers, Input, StaticBuffers};
use emberlm_semihosted::{Console, heap, memory, systick};

/// For models of up to the bundled ones' size and somewhat beyond.
static BUFFERS: StaticBuffers<{ 128 * 1024 }, { 128 * 1024 }, { 16 * 1024 }, { 1024 + 1 }, BATCH> =
    StaticBuffers::new();

/// A running board whose console is semihosting.
pub struct Mps {
    console: Console,
}

impl Mps {
    /// Paints the stack, sets up the heap, starts the clock, opens the console and hands out the static buffers; `None`
    /// when called a second time, or without a debugger.
    pub fn take() -> Option<(Self, Buffers<'static>)> {
        memory::stack().paint();
        let buffers = BUFFERS.take()?;
        heap::init();
        systick::start()?;
        Some((Self { console: Console::open()? }, buffers))
    }
}

impl fmt::Write for Mps {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.console.write_str(text)
    }
}

impl Input for Mps {
    fn read_byte(&mut self) -> Result<Option<u8>, fmt::Error> {
        self.console.read_byte()
    }
}

impl Board for Mps {
    const NAME: &'static str = board::NAME;

    type Kernel = board::Kernel;

    const TICKS_PER_1000_INSTRUCTIONS: u64 = board::CLOCK_MHZ;

    fn ticks(&self) -> u64 {
        systick::ticks()
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
