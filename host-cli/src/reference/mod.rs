//! The float reference: a checkpoint's own loss, computed without the core's arithmetic.
//!
//! A window of positions at once: matrix products in f32 (`gemm`), everything else in f64 (`ops` and `attention`, on
//! `lanes`), and the head walked in blocks of rows (`loss`), so that nothing has the size of the vocabulary. Weights stay
//! where the checkpoint has them; only half-precision tensors, those that are stored apart and those that something is
//! folded into are copied to f32. Beside the weights a window of T positions of GPT-2 takes about
//! `T * (8 n_embd + n_ff)` f32.

mod attention;
mod decode;
pub(crate) mod gemm;
pub(crate) mod lanes;
mod loss;
pub(crate) mod ops;
#[cfg(test)]
mod tests;

use crate::checkpoint::architecture::Architecture;
use crate::checkpoint::{Checkpoint, StoredMatrix};
use attention::Heads;
pub use decode::Decoder;
use emberlm_core::blob::{LayerSlot, Slot};
use emberlm_core::config::{Config, TokenId};
use ops::{Linear, Norm};
use thiserror::Error;

/// Tokens that the reference cannot score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// There is no token to pass through the model.
    #[error("no tokens")]
    Empty,
    /// More positions than the model knows.
    #[error("window exceeds the model's n_ctx: need {need} positions, have {have}")]
    WindowTooLong {
        /// Positions of the window.
        need: usize,
        /// `n_ctx`.
        have: usize,
    },
    /// A token id that is not in the vocabulary.
    #[error("token {token} is outside the vocabulary of {n_vocab}")]
    TokenOutOfRange {
        /// The id.
        token: TokenId,
        /// Size of the vocabulary.
        n_vocab: u32,
    },
    /// A logit that is not a number, or a loss that is infinite.
    #[error("the loss at position {position} of its window is not finite")]
    NotFinite {
        /// The input's position.
        position: usize,
    },
}

/// One transformer block.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    pub ln_1: Norm,
    pub qkv: Linear<'a>,
    /// Of queries and keys.
    heads: Option<[Norm; 2]>,
    pub attn_proj: Linear<'a>,
    /// Behind attention.
    ln_attn: Norm,
    pub ln_2: Norm,
    pub fc: Linear<'a>,
    pub mlp_proj: Linear<'a>,
    /// Behind the MLP.
    ln_mlp: Norm,
}

impl Block<'_> {
    /// What attention adds to the residual stream, of what its projection gives.
    pub fn of_attention(&self, projected: Vec<f32>) -> Vec<f32> {
        behind(&self.ln_attn, projected)
    }

    /// What the MLP adds, of what its second matrix gives.
    pub fn of_mlp(&self, projected: Vec<f32>) -> Vec<f32> {
        behind(&self.ln_mlp, projected)
    }

    /// Whether what projections give is added as it is.
    pub const fn adds_projections(&self) -> bool {
        self.ln_attn.kind.is_none() && self.ln_mlp.kind.is_none()
    }
}

fn behind(norm: &Norm, x: Vec<f32>) -> Vec<f32> {
    if norm.kind.is_none() { x } else { norm.apply(&x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>()) }
}

/// A checkpoint as a float model.
#[derive(Debug)]
pub struct Reference<'a> {
    architecture: &'a Architecture,
    /// The embedding, and the head where that is tied.
    wte: Linear<'a>,
    /// Where positions are learned.
    wpe: Option<StoredMatrix<'a>>,
    /// Of the embedding.
    pub(crate) ln_e: Norm,
    pub(crate) blocks: Vec<Block<'a>>,
    pub(crate) ln_f: Norm,
    untied_head: Option<Linear<'a>>,
}

impl<'a> Reference<'a> {
    /// Takes the checkpoint's weights, borrowed wherever they are f32 in one piece.
    pub fn new(checkpoint: &'a Checkpoint) -> Self {
        Self::of(checkpoint, |slot| checkpoint.stored(slot))
    }

