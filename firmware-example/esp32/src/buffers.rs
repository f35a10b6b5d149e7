//! Static buffers for a model whose shape is known when the program is built: the compiler checks them.

use emberlm_core::config::Config;
use emberlm_core::kv_cache::KvType;
use emberlm_core::planner::{Need, Order, Run};
use emberlm_firmware::{Buffers, SHAKESPEARE_CHAR, StaticBuffers, static_buffers};

/// The model's shape. A model that takes more is refused with what it needs.
const CONFIG: Config = SHAKESPEARE_CHAR;

/// A full context layer by layer, with the largest type of KV cache, eight positions at a time: weights come out of the
/// flash once for so many.
const NEED: Need =
    Need::new(&CONFIG, Run { batch: 8, ..Run::new(Order::LayerMajor, KvType::F32, CONFIG.n_ctx as usize) });

/// RAM that the HAL's linker script has for a program: `DRAM` in its `ld/esp32c3/memory.x`, `RAM` in
/// `ld/esp32c6/memory.x`.
const RAM_BYTES: usize = if cfg!(feature = "esp32c6") { 0x6_E610 } else { 313 * 1024 };

/// What is left for code that runs in RAM, the HAL's variables and the stack.
const OTHER_BYTES: usize = 48 * 1024;

const _: () = assert!(CONFIG.validate().is_ok(), "no such model");
const _: () = assert!(
    NEED.bytes() <= RAM_BYTES - OTHER_BYTES,
    "the buffers do not fit: choose another KV type, a shorter context or fewer positions at a time"
);

static BUFFERS: static_buffers!(NEED) = StaticBuffers::new();

/// The buffers; `None` when they are taken.
pub fn take() -> Option<Buffers<'static>> {
    BUFFERS.take()
}
