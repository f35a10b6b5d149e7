//! Decoder-only transformers in f64, written for reading.
//!
//! Every step is the plain formula on whole matrices: no cache, no streaming, no fused loop. A model is a GPT-2 but for
//! what its [`Choices`] say.
//! The weights are public, so that a test can build a model, change it, and see what changes.

use crate::gelu::{gelu_erf, gelu_tanh};
use crate::log_sum_exp;

/// Rows of equal length.
pub type Matrix = Vec<Vec<f64>>;

/// What stands between the two halves of the MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `gelu_new`.
    GeluTanh,
    /// `gelu`.
    GeluErf,
    /// `relu`.
    Relu,
    /// `relu2`: its square.
    ReluSquared,
    /// `silu`.
    Silu,
}

impl Activation {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::GeluTanh, Self::GeluErf, Self::Relu, Self::ReluSquared, Self::Silu];
}

/// How a model differs from a GPT-2.
#[derive(Clone, Debug, PartialEq)]
pub struct Choices {
    /// Norms elsewhere, or none where GPT-2 has one.
    pub norms: OtherNorms,
    /// Norms divide by the root of the mean of squares, and do not centre.
    pub rms_norm: bool,
    /// Heads of keys and values, each shared by as many heads of queries in a row; `None`: one for each.
    pub n_kv_head: Option<usize>,
    /// Width of a head; `None`: `n_embd / n_head`.
    pub head_dim: Option<usize>,
    /// For each layer, the angles that pairs of queries and keys turn by from one position to the next; no pairs, no
    /// rotation.
    pub turns: Vec<Vec<f64>>,
    /// For each layer, how many positions a query sees, its own included; `None`: all before it.
    pub windows: Vec<Option<usize>>,
    /// For each layer, what the dot product of query and key is multiplied by; `None`: by the root of `1 / head_dim`.
    pub scales: Vec<Option<f64>>,
    /// `c_fc` has the rows of a gate above its own.
    pub gated: bool,
    /// Attention and MLP have the same input.
    pub parallel: bool,
    /// Multiplies token embeddings on their way in.
    pub embedding_scale: f64,
}

impl Choices {
    /// None: GPT-2's.
    pub const GPT2: Self = Self {
        norms: OtherNorms::NONE,
        rms_norm: false,
        n_kv_head: None,
        head_dim: None,
        turns: Vec::new(),
        windows: Vec::new(),
        scales: Vec::new(),
        gated: false,
        parallel: false,
        embedding_scale: 1.0,
    };
}

/// How a model's norms lie otherwise than GPT-2's.
#[derive(Clone, Debug, PartialEq)]
pub struct OtherNorms {
    /// Attention and MLP take their inputs as they are, whatever `ln_1` and `ln_2` say.
    pub none_before: bool,
    /// The head does, whatever `ln_f` says.
    pub none_last: bool,
    /// Of the embedding.
    pub embedding: Option<Norm>,
    /// For each layer, those of every head's queries and keys, before they turn.
    pub heads: Vec<[Norm; 2]>,
    /// For each layer, those of what attention and MLP give, before it is added.
    pub after: Vec<[Norm; 2]>,
}

impl OtherNorms {
    /// None otherwise.
    pub const NONE: Self =
        Self { none_before: false, none_last: false, embedding: None, heads: Vec::new(), after: Vec::new() };
}

/// y = W x + b, W `[n_out, n_in]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// `[n_out, n_in]`.
    pub weight: Matrix,
    /// `[n_out]`.
    pub bias: Option<Vec<f64>>,
}

/// Normalisation, then a scale and a shift for each element, where they are there.
#[derive(Clone, Debug, PartialEq)]
pub struct Norm {
    /// `[n_embd]`.
    pub weight: Option<Vec<f64>>,
    /// `[n_embd]`.
    pub bias: Option<Vec<f64>>,
}

