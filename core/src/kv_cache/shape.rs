//! What a cache holds of a position.

use crate::config::{Config, KvType};
use core::ops::Range;

impl KvType {
    /// 32-bit words that one layer's keys and values take for `n_ctx` positions, `config` being
    /// [valid](Config::validate); `usize::MAX` where that overflows.
    pub const fn layer_words(self, config: &Config, n_ctx: usize) -> usize {
        n_ctx.saturating_mul(2 * Shape::new(self, config).row_words())
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
        Self { kv_type, n_head: config.n_head as usize, head_dim: config.head_dim() }
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
