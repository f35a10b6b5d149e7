//! GPT-2 in f64, written for reading.
//!
//! Every step is the plain formula on whole matrices: no cache, no streaming, no fused loop.
//! The weights are public, so that a test can build a model, change it, and see what changes.

use crate::gelu::{gelu_erf, gelu_tanh};
use crate::log_sum_exp;

/// Rows of equal length.
pub type Matrix = Vec<Vec<f64>>;

/// Which GELU stands between the two halves of the MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `gelu_new`.
    GeluTanh,
    /// `gelu`.
    GeluErf,
}

/// y = W x + b, W `[n_out, n_in]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// `[n_out, n_in]`.
    pub weight: Matrix,
    /// `[n_out]`.
    pub bias: Option<Vec<f64>>,
}

/// Normalisation to mean 0 and variance 1, then a scale and a shift for each element.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNorm {
    /// `[n_embd]`.
    pub weight: Vec<f64>,
    /// `[n_embd]`.
    pub bias: Option<Vec<f64>>,
}

/// One transformer block.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Before attention.
    pub ln_1: LayerNorm,
    /// `[3 n_embd, n_embd]`: queries, keys, values.
    pub c_attn: Linear,
    /// `[n_embd, n_embd]`.
    pub attn_proj: Linear,
    /// Before the MLP.
    pub ln_2: LayerNorm,
    /// `[n_ff, n_embd]`.
    pub c_fc: Linear,
    /// `[n_embd, n_ff]`.
    pub mlp_proj: Linear,
}

/// One of the products by a weight matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Queries, keys and values.
    Qkv,
    /// After attention.
    AttnProj,
    /// The first of the MLP.
    Fc,
    /// The second of the MLP.
    MlpProj,
    /// The head.
    Head,
}

/// A model, all of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Gpt2 {
    /// How many heads share the n_embd columns of queries, keys and values.
    pub n_head: usize,
    /// Added to the variance under the root.
    pub layer_norm_epsilon: f64,
    /// The MLP's.
    pub activation: Activation,
    /// `[n_vocab, n_embd]`.
    pub wte: Matrix,
    /// `[n_ctx, n_embd]`.
    pub wpe: Matrix,
    /// `[n_layer]`.
    pub blocks: Vec<Block>,
    /// Before the head.
    pub ln_f: LayerNorm,
    /// `[n_vocab, n_embd]`; `None` if `wte` is the head.
    pub lm_head: Option<Matrix>,
    /// `[n_vocab]`.
    pub lm_head_bias: Option<Vec<f64>>,
}

impl Gpt2 {
    /// The logits `[tokens.len(), n_vocab]` of the token after each position.
    ///
    /// # Panics
    /// If there are more tokens than n_ctx, or one is n_vocab or more.
    pub fn logits(&self, tokens: &[u32]) -> Matrix {
        self.logits_rounded(tokens, |_, _| (), |_| ())
    }

    /// [`logits`](Self::logits) with `round` applied to every vector that a weight matrix is about to multiply, and
    /// `round_head` to every head of every position's keys and values: what is left of their precision when a device
    /// stores them in few bits.
    pub fn logits_rounded(
        &self,
        tokens: &[u32],
        round: impl Fn(Product, &mut [f64]),
        round_head: impl Fn(&mut [f64]),
    ) -> Matrix {
        let round = &round;
        let with = |product| move |x: &mut [f64]| round(product, x);
        let mut x: Matrix = tokens
            .iter()
            .zip(&self.wpe[..tokens.len()])
            .map(|(&token, position)| add(&self.wte[token as usize], position))
            .collect();
        for block in &self.blocks {
            let mut qkv = block.c_attn.apply_to_rows(&self.normed(&x, &block.ln_1), with(Product::Qkv));
            let (n_embd, head_dim) = (self.n_embd(), self.n_embd() / self.n_head);
            qkv.iter_mut().for_each(|row| row[n_embd..].chunks_mut(head_dim).for_each(&round_head));
            let attended = self.attention(&qkv);
            add_rows(&mut x, &block.attn_proj.apply_to_rows(&attended, with(Product::AttnProj)));

            let mut ff = block.c_fc.apply_to_rows(&self.normed(&x, &block.ln_2), with(Product::Fc));
            ff.iter_mut().flatten().for_each(|h| *h = self.activate(*h));
            add_rows(&mut x, &block.mlp_proj.apply_to_rows(&ff, with(Product::MlpProj)));
        }
        let head =
            Linear { weight: self.lm_head.as_ref().unwrap_or(&self.wte).clone(), bias: self.lm_head_bias.clone() };
        head.apply_to_rows(&self.normed(&x, &self.ln_f), with(Product::Head))
    }