/// One transformer block.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Before attention.
    pub ln_1: Norm,
    /// `[(n_head + 2 n_kv_head) head_dim, n_embd]`: queries, keys, values; GPT-2's has `3 n_embd` rows.
    pub c_attn: Linear,
    /// `[n_embd, n_head head_dim]`.
    pub attn_proj: Linear,
    /// Before the MLP.
    pub ln_2: Norm,
    /// `[n_ff, n_embd]`, or twice as many rows where there is a gate.
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
pub struct Model {
    /// Positions that it knows.
    pub n_ctx: usize,
    /// Heads of queries.
    pub n_head: usize,
    /// Added to the variance under the root.
    pub epsilon: f64,
    /// The MLP's.
    pub activation: Activation,
    /// `[n_vocab, n_embd]`.
    pub wte: Matrix,
    /// `[n_ctx, n_embd]`; no rows where positions are only turned by.
    pub wpe: Matrix,
    /// `[n_layer]`.
    pub blocks: Vec<Block>,
    /// Before the head.
    pub ln_f: Norm,
    /// `[n_vocab, n_embd]`; `None` if `wte` is the head.
    pub lm_head: Option<Matrix>,
    /// `[n_vocab]`.
    pub lm_head_bias: Option<Vec<f64>>,
    /// What it does otherwise than GPT-2.
    pub choices: Choices,
}

