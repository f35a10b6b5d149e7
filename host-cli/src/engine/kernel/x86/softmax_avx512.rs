//! Exponentials of scores, sixteen at a time.

use std::arch::x86_64::{
    __m512i, _mm512_abs_ps, _mm512_add_epi32, _mm512_castps_si512, _mm512_cmplt_epi32_mask, _mm512_cvtepi32_ps,
    _mm512_cvttps_epi32, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mask_blend_epi32, _mm512_mul_epi32,
    _mm512_mul_epu32, _mm512_mul_ps, _mm512_permutex2var_epi32, _mm512_reduce_max_epi32, _mm512_set1_epi32,
    _mm512_set1_ps, _mm512_slli_epi32, _mm512_slli_epi64, _mm512_srai_epi32, _mm512_srli_epi32, _mm512_srli_epi64,
    _mm512_storeu_ps, _mm512_storeu_si512,
};

use emberlm_core::ops::exp::{C1, C2, C3, LOG2_E, NEAR, POINT, POWERS};
use emberlm_core::ops::lanes::{Lanes, Plain};

/// The odd lanes.
const ODD: u16 = 0xAAAA;

/// [`Lanes::exp_terms`].
#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn exp_terms(x: &mut [f32], exponents: &mut [i32]) -> i32 {
    let n = x.len().min(exponents.len());
    let ((x, x_tail), (exponents, exponents_tail)) =
        (x[..n].as_chunks_mut::<16>(), exponents[..n].as_chunks_mut::<16>());
    let mut most = i32::MIN;
    for (x, exponents) in x.iter_mut().zip(exponents) {
        // SAFETY: `x` is 64 bytes long.
        let scores = unsafe { _mm512_loadu_ps(x.as_ptr()) };
        let magnitudes = _mm512_castps_si512(_mm512_abs_ps(scores));
        let near = _mm512_cmplt_epi32_mask(magnitudes, _mm512_set1_epi32(NEAR.to_bits() as i32));
        if near != u16::MAX {
            most = most.max(Plain.exp_terms(x, exponents));
            continue;
        }
        let fixed = _mm512_cvttps_epi32(_mm512_mul_ps(scores, _mm512_set1_ps((1 << POINT) as f32)));
        let log2_e = _mm512_set1_epi32(LOG2_E);
        let (even, odd) = (_mm512_mul_epi32(fixed, log2_e), _mm512_mul_epi32(_mm512_srli_epi64::<32>(fixed), log2_e));
        // Logarithms to base 2 with 54 fractional bits.
        let high = _mm512_mask_blend_epi32(ODD, _mm512_srli_epi64::<32>(even), odd);
        let whole = _mm512_srai_epi32::<{ POINT as u32 - 2 }>(high);
        let (even, odd) =
            (_mm512_srli_epi64::<{ POINT as u32 - 2 }>(even), _mm512_srli_epi64::<{ POINT as u32 - 2 }>(odd));
        let fraction = _mm512_mask_blend_epi32(ODD, even, _mm512_slli_epi64::<32>(odd));
        let factors = exp2_fraction(fraction);
        let factors = _mm512_cvtepi32_ps(_mm512_srli_epi32::<1>(factors));
        // SAFETY: both are 64 bytes long.
        unsafe {
            _mm512_storeu_ps(x.as_mut_ptr(), _mm512_mul_ps(factors, _mm512_set1_ps(1.0 / (1 << 30) as f32)));
            _mm512_storeu_si512(exponents.as_mut_ptr().cast::<__m512i>(), whole);
        }
        most = most.max(_mm512_reduce_max_epi32(whole));
    }
    most.max(Plain.exp_terms(x_tail, exponents_tail))
}

/// [`emberlm_core::ops::exp::exp2_fraction`].
#[target_feature(enable = "avx512f")]
#[inline]
fn exp2_fraction(fraction: __m512i) -> __m512i {
    let index = _mm512_srli_epi32::<27>(fraction);
    let (low, high) = POWERS.split_at(16);
    // SAFETY: there are 32 powers.
    let powers = unsafe {
        let (low, high) = (low.as_ptr().cast::<__m512i>(), high.as_ptr().cast::<__m512i>());
        _mm512_permutex2var_epi32(_mm512_loadu_si512(low), index, _mm512_loadu_si512(high))
    };
    let t = _mm512_slli_epi32::<5>(fraction);
    let mut cubic = _mm512_set1_epi32(C3 as i32);
    for c in [C2, C1] {
        cubic = _mm512_add_epi32(_mm512_set1_epi32(c as i32), umul_high(cubic, t));
    }
    let grown = umul_high(cubic, t);
    _mm512_add_epi32(powers, _mm512_srli_epi32::<4>(umul_high(powers, grown)))
}

/// [`emberlm_core::ops::fixed::umul_high`].
#[target_feature(enable = "avx512f")]
#[inline]
fn umul_high(a: __m512i, b: __m512i) -> __m512i {
    let even = _mm512_srli_epi64::<32>(_mm512_mul_epu32(a, b));
    let odd = _mm512_mul_epu32(_mm512_srli_epi64::<32>(a), _mm512_srli_epi64::<32>(b));
    _mm512_mask_blend_epi32(ODD, even, odd)
}
