//! Attention's products of heads: of floats, a stripe a lane, and of bytes.

use std::arch::x86_64::{
    __m128, __m128i, __m256, __m256i, _mm_add_epi32, _mm_add_ps, _mm_cvtsi128_si32, _mm_cvtss_f32, _mm_extract_epi32,
    _mm_loadu_si128, _mm_movehl_ps, _mm_movelh_ps, _mm_shuffle_ps, _mm_storeu_ps, _mm_unpackhi_epi64, _mm256_add_epi32,
    _mm256_add_ps, _mm256_castps256_ps128, _mm256_castsi256_si128, _mm256_cvtepi8_epi16, _mm256_cvtph_ps,
    _mm256_extractf128_ps, _mm256_extracti128_si256, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_maskload_ps, _mm256_maskstore_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256,
    _mm256_storeu_ps,
};

use emberlm_core::ops::attention::HeadRows;
use emberlm_core::ops::lanes::{Lanes, Plain};
use emberlm_core::ops::reduce::STRIPES;

/// Keys whose sums are under way together.
const KEYS: usize = 8;

/// Vectors of outputs that stay in registers.
const VECTORS: usize = 8;

/// How a cache keeps floats.
pub(super) trait Stored {
    /// Elements a word.
    const PER_WORD: usize;

    /// Eight elements.
    ///
    /// # Safety
    /// The processor has AVX2 and F16C, and at `words` are eight elements.
    unsafe fn load(words: *const u32) -> __m256;
}

/// One a word.
pub(super) struct F32;

/// IEEE 754 half precision, two a word.
pub(super) struct F16;

impl Stored for F32 {
    const PER_WORD: usize = 1;

    #[target_feature(enable = "avx2,f16c")]
    #[inline]
    unsafe fn load(words: *const u32) -> __m256 {
        // SAFETY: the caller knows of eight words.
        unsafe { _mm256_loadu_ps(words.cast::<f32>()) }
    }
}

impl Stored for F16 {
    const PER_WORD: usize = 2;

    #[target_feature(enable = "avx2,f16c")]
    #[inline]
    unsafe fn load(words: *const u32) -> __m256 {
        // SAFETY: the caller knows of four words.
        _mm256_cvtph_ps(unsafe { _mm_loadu_si128(words.cast::<__m128i>()) })
    }
}

/// The elements that `words` end with, fewer than eight, and zeros.
#[target_feature(enable = "avx2,f16c")]
#[inline]
fn last<S: Stored>(words: &[u32]) -> __m256 {
    let mut padded = [0; STRIPES];
    padded[..words.len()].copy_from_slice(words);
    // SAFETY: there are eight words.
    unsafe { S::load(padded.as_ptr()) }
}

/// How many rows there are for `n` scores or weights, the head's first `n_words` in each.
pub(super) fn n_rows(rows: HeadRows<'_>, n_words: usize, n: usize) -> usize {
    let (have, stride) = (rows.words().len(), rows.stride().max(1));
    if n_words > stride || n_words > have { 0 } else { n.min(1 + (have - n_words) / stride) }
}

/// `scores[i] = query . keys[i]`; scores beyond the last key stay as they are.
#[target_feature(enable = "avx2,f16c")]
pub(super) fn dots<S: Stored>(scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
    let n_words = query.len().div_ceil(S::PER_WORD);
    let (n, stride) = (n_rows(keys, n_words, scores.len()), keys.stride());
    let mut at = 0;
    // SAFETY: there are `n` keys, and as many scores.
    unsafe {
        while at + KEYS <= n {
            let [a, b, c, d, e, f, g, h] = stripes::<S, KEYS>(query, keys.words().as_ptr().add(at * stride), stride);
            _mm_storeu_ps(scores.as_mut_ptr().add(at), folds([a, b, c, d]));
            _mm_storeu_ps(scores.as_mut_ptr().add(at + 4), folds([e, f, g, h]));
            at += KEYS;
        }
        while at < n {
            let [sums] = stripes::<S, 1>(query, keys.words().as_ptr().add(at * stride), stride);
            scores[at] = _mm_cvtss_f32(folds([sums; 4]));
            at += 1;
        }
    }
}

/// The striped sums of each of `N` keys times `query`.
///
/// # Safety
/// At `keys` are as many, `stride` words apart, each as long as the query.
#[target_feature(enable = "avx2,f16c")]
#[inline]
unsafe fn stripes<S: Stored, const N: usize>(query: &[f32], keys: *const u32, stride: usize) -> [__m256; N] {
    let (whole, tail) = query.as_chunks::<STRIPES>();
    let mut sums = [_mm256_setzero_ps(); N];
    let mut at = keys;
    for x in whole {
        // SAFETY: `x` is 32 bytes long, and each key is as long as the query.
        unsafe {
            let x = _mm256_loadu_ps(x.as_ptr());
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = _mm256_add_ps(*sum, _mm256_mul_ps(S::load(at.add(i * stride)), x));
            }
            at = at.add(STRIPES / S::PER_WORD);
        }
    }
    if !tail.is_empty() {
        // SAFETY: no more is read than the mask says, and each key is as long as the query.
        unsafe {
            let x = _mm256_maskload_ps(tail.as_ptr(), mask(tail.len()));
            for (i, sum) in sums.iter_mut().enumerate() {
                let rest = std::slice::from_raw_parts(at.add(i * stride), tail.len().div_ceil(S::PER_WORD));
                *sum = _mm256_add_ps(*sum, _mm256_mul_ps(last::<S>(rest), x));
            }
        }
    }
    sums
}

