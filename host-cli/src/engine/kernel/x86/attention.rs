//! Attention's products of heads of floats: a stripe a lane.

use std::arch::x86_64::{
    __m128, __m256, __m256i, _mm_add_ps, _mm_cvtss_f32, _mm_movehl_ps, _mm_movelh_ps, _mm_shuffle_ps, _mm_storeu_ps,
    _mm256_add_ps, _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_loadu_ps, _mm256_loadu_si256,
    _mm256_maskload_ps, _mm256_maskstore_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

use emberlm_core::ops::attention::HeadRows;
use emberlm_core::ops::reduce::STRIPES;

/// Keys whose sums are under way together.
const KEYS: usize = 4;

/// Vectors of outputs that stay in registers.
const VECTORS: usize = 8;

/// `scores[i] = query . keys[i]`.
#[target_feature(enable = "avx2")]
pub(super) fn dots(scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
    let mut keys = keys.iter(query.len());
    for scores in scores.chunks_mut(KEYS) {
        let first = [(); KEYS].map(|()| keys.next());
        match (first, &mut *scores) {
            ([Some(a), Some(b), Some(c), Some(d)], [_, _, _, _]) => {
                let sums = [a, b, c, d].map(|key| stripes(query, key));
                // SAFETY: there are four scores.
                unsafe { _mm_storeu_ps(scores.as_mut_ptr(), folds(sums)) };
            }
            _ => scores.iter_mut().zip(first.into_iter().flatten()).for_each(|(score, key)| {
                let half = half(stripes(query, key));
                let quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));
                *score = _mm_cvtss_f32(_mm_add_ps(quarter, _mm_shuffle_ps::<1>(quarter, quarter)));
            }),
        }
    }
}

/// The striped sums of `key * query`, of the same length.
#[target_feature(enable = "avx2")]
#[inline]
fn stripes(query: &[f32], key: &[u32]) -> __m256 {
    let (query, query_tail) = query.as_chunks::<STRIPES>();
    let (key, key_tail) = key.as_chunks::<STRIPES>();
    let mut sums = _mm256_setzero_ps();
    for (query, key) in query.iter().zip(key) {
        // SAFETY: both are 32 bytes long.
        let (query, key) = unsafe { (_mm256_loadu_ps(query.as_ptr()), _mm256_loadu_ps(key.as_ptr().cast::<f32>())) };
        sums = _mm256_add_ps(sums, _mm256_mul_ps(key, query));
    }
    if !query_tail.is_empty() {
        let mask = mask(query_tail.len());
        // SAFETY: no more is read than the mask says, which is as much as both have.
        let (query, key) = unsafe {
            (_mm256_maskload_ps(query_tail.as_ptr(), mask), _mm256_maskload_ps(key_tail.as_ptr().cast::<f32>(), mask))
        };
        sums = _mm256_add_ps(sums, _mm256_mul_ps(key, query));
    }
    sums
}

/// The first step of a fold: stripe `i` meets `i + 4`.
#[target_feature(enable = "avx2")]
#[inline]
fn half(sums: __m256) -> __m128 {
    _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps::<1>(sums))
}

/// Four folds at once: after [`half`], `i` meets `i + 2`, then `i + 1`.
#[target_feature(enable = "avx2")]
#[inline]
fn folds(sums: [__m256; KEYS]) -> __m128 {
    let [a, b, c, d] = sums.map(|sums| half(sums));
    let ab = _mm_add_ps(_mm_movelh_ps(a, b), _mm_movehl_ps(b, a));
    let cd = _mm_add_ps(_mm_movelh_ps(c, d), _mm_movehl_ps(d, c));
    _mm_add_ps(_mm_shuffle_ps::<0b10_00_10_00>(ab, cd), _mm_shuffle_ps::<0b11_01_11_01>(ab, cd))
}

/// `out += weights[i] * values[i]`, in order.
#[target_feature(enable = "avx2")]
pub(super) fn add_weighted(out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
    let n = out.len();
    let mut at = 0;
    while at + VECTORS * STRIPES <= n {
        add_vectors::<VECTORS>(&mut out[at..], weights, values.iter(n).map(|row| &row[at..]));
        at += VECTORS * STRIPES;
    }
    while at + STRIPES <= n {
        add_vectors::<1>(&mut out[at..], weights, values.iter(n).map(|row| &row[at..]));
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

/// The first `N` vectors of outputs.
#[target_feature(enable = "avx2")]
#[inline]
fn add_vectors<'a, const N: usize>(out: &mut [f32], weights: &[f32], values: impl Iterator<Item = &'a [u32]>) {
    let out = &mut out.as_chunks_mut::<STRIPES>().0[..N];
    // SAFETY: each is 32 bytes long.
    let mut sums: [__m256; N] = std::array::from_fn(|i| unsafe { _mm256_loadu_ps(out[i].as_ptr()) });
    for (&weight, value) in weights.iter().zip(values) {
        let value = &value.as_chunks::<STRIPES>().0[..N];
        let weight = _mm256_set1_ps(weight);
        for (sum, value) in sums.iter_mut().zip(value) {
            // SAFETY: as above.
            let value = unsafe { _mm256_loadu_ps(value.as_ptr().cast::<f32>()) };
            *sum = _mm256_add_ps(*sum, _mm256_mul_ps(weight, value));
        }
    }
    for (out, sum) in out.iter_mut().zip(sums) {
        // SAFETY: as above.
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
