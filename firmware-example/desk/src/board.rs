//! What differs from board to board: name, kernel and clock; and what all of them do.

use core::cell::Cell;
use core::fmt;

use cortex_m::Peripherals;
use cortex_m::peripheral::DWT;
use emberlm_core::kernel::CortexMDsp;
use emberlm_firmware::{Board, Buffers};
use rtt_target::{ChannelMode, UpChannel, rtt_init};

use crate::{buffers, memory};

/// A running board whose console is the debug probe's channel.
pub struct Desk {
    console: UpChannel,
    /// Cycles until `counted`, and the counter then.
    cycles: Cell<u64>,
    counted: Cell<u32>,
}

impl Desk {
    /// Paints the stack, starts the cycle counter, opens the console and hands out the static buffers; `None` when called
    /// a second time.
    ///
    /// What is printed waits until the probe has read it.
    pub fn take() -> Option<(Self, Buffers<'static>)> {
        memory::stack().paint();
        let buffers = buffers::take()?;
        let mut core = Peripherals::take()?;
        core.DCB.enable_trace();
        core.DWT.enable_cycle_counter();
        let channels = rtt_init! { up: { 0: { size: 1024, mode: ChannelMode::BlockIfFull, name: "Terminal" } } };
        let counted = Cell::new(DWT::cycle_count());
        Some((Self { console: channels.up.0, cycles: Cell::new(0), counted }, buffers))
    }
}

impl fmt::Write for Desk {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.console.write_str(text)
    }
}

impl Board for Desk {
    const NAME: &'static str = if cfg!(feature = "rp2350") {
        "rp2350"
    } else if cfg!(feature = "stm32f405") {
        "stm32f405"
    } else if cfg!(feature = "stm32h743") {
        "stm32h743"
    } else {
        "nrf52840"
    };

    type Kernel = CortexMDsp;

    /// As if a cycle were an instruction.
    const TICKS_PER_1000_INSTRUCTIONS: u64 = 1000;

    /// Right while it is called more than once in 2^32 cycles.
    fn ticks(&self) -> u64 {
        let now = DWT::cycle_count();
        let since = now.wrapping_sub(self.counted.replace(now));
        self.cycles.set(self.cycles.get() + u64::from(since));
        self.cycles.get()
    }

    fn static_bytes(&self) -> usize {
        memory::static_bytes()
    }

    fn stack_bytes(&self) -> usize {
        memory::stack().high_water_bytes()
    }
}