    /// Takes weights that stand for the checkpoint's.
    pub(crate) fn of(checkpoint: &'a Checkpoint, stored: impl Fn(Slot) -> Option<StoredMatrix<'a>>) -> Self {
        let architecture = checkpoint.architecture();
        let weights = |slot: Slot| stored(slot).expect("an open checkpoint has every required tensor");
        let vector = |slot: Slot| stored(slot).map(|stored| stored.data.into_owned());
        let norms = architecture.norms;
        let norm = |is_there: bool, weight: Slot, bias: Option<Slot>| Norm {
            n: weight.shape(architecture).1 as usize,
            kind: is_there.then_some(norms.kind),
            weight: vector(weight).filter(|_| is_there),
            bias: bias.and_then(vector).filter(|_| is_there),
            epsilon: f64::from(norms.epsilon),
        };
        let linear = |weight: Slot, bias: Option<Slot>| {
            let (rows, cols) = architecture.shape(weight);
            Linear::new(rows, cols, weights(weight), bias.and_then(vector))
        };
        let block = |layer: u32| {
            let at = |slot: LayerSlot| Slot::Layer(layer, slot);
            let matrix = |weight: LayerSlot, bias: LayerSlot| linear(at(weight), Some(at(bias)));
            let head = |weight| norm(true, at(weight), None);
            Block {
                ln_1: norm(norms.before, at(LayerSlot::Ln1Weight), Some(at(LayerSlot::Ln1Bias))),
                qkv: matrix(LayerSlot::AttnQkvWeight, LayerSlot::AttnQkvBias),
                heads: norms.heads.then(|| [LayerSlot::QNormWeight, LayerSlot::KNormWeight].map(head)),
                attn_proj: matrix(LayerSlot::AttnProjWeight, LayerSlot::AttnProjBias),
                ln_attn: norm(norms.after, at(LayerSlot::LnAttnWeight), Some(at(LayerSlot::LnAttnBias))),
                ln_2: norm(norms.before, at(LayerSlot::Ln2Weight), Some(at(LayerSlot::Ln2Bias))),
                fc: matrix(LayerSlot::FcWeight, LayerSlot::FcBias),
                mlp_proj: matrix(LayerSlot::MlpProjWeight, LayerSlot::MlpProjBias),
                ln_mlp: norm(norms.after, at(LayerSlot::LnMlpWeight), Some(at(LayerSlot::LnMlpBias))),
            }
        };
        let tied = checkpoint.is_tied();
        Self {
            architecture,
            wte: linear(Slot::Wte, tied.then_some(Slot::LmHeadBias)),
            wpe: stored(Slot::Wpe),
            blocks: (0..architecture.n_layer).map(block).collect(),
            ln_e: norm(norms.embedding, Slot::LnEWeight, Some(Slot::LnEBias)),
            ln_f: norm(norms.last, Slot::LnFWeight, Some(Slot::LnFBias)),
            untied_head: (!tied).then(|| linear(Slot::LmHead, Some(Slot::LmHeadBias))),
        }
    }

    /// Bytes that a window of so many positions takes, about.
    pub fn window_bytes(&self, window: usize) -> u64 {
        let Config { n_embd, n_ff, mlp, .. } = self.architecture.config;
        let qkv: usize = self.architecture.qkv_rows().iter().sum();
        let hidden = if mlp.gated { 3 } else { 1 };
        let elements = 5 * u64::from(n_embd) + qkv as u64 + hidden * u64::from(n_ff);
        (window as u64).saturating_mul(4 * elements)
    }

