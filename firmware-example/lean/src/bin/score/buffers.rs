//! The memory of a model whose shape is known when the program is built.

use core::mem::size_of;

use emberlm_core::config::TokenId;
use emberlm_core::scratch::{Batch, ScratchSize};
use emberlm_lean::{KV, MODEL};
use static_cell::ConstStaticCell;

/// Positions of a window; and whether it goes layer by layer, which takes one layer's keys and values and every
/// position's residual, instead of all layers' keys and values and one residual.
const PLAN: (usize, bool) = if cfg!(feature = "nrf52832") {
    (72, true)
} else if cfg!(any(feature = "stm32f405", feature = "stm32f411")) {
    (128, true)
} else {
    (128, false)
};

pub const N_CTX: usize = PLAN.0;
pub const LAYER_MAJOR: bool = PLAN.1;

/// Positions go through a layer one by one.
pub const BATCH: Batch = Batch { window: if LAYER_MAJOR { N_CTX } else { 1 }, batch: 1 };

const KV_WORDS: usize = KV.layer_words(&MODEL, N_CTX) * if LAYER_MAJOR { 1 } else { MODEL.n_layer as usize };
const SCRATCH: ScratchSize = ScratchSize::new(&MODEL, BATCH);

/// Bytes of the KV cache.
pub const KV_BYTES: usize = size_of::<u32>() * KV_WORDS;

/// Bytes of RAM for variables, as the memory map has them.
const RAM: usize = if cfg!(feature = "nrf52832") {
    60 * 1024
} else if cfg!(any(feature = "stm32f405", feature = "stm32f411")) {
    124 * 1024
} else {
    KV_BYTES + 6 * 1024
};

// A context that does not fit does not build, and says so before the linker does.
const _: () = assert!(KV_BYTES + SCRATCH.bytes() + size_of::<[TokenId; N_CTX + 1]>() <= RAM, "the context is too long");

/// Everything that scoring takes besides the stack.
pub struct Buffers {
    pub kv: [u32; KV_WORDS],
    pub floats: [f32; SCRATCH.floats],
    pub words: [u32; SCRATCH.words],
    pub tokens: [TokenId; N_CTX + 1],
}

pub static BUFFERS: ConstStaticCell<Buffers> =
    ConstStaticCell::new(Buffers { kv: [0; _], floats: [0.0; _], words: [0; _], tokens: [0; _] });
