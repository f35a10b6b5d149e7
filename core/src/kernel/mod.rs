//! Matrix products: the one place where a weight is multiplied.
//!
//! A [`Kernel`] is chosen when a session is made and dispatched statically. [`Portable`] is the truth; every other
//! kernel gives its bits, which property tests show. Kernels know rows of weights and positions of activations, never
//! models.

#[cfg(all(target_arch = "arm", feature = "cortex-m-dsp"))]
mod cortex_m_dsp;
mod portable;

#[cfg(all(target_arch = "arm", feature = "cortex-m-dsp"))]
pub use cortex_m_dsp::CortexMDsp;
pub use portable::{Portable, finish_q8};

use crate::format::{Format, GROUP};
use crate::ops::quantize::i16_words;
use crate::ops::reduce::{STRIPES, accumulate_dot};

/// Consecutive rows of an f32 matrix.
#[derive(Clone, Copy, Debug)]
pub struct F32Rows<'a> {
    /// `[rows][n_in]` f32, little-endian, at an address that is a multiple of 4.
    pub bytes: &'a [u8],
    /// Weights a row.
    pub n_in: usize,
}

/// Consecutive rows of a q8 matrix.
#[derive(Clone, Copy, Debug)]
pub struct Q8Rows<'a> {
    /// `[rows][stride]` bytes as [`Format::Q8`] lays them out, at an address that is a multiple of 4.
    pub bytes: &'a [u8],
    /// Weights a row.
    pub n_in: usize,
}

impl<'a> Q8Rows<'a> {
    /// The rows, one after another.
    pub fn iter(self) -> impl Iterator<Item = Q8Row<'a>> {
        let n_in = self.n_in;
        self.bytes.chunks_exact(Format::Q8.row_stride(n_in)).map(move |row| Q8Row::new(row, n_in))
    }
}

/// One row of a q8 matrix.
#[derive(Clone, Copy, Debug)]
pub struct Q8Row<'a> {
    /// `[n_in]` 8-bit integers.
    pub weights: &'a [u8],
    /// One integer scale for each [`GROUP`] weights.
    pub group_scales: &'a [u8],
    /// The scale of the row.
    pub row_scale: f32,
}

impl<'a> Q8Row<'a> {
    /// Takes the bytes of one row apart; `row` has the stride of `n_in` weights.
    #[inline(always)]
    pub fn new(row: &'a [u8], n_in: usize) -> Self {
        let (weights, rest) = row.split_at(n_in);
        let (group_scales, _) = rest.split_at(n_in.div_ceil(GROUP));
        Self { weights, group_scales, row_scale: q8_row_scale(row) }
    }
}

/// The bf16 row scale in the last two bytes of a q8 row, or of its end.
#[inline(always)]
pub fn q8_row_scale(row_end: &[u8]) -> f32 {
    match row_end.last_chunk() {
        Some(&bytes) => half::bf16::from_le_bytes(bytes).to_f32(),
        None => f32::NAN,
    }
}

/// f32 activations of several positions.
#[derive(Clone, Copy, Debug)]
pub struct F32Inputs<'a> {
    /// `[positions][n_in]`.
    pub values: &'a [f32],
}

/// 16-bit activations of several positions.
#[derive(Clone, Copy, Debug)]
pub struct I16Inputs<'a> {
    /// `[positions][i16_words(n_in)]`, as [`quantize_i16`](crate::ops::quantize::quantize_i16) packs them and
    /// [`Kernel::arrange_i16`] arranged them.
    pub words: &'a [u32],
    /// `[positions]`.
    pub scales: &'a [f32],
}

impl<'a> I16Inputs<'a> {
    /// Each position's words and scale.
    pub fn iter(self, n_in: usize) -> impl Iterator<Item = (&'a [u32], f32)> {
        self.words.chunks_exact(i16_words(n_in)).zip(self.scales.iter().copied())
    }
}

/// How far a q8 row's integer sum is shifted right, rounding half up, before it becomes an f32: the least shift after
/// which no row of `n_in` weights can exceed an i32.
///
/// Each product is at most `128 * 32767 * 255 < 0.996 * 2^30` in magnitude, so that `n_in <= 2^c` of them stay below
/// `2^(30 + c)`, and below 2^31 after a shift by `c - 1`.
pub const fn q8_shift(n_in: usize) -> u32 {
    n_in.next_power_of_two().trailing_zeros().saturating_sub(1)
}

/// Matrix products. Row `r`, position `t` of a product goes to `out[t * out_stride + r]`.
///
/// Implementations override what they can do faster; each method's default is the portable kernel.
pub trait Kernel {
    /// Rearranges one position's quantised activations in place, once a product, into the order in which this kernel
    /// unpacks weights. What belongs under one group of weights stays there.
    #[inline(always)]
    fn arrange_i16(&self, _words: &mut [u32]) {}

    /// f32 weights by f32 activations: each dot product is eight stripes of sums, folded.
    #[inline(always)]
    fn matmul_f32(&self, out: &mut [f32], out_stride: usize, inputs: F32Inputs<'_>, rows: F32Rows<'_>) {
        portable::matmul_f32(out, out_stride, inputs, rows);
    }

    /// q8 weights by 16-bit activations: each dot product is an exact integer sum, then
    /// `(f32(sum >> shift) * (row_scale * 2^shift)) * input_scale`.
    #[inline(always)]
    fn matmul_q8_i16(&self, out: &mut [f32], out_stride: usize, inputs: I16Inputs<'_>, rows: Q8Rows<'_>) {
        portable::matmul_q8_i16(out, out_stride, inputs, rows);
    }

    /// Adds to one position's stripes the products of a piece of an f32 row, for rows longer than the source's buffer.
    /// All but a row's last piece have a multiple of 8 weights; `x` are the activations under them.
    #[inline(always)]
    fn accumulate_f32(&self, stripes: &mut [f32; STRIPES], x: &[f32], weights: &[u8]) {
        accumulate_dot(stripes, weights.as_chunks().0, f32::from_le_bytes, x);
    }

    /// One position's sum over a piece of a q8 row: whole groups, but for a row's last. `words` are the activations
    /// under the piece and `group_scales` its groups' scales.
    #[inline(always)]
    fn sum_q8_i16(&self, words: &[u32], weights: &[u8], group_scales: impl Iterator<Item = u8>) -> i64 {
        portable::sum_q8_i16(words, weights, group_scales)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_exceeds_an_i32_after_its_shift() {
        for n_in in (1..5000).chain([1 << 20, (1 << 20) - 1]) {
            let (shift, bound) = (q8_shift(n_in), n_in as i64 * 128 * 32767 * 255);
            let half = (1i64 << shift) >> 1;
            assert!((bound + half) >> shift <= i64::from(i32::MAX), "{n_in}");
            assert!((-bound + half) >> shift >= i64::from(i32::MIN), "{n_in}");
        }
    }
}
