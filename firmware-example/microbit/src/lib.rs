//! The BBC micro:bit with an nRF51822, whose Cortex-M0 faults on every access that is not aligned.
#![no_std]

pub use emberlm_semihosted::exit;
pub use emberlm_semihosted::memory::{model_partition, request_partition};

use core::fmt;

use emberlm_core::kernel::Portable;
use emberlm_firmware::{Board, Buffers};
use emberlm_semihosted::{Console, StaticBuffers, memory, systick};

/// For tiny models: a layer's keys and values of 32 positions of 32 floats.
static BUFFERS: StaticBuffers<{ 2 * 16 * 32 }, { 16 * 32 + 320 }, 128, { 16 + 1 }, 1> = StaticBuffers::new();

/// The running board; its console is semihosting.
pub struct Microbit {
    console: Console,
}

impl Microbit {
    /// Paints the stack, starts the clock, opens the console and hands out the static buffers; `None` when called a
    /// second time, or without a debugger.
    pub fn take() -> Option<(Self, Buffers<'static>)> {
        memory::stack().paint();
        let buffers = BUFFERS.take()?;
        systick::start()?;
        Some((Self { console: Console::open()? }, buffers))
    }
}

impl fmt::Write for Microbit {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.console.write_str(text)
    }
}

impl Board for Microbit {
    const NAME: &'static str = "microbit";

    type Kernel = Portable;

    /// QEMU gives the core a SysTick, which the nRF51822 leaves out; it counts at the core's 16 MHz.
    const TICKS_PER_1000_INSTRUCTIONS: u64 = 16;

    fn ticks(&self) -> u64 {
        systick::ticks()
    }

    fn static_bytes(&self) -> usize {
        memory::static_bytes()
    }

    fn stack_bytes(&self) -> usize {
        memory::stack().high_water_bytes()
    }
}
