//! The operations of a transformer block over a window of positions, with f64 wherever it is cheap.

use super::gemm::{View, add_product};
use crate::checkpoint::{Orientation, StoredMatrix};
use emberlm_core::config::Gelu;
use rayon::prelude::*;

/// Positions that one task computes. Fixed, so that results do not depend on the number of threads.
pub const ROWS: usize = 64;

/// A matrix product's weights, as the checkpoint orients them.
#[derive(Debug)]
pub struct Linear<'a> {
    n_out: usize,
    n_in: usize,
    weight: StoredMatrix<'a>,
    bias: Option<Vec<f32>>,
}

impl<'a> Linear<'a> {
    /// Of shape `[n_out, n_in]`, whichever way round it is stored; the bias has `n_out` elements.
    pub const fn new(n_out: usize, n_in: usize, weight: StoredMatrix<'a>, bias: Option<Vec<f32>>) -> Self {
        Self { n_out, n_in, weight, bias }
    }

    /// The bias, where there is one.
    pub fn bias(&self) -> Option<&[f32]> {
        self.bias.as_deref()
    }

    /// The weights of one output.
    ///
    /// # Panics
    /// The matrix is stored the other way round.
    pub fn row(&self, index: usize) -> &[f32] {
        assert_eq!(self.weight.orientation, Orientation::OutIn, "rows lie in one piece");
        &self.weight.data[index * self.n_in..][..self.n_in]
    }

    /// Rows `first..first + n` as `[n_in, n]`, to stand on a product's right.
    fn right(&self, first: usize, n: usize) -> View<'_> {
        let data = &self.weight.data;
        match self.weight.orientation {
            Orientation::OutIn => {
                View::dense(&data[first * self.n_in..(first + n) * self.n_in], n, self.n_in).transposed()
            }
            Orientation::InOut => View::new(&data[first..], (self.n_in, n), (self.n_out, 1)),
        }
    }

    /// Outputs `first..` of each row of `x` `[t, n_in]`, as many as `out` `[t, n]` has room for.
    pub fn apply_rows(&self, out: &mut [f32], x: &[f32], first: usize) {
        let t = x.len() / self.n_in;
        let n = out.len() / t;
        assert!(first + n <= self.n_out, "outputs {first}..{} of {}", first + n, self.n_out);
        match &self.bias {
            Some(bias) => out.chunks_exact_mut(n).for_each(|row| row.copy_from_slice(&bias[first..first + n])),
            None => out.fill(0.0),
        }
        add_product(out, View::dense(x, t, self.n_in), self.right(first, n));
    }

    /// Every output of each row of `x` `[t, n_in]`, as `[t, n_out]`.
    pub fn apply(&self, x: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; x.len() / self.n_in * self.n_out];
        let tasks = out.par_chunks_mut(ROWS * self.n_out).zip(x.par_chunks(ROWS * self.n_in));
        tasks.for_each(|(out, x)| self.apply_rows(out, x, 0));
        out
    }
}

/// A layer norm's scale and shift, each of `n_embd` elements.
#[derive(Debug)]
pub struct LayerNorm {
    /// Multiplies the normalised values.
    pub weight: Vec<f32>,
    /// Added at the end.
    pub bias: Option<Vec<f32>>,
    /// Added to the variance.
    pub epsilon: f64,
}

impl LayerNorm {
    /// Each row of `x` `[t, n_embd]` normalised in f64 and rounded to f32.
    pub fn apply(&self, x: &[f64]) -> Vec<f32> {
        let n_embd = self.weight.len();
        let mut out = vec![0.0; x.len()];
        out.par_chunks_mut(n_embd).zip(x.par_chunks(n_embd)).for_each(|(out, x)| {
            let mean = x.iter().sum::<f64>() / n_embd as f64;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n_embd as f64;
            let scale = 1.0 / (variance + self.epsilon).sqrt();
            for (index, out) in out.iter_mut().enumerate() {
                let shift = self.bias.as_ref().map_or(0.0, |bias| f64::from(bias[index]));
                *out = ((x[index] - mean) * scale * f64::from(self.weight[index]) + shift) as f32;
            }
        });
        out
    }
}

/// `x += y`.
pub fn add(x: &mut [f64], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += f64::from(*y));
}

/// GELU of every element, in f64.
pub fn apply_gelu(x: &mut [f32], gelu: Gelu) {
    const SQRT_2_OVER_PI: f64 = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
    let of = |x: f64| match gelu {
        // 0.5 (1 + tanh y) is 1 / (1 + exp(-2 y)), for one exponential.
        Gelu::Tanh => x / (1.0 + (-2.0 * SQRT_2_OVER_PI * (x + 0.044715 * x.powi(3))).exp()),
        Gelu::Erf => 0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2)),
    };
    x.par_iter_mut().with_min_len(1 << 12).for_each(|x| *x = of(f64::from(*x)) as f32);
}

/// Causal attention of a window: `qkv` `[t, 3 n_embd]` to `[t, n_embd]`, softmax in f64.
pub fn attend(qkv: &[f32], n_embd: usize, n_head: usize) -> Vec<f32> {
    let (t, head_dim) = (qkv.len() / (3 * n_embd), n_embd / n_head);
    let heads: Vec<Vec<f32>> =
        (0..n_head).into_par_iter().map(|head| attend_head(qkv, n_embd, head_dim, head)).collect();
    let mut out = vec![0.0; t * n_embd];
    for (head, values) in heads.iter().enumerate() {
        for (row, values) in out.chunks_exact_mut(n_embd).zip(values.chunks_exact(head_dim)) {
            row[head * head_dim..][..head_dim].copy_from_slice(values);
        }
    }
    out
}

