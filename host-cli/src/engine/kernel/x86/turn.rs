//! Weights turned so that a vector has a pair of each of eight rows.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_and_si128, _mm_loadu_si128, _mm_set1_epi8, _mm_srli_epi16, _mm_storeu_si128, _mm_sub_epi8,
    _mm256_cvtepi8_epi16, _mm256_permute2x128_si256, _mm256_setzero_si256, _mm256_storeu_si256, _mm256_unpackhi_epi32,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
};

use emberlm_core::format::Packing;
use emberlm_core::kernel::signed_bytes;

pub use super::lanes::Avx2Lanes as Unit;

/// Rows that are turned together.
pub const EIGHT: usize = 8;

/// The largest group.
pub const MOST: usize = 64;

/// A group's signed bytes.
#[target_feature(enable = "avx2")]
#[inline]
pub fn unpack(integers: &mut [u8; MOST], packing: Packing, bytes: &[u8], m: usize) {
    let both = if packing.is_nibbles() && m == 32 { bytes.first_chunk() } else { None };
    let Some(both) = both else {
        let mut buffer = [0; 32];
        integers[..m].copy_from_slice(signed_bytes(packing, bytes, m, &mut buffer));
        return;
    };
    let [low, high] = nibbles(both);
    // SAFETY: the integers are 64 bytes.
    unsafe {
        let out = integers.as_mut_ptr().cast::<__m128i>();
        _mm_storeu_si128(out, low);
        _mm_storeu_si128(out.add(1), high);
    }
}

/// The signed bytes of 32 weights of 4 bits.
#[target_feature(enable = "avx2")]
#[inline]
pub fn nibbles(both: &[u8; 16]) -> [__m128i; 2] {
    // SAFETY: these are 16 bytes.
    let both = unsafe { _mm_loadu_si128(both.as_ptr().cast::<__m128i>()) };
    let (fifteen, eight) = (_mm_set1_epi8(15), _mm_set1_epi8(8));
    let (low, high) = (_mm_and_si128(both, fifteen), _mm_and_si128(_mm_srli_epi16::<4>(both), fifteen));
    [_mm_sub_epi8(low, eight), _mm_sub_epi8(high, eight)]
}

/// Puts sixteen weights from `first` on of each of eight rows as eight pairs of each, `[pair][row]`, pairs `stride` words
/// apart.
#[target_feature(enable = "avx2")]
#[inline]
pub fn turn(rows: [&[u8; MOST]; EIGHT], first: usize, out: &mut [u32], stride: usize) {
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
    for (i, pairs) in turned.into_iter().enumerate() {
        let out: &mut [u32; EIGHT] = out[i * stride..].first_chunk_mut().expect("eight lanes");
        // SAFETY: `out` is 32 bytes long.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast::<__m256i>(), pairs) }
    }
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
