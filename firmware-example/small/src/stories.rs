//! The shape of a TinyStories-1M whose vocabulary was cut, and how it is run.

use emberlm_core::config::{Config, Layers, Windows};
use emberlm_core::kv_cache::KvType;
use emberlm_core::planner::{Order, Run};

/// A GPT-Neo of eight layers, every second of which sees a window, with 4,096 tokens of its 50,257.
pub const TINY_STORIES: Config = Config {
    n_vocab: 4096,
    n_ctx: 2048,
    n_embd: 64,
    n_layer: 8,
    n_ff: 256,
    windows: Windows { layers: Layers::repeating(&[false, true]), len: 256 },
    ..Config::GPT2
}
.with_heads(16);

/// Layer by layer, for one layer's keys and values and every residual.
pub const SCORING: Run = Run { batch: 4, ..Run::new(Order::LayerMajor, KvType::I8, 256) };

/// Token by token, for every layer's keys and values.
pub const GENERATING: Run = Run::new(Order::TokenMajor, KvType::I8, 128);