    /// What the model computes.
    pub const fn architecture(&self) -> &'a Architecture {
        self.architecture
    }

    /// The hidden states after `ln_f` of one window: `[tokens.len(), n_embd]`, row-major.
    ///
    /// # Errors
    /// The window is empty or longer than `n_ctx`, or a token is outside the vocabulary.
    pub fn hidden(&self, tokens: &[TokenId]) -> Result<Vec<f32>, ReferenceError> {
        self.check_window(tokens)?;
        let mut x = self.embed(tokens);
        (0..self.architecture.n_layer).for_each(|layer| self.advance(layer, &mut x));
        Ok(self.ln_f.apply(&x))
    }

    /// The first block's input for one window, `[tokens.len(), n_embd]`.
    pub(crate) fn embed(&self, tokens: &[TokenId]) -> Vec<f64> {
        tokens.iter().enumerate().flat_map(|(position, &token)| self.embedding(token, position)).collect()
    }

    /// Takes the residual stream `x` of one window, `[t, n_embd]`, through a block.
    pub(crate) fn advance(&self, layer: u32, x: &mut [f64]) {
        let block = &self.blocks[layer as usize];
        let qkv = block.qkv.apply(&block.ln_1.apply(x));
        let attended = block.of_attention(block.attn_proj.apply(&self.attend(layer, qkv)));
        if !self.architecture.parallel {
            ops::add(x, &attended);
        }
        let hidden = self.activate(block.fc.apply(&block.ln_2.apply(x)));
        ops::add(x, &block.of_mlp(block.mlp_proj.apply(&hidden)));
        if self.architecture.parallel {
            ops::add(x, &attended);
        }
    }

    /// A layer's attention of one window: queries, keys and values as their projection gives them, to `[t, n_head head_dim]`.
    pub(crate) fn attend(&self, layer: u32, mut qkv: Vec<f32>) -> Vec<f32> {
        let heads = Heads::of(self.architecture, layer);
        heads.normalize(&mut qkv, self.blocks[layer as usize].heads.as_ref());
        heads.rotate(&mut qkv, 0);
        heads.attend(&qkv)
    }

    /// The input of the MLP's second matrix from the output of its first.
    pub(crate) fn activate(&self, hidden: Vec<f32>) -> Vec<f32> {
        ops::activate(hidden, self.architecture.mlp, self.architecture.n_ff as usize)
    }

    /// The head, where it is not the token embedding.
    pub(crate) const fn untied_head(&self) -> Option<&Linear<'a>> {
        self.untied_head.as_ref()
    }

    /// The first block's input for one token, `[n_embd]`.
    pub(crate) fn embedding(&self, token: TokenId, position: usize) -> Vec<f64> {
        let n_embd = self.architecture.n_embd as usize;
        let position = self.wpe.as_ref().map(|wpe| &wpe.data[position * n_embd..][..n_embd]);
        let scale = f64::from(self.architecture.embedding_scale);
        let sum = |(index, &token): (usize, &f32)| {
            scale * f64::from(token) + position.map_or(0.0, |position| f64::from(position[index]))
        };
        let mut x: Vec<f64> = self.wte.row(token as usize).iter().enumerate().map(sum).collect();
        self.ln_e.apply_in_place(&mut x);
        x
    }

    /// Logits of a run of tokens: `hidden` is `[t, n_embd]`, `logits` is `[t, n]` and takes tokens
    /// `first..first + n` for each row.
    ///
    /// # Panics
    /// `hidden` or `logits` is empty or no whole number of rows, or the tokens exceed the vocabulary.
    pub fn head_rows(&self, hidden: &[f32], first: TokenId, logits: &mut [f32]) {
        self.untied_head.as_ref().unwrap_or(&self.wte).apply_rows(logits, hidden, first as usize);
    }

    /// Checks that a window can be passed through the model.
    fn check_window(&self, tokens: &[TokenId]) -> Result<(), ReferenceError> {
        let (need, have) = (tokens.len(), self.architecture.n_ctx as usize);
        if need == 0 {
            return Err(ReferenceError::Empty);
        }
        if need > have {
            return Err(ReferenceError::WindowTooLong { need, have });
        }
        self.check_tokens(tokens)
    }

    fn check_tokens(&self, tokens: &[TokenId]) -> Result<(), ReferenceError> {
        let n_vocab = self.architecture.n_vocab;
        match tokens.iter().find(|token| **token >= n_vocab) {
            Some(&token) => Err(ReferenceError::TokenOutOfRange { token, n_vocab }),
            None => Ok(()),
        }
    }
}
