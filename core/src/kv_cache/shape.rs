//! How much a cache holds, and what of a position.

use crate::config::{Config, KvType};
use crate::features::WINDOWS;
use core::ops::Range;

/// What a cache is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct KvSize {
    /// How keys and values are stored.
    pub kv_type: KvType,
    /// Positions that a session can take. May be fewer than the model knows.
    pub n_ctx: usize,
    /// Positions that go through a layer together, at most. A layer whose queries see a window keeps them beside it, since
    /// they are written before the first of them reads.
    pub batch: usize,
}

impl KvSize {
    /// For so many positions, of which `batch` go through a layer together.
    pub const fn new(kv_type: KvType, n_ctx: usize, batch: usize) -> Self {
        Self { kv_type, n_ctx, batch }
    }

    /// Positions that a layer keeps, `config` being [valid](Config::validate): all, or where its queries see a window a
    /// ring of `min(n_ctx, round_up_32(window + batch + 30))`.
    pub const fn slots(&self, config: &Config, layer: u32) -> usize {
        if config.windows.of(layer).is_some() { self.ring(config) } else { self.n_ctx }
    }

    /// 32-bit words that a layer's keys and values take; `usize::MAX` where that overflows.
    pub const fn layer_words(&self, config: &Config, layer: u32) -> usize {
        self.slots(config, layer).saturating_mul(2 * Shape::new(self.kv_type, config).row_words())
    }

    /// 32-bit words of the layer that takes the most.
    pub const fn largest_layer_words(&self, config: &Config) -> usize {
        let all_see_a_window = WINDOWS && config.windows.layers.before(config.n_layer) == config.n_layer;
        let slots = if all_see_a_window { self.ring(config) } else { self.n_ctx };
        slots.saturating_mul(2 * Shape::new(self.kv_type, config).row_words())
    }

    /// 32-bit words of all layers.
    pub const fn words(&self, config: &Config) -> usize {
        self.words_before(config, config.n_layer)
    }

    /// 32-bit words of the layers before `layer`.
    const fn words_before(&self, config: &Config, layer: u32) -> usize {
        let rings = if WINDOWS { config.windows.layers.before(layer) } else { 0 };
        let whole = self.n_ctx.saturating_mul((layer - rings) as usize);
        let slots =
            if rings == 0 { whole } else { whole.saturating_add(self.ring(config).saturating_mul(rings as usize)) };
        slots.saturating_mul(2 * Shape::new(self.kv_type, config).row_words())
    }

    /// Positions that a layer with a window keeps.
    pub(super) const fn ring(&self, config: &Config) -> usize {
        let most = (config.windows.len as usize).saturating_add(self.batch).saturating_add(30 + 31);
        let ring = most - most % 32;
        if ring < self.n_ctx { ring } else { self.n_ctx }
    }
}

/// How a row is laid out: its heads, each in words of its own, and for [`KvType::I8`] their scales, two a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub kv_type: KvType,
    pub n_head: usize,
    pub head_dim: usize,
}

impl Shape {
    pub const fn new(kv_type: KvType, config: &Config) -> Self {
        Self { kv_type, n_head: config.kv_heads(), head_dim: config.head_dim as usize }
    }

    /// 32-bit words of one position's keys, or values.
    pub const fn row_words(self) -> usize {
        let scales = match self.kv_type {
            KvType::F32 | KvType::F16 => 0,
            KvType::I8 => self.n_head.div_ceil(2),
        };
        self.n_head * self.head_words() + scales
    }

    const fn head_words(self) -> usize {
        match self.kv_type {
            KvType::F32 => self.head_dim,
            KvType::F16 => self.head_dim.div_ceil(2),
            KvType::I8 => self.head_dim.div_ceil(4),
        }
    }

    /// The words of a head in a row.
    pub fn words(self, head: usize) -> Range<usize> {
        let n = self.head_words();
        head * n..(head + 1) * n
    }

    /// The place of a head's scale in a row, counted in half words.
    pub const fn scale(self, head: usize) -> usize {
        2 * self.n_head * self.head_words() + head
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layers, Windows};

    #[test]
    fn layers_with_a_window_keep_a_ring() {
        let layers = Layers::repeating(&[true, false, true]);
        let windows = Windows { layers, len: 33 };
        let config = Config { n_layer: 5, n_embd: 12, windows, ..Config::GPT2 }.with_heads(2);
        let size = |n_ctx, batch| KvSize { kv_type: KvType::F32, n_ctx, batch };
        // 33 + 1 + 30 is 64, one more is 96.
        assert_eq!([1, 2, 33, 34].map(|batch| size(1000, batch).slots(&config, 0)), [64, 96, 96, 128]);
        assert_eq!((size(1000, 1).slots(&config, 1), size(50, 1).slots(&config, 0)), (1000, 50));
        let size = size(1000, 1);
        let each = [64, 1000, 64, 64, 1000].map(|slots| slots * 2 * 12);
        for layer in 0..5 {
            assert_eq!(size.layer_words(&config, layer), each[layer as usize]);
            assert_eq!(size.words_before(&config, layer), each[..layer as usize].iter().sum::<usize>());
        }
        assert_eq!((size.words(&config), size.largest_layer_words(&config)), (each.iter().sum(), each[1]));
        let all = Config { windows: Windows { layers: Layers::ALL, ..windows }, ..config };
        assert_eq!(size.largest_layer_words(&all), each[0]);
    }
}
