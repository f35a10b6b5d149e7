//! Attention's products of heads of floats: a stripe a lane.

use std::arch::x86_64::{
    __m128, __m256, __m256i, _mm_add_ps, _mm_cvtss_f32, _mm_movehl_ps, _mm_movelh_ps, _mm_shuffle_ps, _mm_storeu_ps,
    _mm256_add_ps, _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_loadu_ps, _mm256_loadu_si256,
    _mm256_maskload_ps, _mm256_maskstore_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

use emberlm_core::ops::attention::HeadRows;
use emberlm_core::ops::reduce::STRIPES;

/// Keys whose sums are under way together.
const KEYS: usize = 8;

/// Vectors of outputs that stay in registers.
const VECTORS: usize = 8;

/// `scores[i] = query . keys[i]`.
#[target_feature(enable = "avx2")]
pub(super) fn dots(scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
    let mut keys = keys.iter(query.len());
    for scores in scores.chunks_mut(KEYS) {
        let mut rows = [&[][..]; KEYS];
        let mut n = 0;
        for (row, key) in rows.iter_mut().zip((&mut keys).take(scores.len())) {
            (*row, n) = (key, n + 1);
        }
        if n == KEYS {
            let [a, b, c, d, e, f, g, h] = stripes(query, rows);
            // SAFETY: there are eight scores.
            unsafe {
                _mm_storeu_ps(scores.as_mut_ptr(), folds([a, b, c, d]));
                _mm_storeu_ps(scores.as_mut_ptr().add(4), folds([e, f, g, h]));
            }
            continue;
        }
        for (score, key) in scores.iter_mut().zip(&rows[..n]) {
            let [sums] = stripes(query, [*key]);
            *score = _mm_cvtss_f32(folds([sums; 4]));
        }
    }
}

/// The striped sums of each key times `query`, of the same length.
#[target_feature(enable = "avx2")]
#[inline]
fn stripes<const N: usize>(query: &[f32], keys: [&[u32]; N]) -> [__m256; N] {
    let (whole, tail) = query.as_chunks::<STRIPES>();
    let mut sums = [_mm256_setzero_ps(); N];
    for (i, x) in whole.iter().enumerate() {
        // SAFETY: `x` is 32 bytes long.
        let x = unsafe { _mm256_loadu_ps(x.as_ptr()) };
        for (sum, key) in sums.iter_mut().zip(keys) {
            debug_assert!(key.len() >= query.len());
            // SAFETY: each key is as long as the query.
            let key = unsafe { _mm256_loadu_ps(key.as_ptr().add(STRIPES * i).cast::<f32>()) };
            *sum = _mm256_add_ps(*sum, _mm256_mul_ps(key, x));
        }
    }
    if !tail.is_empty() {
        let mask = mask(tail.len());
        for (sum, key) in sums.iter_mut().zip(keys) {
            // SAFETY: no more is read than the mask says, which is as much as both have.
            let (x, key) = unsafe {
                let key = key.as_ptr().add(STRIPES * whole.len()).cast::<f32>();
                (_mm256_maskload_ps(tail.as_ptr(), mask), _mm256_maskload_ps(key, mask))
            };
            *sum = _mm256_add_ps(*sum, _mm256_mul_ps(key, x));
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
#[target_feature(enable = "avx2")]
pub(super) fn add_weighted(out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
    let n = out.len();
    let mut at = 0;
    while at + VECTORS * STRIPES <= n {
        add_vectors::<VECTORS>(out, weights, values, at);
        at += VECTORS * STRIPES;
    }
    while at + STRIPES <= n {
        add_vectors::<1>(out, weights, values, at);
        at += STRIPES;
    }
    if at < n {
        let mask = mask(n - at);
        // SAFETY: no more is read and written than the mask says, which is what is left.
        unsafe {
            let mut sums = _mm256_maskload_ps(out[at..].as_ptr(), mask);
            for (&weight, value) in weights.iter().zip(values.iter(n)) {
                let value = _mm256_maskload_ps(value[at..].as_ptr().cast::<f32>(), mask);
                sums = _mm256_add_ps(sums, _mm256_mul_ps(_mm256_set1_ps(weight), value));
            }
            _mm256_maskstore_ps(out[at..].as_mut_ptr(), mask, sums);
        }
    }
}

/// `N` vectors of outputs from `at` on, of `n` in all.
#[target_feature(enable = "avx2")]
#[inline]
fn add_vectors<const N: usize>(out: &mut [f32], weights: &[f32], values: HeadRows<'_>, at: usize) {
    let n = out.len();
    let out = &mut out[at..].as_chunks_mut::<STRIPES>().0[..N];
    let mut sums = [_mm256_setzero_ps(); N];
    for (sum, out) in sums.iter_mut().zip(&*out) {
        // SAFETY: `out` is 32 bytes long.
        *sum = unsafe { _mm256_loadu_ps(out.as_ptr()) };
    }
    for (&weight, value) in weights.iter().zip(values.iter(n)) {
        let value = &value[at..at + N * STRIPES];
        let weight = _mm256_set1_ps(weight);
        for (i, sum) in sums.iter_mut().enumerate() {
            // SAFETY: `value` has `N` times eight elements.
            let value = unsafe { _mm256_loadu_ps(value.as_ptr().add(STRIPES * i).cast::<f32>()) };
            *sum = _mm256_add_ps(*sum, _mm256_mul_ps(weight, value));
        }
    }
    for (out, sum) in out.iter_mut().zip(sums) {
        // SAFETY: `out` is 32 bytes long.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), sum) };
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
