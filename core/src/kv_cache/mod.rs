//! Keys and values of the positions already seen, in memory that the caller owns.

mod layer;
mod shape;

pub use crate::config::KvType;
pub(crate) use layer::{Layer, Part};
pub use shape::KvSize;

use crate::config::Config;
use crate::error::{Buffer, BufferTooSmall};
use crate::features::WINDOWS;
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

/// A key and value cache.
///
/// A layer's memory is as many rows of keys as it keeps positions, [`KvSize::slots`], then as many of values.
#[derive(Debug)]
pub struct KvCache<'b> {
    memory: Memory<'b>,
    shape: Shape,
    size: KvSize,
    /// Positions of a layer that sees all of them, and of one that sees a window.
    slots: usize,
    ring: usize,
    /// Words of a position's keys and values.
    position_words: usize,
}

impl<'b> KvCache<'b> {
    /// A cache whose layers lie one after another in `words`, [`KvSize::words`] long.
    ///
    /// # Errors
    /// `words` is too short.
    pub fn whole(size: KvSize, config: &Config, words: &'b mut [u32]) -> Result<Self, BufferTooSmall> {
        BufferTooSmall::check(Buffer::KvCache, size.words(config), words.len())?;
        Ok(Self::with(Memory::Whole(words), size, config))
    }

    /// A cache with a piece of memory for each layer, [`KvSize::layer_words`] long, for chips whose memories are not
    /// contiguous.
    ///
    /// # Errors
    /// Pieces are missing, or one is too short.
    pub fn per_layer(size: KvSize, config: &Config, layers: &'b mut [&'b mut [u32]]) -> Result<Self, BufferTooSmall> {
        BufferTooSmall::check(Buffer::KvLayers, config.n_layer as usize, layers.len())?;
        for (layer, words) in (0..config.n_layer).zip(layers.iter()) {
            BufferTooSmall::check(Buffer::KvCache, size.layer_words(config, layer), words.len())?;
        }
        Ok(Self::with(Memory::PerLayer(layers), size, config))
    }

    /// A cache of one layer that every layer uses in turn, [`KvSize::largest_layer_words`] long: enough to score windows
    /// layer by layer, not to continue.
    ///
    /// # Errors
    /// `words` is too short.
    pub fn one_layer(size: KvSize, config: &Config, words: &'b mut [u32]) -> Result<Self, BufferTooSmall> {
        BufferTooSmall::check(Buffer::KvCache, size.largest_layer_words(config), words.len())?;
        Ok(Self::with(Memory::OneLayer(words), size, config))
    }

    const fn with(memory: Memory<'b>, size: KvSize, config: &Config) -> Self {
        let shape = Shape::new(size.kv_type, config);
        let (slots, ring) = (size.n_ctx, if WINDOWS { size.ring(config) } else { 0 });
        Self { memory, shape, size, slots, ring, position_words: 2 * shape.row_words() }
    }

    /// What the cache is for.
    pub const fn size(&self) -> KvSize {
        self.size
    }

    /// Whether a later call can see the positions of an earlier one.
    pub(crate) const fn keeps_layers(&self) -> bool {
        !matches!(self.memory, Memory::OneLayer(_))
    }

    /// Whether the cache was made for models of this shape.
    pub(crate) fn fits(&self, config: &Config) -> bool {
        let same = Self::with(Memory::OneLayer(&mut []), self.size, config);
        let layers = match &self.memory {
            Memory::Whole(words) => words.len() >= self.words_before(config, config.n_layer),
            Memory::PerLayer(layers) => (0..config.n_layer).all(|layer| {
                let need = self.slots(config, layer) * self.position_words;
                layers.get(layer as usize).is_some_and(|words| words.len() >= need)
            }),
            Memory::OneLayer(_) => true,
        };
        layers && self.shape == same.shape && self.ring == same.ring
    }

    /// Positions that a layer keeps.
    fn slots(&self, config: &Config, layer: u32) -> usize {
        if config.windows.of(layer).is_some() { self.ring } else { self.slots }
    }

    fn words_before(&self, config: &Config, layer: u32) -> usize {
        let rings = if WINDOWS { config.windows.layers.before(layer) as usize } else { 0 };
        ((layer as usize - rings) * self.slots + rings * self.ring) * self.position_words
    }

    /// The rows of one layer.
    pub(crate) fn layer(&mut self, config: &Config, layer: u32) -> Layer<'_> {
        let slots = self.slots(config, layer);
        let need = slots * self.position_words;
        let start = self.words_before(config, layer);
        let words = match &mut self.memory {
            Memory::Whole(words) => part_mut(words, start..start + need),
            Memory::PerLayer(layers) => match layers.get_mut(layer as usize) {
                Some(words) => part_mut(words, ..need),
                None => {
                    missing();
                    &mut []
                }
            },
            Memory::OneLayer(words) => part_mut(words, ..need),
        };
        Layer::new(self.shape, slots, words)
    }
}
