//! What all boards do, whichever of them it is.

use core::fmt;

use emberlm_firmware::{Board, Buffers};
use rtt_target::{ChannelMode, UpChannel, rtt_init};

use crate::clock::Clock;
use crate::{buffers, memory};

/// The fastest kernel of the board's core.
#[cfg(feature = "rp2040")]
pub type Kernel = emberlm_core::kernel::Scalar;
/// The fastest kernel of the board's core.
#[cfg(not(feature = "rp2040"))]
pub type Kernel = emberlm_core::kernel::CortexMDsp;

/// A running board, whose console is the debug probe's channel if it has one.
pub struct Desk {
    console: Option<UpChannel>,
    clock: Clock,
}

impl Desk {
    /// Paints the stack, starts the cycle counter, opens the console and hands out the static buffers; `None` when called
    /// a second time.
    ///
    /// What is printed waits until the probe has read it.
    pub fn take() -> Option<(Self, Buffers<'static>)> {
        let (board, buffers) = (Self::take_silent()?, buffers::take()?);
        let channels = rtt_init! { up: { 0: { size: 1024, mode: ChannelMode::BlockIfFull, name: "Terminal" } } };
        Some((Self { console: Some(channels.up.0), ..board }, buffers))
    }

    /// The same without console and buffers, for programs that have others.
    pub fn take_silent() -> Option<Self> {
        memory::stack().paint();
        Some(Self { console: None, clock: Clock::start()? })
    }
}

impl fmt::Write for Desk {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.console.as_mut().ok_or(fmt::Error)?.write_str(text)
    }
}

impl Board for Desk {
    const NAME: &'static str = env!("BOARD");

    type Kernel = Kernel;

    /// As if a cycle were an instruction.
    const TICKS_PER_1000_INSTRUCTIONS: u64 = 1000;

    fn ticks(&self) -> u64 {
        self.clock.ticks()
    }

    fn static_bytes(&self) -> usize {
        memory::static_bytes()
    }

    fn stack_bytes(&self) -> usize {
        memory::stack().high_water_bytes()
    }
}
