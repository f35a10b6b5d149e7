//! Keys and values of the positions already seen, in memory that the caller owns.

mod layer;
mod shape;

pub use crate::config::KvType;
pub(crate) use layer::{Layer, Part};

use crate::config::Config;
use crate::error::{Buffer, BufferTooSmall};
use crate::part::{missing, part_mut};
use shape::Shape;

/// The caller's memory, by how the layers share it out.
#[derive(Debug)]
enum Memory<'b> {
    /// Layer after layer in one piece.
    Whole(&'b mut [u32]),
    /// One piece a layer, wherever each lies.
    PerLayer(&'b mut [&'b mut [u32]]),
    /// One piece for all layers, each overwriting the last one's.
    OneLayer(&'b mut [u32]),
}

/// A key and value cache for up to `n_ctx` positions.
///
/// A layer's memory is `[n_ctx]` rows of keys, then `[n_ctx]` rows of values.
#[derive(Debug)]
pub struct KvCache<'b> {
    memory: Memory<'b>,
    shape: Shape,
    n_ctx: usize,
    layer_words: usize,
}

impl<'b> KvCache<'b> {
    /// A cache whose layers lie one after another in `words`, `n_layer * layer_words` long.
    ///
    /// `n_ctx` may be below the model's own: it bounds the positions that a session can take.
    ///
    /// # Errors
    /// `words` is too short.
    pub fn whole(kv_type: KvType, config: &Config, n_ctx: usize, words: &'b mut [u32]) -> Result<Self, BufferTooSmall> {
        let need = kv_type.layer_words(config, n_ctx).saturating_mul(config.n_layer as usize);
        BufferTooSmall::check(Buffer::KvCache, need, words.len())?;
        Ok(Self::with(Memory::Whole(words), kv_type, config, n_ctx))
    }

    /// A cache with a piece of memory for each layer, for chips whose memories are not contiguous.
    ///
    /// # Errors
    /// Pieces are missing, or one is too short.
    pub fn per_layer(
        kv_type: KvType,
        config: &Config,
        n_ctx: usize,
        layers: &'b mut [&'b mut [u32]],
    ) -> Result<Self, BufferTooSmall> {
        BufferTooSmall::check(Buffer::KvLayers, config.n_layer as usize, layers.len())?;
        let need = kv_type.layer_words(config, n_ctx);
        let have = layers.iter().map(|words| words.len()).min().unwrap_or(0);
        BufferTooSmall::check(Buffer::KvCache, need, have)?;
        Ok(Self::with(Memory::PerLayer(layers), kv_type, config, n_ctx))
    }

    /// A cache of one layer that every layer uses in turn: enough to score windows layer by layer, not to continue.
    ///
    /// # Errors
    /// `words` is too short.
    pub fn one_layer(
        kv_type: KvType,
        config: &Config,
        n_ctx: usize,
        words: &'b mut [u32],
    ) -> Result<Self, BufferTooSmall> {
        BufferTooSmall::check(Buffer::KvCache, kv_type.layer_words(config, n_ctx), words.len())?;
        Ok(Self::with(Memory::OneLayer(words), kv_type, config, n_ctx))
    }

    fn with(memory: Memory<'b>, kv_type: KvType, config: &Config, n_ctx: usize) -> Self {
        let layer_words = kv_type.layer_words(config, n_ctx);
        Self { memory, shape: Shape::new(kv_type, config), n_ctx, layer_words }
    }

    /// How keys and values are stored.
    pub const fn kv_type(&self) -> KvType {
        self.shape.kv_type
    }

    /// Positions that fit.
    pub const fn n_ctx(&self) -> usize {
        self.n_ctx
    }

    /// Whether a later call can see the positions of an earlier one.
    pub(crate) const fn keeps_layers(&self) -> bool {
        !matches!(self.memory, Memory::OneLayer(_))
    }

    /// Whether the cache was made for models of this shape.
    pub(crate) fn fits(&self, config: &Config) -> bool {
        let n_layer = config.n_layer as usize;
        let layers = match &self.memory {
            Memory::Whole(words) => words.len().checked_div(self.layer_words).unwrap_or(n_layer),
            Memory::PerLayer(layers) => layers.len(),
            Memory::OneLayer(_) => n_layer,
        };
        layers >= n_layer && self.shape == Shape::new(self.shape.kv_type, config)
    }

    /// The rows of one layer.
    pub(crate) fn layer(&mut self, layer: usize) -> Layer<'_> {
        let words = match &mut self.memory {
            Memory::Whole(words) => part_mut(words, layer * self.layer_words..(layer + 1) * self.layer_words),
            Memory::PerLayer(layers) => match layers.get_mut(layer) {
                Some(words) => part_mut(words, ..self.layer_words),
                None => {
                    missing();
                    &mut []
                }
            },
            Memory::OneLayer(words) => part_mut(words, ..self.layer_words),
        };
        Layer::new(self.shape, self.n_ctx, words)
    }
}
