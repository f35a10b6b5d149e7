//! The STM32F405 of the Netduino Plus 2.
#![no_std]

pub use emberlm_semihosted::exit;
pub use emberlm_semihosted::memory::{model_partition, request_partition};

use core::fmt;

use emberlm_core::kernel::CortexMDsp;
use emberlm_core::kv_cache::KvType;
use emberlm_firmware::{Board, Buffers, Need, Order, SHAKESPEARE_CHAR, StaticBuffers, static_buffers};
use emberlm_semihosted::{Console, memory, systick};

/// For `shakespeare-char`: one layer of 8-bit keys and values and every residual of a full context, four positions at a
/// time. A model that takes more is refused with what it needs.
const NEED: Need = Need::new(&SHAKESPEARE_CHAR, SHAKESPEARE_CHAR.n_ctx as usize, KvType::I8, Order::LayerMajor, 4);

/// Bytes of RAM that the linker script has for variables.
const RAM_BYTES: usize = match usize::from_str_radix(env!("RAM_BYTES"), 10) {
    Ok(bytes) => bytes,
    Err(_) => panic!("build.rs writes a number"),
};

// What other variables take, the linker adds.
const _: () = assert!(
    NEED.bytes() < RAM_BYTES,
    "the buffers do not fit: choose another KV type, a shorter context or fewer positions at a time"
);

static BUFFERS: static_buffers!(NEED) = StaticBuffers::new();

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
