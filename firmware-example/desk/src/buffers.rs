//! Static buffers for a model whose shape is known when the program is built: the compiler checks them.

use emberlm_core::config::Config;
use emberlm_core::kv_cache::KvType;
use emberlm_core::planner::{Need, Order, Run};
use emberlm_firmware::{Buffers, SHAKESPEARE_CHAR, StaticBuffers, static_buffers};

/// The model's shape. `embassy` refuses another one, `self_test` one that takes more, with what it needs.
pub const CONFIG: Config = SHAKESPEARE_CHAR;

/// How `embassy` stores keys and values.
pub const KV: KvType = KvType::I8;

/// Positions that the programs take.
pub const N_CTX: usize = 32;

/// What the programs take. `self_test` scores with every type of KV cache, of which 32-bit floats take most, layer by
/// layer and four positions at a time; then, as `embassy` does, token by token with every layer's keys and values.
const NEED: Need = Need::new(&CONFIG, Run { batch: 4, ..Run::new(Order::LayerMajor, KvType::F32, N_CTX) })
    .or(Need::new(&CONFIG, Run::new(Order::TokenMajor, KV, N_CTX)));

/// Bytes of RAM that the linker script has for variables.
const RAM_BYTES: usize = match usize::from_str_radix(env!("RAM_BYTES"), 10) {
    Ok(bytes) => bytes,
    Err(_) => panic!("build.rs writes a number"),
};

const _: () = assert!(CONFIG.validate().is_ok(), "no such model");
// What other variables take, the linker adds.
const _: () = assert!(
    NEED.bytes() < RAM_BYTES,
    "the buffers do not fit: choose another KV type, a shorter context or fewer positions at a time"
);

static BUFFERS: static_buffers!(NEED) = StaticBuffers::new();

/// The buffers; `None` when they are taken.
pub fn take() -> Option<Buffers<'static>> {
    BUFFERS.take()
}
