//! Cycles since start: from the debug unit, or from SysTick where the core's has no counter.

use core::cfg_select;

cfg_select! {
    feature = "rp2040" => {
        /// SysTick, which counts wraps by its interrupt.
        pub struct Clock;

        impl Clock {
            /// Starts counting; `None` when somebody else has the core's peripherals.
            pub fn start() -> Option<Self> {
                emberlm_systick::start().map(|()| Self)
            }

            /// Cycles since then.
            pub fn ticks(&self) -> u64 {
                emberlm_systick::ticks()
            }
        }
    }
    _ => {
        use core::cell::Cell;

        use cortex_m::Peripherals;
        use cortex_m::peripheral::DWT;

        /// The debug unit's counter.
        pub struct Clock {
            /// Cycles until `counted`, and the counter then.
            cycles: Cell<u64>,
            counted: Cell<u32>,
        }

        impl Clock {
            /// Starts counting; `None` when somebody else has the core's peripherals.
            pub fn start() -> Option<Self> {
                let mut core = Peripherals::take()?;
                core.DCB.enable_trace();
                core.DWT.enable_cycle_counter();
                Some(Self { cycles: Cell::new(0), counted: Cell::new(DWT::cycle_count()) })
            }

            /// Cycles since then, where it is called more than once in 2^32 of them.
            pub fn ticks(&self) -> u64 {
                let now = DWT::cycle_count();
                let since = now.wrapping_sub(self.counted.replace(now));
                self.cycles.set(self.cycles.get() + u64::from(since));
                self.cycles.get()
            }
        }
    }
}
