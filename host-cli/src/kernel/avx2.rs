//! Products with AVX2's 256-bit integers and floats.
#![allow(unsafe_code)]

use emberlm_core::format::GROUP;
use emberlm_core::kernel::{F32Inputs, F32Rows, I16Inputs, Kernel, Portable, Q8Rows, finish_q8};
use emberlm_core::ops::quantize::i16_words;
use std::arch::x86_64::{
    __m128i, __m256i, _mm_add_epi64, _mm_cvtsi128_si64, _mm_loadu_si128, _mm_unpackhi_epi64, _mm256_add_epi32,
    _mm256_add_epi64, _mm256_castsi256_si128, _mm256_cvtepi8_epi16, _mm256_extracti128_si256, _mm256_loadu_si256,
    _mm256_madd_epi16, _mm256_mul_epi32, _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_srli_epi64,
};

/// Exists only where the processor has AVX2.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx2 {
    /// The kernel, where the processor can run it.
    pub fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }
}

impl Kernel for Avx2 {
    fn matmul_f32(&self, out: &mut [f32], out_stride: usize, inputs: F32Inputs<'_>, rows: F32Rows<'_>) {
        // SAFETY: an `Avx2` exists only where the processor has AVX2.
        unsafe { matmul_f32(out, out_stride, inputs, rows) }
    }

    fn matmul_q8_i16(&self, out: &mut [f32], out_stride: usize, inputs: I16Inputs<'_>, rows: Q8Rows<'_>) {
        // SAFETY: an `Avx2` exists only where the processor has AVX2.
        unsafe { matmul_q8_i16(out, out_stride, inputs, rows) }
    }
}

/// The portable kernel's code, compiled for eight lanes: its stripes are made for them.
#[target_feature(enable = "avx2")]
fn matmul_f32(out: &mut [f32], out_stride: usize, inputs: F32Inputs<'_>, rows: F32Rows<'_>) {
    Portable.matmul_f32(out, out_stride, inputs, rows);
}

/// Positions whose sums are under way together, the weights widened once.
const POSITIONS: usize = 4;

#[target_feature(enable = "avx2")]
fn matmul_q8_i16(out: &mut [f32], out_stride: usize, inputs: I16Inputs<'_>, rows: Q8Rows<'_>) {
    let words = i16_words(rows.n_in);
    let n = inputs.scales.len();
    for (r, row) in rows.iter().enumerate() {
        let mut sum = |t: usize, sums: &[i64]| {
            for (i, &sum) in sums.iter().enumerate() {
                out[(t + i) * out_stride + r] = finish_q8(sum, rows.n_in, row.row_scale, inputs.scales[t + i]);
            }
        };
        let position = |t: usize| &inputs.words[t * words..][..words];
        let mut t = 0;
        while t + POSITIONS <= n {
            let x = std::array::from_fn::<_, POSITIONS, _>(|i| position(t + i));
            sum(t, &row_sums(row.weights, row.group_scales, x));
            t += POSITIONS;
        }
        while t < n {
            sum(t, &row_sums(row.weights, row.group_scales, [position(t)]));
            t += 1;
        }
    }
}

/// One row's sums with `N` positions, each `[i16_words(weights.len())]`.
#[target_feature(enable = "avx2")]
#[inline]
fn row_sums<const N: usize>(weights: &[u8], group_scales: &[u8], x: [&[u32]; N]) -> [i64; N] {
    let mut wide = [_mm256_setzero_si256(); N];
    let mut rest = [0; N];
    for (g, (group, &scale)) in weights.chunks(GROUP).zip(group_scales).enumerate() {
        let mut dots = [_mm256_setzero_si256(); N];
        let (chunks, tail) = group.as_chunks::<16>();
        for (c, chunk) in chunks.iter().enumerate() {
            // SAFETY: `chunk` is 16 bytes long.
            let weights = _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(chunk.as_ptr().cast::<__m128i>()) });
            for (dot, x) in dots.iter_mut().zip(x) {
                let eight: &[u32; 8] = x[g * (GROUP / 2) + c * 8..][..8].try_into().expect("eight words");
                // SAFETY: `eight` is 32 bytes long.
                let x = unsafe { _mm256_loadu_si256(eight.as_ptr().cast::<__m256i>()) };
                *dot = _mm256_add_epi32(*dot, _mm256_madd_epi16(weights, x));
            }
        }
        let scales = _mm256_set1_epi64x(i64::from(scale));
        for (wide, dot) in wide.iter_mut().zip(dots) {
            let even = _mm256_mul_epi32(dot, scales);
            let odd = _mm256_mul_epi32(_mm256_srli_epi64::<32>(dot), scales);
            *wide = _mm256_add_epi64(*wide, _mm256_add_epi64(even, odd));
        }
        if !tail.is_empty() {
            for (rest, x) in rest.iter_mut().zip(x) {
                let words = &x[g * (GROUP / 2) + chunks.len() * 8..];
                *rest += Portable.sum_q8_i16(words, tail, std::iter::once(scale));
            }
        }
    }
    std::array::from_fn(|i| lanes_sum(wide[i]) + rest[i])
}

#[target_feature(enable = "avx2")]
#[inline]
fn lanes_sum(x: __m256i) -> i64 {
    let pair = _mm_add_epi64(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
    _mm_cvtsi128_si64(_mm_add_epi64(pair, _mm_unpackhi_epi64(pair, pair)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::HostKernel;
    use emberlm_core::format::Format;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn gives_the_portable_kernels_bits(n_in in 1usize..400, n_rows in 1usize..6, n in 1usize..8, seed: u64) {
            let HostKernel::Avx2(kernel) = HostKernel::detect() else { return Ok(()) };
            let mut state = seed | 1;
            let mut random = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 32) as u32
            };
            let bytes: Vec<u8> = (0..n_rows * Format::Q8.row_stride(n_in)).map(|_| random() as u8).collect();
            // Any pair of integers but -32768, which quantising never gives.
            let words: Vec<u32> = (0..n * i16_words(n_in))
                .map(|_| random())
                .map(|w| if w as u16 == 0x8000 || w >> 16 == 0x8000 { 0x7FFF_8001 } else { w })
                .collect();
            let scales: Vec<f32> = (0..n).map(|_| random() as f32 * 1e-9).collect();
            let (inputs, rows) = (I16Inputs { words: &words, scales: &scales }, Q8Rows { bytes: &bytes, n_in });
            let (mut want, mut have) = (vec![0.0; n * n_rows], vec![0.0; n * n_rows]);
            Portable.matmul_q8_i16(&mut want, n_rows, inputs, rows);
            kernel.matmul_q8_i16(&mut have, n_rows, inputs, rows);
            let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&want), bits(&have));

            let floats: Vec<f32> = (0..n * n_in).map(|_| random() as f32 * 1e-9 - 2.0).collect();
            let bytes: Vec<u8> = (0..n_rows * n_in).flat_map(|_| (random() as f32 * 1e-9 - 2.0).to_le_bytes()).collect();
            let (inputs, rows) = (F32Inputs { values: &floats }, F32Rows { bytes: &bytes, n_in });
            Portable.matmul_f32(&mut want, n_rows, inputs, rows);
            kernel.matmul_f32(&mut have, n_rows, inputs, rows);
            prop_assert_eq!(bits(&want), bits(&have));
        }
    }
}
