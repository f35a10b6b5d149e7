//! Several sequences continued in lockstep, a token each at a time, over their keys and values.

use super::{Reference, ops};
use emberlm_core::config::TokenId;
use rayon::prelude::*;

/// Sequences of equal length that grow together.
#[derive(Debug)]
pub struct Decoder<'r> {
    reference: &'r Reference<'r>,
    lanes: usize,
    n_ctx: usize,
    n_past: usize,
    /// For each layer keys and values, `[lanes][n_ctx][2 n_embd]`.
    cache: Vec<Vec<f32>>,
}

impl<'r> Decoder<'r> {
    /// `lanes` empty sequences, with room for `n_ctx` tokens each.
    pub fn new(reference: &'r Reference<'r>, lanes: usize, n_ctx: usize) -> Self {
        let len = lanes * n_ctx * 2 * reference.config.n_embd as usize;
        let cache = vec![vec![0.0; len]; reference.config.n_layer as usize];
        Self { reference, lanes, n_ctx, n_past: 0, cache }
    }

    /// Appends one token to each sequence and returns the logits of the next, `[lanes, n_vocab]`.
    ///
    /// # Panics
    /// There is not one token a sequence, one is outside the vocabulary, or the sequences are full.
    pub fn step(&mut self, tokens: &[TokenId]) -> Vec<f32> {
        assert_eq!(tokens.len(), self.lanes, "a token for each sequence");
        assert!(self.n_past < self.n_ctx, "room for a token");
        let reference = self.reference;
        let config = reference.config;
        let (n_embd, n_head) = (config.n_embd as usize, config.n_head as usize);
        let mut x: Vec<f64> = tokens.iter().flat_map(|&token| reference.embedding(token, self.n_past)).collect();
        for (block, cache) in reference.blocks.iter().zip(&mut self.cache) {
            let qkv = block.qkv.apply(&block.ln_1.apply(&x));
            let mut mixed = vec![0.0; self.lanes * n_embd];
            let lanes = mixed.par_chunks_mut(n_embd).zip(qkv.par_chunks(3 * n_embd));
            lanes.zip(cache.par_chunks_mut(self.n_ctx * 2 * n_embd)).for_each(|((mixed, qkv), cache)| {
                cache[self.n_past * 2 * n_embd..][..2 * n_embd].copy_from_slice(&qkv[n_embd..]);
                ops::attend_one(mixed, &qkv[..n_embd], &cache[..(self.n_past + 1) * 2 * n_embd], n_head);
            });
            ops::add(&mut x, &block.attn_proj.apply(&mixed));
            let mut hidden = block.fc.apply(&block.ln_2.apply(&x));
            ops::apply_gelu(&mut hidden, config.gelu);
            ops::add(&mut x, &block.mlp_proj.apply(&hidden));
        }
        self.n_past += 1;
        let mut logits = vec![0.0; self.lanes * config.n_vocab as usize];
        reference.head_rows(&reference.ln_f.apply(&x), 0, &mut logits);
        logits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::tests::build::Draft;

    #[test]
    fn steps_give_the_logits_of_the_whole_window() {
        let checkpoint = Draft::hf().open().unwrap();
        let reference = Reference::new(&checkpoint);
        let windows = [[3, 1, 6, 0, 2], [5, 5, 0, 1, 4]];
        let mut decoder = Decoder::new(&reference, 2, 5);
        for position in 0..5 {
            let stepped = decoder.step(&windows.map(|window| window[position]));
            for (window, stepped) in windows.iter().zip(stepped.chunks(7)) {
                let hidden = reference.hidden(&window[..=position]).unwrap();
                let mut whole = [0.0; 7];
                reference.head_rows(&hidden[position * 4..], 0, &mut whole);
                for (stepped, whole) in stepped.iter().zip(whole) {
                    assert!((stepped - whole).abs() < 1e-5, "{position}: {stepped} {whole}");
                }
            }
        }
    }
}
