//! The portable kernel: the definition of every product, in plain Rust.

use super::{F32Inputs, F32Rows, I16Inputs, Kernel, Q8Rows, q8_shift};
use crate::format::GROUP;
use crate::ops::exp::pow2;
use crate::ops::reduce::{STRIPES, accumulate_dot, fold};

/// Runs everywhere, and defines what every other kernel computes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Portable;

impl Kernel for Portable {}

/// See [`Kernel::matmul_f32`].
#[inline(always)]
pub fn matmul_f32(out: &mut [f32], out_stride: usize, inputs: F32Inputs<'_>, rows: F32Rows<'_>) {
    for (r, row) in rows.bytes.chunks_exact(4 * rows.n_in).enumerate() {
        for (t, x) in inputs.values.chunks_exact(rows.n_in).enumerate() {
            let mut stripes = [0.0; STRIPES];
            accumulate_dot(&mut stripes, row.as_chunks().0, f32::from_le_bytes, x);
            out[t * out_stride + r] = fold(stripes);
        }
    }
}

/// See [`Kernel::matmul_q8_i16`].
#[inline(always)]
pub fn matmul_q8_i16(out: &mut [f32], out_stride: usize, inputs: I16Inputs<'_>, rows: Q8Rows<'_>) {
    for (r, row) in rows.iter().enumerate() {
        for (t, (words, scale)) in inputs.iter(rows.n_in).enumerate() {
            let sum = sum_q8_i16(words, row.weights, row.group_scales.iter().copied());
            out[t * out_stride + r] = finish_q8(sum, rows.n_in, row.row_scale, scale);
        }
    }
}

/// A row's integer sum as the f32 product.
#[inline(always)]
pub fn finish_q8(sum: i64, n_in: usize, row_scale: f32, input_scale: f32) -> f32 {
    let shift = q8_shift(n_in);
    let half = (1i64 << shift) >> 1;
    (((sum + half) >> shift) as i32 as f32 * (row_scale * pow2(shift as i32))) * input_scale
}

/// The dot product of up to [`GROUP`] weights and as many packed activations.
#[inline(always)]
fn group_dot(weights: &[u8], words: &[u32]) -> i32 {
    let (pairs, last) = weights.as_chunks::<2>();
    let mut dot = 0;
    for (&[a, b], &word) in pairs.iter().zip(words) {
        dot += i32::from(a as i8) * i32::from(word as i16) + i32::from(b as i8) * ((word as i32) >> 16);
    }
    match (last, words.get(pairs.len())) {
        (&[a], Some(&word)) => dot + i32::from(a as i8) * i32::from(word as i16),
        _ => dot,
    }
}

/// See [`Kernel::sum_q8_i16`].
#[inline(always)]
pub fn sum_q8_i16(words: &[u32], weights: &[u8], group_scales: impl Iterator<Item = u8>) -> i64 {
    let groups = weights.chunks(GROUP).zip(words.chunks(GROUP / 2));
    groups.zip(group_scales).map(|((weights, words), s)| i64::from(group_dot(weights, words)) * i64::from(s)).sum()
}
