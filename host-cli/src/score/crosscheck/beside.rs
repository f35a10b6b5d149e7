//! Two heads walked side by side: the blob's logits come in blocks, the reference's are made for the same tokens.

use std::cell::RefCell;

use emberlm_core::config::TokenId;
use emberlm_core::sink::LogitSink;

use crate::engine::divergence::{Difference, Divergence};
use crate::reference::Reference;

/// The reference's logits of one block of tokens, for each position of a batch.
pub struct ReferenceBlock<'r> {
    reference: &'r Reference<'r>,
    /// After `ln_f`, `[positions, n_embd]`.
    hidden: &'r [f32],
    first: Option<TokenId>,
    len: usize,
    /// `[positions, len]`.
    logits: Vec<f32>,
}

impl<'r> ReferenceBlock<'r> {
    /// For positions whose hidden states are `hidden`, `[positions, n_embd]`.
    pub const fn new(reference: &'r Reference<'r>, hidden: &'r [f32]) -> Self {
        Self { reference, hidden, first: None, len: 0, logits: Vec::new() }
    }

    /// The logits of tokens `first .. first + len` at `position`; the first position to ask has them made for all.
    fn logits(&mut self, position: usize, first: TokenId, len: usize) -> &[f32] {
        if self.first != Some(first) || self.len != len {
            let positions = self.hidden.len() / self.reference.architecture().n_embd as usize;
            self.logits.resize(positions * len, 0.0);
            self.reference.head_rows(self.hidden, first, &mut self.logits);
            (self.first, self.len) = (Some(first), len);
        }
        &self.logits[position * len..][..len]
    }
}

/// Takes one position's logits from the blob's head and compares them with the reference's.
pub struct Beside<'b, 'r> {
    block: &'b RefCell<ReferenceBlock<'r>>,
    position: usize,
    divergence: Divergence,
}

impl<'b, 'r> Beside<'b, 'r> {
    /// For one position of `block`'s batch.
    pub const fn new(block: &'b RefCell<ReferenceBlock<'r>>, position: usize, target: TokenId) -> Self {
        Self { block, position, divergence: Divergence::new(target) }
    }

    /// As [`Divergence::finish`].
    pub fn finish(&self) -> Option<Difference> {
        self.divergence.finish()
    }
}

impl LogitSink for Beside<'_, '_> {
    fn push(&mut self, first: TokenId, logits: &[f32]) {
        let mut block = self.block.borrow_mut();
        self.divergence.push(first, block.logits(self.position, first, logits.len()), logits);
    }
}
