//! The STM32F405 of the Netduino Plus 2.
#![no_std]

pub use emberlm_semihosted::exit;
pub use emberlm_semihosted::memory::{model_partition, request_partition};

use core::fmt;

use emberlm_core::kernel::CortexMDsp;
use emberlm_firmware::{Board, Buffers};
use emberlm_semihosted::{Console, StaticBuffers, memory, systick};

/// For `shakespeare-char`: one layer of 8-bit keys and values and every residual of a full context, four positions at a time.
static BUFFERS: StaticBuffers<{ 128 * 68 }, { 128 * 128 + 4 * 800 }, { 4 * 280 }, { 128 + 1 }, 4> =
    StaticBuffers::new();

/// The running board; its console is semihosting.
pub struct Stm32f4 {
    console: Console,
}

impl Stm32f4 {
    /// Paints the stack, starts the clock, opens the console and hands out the static buffers; `None` when called a
    /// second time, or without a debugger.
    pub fn take() -> Option<(Self, Buffers<'static>)> {
        memory::stack().paint();
        let buffers = BUFFERS.take()?;
        systick::start()?;
        Some((Self { console: Console::open()? }, buffers))
    }
}

impl fmt::Write for Stm32f4 {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.console.write_str(text)
    }
}

impl Board for Stm32f4 {
    const NAME: &'static str = "netduinoplus2";

    type Kernel = CortexMDsp;

    /// The core's clock has 168 MHz.
    const TICKS_PER_1000_INSTRUCTIONS: u64 = 168;

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
