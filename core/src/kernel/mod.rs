//! Matrix products: the one place where a weight is multiplied.
//!
//! A [`Kernel`] is chosen when a session is made and dispatched statically. [`Portable`] is the truth; every other
//! kernel gives its bits, which property tests show. Kernels know rows of weights and positions of activations, never
//! models.

/// The first line of assembly that the target may have no instructions for: every one of a Cortex-M there is. What it says
/// holds for all assembly behind it in the same object, which after link-time optimisation is everybody's, so that it may
/// only ever allow more.
#[cfg(all(target_arch = "arm", any(feature = "cortex-m-dsp", feature = "cortex-m-mve")))]
macro_rules! any_cortex_m {
    () => {
        ".cpu cortex-m85"
    };
}

/// Elements up to the end of `len` that row `i` starts with, `stride` from row to row. Products of any lengths of 32 bits
/// are exact.
#[cfg(all(target_arch = "arm", any(feature = "cortex-m-dsp", feature = "cortex-m-mve")))]
const fn end(i: usize, stride: usize, len: usize) -> u64 {
    i as u64 * stride as u64 + len as u64
}

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
#[cfg(all(target_arch = "arm", feature = "cortex-m-dsp"))]
mod cortex_m_dsp;
#[cfg(all(target_arch = "arm", feature = "cortex-m-mve"))]
mod cortex_m_mve;
mod inputs;
mod portable;
mod rows;
mod scalar;

#[cfg(all(target_arch = "arm", feature = "cortex-m-dsp"))]
pub use cortex_m_dsp::CortexMDsp;
#[cfg(all(target_arch = "arm", feature = "cortex-m-mve"))]
pub use cortex_m_mve::CortexMMve;
pub use inputs::{F32Inputs, I8Inputs, I8Position, I16Inputs, I16Position, Position};
pub use portable::{Portable, Scaling, finish};
pub(crate) use portable::{accumulate_floats, accumulate_groups, sum};
pub use rows::{PackedRow, Rows, Unpacked, row_scale, signed_bytes};
pub use scalar::Scalar;

use crate::format::Packing;
use crate::ops::attention::{self, HeadRows};
use crate::ops::quantize::{i8_words, i16_words, quantize_i8, quantize_i16};
use crate::ops::vector::{self, Update};
use crate::part::{self, rows_mut};

/// Matrix products. Row `r`, position `t` of a product goes to `out[t * out_stride + r]`.
///
/// Implementations override what they can do faster; each method's default is the portable kernel.
pub trait Kernel {
    /// Rounds activations `x` `[positions][n_in]` to 16 bits for this kernel's [`Kernel::matmul_i16`] with weights of such
    /// a packing: their words `[positions][i16_words(n_in)]`, and each position's scale.
    #[inline(always)]
    fn quantize_i16(&self, words: &mut [u32], scales: &mut [f32], x: &[f32], _packing: Packing, n_in: usize) {
        let positions = rows_mut(words, i16_words(n_in)).zip(part::rows(x, n_in));
        for ((words, x), scale) in positions.zip(scales) {
            *scale = quantize_i16(words, x);
        }
    }

    /// Rounds activations to 8 bits for [`Kernel::matmul_i8`], as [`Kernel::quantize_i16`] does to 16. Words are as many
    /// as for these; how many a kernel fills is its own affair.
    #[inline(always)]
    fn quantize_i8(&self, words: &mut [u32], scales: &mut [f32], x: &[f32], _packing: Packing, n_in: usize) {
        let positions = rows_mut(words, i8_words(n_in)).zip(part::rows(x, n_in));
        for ((words, x), scale) in positions.zip(scales) {
            *scale = quantize_i8(words, x);
        }
    }

    /// Weights of any format by f32 activations: each weight as an f32, `(row_scale * scale) * integer` where it is
    /// one; each dot product eight stripes of sums, folded.
    #[inline(always)]
    fn matmul_f32(&self, out: &mut [f32], out_stride: usize, inputs: F32Inputs<'_>, rows: Rows<'_>) {
        portable::matmul_f32(out, out_stride, inputs, rows);
    }

    /// Integer weights by 16-bit activations: each dot product is an exact integer sum of
    /// `scale * integer * activation`, then `(f32(sum >> shift) * row_scale) * (input_scale * 2^shift)`.
    #[inline(always)]
    fn matmul_i16(&self, out: &mut [f32], out_stride: usize, inputs: I16Inputs<'_>, rows: Rows<'_>) {
        portable::matmul_i16(out, out_stride, inputs, rows);
    }

    /// Integer weights by 8-bit activations: as [`Kernel::matmul_i16`], each product also times the activations' own
    /// integer scale.
    #[inline(always)]
    fn matmul_i8(&self, out: &mut [f32], out_stride: usize, inputs: I8Inputs<'_>, rows: Rows<'_>) {
        portable::matmul_i8(out, out_stride, inputs, rows);
    }

    /// `sums[i]` becomes that of `keys[i] * query`, which an i32 holds; sums beyond the last key stay as they are. The
    /// query is `[2 * n]` words of two 16-bit integers, each key the first `n` words of a row, of four bytes.
    #[inline(always)]
    fn dots_i8(&self, sums: &mut [i32], query: &[u32], keys: HeadRows<'_>) {
        attention::dots_i8(sums, query, keys);
    }

    /// The sums of `weights[i]`, which are from 0 to 32767, times the four bytes of `values[i * stride]`; an i32 holds
    /// them.
    #[inline(always)]
    fn weigh_i8(&self, values: &[u32], stride: usize, weights: &[i32]) -> [i32; 4] {
        attention::weigh_i8(values, stride, weights)
    }

    /// [`HeadOps::dots`](crate::ops::attention::HeadOps::dots) of keys that are f32 bits.
    #[inline(always)]
    fn dots_f32(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
        attention::dots_f32(scores, query, keys);
    }

    /// [`HeadOps::add_weighted`](crate::ops::attention::HeadOps::add_weighted) of values that are f32 bits.
    #[inline(always)]
    fn add_weighted_f32(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
        attention::add_weighted_f32(out, weights, values);
    }

    /// As [`Kernel::dots_f32`], of keys that are packed halves.
    #[inline(always)]
    fn dots_f16(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
        attention::dots_f16(scores, query, keys);
    }

    /// As [`Kernel::add_weighted_f32`], of values that are packed halves.
    #[inline(always)]
    fn add_weighted_f16(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
        attention::add_weighted_f16(out, weights, values);
    }

    /// Updates each element of `x` with the float in its place, of four bytes in the order of the blob.
    #[inline(always)]
    fn update(&self, x: &mut [f32], floats: &[[u8; 4]], update: Update) {
        vector::update(x, floats, update);
    }

    /// Multiplies all of `x`.
    #[inline(always)]
    fn scale(&self, x: &mut [f32], by: f32) {
        vector::scale(x, by);
    }

    /// The square root, rounded to nearest even; of a negative number or none, no number.
    #[inline(always)]
    fn sqrt(&self, x: f32) -> f32 {
        libm::sqrtf(x)
    }
}
