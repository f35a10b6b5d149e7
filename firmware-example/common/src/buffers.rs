//! The memory of a run: what there is, and what is needed.

use emberlm_core::config::{Config, TokenId};
use emberlm_core::kv_cache::KvType;
use emberlm_core::loss::CrossEntropy;
use emberlm_core::scratch::{Batch, ScratchSize};

/// Positions that go through a layer together where memory is plentiful: a weight is read once for so many.
pub const BATCH: usize = 8;

/// The memory of one scoring run.
#[derive(Debug)]
pub struct Buffers<'b> {
    /// The KV cache, in 32-bit words.
    pub kv: &'b mut [u32],
    /// The scratch memory's floats.
    pub floats: &'b mut [f32],
    /// The scratch memory's 32-bit words.
    pub words: &'b mut [u32],
    /// The inputs of a window and its last target.
    pub tokens: &'b mut [TokenId],
    /// One sink for each position of a batch, at least one: so many go through a layer together, and a weight is read
    /// once for them.
    pub sinks: &'b mut [CrossEntropy],
}

impl Buffers<'_> {
    /// The same memory, lent for a shorter time.
    pub fn reborrow(&mut self) -> Buffers<'_> {
        let Self { kv, floats, words, tokens, sinks } = self;
        Buffers { kv, floats, words, tokens, sinks }
    }

    /// Bytes of all buffers.
    pub fn bytes(&self) -> usize {
        size_of_val(self.kv)
            + size_of_val(self.floats)
            + size_of_val(self.words)
            + size_of_val(self.tokens)
            + size_of_val(self.sinks)
    }
}

/// The order in which a window goes through the model. Both give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The whole window through one layer, then the next: one layer's keys and values, and every position's residual.
    LayerMajor,
    /// A batch of positions through all layers, then the next: every layer's keys and values.
    TokenMajor,
}

/// What a run of windows of up to `n_ctx` inputs takes, in elements. A board whose model is known when its program is built
/// makes its buffers of it, and the compiler compares its bytes with the board's; where the model is loaded, the run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// 32-bit words of the KV cache.
    pub kv_words: usize,
    /// The positions that `scratch` is for.
    pub batch: Batch,
    /// The scratch memory.
    pub scratch: ScratchSize,
    /// Ids of a window: its inputs and its last target.
    pub tokens: usize,
    /// Sinks, one for each position of a batch.
    pub sinks: usize,
}

impl Need {
    /// What is needed where `sinks` positions go through a layer together.
    pub const fn new(config: &Config, n_ctx: usize, kv_type: KvType, order: Order, sinks: usize) -> Self {
        let layer_words = kv_type.layer_words(config, n_ctx);
        let n = larger(if sinks < n_ctx { sinks } else { n_ctx }, 1);
        let (kv_words, batch) = match order {
            Order::LayerMajor => (layer_words, Batch { window: n_ctx, batch: n }),
            Order::TokenMajor => (layer_words.saturating_mul(config.n_layer as usize), Batch::of(n)),
        };
        Self { kv_words, batch, scratch: ScratchSize::new(config, batch), tokens: n_ctx + 1, sinks: n }
    }

    /// What is enough for either.
    pub const fn or(self, other: Self) -> Self {
        let (one, two) = (self.scratch, other.scratch);
        Self {
            kv_words: larger(self.kv_words, other.kv_words),
            batch: Batch {
                window: larger(self.batch.window, other.batch.window),
                batch: larger(self.batch.batch, other.batch.batch),
            },
            scratch: ScratchSize { floats: larger(one.floats, two.floats), words: larger(one.words, two.words) },
            tokens: larger(self.tokens, other.tokens),
            sinks: larger(self.sinks, other.sinks),
        }
    }

    /// Bytes of the KV cache.
    pub const fn kv_bytes(&self) -> usize {
        self.kv_words.saturating_mul(size_of::<u32>())
    }

    /// Bytes of everything.
    pub const fn bytes(&self) -> usize {
        let (tokens, sinks) = (size_of::<TokenId>() * self.tokens, size_of::<CrossEntropy>() * self.sinks);
        self.kv_bytes().saturating_add(self.scratch.bytes()).saturating_add(tokens + sinks)
    }
}

const fn larger(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}
