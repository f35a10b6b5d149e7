//! The BBC micro:bit with an nRF51822, whose Cortex-M0 faults on every access that is not aligned.
#![no_std]

pub use emberlm_semihosted::exit;
pub use emberlm_semihosted::memory::{model_partition, request_partition};

use core::fmt;

use emberlm_core::kernel::Portable;
use emberlm_core::kv_cache::KvType;
use emberlm_firmware::{Board, Buffers, Need, Order, StaticBuffers, TINY, static_buffers};
use emberlm_semihosted::{Console, memory, systick};

/// For tiny models: one layer's keys and values and every residual of a full context, a position at a time. A model that
/// takes more is refused with what it needs.
const NEED: Need = Need::new(&TINY, TINY.n_ctx as usize, KvType::F32, Order::LayerMajor, 1);

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
pub struct Microbit {
    console: Console,
}

impl Microbit {
    /// Paints the stack, starts the clock, opens the console and hands out the static buffers; `None` when called a
    /// second time, or without a debugger.
    pub fn take() -> Option<(Self, Buffers<'static>)> {
        memory::stack().paint();
        let buffers = BUFFERS.take()?;
        systick::start()?;
        Some((Self { console: Console::open()? }, buffers))
    }
}

impl fmt::Write for Microbit {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.console.write_str(text)
    }
}

impl Board for Microbit {
    const NAME: &'static str = "microbit";

    type Kernel = Portable;

    /// QEMU gives the core a SysTick, which the nRF51822 leaves out; it counts at the core's 16 MHz.
    const TICKS_PER_1000_INSTRUCTIONS: u64 = 16;

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
