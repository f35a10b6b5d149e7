//! Core's sessions on the host: memory for them, as much as their model takes.

use crate::ground::memory::{self, MemoryError};
use emberlm_core::config::Config;
use emberlm_core::kernel::Kernel;
use emberlm_core::kv_cache::{KvCache, KvType};
use emberlm_core::model::Model;
use emberlm_core::scratch::{Batch, Scratch, ScratchSize};
use emberlm_core::session::Session;
use emberlm_core::source::Source;

/// Positions that go through a layer together. More of them amortise the reading of weights over more work; the bits do
/// not depend on it.
pub const BATCH: usize = 64;

/// Memory for one session: KV cache and scratch.
#[derive(Debug)]
pub struct Memory {
    kv_type: KvType,
    n_ctx: usize,
    one_layer: bool,
    batch: Batch,
    kv: Vec<u32>,
    floats: Vec<f32>,
    words: Vec<u32>,
}

impl Memory {
    /// For windows of up to `window` inputs, layer by layer: the window's residuals and one layer's keys and values.
    ///
    /// # Errors
    /// There is not so much memory.
    pub fn layer_major(config: &Config, kv_type: KvType, window: usize, batch: usize) -> Result<Self, MemoryError> {
        let batch = Batch { window, batch: batch.min(window) };
        Self::new(config, kv_type, window, true, batch)
    }

    /// For `n_ctx` positions that come `batch` at a time: every layer's keys and values.
    ///
    /// # Errors
    /// There is not so much memory.
    pub fn token_major(config: &Config, kv_type: KvType, n_ctx: usize, batch: usize) -> Result<Self, MemoryError> {
        Self::new(config, kv_type, n_ctx, false, Batch::of(batch))
    }

    fn new(config: &Config, kv_type: KvType, n_ctx: usize, one_layer: bool, batch: Batch) -> Result<Self, MemoryError> {
        const KV: &str = "the KV cache";
        const SCRATCH: &str = "the forward pass";
        let layers = if one_layer { 1 } else { config.n_layer as usize };
        let size = ScratchSize::new(config, batch);
        Ok(Self {
            kv_type,
            n_ctx,
            one_layer,
            batch,
            kv: memory::zeroed(KV, layers.saturating_mul(kv_type.layer_words(config, n_ctx)))?,
            floats: memory::zeroed(SCRATCH, size.floats)?,
            words: memory::zeroed(SCRATCH, size.words)?,
        })
    }

    /// A session in this memory.
    ///
    /// # Panics
    /// If `model` is not of the shape that the memory was made for.
    pub fn session<S: Source, K: Kernel>(&mut self, model: Model<S>, kernel: K) -> Session<'_, S, K> {
        let config = *model.config();
        let kv = if self.one_layer { KvCache::one_layer } else { KvCache::whole };
        let kv = kv(self.kv_type, &config, self.n_ctx, &mut self.kv).expect("the cache has its size");
        let scratch = Scratch::new(&config, self.batch, &mut self.floats, &mut self.words);
        let scratch = scratch.expect("the scratch memory has its size");
        Session::new(model, kernel, kv, scratch).expect("the memory is for this model")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emberlm_core::config::Gelu;

    #[test]
    fn more_than_there_is_is_refused() {
        let config = Config {
            n_vocab: 1 << 24,
            n_ctx: 1 << 24,
            n_embd: 1 << 20,
            n_head: 1,
            n_layer: 1 << 24,
            n_ff: 1 << 20,
            layer_norm_epsilon: 1e-5,
            gelu: Gelu::Tanh,
        };
        for kv_type in KvType::ALL {
            assert!(Memory::token_major(&config, kv_type, 1 << 24, 64).is_err());
            assert!(Memory::layer_major(&config, kv_type, 1 << 24, 64).is_err());
        }
        let error = Memory::token_major(&Config { n_embd: 4, n_layer: 4096, ..config }, KvType::F32, 1 << 24, 64);
        assert!(error.unwrap_err().need >= 1 << 41);
    }
}
