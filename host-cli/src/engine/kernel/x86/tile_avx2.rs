//! Rows in the lanes of two vectors of eight: `vpmaddwd` and `vpaddd`.

use std::hint::black_box;

use emberlm_core::format::Packing;
use emberlm_core::kernel::Rows;

use super::super::pack::Packed;
use super::super::positions::Positions;
use super::super::tile::{Outputs, Tile};
use super::super::walk::walk;
use super::lanes::Avx2Lanes;
use super::row::multiply_rows;

/// Exists only where the processor has AVX2.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2Tile(Avx2Lanes);

impl Avx2Tile {
    pub(super) fn detect() -> Option<Self> {
        Avx2Lanes::detect().map(Self)
    }
}

/// Rows in the lanes of a vector.
const LANES: usize = 8;

/// Vectors of rows.
const VECTORS: usize = 2;

/// Rows of a tile.
const ROWS: usize = VECTORS * LANES;

/// Positions whose sums are in registers together.
const POSITIONS: usize = 4;

impl Tile for Avx2Tile {
    const ROWS: usize = ROWS;

    type Lanes = Avx2Lanes;

    fn lanes(&self) -> &Avx2Lanes {
        &self.0
    }

    fn unit(&self) -> &Avx2Lanes {
        &self.0
    }

    fn multiply_registers(self, rounds: u64) -> u64 {
        // SAFETY: an `Avx2Tile` exists only where the processor has AVX2.
        unsafe { registers(rounds) }
    }

    fn multiply_rows(&self, out: &mut [f32], rows: Rows<'_>, packing: Packing, positions: Positions<'_>) {
        multiply_rows(self.unit(), out, rows, packing, positions);
    }

    fn products(self, out: Outputs<'_>, rows: &Packed, positions: Positions<'_>) {
        // SAFETY: as above.
        unsafe { products(out, rows, positions) }
    }
}

walk!("avx2", vector);

/// Eight lanes of 32 bits, or four of 64.
mod vector {
    use std::arch::x86_64::{
        __m256i, _mm_cvtsi32_si128, _mm256_add_epi32, _mm256_add_epi64, _mm256_blend_epi32, _mm256_cvtepi32_ps,
        _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_mul_epi32, _mm256_mul_ps, _mm256_set1_epi32,
        _mm256_set1_ps, _mm256_setzero_si256, _mm256_slli_epi32, _mm256_slli_epi64, _mm256_srai_epi32,
        _mm256_srl_epi64, _mm256_srli_epi64, _mm256_storeu_ps, _mm256_sub_epi32,
    };

    use super::LANES;

    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn zero() -> __m256i {
        _mm256_setzero_si256()
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn load(words: &[u32; LANES]) -> __m256i {
        // SAFETY: `words` is 32 bytes long.
        unsafe { _mm256_loadu_si256(words.as_ptr().cast::<__m256i>()) }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn load_signed(words: &[i32; LANES]) -> __m256i {
        // SAFETY: `words` is 32 bytes long.
        unsafe { _mm256_loadu_si256(words.as_ptr().cast::<__m256i>()) }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn splat(word: u32) -> __m256i {
        _mm256_set1_epi32(word as i32)
    }

    /// `sum` and the two products of 16 bits in each lane.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn add_products(sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
        _mm256_add_epi32(sum, _mm256_madd_epi16(a, b))
    }

    /// The odd lanes in the even ones' places.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn odd(x: __m256i) -> __m256i {
        _mm256_srli_epi64::<32>(x)
    }

    /// `sum` and the products of the even lanes, of 64 bits each.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn add_wide(sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
        _mm256_add_epi64(sum, _mm256_mul_epi32(a, b))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn add(a: __m256i, b: __m256i) -> __m256i {
        _mm256_add_epi32(a, b)
    }

    /// The signed upper 16 bits of each lane.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn high_half(x: __m256i) -> __m256i {
        _mm256_srai_epi32::<16>(x)
    }

    /// The even lanes' sums and the odd ones', of 64 bits each, out of the sums of upper halves and the wrapped whole sums: the
    /// lower halves are what these leave.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn unfold(high: __m256i, all: __m256i) -> (__m256i, __m256i) {
        let low = _mm256_sub_epi32(all, _mm256_slli_epi32::<16>(high));
        let (even, odd) = (_mm256_srli_epi64::<32>(_mm256_slli_epi64::<32>(low)), odd(low));
        let unit = splat(1 << 16);
        (add_wide(even, high, unit), add_wide(odd, self::odd(high), unit))
    }

    /// `(f32(sum >> shift) * row_scale) * unit` of the even lanes' sums and the odd ones'.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn finish((even, odd): (__m256i, __m256i), shift: u32, row_scales: &[f32; LANES], unit: f32) -> [f32; LANES] {
        let shift = _mm_cvtsi32_si128(shift as i32);
        // 32 bits are left of each sum.
        let (even, odd) = (_mm256_srl_epi64(even, shift), _mm256_srl_epi64(odd, shift));
        let sums = _mm256_blend_epi32::<0b1010_1010>(even, _mm256_slli_epi64::<32>(odd));
        let mut lanes = [0.0; LANES];
        // SAFETY: both are 32 bytes long.
        unsafe {
            let scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(sums), _mm256_loadu_ps(row_scales.as_ptr()));
            _mm256_storeu_ps(lanes.as_mut_ptr(), _mm256_mul_ps(scaled, _mm256_set1_ps(unit)));
        }
        lanes
    }
}
