//! The operations of a transformer block over a window of positions, with f64 wherever it is cheap.

use super::gemm::{View, add_product};
use crate::checkpoint::{Orientation, StoredMatrix};
use emberlm_core::config::{Activation, GATE_RUN, Gelu, Mlp, NormKind};
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

/// A norm's scale and shift, each of `n_embd` elements.
#[derive(Debug)]
pub struct Norm {
    /// What it does before.
    pub kind: NormKind,
    /// Multiplies the normalised values.
    pub weight: Vec<f32>,
    /// Added at the end.
    pub bias: Option<Vec<f32>>,
    /// Added to the variance, or to the mean of squares.
    pub epsilon: f64,
}

impl Norm {
    /// Each row of `x` `[t, n_embd]` normalised in f64 and rounded to f32.
    pub fn apply(&self, x: &[f64]) -> Vec<f32> {
        let n_embd = self.weight.len();
        let mut out = vec![0.0; x.len()];
        out.par_chunks_mut(n_embd).zip(x.par_chunks(n_embd)).for_each(|(out, x)| {
            let mean = match self.kind {
                NormKind::Layer => x.iter().sum::<f64>() / n_embd as f64,
                NormKind::Rms => 0.0,
            };
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

fn activated(x: f64, activation: Activation) -> f64 {
    const SQRT_2_OVER_PI: f64 = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
    match activation {
        // 0.5 (1 + tanh y) is 1 / (1 + exp(-2 y)), for one exponential.
        Activation::Gelu(Gelu::Tanh) => x / (1.0 + (-2.0 * SQRT_2_OVER_PI * (x + 0.044715 * x.powi(3))).exp()),
        Activation::Gelu(Gelu::Erf) => 0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2)),
        Activation::Relu => x.max(0.0),
        Activation::ReluSquared => x.max(0.0).powi(2),
        Activation::Silu => x / (1.0 + (-x).exp()),
    }
}

/// What the MLP's first matrix gave, `[t, n_ff]` or in each row runs of gates before those of hidden values, as its second
/// takes it, `[t, n_ff]`.
pub fn activate(mut x: Vec<f32>, mlp: Mlp, n_ff: usize) -> Vec<f32> {
    let of = |x: f32| activated(f64::from(x), mlp.activation);
    if !mlp.gated {
        x.par_iter_mut().with_min_len(1 << 12).for_each(|x| *x = of(*x) as f32);
        return x;
    }
    let mut out = vec![0.0; x.len() / 2];
    out.par_chunks_mut(n_ff).zip(x.par_chunks(2 * n_ff)).for_each(|(out, x)| {
        for (out, x) in out.chunks_mut(GATE_RUN).zip(x.chunks(2 * GATE_RUN)) {
            let (gates, hidden) = x.split_at(out.len());
            for (out, (gate, hidden)) in out.iter_mut().zip(gates.iter().zip(hidden)) {
                *out = (of(*gate) * f64::from(*hidden)) as f32;
            }
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_at_known_points() {
        let points = [
            (Activation::Gelu(Gelu::Erf), 1.0, 0.841_344_8),
            (Activation::Gelu(Gelu::Erf), -2.0, -0.045_500_264),
            (Activation::Gelu(Gelu::Tanh), 1.0, 0.841_192),
            (Activation::Relu, 1.5, 1.5),
            (Activation::Relu, -1.5, 0.0),
            (Activation::ReluSquared, 1.5, 2.25),
            (Activation::ReluSquared, -1.5, 0.0),
            (Activation::Silu, 1.0, 0.731_058_6),
            (Activation::Silu, -2.0, -0.238_405_84),
        ];
        for (activation, x, expected) in points {
            let values = activate(vec![x, 0.0], Mlp { activation, gated: false }, 2);
            assert!((values[0] - expected).abs() < 1e-6, "{activation:?} {x}: {}", values[0]);
            assert_eq!(values[1], 0.0);
            let gated = activate(vec![x, 0.0, 3.0, 5.0], Mlp { activation, gated: true }, 2);
            assert!((gated[0] - 3.0 * expected).abs() < 3e-6, "{activation:?} {x}: {}", gated[0]);
            assert_eq!(gated[1..], [0.0]);
        }
    }

    #[test]
    fn layer_norm_centres_scales_and_shifts() {
        let (kind, weight, bias) = (NormKind::Layer, vec![1.0, 1.0, 2.0, 1.0], Some(vec![3.0; 4]));
        let norm = Norm { kind, weight, bias, epsilon: 0.0 };
        let out = norm.apply(&[1.0, 2.0, 3.0, 4.0]);
        let expected = [-1.341_640_8, -0.447_213_6, 0.894_427_2, 1.341_640_8];
        for (value, expected) in out.iter().zip(expected) {
            assert!((value - 3.0 - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn rms_norm_scales_and_does_not_centre() {
        let norm = Norm { kind: NormKind::Rms, weight: vec![1.0, 2.0], bias: None, epsilon: 1.5 };
        // The mean of squares is 12.5, with epsilon 14.
        let expected = [3.0 / 14f32.sqrt(), 8.0 / 14f32.sqrt()];
        for (value, expected) in norm.apply(&[3.0, 4.0]).iter().zip(expected) {
            assert!((value - expected).abs() < 1e-6);
        }
    }
}
