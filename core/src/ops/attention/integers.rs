//! Attention over 8-bit keys and values: both its products are exact sums of integers.
//!
//! Positions come in blocks of [`BLOCK`], counted from position 0, so that no bit depends on how many follow. A block
//! costs a few float operations a position and one a dimension; everything else is integer.

use super::{Softmax, scale};
use crate::ops::exp::{NONE, exp_parts, pow2};
use crate::ops::quantize::{LEAST, peak, round};

/// Positions whose values are summed before the sums become floats.
const BLOCK: usize = 32;

/// Elements whose products an i32 holds: `127 * 32767 * 512 < 2^31`.
const CHUNK: usize = 512;

/// The largest weight of a value: 15 bits, so that 16-bit multipliers can take them.
/// `BLOCK * 127 * MAX_WEIGHT < 2^27`.
const MAX_WEIGHT: i32 = 32767;

/// One head of a layer's 8-bit keys or values.
#[derive(Clone, Copy, Debug)]
pub struct I8Head<'a> {
    /// `[positions][stride]`, position 0 first.
    pub rows: &'a [u32],
    /// Words of a row.
    pub stride: usize,
    /// The place in a row of the words that [`pack_i8`](crate::ops::pack::pack_i8) packed.
    pub integers: usize,
    /// The place in a row of their bf16 scale, counted in half words.
    pub scale: usize,
}

impl<'a> I8Head<'a> {
    /// The rows in blocks of [`BLOCK`] positions, the last one of what is left.
    fn blocks(self) -> impl Iterator<Item = Self> {
        self.rows.chunks(BLOCK * self.stride).map(move |rows| Self { rows, ..self })
    }

    /// Each position's integers, and whatever follows them in the row.
    fn integers(self) -> impl Iterator<Item = &'a [u32]> {
        self.rows.chunks_exact(self.stride).map(move |row| &row[self.integers..])
    }

    /// Each position's scale.
    fn scales(self) -> impl Iterator<Item = f32> {
        let (place, shift) = (self.scale / 2, 16 * (self.scale % 2));
        self.rows[place..].iter().step_by(self.stride).map(move |word| f32::from_bits(word >> shift << 16))
    }

    /// Word `i` of each position's integers.
    fn column(self, i: usize) -> impl Iterator<Item = u32> {
        self.rows[self.integers + i..].iter().step_by(self.stride).copied()
    }
}

/// `out = softmax(query . keys) values` of one head.
///
/// `out` is `[head_dim]`; `query` is what [`quantize_i16`](crate::ops::quantize::quantize_i16) made of the query scaled by
/// `1 / sqrt(head_dim)`, and `query_scale` its scale. A score that is not a number or infinite, or a value that is, makes
/// every output one that is not a number.
///
/// With `n` positions and `m` the largest value that the values' scales allow, `127 * scale`, the outputs are off from
/// the exact ones over the same stored keys and values by less than `m * (1/1000 + s + n / 2^22)`, where
/// `s = max |score| / 2^21 + 0.51 * query_scale * max over keys (scale * sum |integer|)`. Values of a block that with
/// their weights are all below 1e-30 times their integers count as 0.
#[inline(never)]
pub fn attend_i8(out: &mut [f32], query: &[u32], query_scale: f32, keys: I8Head<'_>, values: I8Head<'_>) {
    out.fill(0.0);
    let mut softmax = Softmax::EMPTY;
    for (keys, values) in keys.blocks().zip(values.blocks()) {
        let mut terms = [(NONE, 0.0); BLOCK];
        let mut highest = NONE;
        for ((term, key), key_scale) in terms.iter_mut().zip(keys.integers()).zip(keys.scales()) {
            *term = exp_parts(dot(key, query) * (query_scale * key_scale));
            highest = highest.max(term.0);
        }
        if let Some(rescale) = softmax.raise(highest) {
            scale(out, rescale);
        }
        let mut weights = [0.0; BLOCK];
        for ((weight, &term), value_scale) in weights.iter_mut().zip(&terms).zip(values.scales()) {
            *weight = softmax.add(term).unwrap_or(0.0) * value_scale;
        }
        add_weighted(out, &weights, values);
    }
    scale(out, 1.0 / softmax.sum);
}

/// The exact sum of `key * query`, rounded once. What follows the integers in `key` does not count.
#[inline(always)]
fn dot(key: &[u32], query: &[u32]) -> f32 {
    let chunks = key.chunks(CHUNK / 4).zip(query.chunks(CHUNK / 2));
    let sum: i64 = chunks.map(|(key, query)| i64::from(chunk_dot(key, query))).sum();
    // The same number, and all that most heads need: a float from an i64 is slow on a 32-bit core.
    i32::try_from(sum).map_or(sum as f32, |sum| sum as f32)
}

#[inline(always)]
fn chunk_dot(key: &[u32], query: &[u32]) -> i32 {
    let products = key.iter().zip(query.as_chunks::<2>().0).map(|(key, &[low, high])| {
        let [a, b, c, d] = key.to_le_bytes().map(|byte| i32::from(byte as i8));
        let (low, high) = (low as i32, high as i32);
        a * i32::from(low as i16) + b * (low >> 16) + c * i32::from(high as i16) + d * (high >> 16)
    });
    products.sum()
}

