//! The rows of a head, and their products in plain Rust.

use crate::ops::alone::alone;
use crate::ops::pack::unpack_f16;
use crate::ops::reduce::{STRIPES, fold};
use crate::part::{part, split};

/// One head of a layer's keys or values.
#[derive(Clone, Copy, Debug)]
pub struct HeadRows<'a> {
    words: &'a [u32],
    stride: usize,
}

impl<'a> HeadRows<'a> {
    /// Rows `stride` words apart, from the head's first word in the first row on. The last row may end with the head; one
    /// that ends before is none, and with a stride of 0 a kernel may take the first for any number of them.
    #[inline(always)]
    pub const fn new(words: &'a [u32], stride: usize) -> Self {
        Self { words, stride }
    }

    /// From the head's first word in the first row on.
    #[inline(always)]
    pub const fn words(self) -> &'a [u32] {
        self.words
    }

    /// Words from row to row.
    #[inline(always)]
    pub const fn stride(self) -> usize {
        self.stride
    }

    /// The rows from `first` on.
    #[inline(always)]
    pub fn from(self, first: usize) -> Self {
        Self { words: part(self.words, first * self.stride..), ..self }
    }

    /// The head's first `n` words in each row.
    #[inline(always)]
    pub fn iter(self, n: usize) -> impl Iterator<Item = &'a [u32]> {
        self.words.chunks(self.stride.max(1)).filter_map(move |row| row.get(..n))
    }
}

/// [`Lanes::dots_i8`](crate::ops::lanes::Lanes::dots_i8).
#[inline(always)]
pub fn dots_i8(sums: &mut [i32], query: &[u32], keys: HeadRows<'_>) {
    for (sum, key) in sums.iter_mut().zip(keys.iter(query.len() / 2)) {
        *sum = dot_i8(key, query);
    }
}

#[inline(always)]
fn dot_i8(key: &[u32], query: &[u32]) -> i32 {
    let products = key.iter().zip(query.as_chunks::<2>().0).map(|(key, &[low, high])| {
        let [a, b, c, d] = key.to_le_bytes().map(|byte| i32::from(byte as i8));
        let (low, high) = (low as i32, high as i32);
        a * i32::from(low as i16) + b * (low >> 16) + c * i32::from(high as i16) + d * (high >> 16)
    });
    products.sum()
}

/// [`Lanes::weigh_i8`](crate::ops::lanes::Lanes::weigh_i8).
#[inline(always)]
pub fn weigh_i8(values: &[u32], stride: usize, weights: &[i32]) -> [i32; 4] {
    let mut sums = [0; 4];
    for (word, weight) in values.iter().step_by(stride.max(1)).zip(weights) {
        for (sum, byte) in sums.iter_mut().zip(word.to_le_bytes()) {
            *sum += i32::from(byte as i8) * weight;
        }
    }
    sums
}

/// [`Lanes::dots_f32`](crate::ops::lanes::Lanes::dots_f32).
#[inline(always)]
pub fn dots_f32(scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
    let dots = keys.iter(query.len()).map(|key| dot(key, query, load_f32));
    scores.iter_mut().zip(dots).for_each(|(score, dot)| *score = dot);
}

/// [`Lanes::add_weighted_f32`](crate::ops::lanes::Lanes::add_weighted_f32).
#[inline(always)]
pub fn add_weighted_f32(out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
    weights.iter().zip(values.iter(out.len())).for_each(|(&weight, value)| add_weighted(out, weight, value, load_f32));
}

/// [`Lanes::dots_f16`](crate::ops::lanes::Lanes::dots_f16).
#[inline(always)]
pub fn dots_f16(scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
    let dots = keys.iter(query.len().div_ceil(2)).map(|key| dot(key, query, load_f16));
    scores.iter_mut().zip(dots).for_each(|(score, dot)| *score = dot);
}

/// [`Lanes::add_weighted_f16`](crate::ops::lanes::Lanes::add_weighted_f16).
#[inline(always)]
pub fn add_weighted_f16(out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
    let rows = values.iter(out.len().div_ceil(2));
    weights.iter().zip(rows).for_each(|(&weight, value)| add_weighted(out, weight, value, load_f16));
}

#[inline(always)]
fn load_f32(words: [u32; STRIPES]) -> [f32; STRIPES] {
    words.map(f32::from_bits)
}

#[inline(always)]
fn load_f16([a, b, c, d]: [u32; STRIPES / 2]) -> [f32; STRIPES] {
    [a, a >> 16, b, b >> 16, c, c >> 16, d, d >> 16].map(unpack_f16)
}

/// The striped sum of `key * query`.
#[inline(always)]
fn dot<const WORDS: usize>(key: &[u32], query: &[f32], load: impl Fn([u32; WORDS]) -> [f32; STRIPES]) -> f32 {
    let (query, query_tail) = query.as_chunks::<STRIPES>();
    let (key, key_tail) = split(key, query.len() * WORDS);
    let mut sums = [0.0; STRIPES];
    for (&key, query) in key.as_chunks().0.iter().zip(query) {
        let key = load(key);
        for lane in 0..STRIPES {
            sums[lane] = alone(sums[lane] + key[lane] * query[lane]);
        }
    }
    for ((sum, key), query) in sums.iter_mut().zip(load(padded(key_tail))).zip(query_tail) {
        *sum = alone(*sum + key * query);
    }
    fold(sums)
}

/// `out += weight * value`.
#[inline(always)]
fn add_weighted<const WORDS: usize>(
    out: &mut [f32],
    weight: f32,
    value: &[u32],
    load: impl Fn([u32; WORDS]) -> [f32; STRIPES],
) {
    let (out, out_tail) = out.as_chunks_mut::<STRIPES>();
    let (value, value_tail) = split(value, out.len() * WORDS);
    for (out, &value) in out.iter_mut().zip(value.as_chunks().0) {
        let value = load(value);
        for lane in 0..STRIPES {
            out[lane] = alone(out[lane] + weight * value[lane]);
        }
    }
    for (out, value) in out_tail.iter_mut().zip(load(padded(value_tail))) {
        *out = alone(*out + weight * value);
    }
}

/// The last words of a row, and zeros.
fn padded<const WORDS: usize>(tail: &[u32]) -> [u32; WORDS] {
    core::array::from_fn(|i| tail.get(i).copied().unwrap_or(0))
}
