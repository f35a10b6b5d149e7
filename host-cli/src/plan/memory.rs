//! What a run takes, piece by piece, by the size functions that core exports.

use std::mem::size_of;

use emberlm_core::config::{Config, TokenId};
use emberlm_core::kv_cache::KvType;
use emberlm_core::loss::CrossEntropy;
use emberlm_core::scratch::{Batch, ScratchSize};

use super::firmware::Firmware;

/// The order in which a window goes through the model. Both give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The window through one layer, then the next: one layer's keys and values, every position's residual, and each
    /// weight read once a window. It scores; it cannot continue a text.
    LayerMajor,
    /// A batch of positions through all layers, then the next: every layer's keys and values.
    TokenMajor,
}

impl Order {
    /// Both.
    pub const ALL: [Self; 2] = [Self::LayerMajor, Self::TokenMajor];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LayerMajor => "layer-major",
            Self::TokenMajor => "token-major",
        }
    }
}

/// How windows go through a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Positions of a window.
    pub n_ctx: usize,
    /// How keys and values are stored.
    pub kv_type: KvType,
    /// Positions that go through a layer together; no more than `n_ctx` are.
    pub batch: usize,
    /// Which way.
    pub order: Order,
}

/// Bytes that lie together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What they are for.
    pub name: &'static str,
    /// How many.
    pub bytes: u64,
    /// The region, by its index, where it is not free.
    pub region: Option<usize>,
}

impl Piece {
    /// A piece that can lie in any region.
    const fn free(name: &'static str, bytes: u64) -> Self {
        Self { name, bytes, region: None }
    }

    /// A piece of the region of that index.
    pub const fn at(region: usize, name: &'static str, bytes: u64) -> Self {
        Self { name, bytes, region: Some(region) }
    }
}

/// All that a run writes. A core's own variables and its stack lie in the first region.
///
/// The KV cache comes in one piece a layer.
pub fn pieces(config: &Config, run: &Run, firmware: &Firmware) -> Vec<Piece> {
    let buffers = Buffers::new(config, run);
    let mut pieces = vec![
        Piece::at(0, "statics", firmware.static_bytes),
        Piece::at(0, "stack", firmware.stack_bytes),
        Piece::free("scratch", buffers.floats),
        Piece::free("scratch", buffers.words),
        Piece::free("tokens", buffers.tokens),
        Piece::free("sinks", buffers.sinks),
    ];
    pieces.extend((0..buffers.kv_layers).map(|_| Piece::free("kv cache", buffers.kv_layer)));
    pieces
}

/// Bytes of a run's buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffers {
    /// Pieces of the KV cache: one, or one a layer.
    pub kv_layers: u32,
    /// Each of them.
    pub kv_layer: u64,
    /// Scratch memory's floats.
    pub floats: u64,
    /// Its words.
    pub words: u64,
    /// A window and its last target.
    pub tokens: u64,
    /// One sink a position of a batch.
    pub sinks: u64,
}

impl Buffers {
    /// Of a run of a model of shape `config`; `u64::MAX` where that overflows.
    pub fn new(config: &Config, run: &Run) -> Self {
        let n = run.batch.min(run.n_ctx).max(1);
        let (kv_layers, batch) = match run.order {
            Order::LayerMajor => (1, Batch { window: run.n_ctx, batch: n }),
            Order::TokenMajor => (config.n_layer, Batch::of(n)),
        };
        let scratch = ScratchSize::new(config, batch);
        let bytes = |n: usize, each: usize| (n as u64).saturating_mul(each as u64);
        Self {
            kv_layers,
            kv_layer: bytes(run.kv_type.layer_words(config, run.n_ctx), size_of::<u32>()),
            floats: bytes(scratch.floats, size_of::<f32>()),
            words: bytes(scratch.words, size_of::<u32>()),
            tokens: bytes(run.n_ctx + 1, size_of::<TokenId>()),
            sinks: bytes(n, size_of::<CrossEntropy>()),
        }
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> u64 {
        let kv = self.kv_layer.saturating_mul(self.kv_layers.into());
        [kv, self.floats, self.words, self.tokens, self.sinks].into_iter().fold(0, u64::saturating_add)
    }
}
