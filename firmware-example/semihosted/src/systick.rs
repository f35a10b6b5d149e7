//! SysTick as a board's clock.

use crate::Clock;

pub use emberlm_systick::{start, ticks};

/// SysTick of a core with a clock of so many MHz.
#[derive(Debug)]
pub struct SysTick<const MHZ: u64>;

impl<const MHZ: u64> Clock for SysTick<MHZ> {
    const TICKS_PER_1000_INSTRUCTIONS: u64 = MHZ;

    fn start() -> Option<()> {
        start()
    }

    fn ticks() -> u64 {
        ticks()
    }
}
