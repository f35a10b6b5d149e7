//! Core's sessions on the host: memory for them, as much as their model takes.

use crate::ground::memory::{self, MemoryError};
use emberlm_core::config::Config;
use emberlm_core::kernel::Kernel;
use emberlm_core::kv_cache::KvType;
use emberlm_core::model::Model;
use emberlm_core::planner::{Need, Order, Run};
use emberlm_core::session::Session;
use emberlm_core::source::Source;

/// Positions that go through a layer together. More of them amortise the reading of weights over more work; the bits do
/// not depend on it.
pub const BATCH: usize = 512;

/// Rows that are multiplied before their outputs are used: enough to divide among threads.
const ROWS: usize = 1024;

/// How windows go through a model here, `batch` positions together.
pub const fn run(order: Order, kv_type: KvType, n_ctx: usize, batch: usize) -> Run {
    Run { batch, rows: ROWS, ..Run::new(order, kv_type, n_ctx) }
}

/// Memory for one session: KV cache and scratch.
#[derive(Debug)]
pub struct Memory {
    run: Run,
    kv: Vec<u32>,
    floats: Vec<f32>,
    words: Vec<u32>,
}

impl Memory {
    /// For such runs of models of that shape.
    ///
    /// # Errors
    /// There is not so much memory.
    pub fn new(config: &Config, run: Run) -> Result<Self, MemoryError> {
        const KV: &str = "the KV cache";
        const SCRATCH: &str = "the forward pass";
        let need = Need::new(config, run);
        Ok(Self {
            run,
            kv: memory::zeroed(KV, need.kv_words)?,
            floats: memory::zeroed(SCRATCH, need.scratch.floats)?,
            words: memory::zeroed(SCRATCH, need.scratch.words)?,
        })
    }

    /// A session in this memory.
    ///
    /// # Panics
    /// If `model` is not of the shape that the memory was made for.
    pub fn session<S: Source, K: Kernel>(&mut self, model: Model<S>, kernel: K) -> Session<'_, S, K> {
        let config = *model.config();
        let kv = self.run.kv_cache(&config, &mut self.kv).expect("the cache has its size");
        let scratch = self.run.scratch(&config, &mut self.floats, &mut self.words);
        let scratch = scratch.expect("the scratch memory has its size");
        Session::new(model, kernel, kv, scratch).expect("the memory is for this model")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_there_is_is_refused() {
        let config = Config {
            n_vocab: 1 << 24,
            n_ctx: 1 << 24,
            n_embd: 1 << 20,
            n_layer: 1 << 24,
            n_ff: 1 << 20,
            ..Config::GPT2
        }
        .with_heads(1);
        for kv_type in KvType::ALL {
            for order in Order::ALL {
                assert!(Memory::new(&config, run(order, kv_type, 1 << 24, 64)).is_err());
            }
        }
        let config = Config { n_embd: 4, n_layer: 4096, ..config }.with_heads(1);
        let error = Memory::new(&config, run(Order::TokenMajor, KvType::F32, 1 << 24, 64));
        assert!(error.unwrap_err().need >= 1 << 41);
    }
}
