//! Eight rows in lanes: `vpmaddwd` and `vpaddd`.

use std::arch::x86_64::{
    __m256i, _mm_cvtsi32_si128, _mm256_add_epi32, _mm256_add_epi64, _mm256_blend_epi32, _mm256_cvtepi32_ps,
    _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_mul_epi32, _mm256_mul_ps, _mm256_set1_epi32,
    _mm256_set1_ps, _mm256_setzero_si256, _mm256_slli_epi64, _mm256_srl_epi64, _mm256_srli_epi64, _mm256_storeu_ps,
};

use super::lanes::Avx2Lanes;
use super::pack::Packed;
use super::positions::Positions;
use super::tile::{Outputs, Tile};

/// Exists only where the processor has AVX2.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2Tile(Avx2Lanes);

impl Avx2Tile {
    pub(super) fn detect() -> Option<Self> {
        Avx2Lanes::detect().map(Self)
    }
}

/// Rows in lanes.
const ROWS: usize = 8;

/// Positions whose sums are in registers together.
const POSITIONS: usize = 4;

impl Tile for Avx2Tile {
    const ROWS: usize = ROWS;

    fn lanes(&self) -> &Avx2Lanes {
        &self.0
    }

    fn products(self, mut out: Outputs<'_>, rows: &Packed, positions: Positions<'_>) {
        let n = positions.scales.len();
        let mut at = 0;
        while at < n {
            // SAFETY: an `Avx2Tile` exists only where the processor has AVX2.
            at += unsafe {
                match n - at {
                    1 => block::<1>(&mut out, rows, positions, at),
                    2 => block::<2>(&mut out, rows, positions, at),
                    3 => block::<3>(&mut out, rows, positions, at),
                    _ => block::<POSITIONS>(&mut out, rows, positions, at),
                }
            };
        }
    }
}

/// `N` positions from `at` on; says how many.
#[target_feature(enable = "avx2")]
fn block<const N: usize>(out: &mut Outputs<'_>, rows: &Packed, positions: Positions<'_>, at: usize) -> usize {
    let x: [&[u32]; N] =
        std::array::from_fn(|i| &positions.words[(at + i) * positions.stride..(at + i + 1) * positions.stride]);
    let (mut even, mut odd) = ([_mm256_setzero_si256(); N], [_mm256_setzero_si256(); N]);
    for (group, (weights, scales)) in rows.groups().enumerate() {
        let pairs = weights.len() / ROWS;
        let start = group * rows.group_words();
        let mut words = [&[][..]; N];
        for (words, x) in words.iter_mut().zip(x) {
            *words = &x[start..start + pairs];
        }
        let mut dots = [_mm256_setzero_si256(); N];
        for (pair, weights) in weights.as_chunks::<ROWS>().0.iter().enumerate() {
            // SAFETY: `weights` is 32 bytes long.
            let weights = unsafe { _mm256_loadu_si256(weights.as_ptr().cast::<__m256i>()) };
            for (dot, x) in dots.iter_mut().zip(words) {
                // SAFETY: each of `words` has as many words as there are pairs.
                let x = _mm256_set1_epi32(unsafe { *x.get_unchecked(pair) } as i32);
                *dot = _mm256_add_epi32(*dot, _mm256_madd_epi16(weights, x));
            }
        }
        let scales: &[i32; ROWS] = scales.first_chunk().expect("a scale a row");
        // SAFETY: `scales` is 32 bytes long.
        let scales = unsafe { _mm256_loadu_si256(scales.as_ptr().cast::<__m256i>()) };
        let odd_scales = _mm256_srli_epi64::<32>(scales);
        for ((even, odd), dot) in even.iter_mut().zip(&mut odd).zip(dots) {
            *even = _mm256_add_epi64(*even, _mm256_mul_epi32(dot, scales));
            *odd = _mm256_add_epi64(*odd, _mm256_mul_epi32(_mm256_srli_epi64::<32>(dot), odd_scales));
        }
    }
    let shift = _mm_cvtsi32_si128(positions.scaling.shift as i32);
    let row_scales: &[f32; ROWS] = rows.row_scales().first_chunk().expect("a scale a row");
    // SAFETY: `row_scales` is 32 bytes long.
    let row_scales = unsafe { _mm256_loadu_ps(row_scales.as_ptr()) };
    for i in 0..N {
        // 32 bits are left of each sum.
        let (even, odd) = (_mm256_srl_epi64(even[i], shift), _mm256_srl_epi64(odd[i], shift));
        let sums = _mm256_blend_epi32::<0b1010_1010>(even, _mm256_slli_epi64::<32>(odd));
        let unit = _mm256_set1_ps(positions.scaling.unit(positions.scales[at + i]));
        let products = _mm256_mul_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sums), row_scales), unit);
        let mut lanes = [0.0; ROWS];
        // SAFETY: `lanes` is 32 bytes long.
        unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), products) };
        out.put(at + i, lanes);
    }
    N
}
