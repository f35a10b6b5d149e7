//! Tiny random models of odd shapes.
//!
//! A model of a few thousand weights exercises every branch of the forward pass in microseconds,
//! if its shape leaves nothing even: rows that end in a ragged group, heads of odd width, a missing bias.

use proptest::prelude::*;
use proptest::sample::select;
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64;

use crate::oracle::{Activation, Block, Choices, Gpt2, LayerNorm, Linear, Matrix};

/// The standard deviation of a weight times the square root of its row's length.
/// At 1.5 attention is far from uniform and an error anywhere reaches the logits.
const GAIN: f64 = 1.5;

/// What to make; [`Spec::model`] makes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spec {
    /// Number of tokens.
    pub n_vocab: usize,
    /// Longest context.
    pub n_ctx: usize,
    /// Width; `n_head` divides it.
    pub n_embd: usize,
    /// Heads.
    pub n_head: usize,
    /// Blocks.
    pub n_layer: usize,
    /// Width of the MLP.
    pub n_ff: usize,
    /// Which vectors exist.
    pub biases: Biases,
    /// Whether the head has weights of its own.
    pub untied: bool,
    /// The MLP's.
    pub activation: Activation,
    /// The norms'.
    pub layer_norm_epsilon: f32,
}

/// Which linear maps and norms have a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Biases {
    /// Queries, keys and values.
    pub qkv: bool,
    /// The projection after attention.
    pub attn_proj: bool,
    /// The first half of the MLP.
    pub fc: bool,
    /// The second half of the MLP.
    pub mlp_proj: bool,
    /// All layer norms.
    pub layer_norm: bool,
    /// The head.
    pub head: bool,
}

impl Biases {
    /// As Hugging Face's GPT-2: all but the head's.
    pub const GPT2: Self = Self { qkv: true, attn_proj: true, fc: true, mlp_proj: true, layer_norm: true, head: false };
    /// As nanoGPT's `bias=False`.
    pub const NONE: Self =
        Self { qkv: false, attn_proj: false, fc: false, mlp_proj: false, layer_norm: false, head: false };
}

impl Spec {
    /// Two layers of width 32 with rows that fill half a group: the plainest of the odd ones.
    pub const SMALL: Self = Self {
        n_vocab: 61,
        n_ctx: 16,
        n_embd: 32,
        n_head: 4,
        n_layer: 2,
        n_ff: 128,
        biases: Biases::GPT2,
        untied: false,
        activation: Activation::GeluTanh,
        layer_norm_epsilon: 1e-5,
    };

    /// Nothing even: three layers, five heads of twelve, an MLP that is no multiple of the width, ragged groups.
    pub const RAGGED: Self = Self {
        n_vocab: 97,
        n_ctx: 24,
        n_embd: 60,
        n_head: 5,
        n_layer: 3,
        n_ff: 100,
        untied: true,
        activation: Activation::GeluErf,
        ..Self::SMALL
    };

    /// The smallest that there is: one layer, one head, one column, one token.
    pub const MINIMAL: Self = Self { n_vocab: 1, n_ctx: 3, n_embd: 1, n_head: 1, n_layer: 1, n_ff: 1, ..Self::SMALL };

    /// Rows of the MLP's second matrix that are longer than a 1 KiB buffer in every weight format.
    pub const LONG_ROWS: Self =
        Self { n_vocab: 33, n_ctx: 8, n_embd: 36, n_head: 3, n_layer: 1, n_ff: 1100, ..Self::SMALL };

    /// A context of three blocks of 8-bit attention, the last one of a single position.
    pub const LONG_CONTEXT: Self = Self { n_vocab: 17, n_ctx: 65, n_embd: 14, n_head: 2, n_ff: 9, ..Self::SMALL };

    /// The shapes above and their variations: each bias alone absent, none at all, a head with a bias, tied and untied,
    /// a large epsilon, both GELUs, an odd head width.
    pub fn catalogue() -> Vec<Self> {
        let without = |biases| Self { biases, ..Self::SMALL };
        vec![
            Self::SMALL,
            Self::RAGGED,
            Self::MINIMAL,
            Self::LONG_CONTEXT,
            Self::LONG_ROWS,
            without(Biases::NONE),
            without(Biases { qkv: false, ..Biases::GPT2 }),
            without(Biases { attn_proj: false, ..Biases::GPT2 }),
            without(Biases { fc: false, ..Biases::GPT2 }),
            without(Biases { mlp_proj: false, ..Biases::GPT2 }),
            without(Biases { layer_norm: false, ..Biases::GPT2 }),
            without(Biases { head: true, ..Biases::GPT2 }),
            Self { untied: true, biases: Biases { head: true, ..Biases::NONE }, ..Self::RAGGED },
            Self { layer_norm_epsilon: 1e-3, activation: Activation::GeluErf, n_layer: 1, ..Self::SMALL },
            Self { n_embd: 35, n_head: 5, n_ff: 63, n_vocab: 257, ..Self::RAGGED },
            Self { n_embd: 65, n_head: 1, n_ff: 64, n_vocab: 64, ..Self::SMALL },
        ]
    }