    /// The nll in nats of every token but the first, given those before it: `[tokens.len() - 1]`.
    pub fn nll(&self, tokens: &[u32]) -> Vec<f64> {
        self.logits(&tokens[..tokens.len() - 1])
            .iter()
            .zip(&tokens[1..])
            .map(|(logits, &target)| {
                log_sum_exp::nll(logits.iter().copied(), target as usize).expect("a model has a vocabulary")
            })
            .collect()
    }

    /// n_ctx.
    pub fn n_ctx(&self) -> usize {
        self.wpe.len()
    }

    /// n_vocab.
    pub fn n_vocab(&self) -> usize {
        self.wte.len()
    }

    /// n_embd.
    pub fn n_embd(&self) -> usize {
        self.wte[0].len()
    }

    /// n_ff.
    pub fn n_ff(&self) -> usize {
        self.blocks[0].c_fc.weight.len()
    }

    /// Causal softmax attention over qkv `[T, 3 n_embd]`: `[T, n_embd]`.
    fn attention(&self, qkv: &Matrix) -> Matrix {
        let n_embd = self.n_embd();
        let head_dim = n_embd / self.n_head;
        let mut out = vec![vec![0.0; n_embd]; qkv.len()];
        for first in (0..n_embd).step_by(head_dim) {
            let columns = |offset: usize| -> Vec<&[f64]> {
                let start = offset * n_embd + first;
                qkv.iter().map(|row| &row[start..start + head_dim]).collect()
            };
            let (queries, keys, values) = (columns(0), columns(1), columns(2));
            for (t, query) in queries.iter().enumerate() {
                let scores: Vec<f64> =
                    keys[..=t].iter().map(|key| dot(query, key) / (head_dim as f64).sqrt()).collect();
                for (weight, value) in softmax(&scores).iter().zip(&values) {
                    for (o, v) in out[t][first..].iter_mut().zip(*value) {
                        *o += weight * v;
                    }
                }
            }
        }
        out
    }

    fn activate(&self, x: f64) -> f64 {
        match self.activation {
            Activation::GeluTanh => gelu_tanh(x),
            Activation::GeluErf => gelu_erf(x),
        }
    }

    fn normed(&self, rows: &Matrix, norm: &LayerNorm) -> Matrix {
        rows.iter().map(|row| layer_norm(row, norm, self.layer_norm_epsilon)).collect()
    }
}

impl Linear {
    fn apply_to_rows(&self, rows: &Matrix, round: impl Fn(&mut [f64])) -> Matrix {
        rows.iter()
            .map(|row| {
                let mut x = row.clone();
                round(&mut x);
                let product: Vec<f64> = self.weight.iter().map(|w| dot(w, &x)).collect();
                match &self.bias {
                    Some(bias) => add(&product, bias),
                    None => product,
                }
            })
            .collect()
    }
}

fn layer_norm(x: &[f64], norm: &LayerNorm, epsilon: f64) -> Vec<f64> {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    let scaled: Vec<f64> =
        x.iter().zip(&norm.weight).map(|(v, weight)| (v - mean) / (variance + epsilon).sqrt() * weight).collect();
    match &norm.bias {
        Some(bias) => add(&scaled, bias),
        None => scaled,
    }
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exps: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
    let sum: f64 = exps.iter().sum();
    exps.iter().map(|e| e / sum).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(a: &[f64], b: &[f64]) -> Vec<f64> {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn add_rows(to: &mut Matrix, rows: &Matrix) {
    for (to, row) in to.iter_mut().zip(rows) {
        *to = add(to, row);
    }
}
