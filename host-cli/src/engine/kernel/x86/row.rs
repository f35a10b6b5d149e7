//! Products of too few positions to lay weights out for: each row as it is stored.

use std::arch::x86_64::{
    __m128i, __m256i, _MM_HINT_T0, _MM_HINT_T1, _mm_add_epi64, _mm_cvtsi128_si64, _mm_loadu_si128, _mm_prefetch,
    _mm_unpackhi_epi64, _mm256_add_epi32, _mm256_add_epi64, _mm256_castsi256_si128, _mm256_cvtepi8_epi16,
    _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_mul_epi32, _mm256_set1_epi32,
    _mm256_setzero_si256, _mm256_srli_epi64,
};

use emberlm_core::format::Packing;
use emberlm_core::kernel::{I16Position, PackedRow, Position, Rows, Unpacked, signed_bytes};

use super::super::positions::Positions;
use super::lanes::Avx2Lanes;
use super::turn::nibbles;

/// Every row with each of fewer than four positions.
pub fn multiply_rows(_: &Avx2Lanes, out: &mut [f32], rows: Rows<'_>, packing: Packing, positions: Positions<'_>) {
    // SAFETY: lanes exist only where the processor has AVX2.
    unsafe {
        match positions.scales.len() {
            0 => {}
            1 => multiply::<1>(out, rows, packing, positions),
            2 => multiply::<2>(out, rows, packing, positions),
            _ => multiply::<3>(out, rows, packing, positions),
        }
    }
}

#[target_feature(enable = "avx2")]
fn multiply<const N: usize>(out: &mut [f32], rows: Rows<'_>, packing: Packing, positions: Positions<'_>) {
    let x: [&[u32]; N] = std::array::from_fn(|i| &positions.words[i * positions.stride..(i + 1) * positions.stride]);
    let units: [f32; N] = std::array::from_fn(|i| positions.scaling.unit(positions.scales[i]));
    for (r, row) in rows.iter().enumerate() {
        let row = PackedRow::new(row, packing, rows.n_in());
        let sums = row_sums(packing, row, rows.n_in(), x);
        for (i, (sum, unit)) in sums.into_iter().zip(units).enumerate() {
            out[i * rows.n() + r] = positions.scaling.finish(sum, row.row_scale, unit);
        }
    }
}

/// Bytes from a group to what is fetched into the first cache meanwhile.
const NEAR: usize = 2048;

/// Bytes from a group to what is fetched into the second cache meanwhile: more can be on its way there.
const FAR: usize = 8192;

/// Sums under way: those of a vector's even lanes and of its odd ones.
type Sums<const N: usize> = [[__m256i; 2]; N];

/// One row's sums with `N` positions, each of which has a word for every two weights.
#[target_feature(enable = "avx2")]
#[inline]
fn row_sums<const N: usize>(packing: Packing, row: PackedRow<'_>, n_in: usize, x: [&[u32]; N]) -> [i64; N] {
    let mut wide: Sums<N> = [[_mm256_setzero_si256(); 2]; N];
    let mut sums = [0; N];
    let mut buffer: Unpacked = [0; 32];
    let mut first = 0;
    for (bytes, scale) in row.groups(packing) {
        _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().wrapping_add(NEAR).cast::<i8>());
        _mm_prefetch::<_MM_HINT_T1>(bytes.as_ptr().wrapping_add(FAR).cast::<i8>());
        let m = packing.group.min(n_in - first);
        if packing.is_nibbles()
            && m == 32
            && let Some(bytes) = bytes.first_chunk()
        {
            let [low, high] = nibbles(bytes);
            let weights = [_mm256_cvtepi8_epi16(low), _mm256_cvtepi8_epi16(high)];
            add_vectors(&mut wide, weights, scale, x, first / 2);
            first += m;
            continue;
        }
        let integers = signed_bytes(packing, bytes, m, &mut buffer);
        let (chunks, tail) = integers.as_chunks::<16>();
        if let Ok(chunks) = <&[[u8; 16]; 4]>::try_from(chunks) {
            add_chunks(&mut wide, chunks, scale, x, first / 2);
        } else if let Ok(chunks) = <&[[u8; 16]; 2]>::try_from(chunks) {
            add_chunks(&mut wide, chunks, scale, x, first / 2);
        } else {
            for (c, chunk) in chunks.iter().enumerate() {
                add_chunks(&mut wide, &[*chunk], scale, x, first / 2 + 8 * c);
            }
        }
        if !tail.is_empty() {
            let words = first / 2 + 8 * chunks.len();
            for (sum, x) in sums.iter_mut().zip(x) {
                *sum += I16Position { words: &x[words..] }.dot(tail) * i64::from(scale);
            }
        }
        first += m;
    }
    for (sum, [even, odd]) in sums.iter_mut().zip(wide) {
        *sum += lanes_sum(_mm256_add_epi64(even, odd));
    }
    sums
}

/// Adds `scale` times the products of weights under one scale with the activations from word `at` on.
#[target_feature(enable = "avx2")]
#[inline]
fn add_chunks<const N: usize, const M: usize>(
    sums: &mut Sums<N>,
    chunks: &[[u8; 16]; M],
    scale: i32,
    x: [&[u32]; N],
    at: usize,
) {
    let mut weights = [_mm256_setzero_si256(); M];
    for (weights, chunk) in weights.iter_mut().zip(chunks) {
        // SAFETY: `chunk` is 16 bytes long.
        *weights = _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(chunk.as_ptr().cast::<__m128i>()) });
    }
    add_vectors(sums, weights, scale, x, at);
}

/// As [`add_chunks`], of weights of 16 bits.
#[target_feature(enable = "avx2")]
#[inline]
fn add_vectors<const N: usize, const M: usize>(
    sums: &mut Sums<N>,
    weights: [__m256i; M],
    scale: i32,
    x: [&[u32]; N],
    at: usize,
) {
    let mut dots = [_mm256_setzero_si256(); N];
    for (c, weights) in weights.into_iter().enumerate() {
        for (dot, x) in dots.iter_mut().zip(x) {
            let at = at + 8 * c;
            debug_assert!(at + 8 <= x.len());
            // SAFETY: there is a word for every two weights.
            let x = unsafe { _mm256_loadu_si256(x.as_ptr().add(at).cast::<__m256i>()) };
            *dot = _mm256_add_epi32(*dot, _mm256_madd_epi16(weights, x));
        }
    }
    let scales = _mm256_set1_epi32(scale);
    for ([even, odd], dot) in sums.iter_mut().zip(dots) {
        *even = _mm256_add_epi64(*even, _mm256_mul_epi32(dot, scales));
        *odd = _mm256_add_epi64(*odd, _mm256_mul_epi32(_mm256_srli_epi64::<32>(dot), scales));
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn lanes_sum(x: __m256i) -> i64 {
    let pair = _mm_add_epi64(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
    _mm_cvtsi128_si64(_mm_add_epi64(pair, _mm_unpackhi_epi64(pair, pair)))
}