/// Four folds at once: stripe `i` meets `i + 4`, then `i + 2`, then `i + 1`.
#[target_feature(enable = "avx2")]
#[inline]
fn folds([a, b, c, d]: [__m256; 4]) -> __m128 {
    let (a, b, c, d) = (half(a), half(b), half(c), half(d));
    let ab = _mm_add_ps(_mm_movelh_ps(a, b), _mm_movehl_ps(b, a));
    let cd = _mm_add_ps(_mm_movelh_ps(c, d), _mm_movehl_ps(d, c));
    _mm_add_ps(_mm_shuffle_ps::<0b10_00_10_00>(ab, cd), _mm_shuffle_ps::<0b11_01_11_01>(ab, cd))
}

#[target_feature(enable = "avx2")]
#[inline]
fn half(sums: __m256) -> __m128 {
    _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps::<1>(sums))
}

/// `out += weights[i] * values[i]`, in order.
#[target_feature(enable = "avx2,f16c")]
pub(super) fn add_weighted<S: Stored>(out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
    let n = out.len();
    let n_words = n.div_ceil(S::PER_WORD);
    let mut at = 0;
    while at + VECTORS * STRIPES <= n {
        add_vectors::<S, VECTORS>(out, weights, values, at);
        at += VECTORS * STRIPES;
    }
    while at + STRIPES <= n {
        add_vectors::<S, 1>(out, weights, values, at);
        at += STRIPES;
    }
    if at < n {
        let mask = mask(n - at);
        // SAFETY: no more is read and written than the mask says, which is what is left.
        unsafe {
            let mut sums = _mm256_maskload_ps(out[at..].as_ptr(), mask);
            for (&weight, value) in weights.iter().zip(values.iter(n_words)) {
                let value = last::<S>(&value[at / S::PER_WORD..]);
                sums = _mm256_add_ps(sums, _mm256_mul_ps(_mm256_set1_ps(weight), value));
            }
            _mm256_maskstore_ps(out[at..].as_mut_ptr(), mask, sums);
        }
    }
}

/// `N` vectors of outputs from `at` on.
#[target_feature(enable = "avx2,f16c")]
#[inline]
fn add_vectors<S: Stored, const N: usize>(out: &mut [f32], weights: &[f32], values: HeadRows<'_>, at: usize) {
    let n = n_rows(values, out.len().div_ceil(S::PER_WORD), weights.len());
    let out = &mut out[at..].as_chunks_mut::<STRIPES>().0[..N];
    let mut sums = [_mm256_setzero_ps(); N];
    for (sum, out) in sums.iter_mut().zip(&*out) {
        // SAFETY: `out` is 32 bytes long.
        *sum = unsafe { _mm256_loadu_ps(out.as_ptr()) };
    }
    let mut value = values.words().as_ptr().wrapping_add(at / S::PER_WORD);
    for &weight in &weights[..n] {
        let weight = _mm256_set1_ps(weight);
        for (i, sum) in sums.iter_mut().enumerate() {
            // SAFETY: there are `n` values as long as `out`.
            let value = unsafe { S::load(value.add(STRIPES / S::PER_WORD * i)) };
            *sum = _mm256_add_ps(*sum, _mm256_mul_ps(weight, value));
        }
        value = value.wrapping_add(values.stride());
    }
    for (out, sum) in out.iter_mut().zip(sums) {
        // SAFETY: `out` is 32 bytes long.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), sum) };
    }
}

/// The exact sums of bytes times a query of two 16-bit integers a word; sums beyond the last key stay as they are.
#[target_feature(enable = "avx2")]
pub(super) fn dots_i8(sums: &mut [i32], query: &[u32], keys: HeadRows<'_>) {
    let (query, query_tail) = query.as_chunks::<8>();
    let words = 4 * query.len();
    for (sum, key) in sums.iter_mut().zip(keys.iter(words + query_tail.len() / 2)) {
        let mut wide = _mm256_setzero_si256();
        for (bytes, x) in key.as_chunks::<4>().0.iter().zip(query) {
            // SAFETY: these are 16 and 32 bytes long.
            let (bytes, x) = unsafe {
                (_mm_loadu_si128(bytes.as_ptr().cast::<__m128i>()), _mm256_loadu_si256(x.as_ptr().cast::<__m256i>()))
            };
            wide = _mm256_add_epi32(wide, _mm256_madd_epi16(_mm256_cvtepi8_epi16(bytes), x));
        }
        let half = _mm_add_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256::<1>(wide));
        let quarter = _mm_add_epi32(half, _mm_unpackhi_epi64(half, half));
        *sum = _mm_cvtsi128_si32(quarter) + _mm_extract_epi32::<1>(quarter);
        if !query_tail.is_empty() {
            let mut rest = [0];
            Plain.dots_i8(&mut rest, query_tail, HeadRows::new(&key[words..], query_tail.len() / 2));
            *sum += rest[0];
        }
    }
}

/// Of the first `n` lanes, fewer than eight.
#[target_feature(enable = "avx2")]
#[inline]
fn mask(n: usize) -> __m256i {
    const LANES: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    let lanes: &[i32; 8] = LANES[8 - n..].first_chunk().expect("eight lanes");
    // SAFETY: `lanes` is 32 bytes long.
    unsafe { _mm256_loadu_si256(lanes.as_ptr().cast::<__m256i>()) }
}
