//! Attention's products of floats with AVX-512: the stripes of two keys in a vector, and sixteen outputs.

use std::arch::x86_64::{
    __m128i, __m256i, __m512, _mm_loadu_si128, _mm256_castsi128_si256, _mm256_inserti128_si256, _mm256_loadu_ps,
    _mm256_loadu_si256, _mm256_maskz_loadu_ps, _mm512_add_ps, _mm512_broadcast_f32x8, _mm512_castpd_ps,
    _mm512_castps_pd, _mm512_castps256_ps512, _mm512_cvtph_ps, _mm512_insertf32x8, _mm512_loadu_ps,
    _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_mul_ps, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_shuffle_f32x4, _mm512_shuffle_ps, _mm512_storeu_ps, _mm512_unpackhi_pd, _mm512_unpacklo_pd,
};

use emberlm_core::ops::attention::HeadRows;
use emberlm_core::ops::reduce::STRIPES;

use super::attention::n_rows;

/// Keys whose sums are under way together, two in each vector.
const KEYS: usize = 16;

/// Outputs of a vector.
const LANES: usize = 16;

/// Vectors of outputs that stay in registers.
const VECTORS: usize = 8;

/// How a cache keeps floats.
pub(super) trait Stored {
    /// Elements a word.
    const PER_WORD: usize;

    /// Eight elements of each of two rows.
    ///
    /// # Safety
    /// The processor has AVX-512, and at both pointers are eight elements.
    unsafe fn load_two(a: *const u32, b: *const u32) -> __m512;

    /// Sixteen elements.
    ///
    /// # Safety
    /// The processor has AVX-512, and at `words` are sixteen elements.
    unsafe fn load(words: *const u32) -> __m512;
}

/// One a word.
pub(super) struct F32;

/// IEEE 754 half precision, two a word.
pub(super) struct F16;

impl Stored for F32 {
    const PER_WORD: usize = 1;

    #[target_feature(enable = "avx512f,avx512dq,avx512vl")]
    #[inline]
    unsafe fn load_two(a: *const u32, b: *const u32) -> __m512 {
        // SAFETY: the caller knows of eight words at each.
        unsafe {
            let a = _mm512_castps256_ps512(_mm256_loadu_ps(a.cast::<f32>()));
            _mm512_insertf32x8::<1>(a, _mm256_loadu_ps(b.cast::<f32>()))
        }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512vl")]
    #[inline]
    unsafe fn load(words: *const u32) -> __m512 {
        // SAFETY: the caller knows of sixteen words.
        unsafe { _mm512_loadu_ps(words.cast::<f32>()) }
    }
}

impl Stored for F16 {
    const PER_WORD: usize = 2;

