//! Rows in the lanes of two vectors of sixteen: `vpdpwssd`.

use std::hint::black_box;

use emberlm_core::format::Packing;
use emberlm_core::kernel::Rows;

use super::super::pack::Packed;
use super::super::positions::Positions;
use super::super::tile::{Outputs, Tile};
use super::super::walk::walk;
use super::lanes::Avx2Lanes;
use super::lanes_avx512::Avx512Lanes;
use super::row::multiply_rows;

/// Exists only where the processor has AVX-512 with VNNI.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512Tile(Avx512Lanes);

impl Avx512Tile {
    pub(super) fn detect() -> Option<Self> {
        Avx512Lanes::detect().filter(|_| is_x86_feature_detected!("avx512vnni")).map(Self)
    }
}

/// Rows in the lanes of a vector.
const LANES: usize = 16;

/// Vectors of rows.
const VECTORS: usize = 2;

/// Rows of a tile.
const ROWS: usize = VECTORS * LANES;

/// Positions whose sums are under way together: with those of each vector more than an instruction takes cycles.
const POSITIONS: usize = 6;

impl Tile for Avx512Tile {
    const ROWS: usize = ROWS;

    type Lanes = Avx512Lanes;

    fn lanes(&self) -> &Avx512Lanes {
        &self.0
    }

    fn unit(&self) -> &Avx2Lanes {
        self.0.avx2()
    }

    fn multiply_registers(self, rounds: u64) -> u64 {
        // SAFETY: an `Avx512Tile` exists only where the processor has AVX-512 with VNNI.
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

walk!("avx512f,avx512bw,avx512vnni", vector);

/// Sixteen lanes of 32 bits, or eight of 64.
mod vector {
    use std::arch::x86_64::{
        __m512i, _mm_cvtsi32_si128, _mm512_add_epi32, _mm512_add_epi64, _mm512_cvtepi32_ps, _mm512_dpwssd_epi32,
        _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mask_blend_epi32, _mm512_mul_epi32, _mm512_mul_ps,
        _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_si512, _mm512_slli_epi32, _mm512_slli_epi64,
        _mm512_srai_epi32, _mm512_srl_epi64, _mm512_srli_epi64, _mm512_storeu_ps, _mm512_sub_epi32,
    };

    use super::LANES;

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub fn zero() -> __m512i {
        _mm512_setzero_si512()
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub fn load(words: &[u32; LANES]) -> __m512i {
        // SAFETY: `words` is 64 bytes long.
        unsafe { _mm512_loadu_si512(words.as_ptr().cast::<__m512i>()) }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub fn load_signed(words: &[i32; LANES]) -> __m512i {
        // SAFETY: `words` is 64 bytes long.
        unsafe { _mm512_loadu_si512(words.as_ptr().cast::<__m512i>()) }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub fn splat(word: u32) -> __m512i {
        _mm512_set1_epi32(word as i32)
    }

    /// `sum` and the two products of 16 bits in each lane.
    #[target_feature(enable = "avx512f,avx512vnni")]
    #[inline]
    pub fn add_products(sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
        _mm512_dpwssd_epi32(sum, a, b)
    }

    /// The odd lanes in the even ones' places.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub fn odd(x: __m512i) -> __m512i {
        _mm512_srli_epi64::<32>(x)
    }

    /// `sum` and the products of the even lanes, of 64 bits each.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub fn add_wide(sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
        _mm512_add_epi64(sum, _mm512_mul_epi32(a, b))
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub fn add(a: __m512i, b: __m512i) -> __m512i {
        _mm512_add_epi32(a, b)
    }

    /// The signed upper 16 bits of each lane.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub fn high_half(x: __m512i) -> __m512i {
        _mm512_srai_epi32::<16>(x)
    }

    /// The even lanes' sums and the odd ones', of 64 bits each, out of the sums of upper halves and the wrapped whole sums: the
    /// lower halves are what these leave.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub fn unfold(high: __m512i, all: __m512i) -> (__m512i, __m512i) {
        let low = _mm512_sub_epi32(all, _mm512_slli_epi32::<16>(high));
        let (even, odd) = (_mm512_srli_epi64::<32>(_mm512_slli_epi64::<32>(low)), odd(low));
        let unit = splat(1 << 16);
        (add_wide(even, high, unit), add_wide(odd, self::odd(high), unit))
    }

    /// `(f32(sum >> shift) * row_scale) * unit` of the even lanes' sums and the odd ones'.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub fn finish((even, odd): (__m512i, __m512i), shift: u32, row_scales: &[f32; LANES], unit: f32) -> [f32; LANES] {
        let shift = _mm_cvtsi32_si128(shift as i32);
        // 32 bits are left of each sum.
        let (even, odd) = (_mm512_srl_epi64(even, shift), _mm512_srl_epi64(odd, shift));
        let sums = _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64::<32>(odd));
        let mut lanes = [0.0; LANES];
        // SAFETY: both are 64 bytes long.
        unsafe {
            let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sums), _mm512_loadu_ps(row_scales.as_ptr()));
            _mm512_storeu_ps(lanes.as_mut_ptr(), _mm512_mul_ps(scaled, _mm512_set1_ps(unit)));
        }
        lanes
    }
}