/// One head's `[t, head_dim]`, a block of queries at a time over the keys that they see.
fn attend_head(qkv: &[f32], n_embd: usize, head_dim: usize, head: usize) -> Vec<f32> {
    let stride = 3 * n_embd;
    let t = qkv.len() / stride;
    let part = |which: usize, first: usize, n: usize| {
        let offset = first * stride + which * n_embd + head * head_dim;
        View::new(&qkv[offset..], (n, head_dim), (stride, 1))
    };
    let scale = 1.0 / (head_dim as f64).sqrt();
    let mut out = vec![0.0; t * head_dim];
    for first in (0..t).step_by(ROWS) {
        let n = ROWS.min(t - first);
        let seen = first + n;
        let mut weights = vec![0.0; n * seen];
        add_product(&mut weights, part(0, first, n), part(1, 0, seen).transposed());
        for (query, row) in weights.chunks_exact_mut(seen).enumerate() {
            let (visible, hidden) = row.split_at_mut(first + query + 1);
            softmax(visible, scale);
            hidden.fill(0.0);
        }
        let values = &mut out[first * head_dim..seen * head_dim];
        add_product(values, View::dense(&weights, n, seen), part(2, 0, seen));
    }
    out
}

/// Attention of one position: `query` `[n_embd]` over `past` `[t, 2 n_embd]`, keys and values, its own included.
pub fn attend_one(out: &mut [f32], query: &[f32], past: &[f32], n_head: usize) {
    let n_embd = query.len();
    let head_dim = n_embd / n_head;
    let scale = 1.0 / (head_dim as f64).sqrt();
    for (head, (out, query)) in out.chunks_exact_mut(head_dim).zip(query.chunks_exact(head_dim)).enumerate() {
        let part = |which: usize| {
            past.chunks_exact(2 * n_embd).map(move |kv| &kv[which * n_embd + head * head_dim..][..head_dim])
        };
        let mut weights: Vec<f32> = part(0).map(|key| key.iter().zip(query).map(|(k, q)| k * q).sum()).collect();
        softmax(&mut weights, scale);
        out.fill(0.0);
        for (weight, value) in weights.iter().zip(part(1)) {
            out.iter_mut().zip(value).for_each(|(out, value)| *out += weight * value);
        }
    }
}

/// `softmax(scale * x)` in place: exponentials rounded to f32, their sum and the division in f64.
fn softmax(x: &mut [f32], scale: f64) {
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for x in x.iter_mut() {
        let exponential = ((f64::from(*x) - f64::from(max)) * scale).exp();
        sum += exponential;
        *x = exponential as f32;
    }
    x.iter_mut().for_each(|x| *x = (f64::from(*x) / sum) as f32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gelu_at_known_points() {
        let points = [(Gelu::Erf, 1.0, 0.841_344_8), (Gelu::Erf, -2.0, -0.045_500_264), (Gelu::Tanh, 1.0, 0.841_192)];
        for (gelu, x, expected) in points {
            let mut values = [x, 0.0];
            apply_gelu(&mut values, gelu);
            assert!((values[0] - expected).abs() < 1e-6, "{gelu:?} {x}: {}", values[0]);
            assert_eq!(values[1], 0.0);
        }
    }

    #[test]
    fn layer_norm_centres_scales_and_shifts() {
        let norm = LayerNorm { weight: vec![1.0, 1.0, 2.0, 1.0], bias: Some(vec![3.0; 4]), epsilon: 0.0 };
        let out = norm.apply(&[1.0, 2.0, 3.0, 4.0]);
        let expected = [-1.341_640_8, -0.447_213_6, 0.894_427_2, 1.341_640_8];
        for (value, expected) in out.iter().zip(expected) {
            assert!((value - 3.0 - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn attention_over_several_blocks_of_queries_matches_the_definition() {
        let (t, n_embd, n_head) = (ROWS + 9, 6, 2);
        let qkv: Vec<f32> = (0..t * 3 * n_embd).map(|index| ((index * 7919 % 1009) as f32 - 504.0) / 300.0).collect();
        let out = attend(&qkv, n_embd, n_head);
        let dim = n_embd / n_head;
        let at = |position: usize, which: usize, head: usize, index: usize| {
            f64::from(qkv[position * 3 * n_embd + which * n_embd + head * dim + index])
        };
        for position in [0, 1, ROWS - 1, ROWS, t - 1] {
            for head in 0..n_head {
                let score = |key: usize| {
                    let dot: f64 = (0..dim).map(|i| at(position, 0, head, i) * at(key, 1, head, i)).sum();
                    (dot / (dim as f64).sqrt()).exp()
                };
                let total: f64 = (0..=position).map(score).sum();
                for index in 0..dim {
                    let expected: f64 =
                        (0..=position).map(|key| score(key) * at(key, 2, head, index)).sum::<f64>() / total;
                    let value = f64::from(out[position * n_embd + head * dim + index]);
                    assert!((value - expected).abs() < 1e-5, "{position} {head} {index}: {value} {expected}");
                }
            }
        }
    }
}