    #[target_feature(enable = "avx512f,avx512dq,avx512vl")]
    #[inline]
    unsafe fn load_two(a: *const u32, b: *const u32) -> __m512 {
        // SAFETY: the caller knows of four words at each.
        unsafe {
            let a = _mm256_castsi128_si256(_mm_loadu_si128(a.cast::<__m128i>()));
            _mm512_cvtph_ps(_mm256_inserti128_si256::<1>(a, _mm_loadu_si128(b.cast::<__m128i>())))
        }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512vl")]
    #[inline]
    unsafe fn load(words: *const u32) -> __m512 {
        // SAFETY: the caller knows of eight words.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(words.cast::<__m256i>())) }
    }
}

/// `scores[i] = query . keys[i]`; scores beyond the last key stay as they are.
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
pub(super) fn dots<S: Stored>(scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
    let n = n_rows(keys, query.len().div_ceil(S::PER_WORD), scores.len());
    for at in (0..n).step_by(KEYS) {
        let left = (n - at).min(KEYS);
        // SAFETY: there are so many keys as long as the query, and as many scores.
        unsafe {
            let mut sixteen_keys = [keys.words().as_ptr().add(at * keys.stride()); KEYS];
            // Those that are not there have the first one's place.
            for (i, key) in sixteen_keys[..left].iter_mut().enumerate() {
                *key = key.add(i * keys.stride());
            }
            let dots = sixteen::<S>(query, &sixteen_keys);
            _mm512_mask_storeu_ps(scores.as_mut_ptr().add(at), first_lanes(left), dots);
        }
    }
}

/// The mask of the first `n` of sixteen lanes.
const fn first_lanes(n: usize) -> u16 {
    if n >= LANES { u16::MAX } else { (1 << n) - 1 }
}

/// The products of sixteen keys with `query`.
///
/// # Safety
/// Each key is as long as the query.
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
#[inline]
unsafe fn sixteen<S: Stored>(query: &[f32], keys: &[*const u32; KEYS]) -> __m512 {
    // Of two keys in a vector, four apart: that order is what folding leaves them in.
    const FIRST: [usize; KEYS / 2] = [0, 8, 1, 9, 2, 10, 3, 11];
    let (whole, tail) = query.as_chunks::<STRIPES>();
    let mut sums = [_mm512_setzero_ps(); KEYS / 2];
    for (i, x) in whole.iter().enumerate() {
        // SAFETY: `x` is 32 bytes long, and each key is as long as the query.
        unsafe {
            let x = _mm512_broadcast_f32x8(_mm256_loadu_ps(x.as_ptr()));
            let at = STRIPES / S::PER_WORD * i;
            for (sum, first) in sums.iter_mut().zip(FIRST) {
                let pair = S::load_two(keys[first].add(at), keys[first + 4].add(at));
                *sum = _mm512_add_ps(*sum, _mm512_mul_ps(pair, x));
            }
        }
    }
    if !tail.is_empty() {
        let at = STRIPES / S::PER_WORD * whole.len();
        // SAFETY: no more is read than the mask says, and each key is as long as the query.
        unsafe {
            let x = _mm512_broadcast_f32x8(_mm256_maskz_loadu_ps(first_lanes(tail.len()) as u8, tail.as_ptr()));
            let last = |key: *const u32| {
                let mut padded = [0; STRIPES];
                let rest = std::slice::from_raw_parts(key.add(at), tail.len().div_ceil(S::PER_WORD));
                padded[..rest.len()].copy_from_slice(rest);
                padded
            };
            for (sum, first) in sums.iter_mut().zip(FIRST) {
                let (a, b) = (last(keys[first]), last(keys[first + 4]));
                let pair = S::load_two(a.as_ptr(), b.as_ptr());
                *sum = _mm512_add_ps(*sum, _mm512_mul_ps(pair, x));
            }
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let (ab, cd, ef, gh) = (quarters(a, b), quarters(c, d), quarters(e, f), quarters(g, h));
    let (abcd, efgh) = (halves(ab, cd), halves(ef, gh));
    _mm512_add_ps(_mm512_shuffle_ps::<0b10_00_10_00>(abcd, efgh), _mm512_shuffle_ps::<0b11_01_11_01>(abcd, efgh))
}

/// Stripe `i` of each of four keys meets `i + 4`.
#[target_feature(enable = "avx512f")]
#[inline]
fn quarters(a: __m512, b: __m512) -> __m512 {
    _mm512_add_ps(_mm512_shuffle_f32x4::<0b10_00_10_00>(a, b), _mm512_shuffle_f32x4::<0b11_01_11_01>(a, b))
}

/// Stripe `i` of each of eight keys meets `i + 2`.
#[target_feature(enable = "avx512f")]
#[inline]
fn halves(a: __m512, b: __m512) -> __m512 {
    let (a, b) = (_mm512_castps_pd(a), _mm512_castps_pd(b));
    _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)))
}

/// `out += weights[i] * values[i]`, in order.
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
pub(super) fn add_weighted<S: Stored>(out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
    let n = out.len();
    let mut at = 0;
    while at + LANES <= n {
        at += match (n - at) / LANES {
            VECTORS.. => add_vectors::<S, VECTORS>(out, weights, values, at),
            4..VECTORS => add_vectors::<S, 4>(out, weights, values, at),
            2..4 => add_vectors::<S, 2>(out, weights, values, at),
            _ => add_vectors::<S, 1>(out, weights, values, at),
        };
    }
    if at < n {
        let mask = first_lanes(n - at);
        // SAFETY: no more is read and written than the mask says, which is what is left.
        unsafe {
            let mut sums = _mm512_maskz_loadu_ps(mask, out[at..].as_ptr());
            for (&weight, value) in weights.iter().zip(values.iter(n.div_ceil(S::PER_WORD))) {
                let mut padded = [0; LANES];
                let rest = &value[at / S::PER_WORD..];
                padded[..rest.len()].copy_from_slice(rest);
                let value = S::load(padded.as_ptr());
                sums = _mm512_add_ps(sums, _mm512_mul_ps(_mm512_set1_ps(weight), value));
            }
            _mm512_mask_storeu_ps(out[at..].as_mut_ptr(), mask, sums);
        }
    }
}

/// `N` vectors of outputs from `at` on; says how many outputs.
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
#[inline]
fn add_vectors<S: Stored, const N: usize>(out: &mut [f32], weights: &[f32], values: HeadRows<'_>, at: usize) -> usize {
    let n = n_rows(values, out.len().div_ceil(S::PER_WORD), weights.len());
    let out = &mut out[at..].as_chunks_mut::<LANES>().0[..N];
    let mut sums = [_mm512_setzero_ps(); N];
    for (sum, out) in sums.iter_mut().zip(&*out) {
        // SAFETY: `out` is 64 bytes long.
        *sum = unsafe { _mm512_loadu_ps(out.as_ptr()) };
    }
    let mut value = values.words().as_ptr().wrapping_add(at / S::PER_WORD);
    for &weight in &weights[..n] {
        let weight = _mm512_set1_ps(weight);
        for (i, sum) in sums.iter_mut().enumerate() {
            // SAFETY: there are `n` values as long as `out`.
            let value = unsafe { S::load(value.add(LANES / S::PER_WORD * i)) };
            *sum = _mm512_add_ps(*sum, _mm512_mul_ps(weight, value));
        }
        value = value.wrapping_add(values.stride());
    }
    for (out, sum) in out.iter_mut().zip(sums) {
        // SAFETY: `out` is 64 bytes long.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sum) };
    }
    N * LANES
}
