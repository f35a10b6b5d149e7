//! The running chip: console, clock and buffers.

use core::fmt;

use emberlm_core::kernel::Scalar;
use emberlm_firmware::{Board, Buffers};
use esp_hal::clock::CpuClock;
use esp_hal::time::Instant;
use esp_println::Printer;
use esp_storage::FlashStorage;

use crate::{buffers, memory};

/// The clock of a core at full speed, in MHz.
const CYCLES_PER_MICROSECOND: u64 = 160;

/// A running board whose console is the chip's USB port while a host is there, else its first UART.
pub struct Esp32 {
    start: Instant,
}

impl Esp32 {
    /// Starts the chip at its full clock, paints the stack and hands out flash and static buffers; `None` when called a
    /// second time.
    pub fn take() -> Option<(Self, FlashStorage<'static>, Buffers<'static>)> {
        let buffers = buffers::take()?;
        let chip = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
        memory::stack().paint();
        Some((Self { start: Instant::now() }, FlashStorage::new(chip.FLASH), buffers))
    }
}

impl fmt::Write for Esp32 {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        Printer.write_str(text)
    }
}

impl Board for Esp32 {
    const NAME: &'static str = if cfg!(feature = "esp32c6") { "esp32c6" } else { "esp32c3" };

    type Kernel = Scalar;

    /// As if a cycle were an instruction.
    const TICKS_PER_1000_INSTRUCTIONS: u64 = 1000;

    /// Cycles, counted by a timer that ticks every microsecond.
    fn ticks(&self) -> u64 {
        CYCLES_PER_MICROSECOND * self.start.elapsed().as_micros()
    }

    fn static_bytes(&self) -> usize {
        memory::static_bytes()
    }

    fn stack_bytes(&self) -> usize {
        memory::stack().high_water_bytes()
    }
}
