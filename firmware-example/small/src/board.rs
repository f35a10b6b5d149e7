//! What differs from board to board but for the memory map: name, kernel, buffers, and the clock of the core and SysTick in
//! MHz.

use core::cfg_select;

use emberlm_core::planner::Need;

cfg_select! {
    feature = "microbit" => {
        use emberlm_core::kv_cache::KvType;
        use emberlm_core::planner::{Order, Run};
        use emberlm_firmware::TINY;

        /// An nRF51822, whose Cortex-M0 faults on every access that is not aligned.
        pub const NAME: &str = "microbit";
        pub type Kernel = emberlm_core::kernel::Portable;
        /// QEMU gives the core a SysTick, which the nRF51822 leaves out.
        pub const CLOCK_MHZ: u64 = 16;
        /// For tiny models: a position at a time.
        pub const NEED: Need = Need::new(&TINY, Run::new(Order::LayerMajor, KvType::F32, TINY.n_ctx as usize));
    }
    feature = "netduinoplus2" => {
        use emberlm_core::kv_cache::KvType;
        use emberlm_core::planner::{Order, Run};
        use emberlm_firmware::SHAKESPEARE_CHAR;

        /// An STM32F405.
        pub const NAME: &str = "netduinoplus2";
        pub type Kernel = emberlm_core::kernel::CortexMDsp;
        pub const CLOCK_MHZ: u64 = 168;
        /// For `shakespeare-char`: 8-bit keys and values, four positions at a time.
        pub const NEED: Need = Need::new(
            &SHAKESPEARE_CHAR,
            Run { batch: 4, ..Run::new(Order::LayerMajor, KvType::I8, SHAKESPEARE_CHAR.n_ctx as usize) },
        );
    }
    feature = "rp2040" => {
        use crate::stories::{SCORING, TINY_STORIES};

        /// A Pico's part, in the place of an MPS2's memory: its Cortex-M3 runs code for the M0+.
        pub const NAME: &str = "rp2040";
        pub type Kernel = emberlm_core::kernel::Scalar;
        pub const CLOCK_MHZ: u64 = 25;
        pub const NEED: Need = Need::new(&TINY_STORIES, SCORING);
    }
    feature = "nrf52840" => {
        use crate::stories::{SCORING, TINY_STORIES};

        /// In the place of an MPS2's memory.
        pub const NAME: &str = "nrf52840";
        pub type Kernel = emberlm_core::kernel::CortexMDsp;
        pub const CLOCK_MHZ: u64 = 25;
        pub const NEED: Need = Need::new(&TINY_STORIES, SCORING);
    }
}
