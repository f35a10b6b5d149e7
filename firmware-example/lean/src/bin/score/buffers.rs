//! The memory of a model whose shape is known when the program is built.

use emberlm_core::config::TokenId;
use emberlm_core::planner::{Need, Order, Run};
use emberlm_lean::{KV, MODEL};
use static_cell::ConstStaticCell;

/// Positions of a window; and whether it goes layer by layer, which takes one layer's keys and values and every
/// position's residual, instead of all layers' keys and values and one residual.
const PLAN: (usize, Order) = if cfg!(feature = "nrf52832") {
    (72, Order::LayerMajor)
} else if cfg!(any(feature = "stm32f405", feature = "stm32f411")) {
    (128, Order::LayerMajor)
} else {
    (128, Order::TokenMajor)
};

pub const N_CTX: usize = PLAN.0;

/// Positions go through a layer one by one; matrices by as many rows as divide theirs, and fill no more memory than that.
pub const RUN: Run = Run { rows: MODEL.n_embd as usize / 2, ..Run::new(PLAN.1, KV, N_CTX) };
pub const NEED: Need = Need::new(&MODEL, RUN);

/// Bytes of RAM for variables, as the memory map has them.
const RAM: usize = if cfg!(feature = "nrf52832") {
    60 * 1024
} else if cfg!(any(feature = "stm32f405", feature = "stm32f411")) {
    124 * 1024
} else {
    NEED.kv_bytes() + 6 * 1024
};

// A context that does not fit does not build, and says so before the linker does.
const _: () = assert!(NEED.bytes() <= RAM, "the context is too long");

/// Everything that scoring takes besides the stack.
pub struct Buffers {
    pub kv: [u32; NEED.kv_words],
    pub floats: [f32; NEED.scratch.floats],
    pub words: [u32; NEED.scratch.words],
    pub tokens: [TokenId; NEED.tokens],
}

pub static BUFFERS: ConstStaticCell<Buffers> =
    ConstStaticCell::new(Buffers { kv: [0; _], floats: [0.0; _], words: [0; _], tokens: [0; _] });
