//! The memory that a program needs: how many elements each buffer has, by the order in which windows go through a model
//! and by how many cores share the work.
//!
//! Everything is `const`: a program for one model makes its buffers of it, and where a model is loaded the same functions
//! are asked then.

use crate::config::{Config, KvType, TokenId};
use crate::error::BufferTooSmall;
use crate::kv_cache::{KvCache, KvSize};
use crate::loss::CrossEntropy;
use crate::ops::quantize::i16_words;
use crate::scratch::{Batch, Scratch, ScratchSize, larger};
use crate::source::MIN_BUFFER;

/// The order in which a window goes through the model. Both give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Order {
    /// The whole window through one layer, then the next: one layer's keys and values, every position's residual, and each
    /// weight read once a window. It scores; it cannot continue a text.
    LayerMajor,
    /// A batch of positions through all layers, then the next: every layer's keys and values.
    TokenMajor,
}

impl Order {
    /// Both.
    pub const ALL: [Self; 2] = [Self::LayerMajor, Self::TokenMajor];

    /// The name that programs use for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LayerMajor => "layer-major",
            Self::TokenMajor => "token-major",
        }
    }
}

/// How windows go through a model.
///
/// ```
/// use emberlm_core::{KvType, Order, Run};
///
/// const SCORING: Run = Run { batch: 4, ..Run::new(Order::LayerMajor, KvType::I8, 128) };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Run {
    /// Which way.
    pub order: Order,
    /// How keys and values are stored.
    pub kv_type: KvType,
    /// Inputs of the longest window, or positions of the context; at least 1.
    pub n_ctx: usize,
    /// Positions that go through a layer, or the head, together; no more than `n_ctx` are, and at least 1.
    pub batch: usize,
    /// [`Batch::rows`].
    pub rows: usize,
    /// How many share the work, at least 1.
    pub workers: usize,
    /// Bytes of the buffer that weights are read through, no less than [`MIN_BUFFER`]; 0 where they are mapped.
    pub staging: usize,
}

impl Run {
    /// One position at a time, by one core, of weights that are mapped.
    pub const fn new(order: Order, kv_type: KvType, n_ctx: usize) -> Self {
        Self { order, kv_type, n_ctx, batch: 1, rows: Batch::ROWS, workers: 1, staging: 0 }
    }

    /// What the scratch memory is for.
    pub const fn batch(&self) -> Batch {
        let n_ctx = larger(self.n_ctx, 1);
        let batch = larger(if self.batch < n_ctx { self.batch } else { n_ctx }, 1);
        let window = match self.order {
            Order::LayerMajor => n_ctx,
            Order::TokenMajor => batch,
        };
        Batch { window, batch, rows: self.rows }
    }

    /// What the KV cache is for.
    pub const fn kv_size(&self) -> KvSize {
        KvSize { kv_type: self.kv_type, n_ctx: self.n_ctx, batch: self.batch().batch }
    }

    /// The cache that such a run takes, in [`Need::kv_words`].
    ///
    /// # Errors
    /// `words` is too short.
    pub fn kv_cache<'b>(&self, config: &Config, words: &'b mut [u32]) -> Result<KvCache<'b>, BufferTooSmall> {
        match self.order {
            Order::LayerMajor => KvCache::one_layer(self.kv_size(), config, words),
            Order::TokenMajor => KvCache::whole(self.kv_size(), config, words),
        }
    }

    /// The scratch memory that such a run takes, in [`Need::scratch`].
    ///
    /// # Errors
    /// A buffer is too short.
    pub fn scratch<'b>(
        &self,
        config: &Config,
        floats: &'b mut [f32],
        words: &'b mut [u32],
    ) -> Result<Scratch<'b>, BufferTooSmall> {
        Scratch::new(config, self.batch(), floats, words)
    }
}

/// What a run takes, in elements; `usize::MAX` of what would be more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Need {
    /// 32-bit words of the KV cache: of one layer, or of all. Layers may lie [apart](KvCache::per_layer), and each takes
    /// [`KvSize::layer_words`].
    pub kv_words: usize,
    /// The scratch memory.
    pub scratch: ScratchSize,
    /// Ids of a window: its inputs and its last target.
    pub tokens: usize,
    /// Sinks, one for each position of a batch.
    pub sinks: usize,
    /// Bytes of the buffer that weights are read through.
    pub staging: usize,
}

impl Need {
    /// Of a run over windows of a model, `config` being [valid](Config::validate).
    pub const fn new(config: &Config, run: Run) -> Self {
        let batch = run.batch();
        let mut scratch = ScratchSize::new(config, batch);
        // Beside what one worker needs, a query for each of the others.
        let queries = run.workers.saturating_sub(1).saturating_mul(i16_words(config.head_dim as usize));
        scratch.words = scratch.words.saturating_add(queries);
        Self {
            kv_words: match run.order {
                Order::LayerMajor => run.kv_size().largest_layer_words(config),
                Order::TokenMajor => run.kv_size().words(config),
            },
            scratch,
            tokens: run.n_ctx.saturating_add(1),
            sinks: batch.batch,
            staging: if run.staging == 0 { 0 } else { larger(run.staging, MIN_BUFFER) },
        }
    }

