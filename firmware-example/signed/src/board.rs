//! The emulated Cortex-M4F, and static buffers for models of up to the bundled ones' size.

use core::fmt;

use emberlm_core::kernel::CortexMDsp;
use emberlm_firmware::{BATCH, Board, Buffers, StaticBuffers};
use emberlm_semihosted::{Console, memory, systick};

static BUFFERS: StaticBuffers<{ 128 * 1024 }, { 128 * 1024 }, { 16 * 1024 }, { 1024 + 1 }, BATCH> =
    StaticBuffers::new();

/// The running board; its console is semihosting.
pub struct Mps2 {
    console: Console,
}

impl Mps2 {
    /// Paints the stack, starts the clock, opens the console and hands out the static buffers; `None` when called a
    /// second time, or without a debugger.
    pub fn take() -> Option<(Self, Buffers<'static>)> {
        memory::stack().paint();
        let buffers = BUFFERS.take()?;
        systick::start()?;
        Some((Self { console: Console::open()? }, buffers))
    }
}

impl fmt::Write for Mps2 {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.console.write_str(text)
    }
}

impl Board for Mps2 {
    const NAME: &'static str = "mps2-an386";

    type Kernel = CortexMDsp;

    /// The clock has 25 MHz.
    const TICKS_PER_1000_INSTRUCTIONS: u64 = 25;

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
