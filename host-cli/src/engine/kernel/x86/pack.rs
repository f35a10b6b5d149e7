//! Rows of weights on their way into lanes.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_and_si128, _mm_loadu_si128, _mm_set1_epi8, _mm_srli_epi16, _mm_storeu_si128, _mm_sub_epi8,
    _mm256_cvtepi8_epi16, _mm256_permute2x128_si256, _mm256_setzero_si256, _mm256_storeu_si256, _mm256_unpackhi_epi32,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
};

use emberlm_core::format::Packing;
use emberlm_core::kernel::{PackedRow, signed_bytes};

use super::lanes::Avx2Lanes;

/// Rows that are turned together.
const EIGHT: usize = 8;

/// A tile's rows, widened to 16 bits.
pub(super) struct Packed {
    packing: Packing,
    n_in: usize,
    /// Rows in lanes.
    rows: usize,
    /// `[pairs][rows]`, two weights a word.
    weights: Vec<u32>,
    /// `[groups][rows]`
    scales: Vec<i32>,
    /// `[rows]`
    row_scales: Vec<f32>,
}

impl Packed {
    /// Room for so many rows of `n_in` weights.
    pub(super) fn new(packing: Packing, n_in: usize, rows: usize) -> Self {
        let n_groups = packing.n_groups(n_in);
        // A last group takes as much as a full one.
        let weights = vec![0; n_groups * packing.group / 2 * rows];
        Self { packing, n_in, rows, weights, scales: vec![0; n_groups * rows], row_scales: vec![0.0; rows] }
    }

    /// Lays out the rows, at most as many as there are lanes; the other lanes are zeros.
    pub(super) fn fill(&mut self, _: &Avx2Lanes, bytes: &[u8], stride: usize) {
        // SAFETY: lanes exist only where the processor has AVX2.
        unsafe { self.turn(bytes, stride) }
    }

    #[target_feature(enable = "avx2")]
    fn turn(&mut self, bytes: &[u8], stride: usize) {
        let Self { packing, n_in, rows: lanes, .. } = *self;
        let rows: Vec<PackedRow<'_>> =
            bytes.chunks_exact(stride).map(|row| PackedRow::new(row, packing, n_in)).collect();
        if rows.len() < lanes {
            self.scales.fill(0);
            self.row_scales.fill(0.0);
        }
        for (r, row) in rows.iter().enumerate() {
            self.row_scales[r] = row.row_scale;
            for (group, &byte) in row.group_scales.iter().enumerate() {
                self.scales[group * lanes + r] = packing.scale(byte);
            }
        }
        for first in (0..lanes).step_by(EIGHT) {
            let rows = rows.get(first..).unwrap_or_default();
            let eight: [&[u8]; EIGHT] = std::array::from_fn(|i| rows.get(i).map_or(&[][..], |row| row.integers));
            for group in 0..packing.n_groups(n_in) {
                let m = packing.group.min(n_in - group * packing.group);
                let start = group * packing.group_bytes(packing.group);
                let out = &mut self.weights[group * packing.group / 2 * lanes..][..packing.group / 2 * lanes];
                let mut buffers = [[0; MOST]; EIGHT];
                let mut integers = [&[0; MOST]; EIGHT];
                let whole = packing.is_bytes() && rows.len() >= EIGHT;
                for ((integers, buffer), row) in integers.iter_mut().zip(&mut buffers).zip(eight) {
                    *integers = match row.get(start..).and_then(|bytes| bytes.first_chunk()) {
                        Some(bytes) if whole && m == packing.group => bytes,
                        _ => {
                            if let Some(bytes) = row.get(start..start + packing.group_bytes(m)) {
                                unpack(buffer, packing, bytes, m);
                            }
                            buffer
                        }
                    };
                }
                for sixteen in 0..packing.group / 16 {
                    let turned = turn(integers, 16 * sixteen);
                    for (i, pairs) in turned.into_iter().enumerate() {
                        let out: &mut [u32; EIGHT] =
                            out[(8 * sixteen + i) * lanes + first..].first_chunk_mut().expect("eight lanes");
                        // SAFETY: `out` is 32 bytes long.
                        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast::<__m256i>(), pairs) }
                    }
                }
            }
        }
    }

    /// Each group's pairs of weights `[pairs][rows]` and scales `[rows]`.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&[u32], &[i32])> {
        let whole = self.packing.group / 2 * self.rows;
        let groups = self.weights.chunks_exact(whole).zip(self.scales.chunks_exact(self.rows)).enumerate();
        groups.map(|(i, (weights, scales))| (&weights[..pairs(self.packing, self.n_in, i) * self.rows], scales))
    }

    /// The rows' scales.
    pub(super) fn row_scales(&self) -> &[f32] {
        &self.row_scales
    }

    /// Words of activations that a row meets.
    pub(super) const fn words(&self) -> usize {
        self.n_in.div_ceil(2)
    }
}

