//! Several sequences continued in lockstep, a token each at a time, over their keys and values.

use super::attention::Heads;
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
    /// For each layer rotated keys and values, `[lanes][n_ctx][2 n_kv_head head_dim]`.
    cache: Vec<Vec<f32>>,
}

impl<'r> Decoder<'r> {
    /// `lanes` empty sequences, with room for `n_ctx` tokens each.
    pub fn new(reference: &'r Reference<'r>, lanes: usize, n_ctx: usize) -> Self {
        let len = lanes * n_ctx * Heads::of(reference.architecture, 0).kv_len();
        let cache = vec![vec![0.0; len]; reference.blocks.len()];
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
        let architecture = reference.architecture;
        let mut x: Vec<f64> = tokens.iter().flat_map(|&token| reference.embedding(token, self.n_past)).collect();
        for ((layer, block), cache) in (0..).zip(&reference.blocks).zip(&mut self.cache) {
            let heads = Heads::of(architecture, layer);
            let (q_len, kv_len) = (heads.q_len(), heads.kv_len());
            let mut qkv = block.qkv.apply(&block.ln_1.apply(&x));
            let mut mixed = vec![0.0; self.lanes * q_len];
            let lanes = mixed.par_chunks_mut(q_len).zip(qkv.par_chunks_mut(q_len + kv_len));
            lanes.zip(cache.par_chunks_mut(self.n_ctx * kv_len)).for_each(|((mixed, qkv), cache)| {
                heads.normalize(qkv, block.heads.as_ref());
                heads.rotate(qkv, self.n_past);
                cache[self.n_past * kv_len..][..kv_len].copy_from_slice(&qkv[q_len..]);
                heads.attend_one(mixed, &qkv[..q_len], &cache[..(self.n_past + 1) * kv_len]);
            });
            let attended = block.of_attention(block.attn_proj.apply(&mixed));
            if !architecture.parallel {
                ops::add(&mut x, &attended);
            }
            let hidden = reference.activate(block.fc.apply(&block.ln_2.apply(&x)));
            ops::add(&mut x, &block.of_mlp(block.mlp_proj.apply(&hidden)));
            if architecture.parallel {
                ops::add(&mut x, &attended);
            }
        }
        self.n_past += 1;
        let mut logits = vec![0.0; self.lanes * architecture.n_vocab as usize];
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
