//! The core's cycles since start, from SysTick: 24 bits that wrap, and an interrupt that counts how often.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::Peripherals;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{SCB, SYST};
use cortex_m_rt::exception;

/// The longest period of the counter, in ticks, is one more.
const RELOAD: u32 = 0x00FF_FFFF;

static WRAPS: AtomicU32 = AtomicU32::new(0);

/// Starts counting; `None` when somebody else has the core's peripherals.
pub fn start() -> Option<()> {
    let mut clock = Peripherals::take()?.SYST;
    clock.set_clock_source(SystClkSource::Core);
    clock.set_reload(RELOAD);
    clock.clear_current();
    clock.enable_interrupt();
    clock.enable_counter();
    Some(())
}

/// Ticks since [`start`].
pub fn ticks() -> u64 {
    loop {
        let wraps = WRAPS.load(Ordering::Relaxed);
        let left = SYST::get_current();
        // The wrap is counted when the counter reaches 0, so 0 is the first tick of a period, not its last.
        let since_wrap = (RELOAD + 1 - left) & RELOAD;
        if !SCB::is_pendst_pending() && wraps == WRAPS.load(Ordering::Relaxed) {
            return (u64::from(wraps) << 24) | u64::from(since_wrap);
        }
    }
}

#[exception]
fn SysTick() {
    // A load and a store, since the smallest cores have no atomic addition; nobody else writes.
    WRAPS.store(WRAPS.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}
