//! Sixteen rows in lanes: `vpdpwssd`.

use std::arch::x86_64::{
    __m512i, _mm_cvtsi32_si128, _mm512_add_epi64, _mm512_cvtepi32_ps, _mm512_dpwssd_epi32, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_mask_blend_epi32, _mm512_mul_epi32, _mm512_mul_ps, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_setzero_si512, _mm512_slli_epi64, _mm512_srl_epi64, _mm512_srli_epi64, _mm512_storeu_ps,
};

use super::lanes::Avx2Lanes;
use super::pack::Packed;
use super::positions::Positions;
use super::tile::{Outputs, Tile};

/// Exists only where the processor has AVX-512 with VNNI, and AVX2.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512Tile(Avx2Lanes);

impl Avx512Tile {
    pub(super) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vnni");
        Avx2Lanes::detect().filter(|_| has).map(Self)
    }
}

/// Rows in lanes.
const ROWS: usize = 16;

/// Positions whose sums are in registers together: two of each are of 64 bits.
const POSITIONS: usize = 8;

impl Tile for Avx512Tile {
    const ROWS: usize = ROWS;

    fn lanes(&self) -> &Avx2Lanes {
        &self.0
    }

    fn products(self, mut out: Outputs<'_>, rows: &Packed, positions: Positions<'_>) {
        let n = positions.scales.len();
        let mut at = 0;
        while at < n {
            // SAFETY: an `Avx512Tile` exists only where the processor has AVX-512 with VNNI.
            at += unsafe {
                match n - at {
                    1 => block::<1>(&mut out, rows, positions, at),
                    2..4 => block::<2>(&mut out, rows, positions, at),
                    4..8 => block::<4>(&mut out, rows, positions, at),
                    _ => block::<POSITIONS>(&mut out, rows, positions, at),
                }
            };
        }
    }
}

/// `N` positions from `at` on; says how many.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn block<const N: usize>(out: &mut Outputs<'_>, rows: &Packed, positions: Positions<'_>, at: usize) -> usize {
    let x: [&[u32]; N] =
        std::array::from_fn(|i| &positions.words[(at + i) * positions.stride..(at + i + 1) * positions.stride]);
    let (mut even, mut odd) = ([_mm512_setzero_si512(); N], [_mm512_setzero_si512(); N]);
    for (group, (weights, scales)) in rows.groups().enumerate() {
        let pairs = weights.len() / ROWS;
        let start = group * rows.group_words();
        let mut words = [&[][..]; N];
        for (words, x) in words.iter_mut().zip(x) {
            *words = &x[start..start + pairs];
        }
        let mut dots = [_mm512_setzero_si512(); N];
        for (pair, weights) in weights.as_chunks::<ROWS>().0.iter().enumerate() {
            // SAFETY: `weights` is 64 bytes long.
            let weights = unsafe { _mm512_loadu_si512(weights.as_ptr().cast::<__m512i>()) };
            for (dot, x) in dots.iter_mut().zip(words) {
                // SAFETY: each of `words` has as many words as there are pairs.
                let x = _mm512_set1_epi32(unsafe { *x.get_unchecked(pair) } as i32);
                *dot = _mm512_dpwssd_epi32(*dot, weights, x);
            }
        }
        let scales: &[i32; ROWS] = scales.first_chunk().expect("a scale a row");
        // SAFETY: `scales` is 64 bytes long.
        let scales = unsafe { _mm512_loadu_si512(scales.as_ptr().cast::<__m512i>()) };
        let odd_scales = _mm512_srli_epi64::<32>(scales);
        for ((even, odd), dot) in even.iter_mut().zip(&mut odd).zip(dots) {
            *even = _mm512_add_epi64(*even, _mm512_mul_epi32(dot, scales));
            *odd = _mm512_add_epi64(*odd, _mm512_mul_epi32(_mm512_srli_epi64::<32>(dot), odd_scales));
        }
    }
    let shift = _mm_cvtsi32_si128(positions.scaling.shift as i32);
    let row_scales: &[f32; ROWS] = rows.row_scales().first_chunk().expect("a scale a row");
    // SAFETY: `row_scales` is 64 bytes long.
    let row_scales = unsafe { _mm512_loadu_ps(row_scales.as_ptr()) };
    for i in 0..N {
        // 32 bits are left of each sum.
        let (even, odd) = (_mm512_srl_epi64(even[i], shift), _mm512_srl_epi64(odd[i], shift));
        let sums = _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64::<32>(odd));
        let unit = _mm512_set1_ps(positions.scaling.unit(positions.scales[at + i]));
        let products = _mm512_mul_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sums), row_scales), unit);
        let mut lanes = [0.0; ROWS];
        // SAFETY: `lanes` is 64 bytes long.
        unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), products) };
        out.put(at + i, lanes);
    }
    N
}
