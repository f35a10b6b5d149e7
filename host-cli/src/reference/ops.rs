//! The operations of a transformer block over a window of positions, with f64 wherever it is cheap.

use super::gemm::{View, par_add_product};
use super::lanes::{exp, in_lanes, sum};
use crate::checkpoint::{Orientation, StoredMatrix};
use emberlm_core::config::{Activation, GATE_RUN, Gelu, Mlp, NormKind};
use rayon::prelude::*;

/// Positions that one task computes. Fixed, so that results do not depend on the number of threads.
pub const ROWS: usize = 64;
/// Elements that one task computes, of a vector.
const ELEMENTS: usize = 1 << 14;

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

    /// Outputs `first..` of each row of `x` `[t, n_in]`, as many as `out` `[t, n]` has room for, by all threads.
    pub fn apply_rows(&self, out: &mut [f32], x: &[f32], first: usize) {
        let t = x.len() / self.n_in;
        let n = out.len() / t;
        assert!(first + n <= self.n_out, "outputs {first}..{} of {}", first + n, self.n_out);
        match &self.bias {
            Some(bias) => out.chunks_exact_mut(n).for_each(|row| row.copy_from_slice(&bias[first..first + n])),
            None => out.fill(0.0),
        }
        par_add_product(out, View::dense(x, t, self.n_in), self.right(first, n));
    }

    /// Every output of each row of `x` `[t, n_in]`, as `[t, n_out]`.
    pub fn apply(&self, x: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; x.len() / self.n_in * self.n_out];
        self.apply_rows(&mut out, x, 0);
        out
    }

    /// Adds the products of the weights alone to `out` `[t, n_out]`.
    pub fn add_weighted(&self, out: &mut [f32], x: &[f32]) {
        par_add_product(out, View::dense(x, x.len() / self.n_in, self.n_in), self.right(0, self.n_out));
    }
}

/// A norm, with its scale and shift, each of `n` elements.
#[derive(Debug)]
pub struct Norm {
    /// Elements of a row.
    pub n: usize,
    /// What it does before; `None` where a model has none, and values stay.
    pub kind: Option<NormKind>,
    /// Multiplies the normalised values.
    pub weight: Option<Vec<f32>>,
    /// Added at the end.
    pub bias: Option<Vec<f32>>,
    /// Added to the variance, or to the mean of squares.
    pub epsilon: f64,
}

impl Norm {
    /// Each row of `x` `[t, n]` normalised in f64 and rounded to f32.
    pub fn apply(&self, x: &[f64]) -> Vec<f32> {
        let mut out = vec![0.0; x.len()];
        let rows = out.par_chunks_mut(ROWS * self.n).zip(x.par_chunks(ROWS * self.n));
        rows.for_each(|(out, x)| {
            let mut normed = vec![0.0; self.n];
            for (out, x) in out.chunks_exact_mut(self.n).zip(x.chunks_exact(self.n)) {
                norm_row(self, &mut normed, x);
                out.iter_mut().zip(&normed).for_each(|(out, &x)| *out = x as f32);
            }
        });
        out
    }

    /// Each row of `x` `[t, n]` normalised in f64.
    pub fn apply_in_place(&self, x: &mut [f64]) {
        let mut normed = vec![0.0; self.n];
        for row in x.chunks_exact_mut(self.n) {
            norm_row(self, &mut normed, row);
            row.copy_from_slice(&normed);
        }
    }
}

in_lanes! {
    /// What a norm makes of one row.
    fn norm_row(norm: &Norm, out: &mut [f64], x: &[f64]) {
        let n = x.len() as f64;
        let mean = match norm.kind {
            Some(NormKind::Layer) => sum(x, |x| x) / n,
            Some(NormKind::Rms) | None => 0.0,
        };
        let scale = match norm.kind {
            Some(_) => 1.0 / (sum(x, |x| (x - mean) * (x - mean)) / n + norm.epsilon).sqrt(),
            None => 1.0,
        };
        out.iter_mut().zip(x).for_each(|(out, x)| *out = (x - mean) * scale);
        if let Some(weight) = &norm.weight {
            out.iter_mut().zip(weight).for_each(|(out, &weight)| *out *= f64::from(weight));
        }
        if let Some(bias) = &norm.bias {
            out.iter_mut().zip(bias).for_each(|(out, &bias)| *out += f64::from(bias));
        }
    }
}