    /// Any shape, for property tests.
    pub fn any() -> impl Strategy<Value = Self> {
        let shape = (1..130_usize, 1..20_usize, 1..6_usize, 1..14_usize, 1..4_usize, 1..150_usize);
        let biases = any::<[bool; 6]>().prop_map(|[qkv, attn_proj, fc, mlp_proj, layer_norm, head]| Biases {
            qkv,
            attn_proj,
            fc,
            mlp_proj,
            layer_norm,
            head,
        });
        let activation = select(vec![Activation::GeluTanh, Activation::GeluErf]);
        let epsilon = select(vec![1e-5, 1e-3, 1e-6]);
        (shape, biases, any::<bool>(), activation, epsilon).prop_map(
            |((n_vocab, n_ctx, n_head, head_dim, n_layer, n_ff), biases, untied, activation, layer_norm_epsilon)| {
                let n_embd = n_head * head_dim;
                Self { n_vocab, n_ctx, n_embd, n_head, n_layer, n_ff, biases, untied, activation, layer_norm_epsilon }
            },
        )
    }

    /// A model of this shape; the same seed gives the same model. Every weight is exactly an f32.
    pub fn model(&self, seed: u64) -> Gpt2 {
        let mut draw = Draw(Pcg64::seed_from_u64(seed));
        let Self { n_vocab, n_ctx, n_embd, n_ff, biases, .. } = *self;
        Gpt2 {
            n_head: self.n_head,
            layer_norm_epsilon: f64::from(self.layer_norm_epsilon),
            activation: self.activation,
            wte: draw.matrix(n_vocab, n_embd, 0.5),
            wpe: draw.matrix(n_ctx, n_embd, 0.5),
            blocks: (0..self.n_layer)
                .map(|_| Block {
                    ln_1: draw.norm(n_embd, biases.layer_norm),
                    c_attn: draw.linear(3 * n_embd, n_embd, biases.qkv),
                    attn_proj: draw.linear(n_embd, n_embd, biases.attn_proj),
                    ln_2: draw.norm(n_embd, biases.layer_norm),
                    c_fc: draw.linear(n_ff, n_embd, biases.fc),
                    mlp_proj: draw.linear(n_embd, n_ff, biases.mlp_proj),
                })
                .collect(),
            ln_f: draw.norm(n_embd, biases.layer_norm),
            lm_head: self.untied.then(|| draw.linear(n_vocab, n_embd, false).weight),
            lm_head_bias: biases.head.then(|| draw.vector(n_vocab, 0.0, 0.2)),
            choices: Choices::GPT2,
        }
    }

    /// `n` token ids; the same seed gives the same ids.
    pub fn tokens(&self, n: usize, seed: u64) -> Vec<u32> {
        let ids = rand::distr::Uniform::new(0, self.n_vocab as u32).expect("a model has a vocabulary");
        ids.sample_iter(Pcg64::seed_from_u64(seed ^ 0x746f_6b65_6e73)).take(n).collect()
    }
}

pub(crate) struct Draw(pub(crate) Pcg64);

impl Draw {
    pub(crate) fn vector(&mut self, n: usize, mean: f64, std: f64) -> Vec<f64> {
        let normal = StandardNormal.sample_iter(&mut self.0).take(n);
        normal.map(|x: f64| f64::from((mean + std * x) as f32)).collect()
    }

    pub(crate) fn matrix(&mut self, rows: usize, columns: usize, std: f64) -> Matrix {
        (0..rows).map(|_| self.vector(columns, 0.0, std)).collect()
    }

    pub(crate) fn linear(&mut self, n_out: usize, n_in: usize, bias: bool) -> Linear {
        Linear {
            weight: self.matrix(n_out, n_in, GAIN / (n_in as f64).sqrt()),
            bias: bias.then(|| self.vector(n_out, 0.0, 0.2)),
        }
    }

    pub(crate) fn norm(&mut self, n: usize, bias: bool) -> LayerNorm {
        LayerNorm { weight: self.vector(n, 1.0, 0.2), bias: bias.then(|| self.vector(n, 0.0, 0.2)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_model() {
        for spec in Spec::catalogue() {
            assert_eq!(spec.model(7), spec.model(7));
            assert_ne!(spec.model(7), spec.model(8));
        }
    }

    #[test]
    fn the_catalogue_has_no_doubles() {
        let all = Spec::catalogue();
        for (i, spec) in all.iter().enumerate() {
            assert!(!all[..i].contains(spec), "{spec:?}");
        }
    }

    #[test]
    fn attention_and_mlp_reach_the_logits() {
        let model = Spec::RAGGED.model(1);
        let tokens = Spec::RAGGED.tokens(6, 1);
        let logits = model.logits(&tokens);
        let mut changed = model.clone();
        changed.blocks[0].c_attn.weight[61][3] += 0.1;
        let mut shorter = tokens.clone();
        shorter[0] = (shorter[0] + 1) % 97;
        assert_ne!(changed.logits(&tokens)[5], logits[5]);
        assert_ne!(model.logits(&shorter)[5], logits[5]);
        assert_eq!(model.logits(&tokens[..3]), logits[..3], "a later token must not change an earlier logit");
    }
}