    /// What is enough for either.
    pub const fn or(self, other: Self) -> Self {
        let (one, two) = (self.scratch, other.scratch);
        Self {
            kv_words: larger(self.kv_words, other.kv_words),
            scratch: ScratchSize { floats: larger(one.floats, two.floats), words: larger(one.words, two.words) },
            tokens: larger(self.tokens, other.tokens),
            sinks: larger(self.sinks, other.sinks),
            staging: larger(self.staging, other.staging),
        }
    }

    /// Bytes of the KV cache.
    pub const fn kv_bytes(&self) -> usize {
        self.kv_words.saturating_mul(size_of::<u32>())
    }

    /// Bytes of a window's ids.
    pub const fn token_bytes(&self) -> usize {
        self.tokens.saturating_mul(size_of::<TokenId>())
    }

    /// Bytes of the sinks, where they are [`CrossEntropy`].
    pub const fn sink_bytes(&self) -> usize {
        self.sinks.saturating_mul(size_of::<CrossEntropy>())
    }

    /// Bytes of everything.
    pub const fn bytes(&self) -> usize {
        let working = self.kv_bytes().saturating_add(self.scratch.bytes());
        working.saturating_add(self.token_bytes()).saturating_add(self.sink_bytes()).saturating_add(self.staging)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layers, Norms, Positions, Rotary, Windows};
    use std::vec;

    const GPT2: Config =
        Config { n_vocab: 97, n_ctx: 400, n_embd: 24, n_layer: 3, n_ff: 56, ..Config::GPT2 }.with_heads(3);

    /// Rotary positions, by two tables, and a window in every second layer.
    const OTHER: Config = Config {
        n_kv_head: 1,
        head_dim: 12,
        positions: Positions::Rotary(Rotary { dim: 10, second: Layers::repeating(&[false, true]) }),
        windows: Windows { layers: Layers::repeating(&[true, false]), len: 5 },
        ..GPT2
    };

    /// Norms of heads, and behind attention and an MLP that is narrower than the model; both from one input.
    const NORMS: Config =
        Config { n_ff: 5, norms: Norms { after: true, heads: true, ..GPT2.norms }, parallel: true, ..OTHER };

    #[test]
    fn what_is_needed_is_enough_and_no_less_is() {
        for order in Order::ALL {
            for kv_type in KvType::ALL {
                for (n_ctx, batch, rows, workers) in [(400, 4, 8, 1), (40, 1, 144, 2), (7, 64, 1, 3), (1, 0, 0, 0)] {
                    for config in [&GPT2, &OTHER, &NORMS] {
                        let run = Run { batch, rows, workers, ..Run::new(order, kv_type, n_ctx) };
                        let need = Need::new(config, run);
                        let mut kv = vec![0; need.kv_words];
                        let (mut floats, mut words) = (vec![0.0; need.scratch.floats], vec![0; need.scratch.words]);
                        assert!(run.kv_cache(config, &mut kv).is_ok());
                        assert!(run.kv_cache(config, &mut kv[1..]).is_err());
                        assert!(run.scratch(config, &mut floats, &mut words).is_ok());
                        assert!(run.scratch(config, &mut floats[1..], &mut words).is_err());
                        assert_eq!(need.sinks, batch.clamp(1, n_ctx));
                        let parts = [need.kv_bytes(), need.scratch.bytes(), need.token_bytes(), need.sink_bytes()];
                        assert_eq!(parts.iter().sum::<usize>(), need.bytes());
                    }
                }
            }
        }
    }

    #[test]
    fn enough_for_two_is_enough_for_each() {
        let one = Need::new(&GPT2, Run::new(Order::LayerMajor, KvType::F32, 40));
        let two = Need::new(&GPT2, Run { batch: 4, staging: 1, ..Run::new(Order::TokenMajor, KvType::I8, 20) });
        let both = one.or(two);
        for need in [one, two] {
            assert!(both.kv_words >= need.kv_words && both.scratch.floats >= need.scratch.floats);
            assert!(both.scratch.words >= need.scratch.words && both.tokens >= need.tokens && both.sinks >= need.sinks);
        }
        assert_eq!(both.staging, MIN_BUFFER);
    }

    #[test]
    fn what_no_memory_has_does_not_wrap() {
        let run =
            Run { batch: usize::MAX, workers: usize::MAX, ..Run::new(Order::TokenMajor, KvType::F32, usize::MAX) };
        let need = Need::new(&GPT2, run);
        assert_eq!([need.kv_words, need.scratch.floats, need.tokens, need.bytes()], [usize::MAX; 4]);
    }
}
