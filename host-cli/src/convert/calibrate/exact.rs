//! The checkpoint's own way through its blocks.

use std::ops::Range;

use rayon::prelude::*;

use crate::reference::{Reference, ops};

/// What the checkpoint's matrices of one block are given, and the residual stream that the block adds to.
#[derive(Debug)]
pub struct Exact {
    /// The stream before the block, `[t, n_embd]`.
    pub before: Vec<f64>,
    /// Into queries, keys and values.
    pub normed: Vec<f32>,
    /// Into the projection of what attention gives.
    pub attended: Vec<f32>,
    /// The stream between attention and MLP.
    pub between: Vec<f64>,
    /// Into the MLP.
    pub normed_between: Vec<f32>,
    /// Into the MLP's second matrix.
    pub hidden: Vec<f32>,
}

impl Exact {
    /// Takes the stream `x` of windows that lie at `spans` through a block.
    pub fn advance(reference: &Reference<'_>, layer: u32, x: &mut [f64], spans: &[Range<usize>]) -> Self {
        let block = &reference.blocks[layer as usize];
        let before = x.to_vec();
        let normed = block.ln_1.apply(x);
        let attended = attend(reference, layer, &block.qkv.apply(&normed), spans);
        ops::add(x, &block.of_attention(block.attn_proj.apply(&attended)));
        let between = x.to_vec();
        let normed_between = block.ln_2.apply(if reference.architecture().parallel { &before } else { x });
        let hidden = reference.activate(block.fc.apply(&normed_between));
        ops::add(x, &block.of_mlp(block.mlp_proj.apply(&hidden)));
        Self { before, normed, attended, between, normed_between, hidden }
    }
}

/// Attention of windows that lie at `spans`, from the projections of all.
pub fn attend(reference: &Reference<'_>, layer: u32, qkv: &[f32], spans: &[Range<usize>]) -> Vec<f32> {
    let row = qkv.len() / spans.last().map_or(1, |span| span.end);
    let window = |span: &Range<usize>| reference.attend(layer, qkv[row * span.start..row * span.end].to_vec());
    spans.par_iter().map(window).collect::<Vec<_>>().concat()
}

/// What a rounded stream lacks of the checkpoint's.
pub fn missing(exact: &[f64], rounded: &[f64]) -> Vec<f32> {
    par_zip(exact, rounded, |exact, rounded| (exact - rounded) as f32)
}

/// What `of` makes of each pair of elements, by all threads.
pub fn par_zip<T: Copy + Sync, U: Send>(a: &[T], b: &[T], of: impl Fn(T, T) -> U + Sync + Send) -> Vec<U> {
    a.par_iter().zip(b).with_min_len(1 << 14).map(|(&a, &b)| of(a, b)).collect()
}