impl Model {
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
        assert!(tokens.len() <= self.n_ctx);
        let round = &round;
        let with = |product| move |x: &mut [f64]| round(product, x);
        let mut x: Matrix = tokens.iter().map(|&token| self.wte[token as usize].clone()).collect();
        x.iter_mut().flatten().for_each(|x| *x *= self.choices.embedding_scale);
        if !self.wpe.is_empty() {
            add_rows(&mut x, &self.wpe[..tokens.len()].to_vec());
        }
        let norms = &self.choices.norms;
        if let Some(norm) = &norms.embedding {
            x = self.normed(&x, norm);
        }
        let before = |x: &Matrix, norm| if norms.none_before { x.clone() } else { self.normed(x, norm) };
        let after = |x: Matrix, layer: usize, of_mlp: usize| match norms.after.get(layer) {
            Some(norms) => self.normed(&x, &norms[of_mlp]),
            None => x,
        };
        for (layer, block) in self.blocks.iter().enumerate() {
            let mut qkv = block.c_attn.apply_to_rows(&before(&x, &block.ln_1), with(Product::Qkv));
            self.normalize_heads(layer, &mut qkv);
            self.turn(layer, &mut qkv);
            let (head_dim, keys) = (self.head_dim(), self.n_head * self.head_dim());
            qkv.iter_mut().for_each(|row| row[keys..].chunks_mut(head_dim).for_each(&round_head));
            let attended = block.attn_proj.apply_to_rows(&self.attention(layer, &qkv), with(Product::AttnProj));
            let attended = after(attended, layer, 0);

            let mut between = x.clone();
            add_rows(&mut between, &attended);
            let input = if self.choices.parallel { &x } else { &between };
            let ff = block.c_fc.apply_to_rows(&before(input, &block.ln_2), with(Product::Fc));
            let ff = ff.iter().map(|row| self.activated(row)).collect();
            let ff = block.mlp_proj.apply_to_rows(&ff, with(Product::MlpProj));
            add_rows(&mut between, &after(ff, layer, 1));
            x = between;
        }
        let head =
            Linear { weight: self.lm_head.as_ref().unwrap_or(&self.wte).clone(), bias: self.lm_head_bias.clone() };
        let hidden = if norms.none_last { x } else { self.normed(&x, &self.ln_f) };
        head.apply_to_rows(&hidden, with(Product::Head))
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
        self.blocks[0].mlp_proj.weight[0].len()
    }

    /// Width of a head.
    pub fn head_dim(&self) -> usize {
        self.choices.head_dim.unwrap_or(self.n_embd() / self.n_head)
    }

    /// Heads of keys and values.
    pub fn n_kv_head(&self) -> usize {
        self.choices.n_kv_head.unwrap_or(self.n_head)
    }

    /// Normalises each head of queries and keys.
    fn normalize_heads(&self, layer: usize, qkv: &mut Matrix) {
        let Some([of_queries, of_keys]) = self.choices.norms.heads.get(layer) else { return };
        for row in qkv {
            let heads = row.chunks_mut(self.head_dim()).enumerate().take(self.n_head + self.n_kv_head());
            for (i, head) in heads {
                let norm = if i < self.n_head { of_queries } else { of_keys };
                head.copy_from_slice(&self.normed(&vec![head.to_vec()], norm)[0]);
            }
        }
    }

    /// Turns the pairs of queries and keys: element `i` of a head with the one as far behind it as there are pairs.
    fn turn(&self, layer: usize, qkv: &mut Matrix) {
        let Some(turns) = self.choices.turns.get(layer) else { return };
        let n_turned = self.n_head + self.n_kv_head();
        for (position, row) in qkv.iter_mut().enumerate() {
            for head in row.chunks_mut(self.head_dim()).take(n_turned) {
                for (i, turn) in turns.iter().enumerate() {
                    let j = i + turns.len();
                    let angle = position as f64 * turn;
                    let (a, b) = (head[i], head[j]);
                    head[i] = a * angle.cos() - b * angle.sin();
                    head[j] = a * angle.sin() + b * angle.cos();
                }
            }
        }
    }

    /// Causal softmax attention over qkv `[T, (n_head + 2 n_kv_head) head_dim]`: `[T, n_head head_dim]`.
    fn attention(&self, layer: usize, qkv: &Matrix) -> Matrix {
        let (head_dim, n_kv_head) = (self.head_dim(), self.n_kv_head());
        let scale = self.choices.scales.get(layer).copied().flatten().unwrap_or(1.0 / (head_dim as f64).sqrt());
        let window = self.choices.windows.get(layer).copied().flatten().unwrap_or(usize::MAX);
        let mut out = vec![vec![0.0; self.n_head * head_dim]; qkv.len()];
        for head in 0..self.n_head {
            let shared = head / (self.n_head / n_kv_head);
            let columns = |column: usize| -> Vec<&[f64]> {
                qkv.iter().map(|row| &row[column * head_dim..][..head_dim]).collect()
            };
            let queries = columns(head);
            let keys = columns(self.n_head + shared);
            let values = columns(self.n_head + n_kv_head + shared);
            for (t, query) in queries.iter().enumerate() {
                let seen: Vec<usize> = (0..=t).filter(|past| t - past < window).collect();
                let scores: Vec<f64> = seen.iter().map(|&past| dot(query, keys[past]) * scale).collect();
                for (weight, past) in softmax(&scores).iter().zip(seen) {
                    for (o, v) in out[t][head * head_dim..].iter_mut().zip(values[past]) {
                        *o += weight * v;
                    }
                }
            }
        }
        out
    }

    /// What the second half of the MLP takes of what the first gave.
    fn activated(&self, row: &[f64]) -> Vec<f64> {
        let of = |x: f64| match self.activation {
            Activation::GeluTanh => gelu_tanh(x),
            Activation::GeluErf => gelu_erf(x),
            Activation::Relu => x.max(0.0),
            Activation::ReluSquared => x.max(0.0) * x.max(0.0),
            Activation::Silu => x / (1.0 + (-x).exp()),
        };
        if !self.choices.gated {
            return row.iter().map(|&x| of(x)).collect();
        }
        let (gate, up) = row.split_at(row.len() / 2);
        gate.iter().zip(up).map(|(&gate, up)| of(gate) * up).collect()
    }

    fn normed(&self, rows: &Matrix, norm: &Norm) -> Matrix {
        let apply = if self.choices.rms_norm { rms_norm } else { layer_norm };
        rows.iter().map(|row| apply(row, norm, self.epsilon)).collect()
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

fn layer_norm(x: &[f64], norm: &Norm, epsilon: f64) -> Vec<f64> {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    scaled_and_shifted(x.iter().map(|v| (v - mean) / (variance + epsilon).sqrt()).collect(), norm)
}

fn rms_norm(x: &[f64], norm: &Norm, epsilon: f64) -> Vec<f64> {
    let mean_square = x.iter().map(|v| v * v).sum::<f64>() / x.len() as f64;
    scaled_and_shifted(x.iter().map(|v| v / (mean_square + epsilon).sqrt()).collect(), norm)
}

fn scaled_and_shifted(mut x: Vec<f64>, norm: &Norm) -> Vec<f64> {
    if let Some(weight) = &norm.weight {
        x.iter_mut().zip(weight).for_each(|(x, weight)| *x *= weight);
    }
    match &norm.bias {
        Some(bias) => add(&x, bias),
        None => x,
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