/// The largest group.
const MOST: usize = 64;

/// A group's signed bytes.
#[target_feature(enable = "avx2")]
#[inline]
fn unpack(integers: &mut [u8; MOST], packing: Packing, bytes: &[u8], m: usize) {
    let nibbles = if packing.is_nibbles() && m == 32 { bytes.first_chunk::<16>() } else { None };
    let Some(nibbles) = nibbles else {
        let mut buffer = [0; 32];
        integers[..m].copy_from_slice(signed_bytes(packing, bytes, m, &mut buffer));
        return;
    };
    // SAFETY: the nibbles are 16 bytes, the integers 64.
    unsafe {
        let both = _mm_loadu_si128(nibbles.as_ptr().cast::<__m128i>());
        let (fifteen, eight) = (_mm_set1_epi8(15), _mm_set1_epi8(8));
        let low = _mm_and_si128(both, fifteen);
        let high = _mm_and_si128(_mm_srli_epi16::<4>(both), fifteen);
        let out = integers.as_mut_ptr().cast::<__m128i>();
        _mm_storeu_si128(out, _mm_sub_epi8(low, eight));
        _mm_storeu_si128(out.add(1), _mm_sub_epi8(high, eight));
    }
}

/// Sixteen weights from `first` on of each of eight rows as eight pairs of each: `[pair][row]`.
#[target_feature(enable = "avx2")]
#[inline]
fn turn(rows: [&[u8; MOST]; EIGHT], first: usize) -> [__m256i; EIGHT] {
    let mut wide = [_mm256_setzero_si256(); EIGHT];
    for (wide, row) in wide.iter_mut().zip(rows) {
        let row: &[u8; 16] = row[first..].first_chunk().expect("groups of whole sixteens");
        // SAFETY: `row` is 16 bytes long.
        *wide = _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(row.as_ptr().cast::<__m128i>()) });
    }
    let [a, b, c, d, e, f, g, h] = wide;
    let (low, high) = (four([a, b, c, d]), four([e, f, g, h]));
    let mut turned = [_mm256_setzero_si256(); EIGHT];
    for i in 0..4 {
        turned[i] = _mm256_permute2x128_si256::<0x20>(low[i], high[i]);
        turned[i + 4] = _mm256_permute2x128_si256::<0x31>(low[i], high[i]);
    }
    turned
}

/// Pairs `i` and `i + 4` of four rows, in the halves of vector `i`.
#[target_feature(enable = "avx2")]
#[inline]
fn four([a, b, c, d]: [__m256i; 4]) -> [__m256i; 4] {
    let (ab, cd) = (_mm256_unpacklo_epi32(a, b), _mm256_unpacklo_epi32(c, d));
    let (ab_high, cd_high) = (_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d));
    [
        _mm256_unpacklo_epi64(ab, cd),
        _mm256_unpackhi_epi64(ab, cd),
        _mm256_unpacklo_epi64(ab_high, cd_high),
        _mm256_unpackhi_epi64(ab_high, cd_high),
    ]
}

/// Pairs of weights under one scale, and those of the last group.
const fn pairs(packing: Packing, n_in: usize, group: usize) -> usize {
    let left = n_in - group * packing.group;
    (if left < packing.group { left } else { packing.group }).div_ceil(2)
}