/// `x += y`, by all threads.
pub fn add(x: &mut [f64], y: &[f32]) {
    let chunks = x.par_chunks_mut(ELEMENTS).zip(y.par_chunks(ELEMENTS));
    chunks.for_each(|(x, y)| x.iter_mut().zip(y).for_each(|(x, y)| *x += f64::from(*y)));
}

#[inline(always)]
fn gelu_tanh(x: f64) -> f64 {
    const SQRT_2_OVER_PI: f64 = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
    // 0.5 (1 + tanh y) is 1 / (1 + exp(-2 y)), for one exponential.
    x / (1.0 + exp(-2.0 * SQRT_2_OVER_PI * (x + 0.044715 * (x * x * x))))
}

#[inline(always)]
fn gelu_erf(x: f64) -> f64 {
    0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2))
}

#[inline(always)]
fn relu(x: f64) -> f64 {
    x.max(0.0)
}

#[inline(always)]
fn relu_squared(x: f64) -> f64 {
    relu(x) * relu(x)
}

#[inline(always)]
fn silu(x: f64) -> f64 {
    x / (1.0 + exp(-x))
}

in_lanes! {
    /// Each element of `x` becomes what the activation makes of it, times that of `by` where it is given, rounded to f32.
    fn activate_run(x: &mut [f32], by: Option<&[f32]>, activation: Activation) {
        // A function that is passed on would not be inlined.
        macro_rules! each {
            ($of:ident) => {
                match by {
                    Some(by) => {
                        for (x, &by) in x.iter_mut().zip(by) {
                            *x = ($of(f64::from(*x)) * f64::from(by)) as f32;
                        }
                    }
                    None => {
                        for x in x {
                            *x = $of(f64::from(*x)) as f32;
                        }
                    }
                }
            };
        }
        match activation {
            Activation::Gelu(Gelu::Tanh) => each!(gelu_tanh),
            Activation::Gelu(Gelu::Erf) => each!(gelu_erf),
            Activation::Relu => each!(relu),
            Activation::ReluSquared => each!(relu_squared),
            Activation::Silu => each!(silu),
        }
    }
}

/// What the MLP's first matrix gave, `[t, n_ff]` or in each row runs of gates before those of hidden values, as its second
/// takes it, `[t, n_ff]`.
pub fn activate(mut x: Vec<f32>, mlp: Mlp, n_ff: usize) -> Vec<f32> {
    if !mlp.gated {
        x.par_chunks_mut(ELEMENTS).for_each(|x| activate_run(x, None, mlp.activation));
        return x;
    }
    let mut out = vec![0.0; x.len() / 2];
    out.par_chunks_mut(n_ff).zip(x.par_chunks(2 * n_ff)).for_each(|(out, x)| {
        for (out, x) in out.chunks_mut(GATE_RUN).zip(x.chunks(2 * GATE_RUN)) {
            let (gates, hidden) = x.split_at(out.len());
            out.copy_from_slice(gates);
            activate_run(out, Some(hidden), mlp.activation);
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
        let (kind, weight) = (Some(NormKind::Layer), Some(vec![1.0, 1.0, 2.0, 1.0]));
        let norm = Norm { n: 4, kind, weight, bias: Some(vec![3.0; 4]), epsilon: 0.0 };
        let out = norm.apply(&[1.0, 2.0, 3.0, 4.0]);
        let expected = [-1.341_640_8, -0.447_213_6, 0.894_427_2, 1.341_640_8];
        for (value, expected) in out.iter().zip(expected) {
            assert!((value - 3.0 - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn rms_norm_scales_and_does_not_centre() {
        let kind = Some(NormKind::Rms);
        let norm = Norm { n: 2, kind, weight: Some(vec![1.0, 2.0]), bias: None, epsilon: 1.5 };
        // The mean of squares is 12.5, with epsilon 14.
        let expected = [3.0 / 14f32.sqrt(), 8.0 / 14f32.sqrt()];
        for (value, expected) in norm.apply(&[3.0, 4.0]).iter().zip(expected) {
            assert!((value - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn a_norm_that_is_none_leaves_values_as_they_are() {
        let norm = Norm { n: 2, kind: None, weight: None, bias: None, epsilon: 1e-5 };
        assert_eq!(norm.apply(&[3.0, -4.0, 0.5, 0.0]), [3.0, -4.0, 0.5, 0.0]);
    }
}
