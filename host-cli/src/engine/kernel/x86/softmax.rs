//! Exponentials of scores and logits, eight at a time.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_add_epi64, _mm256_and_si256, _mm256_blend_epi32, _mm256_castps_si256,
    _mm256_cmpgt_epi32, _mm256_cvtepi32_ps, _mm256_cvttps_epi32, _mm256_extract_epi64, _mm256_i32gather_epi32,
    _mm256_loadu_ps, _mm256_movemask_epi8, _mm256_mul_epi32, _mm256_mul_epu32, _mm256_mul_ps, _mm256_set1_epi32,
    _mm256_set1_epi64x, _mm256_set1_ps, _mm256_setzero_si256, _mm256_slli_epi32, _mm256_slli_epi64, _mm256_srai_epi32,
    _mm256_srli_epi32, _mm256_srli_epi64, _mm256_srlv_epi64, _mm256_storeu_ps, _mm256_storeu_si256, _mm256_sub_epi32,
};

use emberlm_core::ops::exp::{C1, C2, C3, LOG2_E, NEAR, POINT, POWERS};
use emberlm_core::ops::lanes::{Lanes, Plain};

/// [`Lanes::exp_terms`].
#[target_feature(enable = "avx2")]
pub(super) fn exp_terms(x: &mut [f32], exponents: &mut [i32]) -> i32 {
    let n = x.len().min(exponents.len());
    let ((x, x_tail), (exponents, exponents_tail)) = (x[..n].as_chunks_mut::<8>(), exponents[..n].as_chunks_mut::<8>());
    let mut most = i32::MIN;
    for (x, exponents) in x.iter_mut().zip(exponents) {
        let Some((whole, factors)) = exp_near(x) else {
            most = most.max(Plain.exp_terms(x, exponents));
            continue;
        };
        let factors = _mm256_cvtepi32_ps(_mm256_srli_epi32::<1>(factors));
        // SAFETY: both are 32 bytes long.
        unsafe {
            _mm256_storeu_ps(x.as_mut_ptr(), _mm256_mul_ps(factors, _mm256_set1_ps(1.0 / (1 << 30) as f32)));
            _mm256_storeu_si256(exponents.as_mut_ptr().cast::<__m256i>(), whole);
        }
        most = exponents.iter().fold(most, |most, &exponent| most.max(exponent));
    }
    most.max(Plain.exp_terms(x_tail, exponents_tail))
}

/// [`Lanes::add_exponentials`].
#[target_feature(enable = "avx2")]
pub(super) fn add_exponentials(mut sum: u64, reference: i32, logits: &[f32]) -> (u64, usize) {
    let mut n = 0;
    for logits in logits.as_chunks::<8>().0 {
        let Some((whole, factors)) = exp_near(logits) else { break };
        let right = _mm256_sub_epi32(_mm256_set1_epi32(reference), whole);
        if _mm256_movemask_epi8(_mm256_cmpgt_epi32(right, _mm256_setzero_si256())) != -1 {
            break;
        }
        let low = _mm256_set1_epi64x(0xFFFF_FFFF);
        let even = _mm256_slli_epi64::<31>(_mm256_and_si256(factors, low));
        let odd = _mm256_slli_epi64::<31>(_mm256_srli_epi64::<32>(factors));
        let even = _mm256_srlv_epi64(even, _mm256_and_si256(right, low));
        let odd = _mm256_srlv_epi64(odd, _mm256_srli_epi64::<32>(right));
        // Each term is below 2^62.
        let pairs = _mm256_add_epi64(even, odd);
        let pairs = [
            _mm256_extract_epi64::<0>(pairs),
            _mm256_extract_epi64::<1>(pairs),
            _mm256_extract_epi64::<2>(pairs),
            _mm256_extract_epi64::<3>(pairs),
        ];
        let more = pairs.iter().fold(u128::from(sum), |sum, &pair| sum + u128::from(pair as u64));
        match u64::try_from(more) {
            Ok(more) if more >> 63 == 0 => sum = more,
            _ => break,
        }
        n += logits.len();
    }
    (sum, n)
}

/// [`emberlm_core::ops::exp::exp_fixed`] of arguments that are all near 0: the exponents, and the factors.
#[target_feature(enable = "avx2")]
#[inline]
fn exp_near(x: &[f32; 8]) -> Option<(__m256i, __m256i)> {
    // SAFETY: `x` is 32 bytes long.
    let scores = unsafe { _mm256_loadu_ps(x.as_ptr()) };
    let magnitudes = _mm256_and_si256(_mm256_castps_si256(scores), _mm256_set1_epi32(i32::MAX));
    let near = _mm256_cmpgt_epi32(_mm256_set1_epi32(NEAR.to_bits() as i32), magnitudes);
    if _mm256_movemask_epi8(near) != -1 {
        return None;
    }
    let fixed = _mm256_cvttps_epi32(_mm256_mul_ps(scores, _mm256_set1_ps((1 << POINT) as f32)));
    let log2_e = _mm256_set1_epi32(LOG2_E);
    let (even, odd) = (_mm256_mul_epi32(fixed, log2_e), _mm256_mul_epi32(_mm256_srli_epi64::<32>(fixed), log2_e));
    // Logarithms to base 2 with 54 fractional bits.
    let high = _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<32>(even), odd);
    let whole = _mm256_srai_epi32::<{ POINT - 2 }>(high);
    let (even, odd) = (_mm256_srli_epi64::<{ POINT - 2 }>(even), _mm256_srli_epi64::<{ POINT - 2 }>(odd));
    let fraction = _mm256_blend_epi32::<0b1010_1010>(even, _mm256_slli_epi64::<32>(odd));
    Some((whole, exp2_fraction(fraction)))
}

/// [`emberlm_core::ops::exp::exp2_fraction`].
#[target_feature(enable = "avx2")]
#[inline]
fn exp2_fraction(fraction: __m256i) -> __m256i {
    let index = _mm256_srli_epi32::<27>(fraction);
    // SAFETY: there are 32 powers.
    let powers = unsafe { _mm256_i32gather_epi32::<4>(POWERS.as_ptr().cast::<i32>(), index) };
    let t = _mm256_slli_epi32::<5>(fraction);
    let cubic = [C2, C1]
        .into_iter()
        .fold(_mm256_set1_epi32(C3 as i32), |sum, c| _mm256_add_epi32(_mm256_set1_epi32(c as i32), umul_high(sum, t)));
    let grown = umul_high(cubic, t);
    _mm256_add_epi32(powers, _mm256_srli_epi32::<4>(umul_high(powers, grown)))
}

/// [`emberlm_core::ops::fixed::umul_high`].
#[target_feature(enable = "avx2")]
#[inline]
fn umul_high(a: __m256i, b: __m256i) -> __m256i {
    let even = _mm256_srli_epi64::<32>(_mm256_mul_epu32(a, b));
    let odd = _mm256_mul_epu32(_mm256_srli_epi64::<32>(a), _mm256_srli_epi64::<32>(b));
    _mm256_blend_epi32::<0b1010_1010>(even, odd)
}
