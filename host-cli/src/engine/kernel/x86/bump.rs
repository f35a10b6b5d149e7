//! Functions with a bump (GELU, SiLU), eight values at a time.

use std::arch::x86_64::{
    __m256i, _mm_cvtsi32_si128, _mm256_abs_epi32, _mm256_add_epi32, _mm256_and_si256, _mm256_blend_epi32,
    _mm256_castps_si256, _mm256_cmpgt_epi32, _mm256_cvtepi32_ps, _mm256_cvttps_epi32, _mm256_i32gather_epi32,
    _mm256_loadu_ps, _mm256_max_epi32, _mm256_movemask_epi8, _mm256_mul_epi32, _mm256_mul_ps, _mm256_set1_epi32,
    _mm256_set1_ps, _mm256_setzero_si256, _mm256_sll_epi32, _mm256_slli_epi32, _mm256_srai_epi32, _mm256_srl_epi32,
    _mm256_srli_epi64, _mm256_storeu_ps, _mm256_sub_epi32,
};

use emberlm_core::ops::bump::POINT;
use emberlm_core::ops::lanes::{Lanes, Plain};

/// [`Lanes::less_bump`].
#[target_feature(enable = "avx2")]
pub(super) fn less_bump<const N: usize>(out: &mut [f32], x: &[f32], cubics: &[[i32; 4]; N], far: f32, spacing: i32) {
    let n = out.len().min(x.len());
    let ((out, out_tail), (x, x_tail)) = (out[..n].as_chunks_mut::<8>(), x[..n].as_chunks::<8>());
    let within = POINT - spacing;
    let (down, up) = (_mm_cvtsi32_si128(within), _mm_cvtsi32_si128(32 - within));
    for (out, x) in out.iter_mut().zip(x) {
        // SAFETY: `x` is 32 bytes long.
        let values = unsafe { _mm256_loadu_ps(x.as_ptr()) };
        let magnitudes = _mm256_and_si256(_mm256_castps_si256(values), _mm256_set1_epi32(i32::MAX));
        let near = _mm256_cmpgt_epi32(_mm256_set1_epi32(far.to_bits() as i32), magnitudes);
        let fixed = _mm256_cvttps_epi32(_mm256_mul_ps(values, _mm256_set1_ps((1 << POINT) as f32)));
        let magnitude = _mm256_abs_epi32(fixed);
        let index = _mm256_srl_epi32(_mm256_add_epi32(magnitude, _mm256_set1_epi32(1 << (within - 1))), down);
        let there = _mm256_cmpgt_epi32(_mm256_set1_epi32(N as i32), index);
        if _mm256_movemask_epi8(_mm256_and_si256(near, there)) != -1 {
            Plain.less_bump(out, x, cubics, far, spacing);
            continue;
        }
        let index = _mm256_slli_epi32::<2>(index);
        let coefficient = |i: usize| {
            // SAFETY: each index is one of a cubic, whose four coefficients follow one another.
            unsafe { _mm256_i32gather_epi32::<4>(cubics.as_ptr().cast::<i32>().add(i), index) }
        };
        let t = _mm256_sll_epi32(magnitude, up);
        let mut bump = coefficient(3);
        for i in [2, 1, 0] {
            bump = _mm256_add_epi32(coefficient(i), mul_high(bump, t));
        }
        let bump = _mm256_srai_epi32::<4>(_mm256_add_epi32(bump, _mm256_set1_epi32(8)));
        let result = _mm256_sub_epi32(_mm256_max_epi32(fixed, _mm256_setzero_si256()), bump);
        let result = _mm256_mul_ps(_mm256_cvtepi32_ps(result), _mm256_set1_ps(1.0 / (1 << POINT) as f32));
        // SAFETY: `out` is 32 bytes long.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), result) };
    }
    Plain.less_bump(out_tail, x_tail, cubics, far, spacing);
}

/// [`emberlm_core::ops::fixed::mul_high`].
#[target_feature(enable = "avx2")]
#[inline]
fn mul_high(a: __m256i, b: __m256i) -> __m256i {
    let even = _mm256_srli_epi64::<32>(_mm256_mul_epi32(a, b));
    let odd = _mm256_mul_epi32(_mm256_srli_epi64::<32>(a), _mm256_srli_epi64::<32>(b));
    _mm256_blend_epi32::<0b1010_1010>(even, odd)
}