/// `out += weights * values` for one block, the weights rounded to integers under one power of two.
#[inline(always)]
fn add_weighted(out: &mut [f32], weights: &[f32; BLOCK], values: I8Head<'_>) {
    let (weights, unit) = quantize(weights);
    for (i, out) in out.chunks_mut(4).enumerate() {
        let mut sums = [0; 4];
        for (word, weight) in values.column(i).zip(weights) {
            for (sum, byte) in sums.iter_mut().zip(word.to_le_bytes()) {
                *sum += i32::from(byte as i8) * weight;
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out += sum as f32 * unit;
        }
    }
}

/// Rounds weights, none negative, to integers of 15 bits, and returns what one of these stands for: a power of two.
/// Each is off by at most 1/32767 of the largest. Weights that are all (nearly) zero are 0, and where one is not a
/// number, the unit is none.
#[inline(always)]
fn quantize(weights: &[f32; BLOCK]) -> ([i32; BLOCK], f32) {
    let peak = peak(weights);
    let exponent = (peak.to_bits() >> 23) as i32 - 127;
    if !(LEAST..=f32::MAX).contains(&peak) {
        return ([0; BLOCK], if peak < LEAST { 0.0 } else { f32::NAN });
    }
    let inverse = pow2(14 - exponent);
    (weights.map(|weight| round(weight * inverse).min(MAX_WEIGHT)), pow2(exponent - 14))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::pack::pack_i8;
    use crate::ops::quantize::{i16_words, quantize_i16};
    use std::vec::Vec;

    /// Rows of one head: a word that is not its own, its integers, and its scale in the upper half of the last word.
    fn pack(rows: &[Vec<f32>]) -> Vec<u32> {
        let mut words = Vec::new();
        for row in rows {
            let mut integers = std::vec![u32::MAX; row.len().div_ceil(4)];
            let scale = pack_i8(&mut integers, row);
            words.push(u32::MAX);
            words.extend(integers);
            words.push(u32::from(scale.to_bits()) << 16 | 0xFFFF);
        }
        words
    }

    fn run(query: &[f32], keys: &[Vec<f32>], values: &[Vec<f32>]) -> Vec<f32> {
        let mut words = std::vec![0; i16_words(query.len())];
        let query_scale = quantize_i16(&mut words, query);
        let (keys, values, n) = (pack(keys), pack(values), query.len().div_ceil(4));
        let head = |rows| I8Head { rows, stride: n + 2, integers: 1, scale: 2 * (n + 1) + 1 };
        let mut out = std::vec![f32::NAN; query.len()];
        attend_i8(&mut out, &words, query_scale, head(&keys), head(&values));
        out
    }

    #[test]
    fn equal_scores_give_the_mean() {
        for dim in [1, 3, 4, 6] {
            let value = |j: usize| (0..dim).map(|i| (i + j % 2) as f32).collect::<Vec<f32>>();
            let keys = std::vec![std::vec![1.0; dim]; 70];
            let got = run(&std::vec![2.0; dim], &keys, &(0..70).map(value).collect::<Vec<_>>());
            for (i, got) in got.iter().enumerate() {
                assert!((got - (i as f32 + 0.5)).abs() < 0.02 * dim as f32, "{got} {i} of {dim}");
            }
        }
    }

    #[test]
    fn a_score_far_above_hides_the_others_in_any_block() {
        for place in [0, 31, 32, 40, 64] {
            let keys: Vec<_> = (0..65).map(|j| std::vec![if j == place { 127.0 } else { -127.0 }; 5]).collect();
            let values: Vec<_> = (0..65).map(|j| std::vec![if j == place { -254.0 } else { 127.0 }; 5]).collect();
            let got = run(&[1.0; 5], &keys, &values);
            assert!(got.iter().all(|out| (out + 254.0).abs() <= 254.0 / 32767.0), "{place}: {got:?}");
        }
    }

    #[test]
    fn long_heads_do_not_overflow() {
        let long = std::vec![1.0; 70_000];
        assert_eq!(
            dot(&std::vec![0x7F7F_7F7F; 17_500], &std::vec![0x7FFF_7FFF; 35_000]),
            (70_000i64 * 127 * 32767) as f32
        );
        let got = run(&long, std::slice::from_ref(&long), std::slice::from_ref(&long));
        assert!(got.iter().all(|out| (out - 1.0).abs() < 0.01));
    }

    #[test]
    fn what_is_not_finite_poisons() {
        let (one, two) = (std::vec![1.0; 3], std::vec![2.0; 3]);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in [0, 40] {
                let mut rows = std::vec![one.clone(); 50];
                rows[place][1] = bad;
                let good = std::vec![two.clone(); 50];
                assert!(run(&one, &rows, &good).iter().all(|out| out.is_nan()), "key {bad}");
                assert!(run(&one, &good, &rows).iter().all(|out| out.is_nan()), "value {bad}");
                assert!(run(&rows[place], &good, &good).iter().all(|out| out.is_nan()), "query {bad}");
            }
        }
        let large = std::vec![3e38; 3];
        assert!(run(&large, std::slice::from_ref(&large), &[one]).iter().all(|out| out.is_nan()));
    }

    #[test]
    fn weights_keep_15_bits() {
        let mut weights = [0.0; BLOCK];
        weights[..5].copy_from_slice(&[3.9999, 4.0 - 2f32.powi(-21), 1.0, 2f32.powi(-14), 3.0 * 2f32.powi(-14)]);
        let (integers, unit) = quantize(&weights);
        assert_eq!((&integers[..6], unit), (&[32767, 32767, 8192, 0, 2, 0][..], 2f32.powi(-13)));
        assert_eq!(quantize(&[1e-31; BLOCK]), ([0; BLOCK], 0.0));
    }
}
