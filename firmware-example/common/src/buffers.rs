//! The memory of a run.

use emberlm_core::config::TokenId;
use emberlm_core::loss::CrossEntropy;

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
