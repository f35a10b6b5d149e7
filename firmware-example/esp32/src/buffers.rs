//! Static buffers for a model whose shape is known when the program is built: the compiler checks them.

use emberlm_core::config::{Config, Gelu, TokenId};
use emberlm_core::kv_cache::KvType;
use emberlm_core::loss::CrossEntropy;
use emberlm_core::scratch::{Batch, ScratchSize};
use emberlm_firmware::Buffers;
use static_cell::ConstStaticCell;

/// The shape of `models/shakespeare-char`. Smaller ones fit as well.
pub const CONFIG: Config = Config {
    n_vocab: 65,
    n_ctx: 128,
    n_embd: 128,
    n_head: 4,
    n_layer: 4,
    n_ff: 512,
    layer_norm_epsilon: 1e-5,
    gelu: Gelu::Tanh,
};

/// Positions that the KV cache holds for one layer, and a quarter of them for all four.
pub const N_CTX: usize = 128;

/// How keys and values are stored.
pub const KV: KvType = KvType::F32;

/// Positions of a window, and those that go through a layer together.
pub const BATCH: Batch = Batch { window: 128, batch: 8 };

/// Words of the KV cache.
pub const KV_WORDS: usize = KV.layer_words(&CONFIG, N_CTX);

/// Lengths of the scratch memory.
pub const SCRATCH: ScratchSize = ScratchSize::new(&CONFIG, BATCH);

/// What buffers may take of the smaller chip's 313 KiB: code in RAM and the stack, the HAL wants 8 KiB, have the rest.
const RAM_BYTES: usize = 256 * 1024;

const _: () = assert!(CONFIG.validate().is_ok(), "no such model");
const _: () = assert!(
    size_of::<u32>() * KV_WORDS + SCRATCH.bytes() <= RAM_BYTES,
    "KV cache and scratch memory do not fit: choose another KV type, a shorter context or a smaller batch"
);

static KV_CACHE: ConstStaticCell<[u32; KV_WORDS]> = ConstStaticCell::new([0; _]);
static FLOATS: ConstStaticCell<[f32; SCRATCH.floats]> = ConstStaticCell::new([0.0; _]);
static WORDS: ConstStaticCell<[u32; SCRATCH.words]> = ConstStaticCell::new([0; _]);
static TOKENS: ConstStaticCell<[TokenId; BATCH.window + 1]> = ConstStaticCell::new([0; _]);
static SINKS: ConstStaticCell<[CrossEntropy; BATCH.batch]> = ConstStaticCell::new([const { CrossEntropy::new(0) }; _]);

/// The buffers; `None` when they are taken.
pub fn take() -> Option<Buffers<'static>> {
    Some(Buffers {
        kv: KV_CACHE.try_take()?,
        floats: FLOATS.try_take()?,
        words: WORDS.try_take()?,
        tokens: TOKENS.try_take()?,
        sinks: SINKS.try_take()?,
    })
}
