//! Attention over keys and values that are floats.

use super::{Softmax, scale};
use crate::ops::exp::exp_parts;
use crate::ops::pack::unpack_f16;
use crate::ops::reduce::{STRIPES, fold};

/// `out = softmax(query . keys) values` of one head.
///
/// `out` and `query` are `[head_dim]`, the query already scaled by `1 / sqrt(head_dim)`. `positions` yields a key and a
/// value, `[head_dim]` f32 bits each, for each position that the query sees. A score that is not a number or infinite
/// makes every output one that is not a number.
#[inline(never)] // The types of cache need stacks of different depths.
pub fn attend_f32<'a>(out: &mut [f32], query: &[f32], positions: impl Iterator<Item = (&'a [u32], &'a [u32])>) {
    attend(out, query, positions, |words: [u32; STRIPES]| words.map(f32::from_bits));
}

/// As [`attend_f32`] over keys and values that [`pack_f16`](crate::ops::pack::pack_f16) packed.
#[inline(never)]
pub fn attend_f16<'a>(out: &mut [f32], query: &[f32], positions: impl Iterator<Item = (&'a [u32], &'a [u32])>) {
    attend(out, query, positions, |words: [u32; STRIPES / 2]| {
        let [a, b, c, d] = words;
        [
            unpack_f16(a),
            unpack_f16(a >> 16),
            unpack_f16(b),
            unpack_f16(b >> 16),
            unpack_f16(c),
            unpack_f16(c >> 16),
            unpack_f16(d),
            unpack_f16(d >> 16),
        ]
    });
}

/// Attention over rows of which `load` makes floats, [`STRIPES`] of them from `WORDS` words.
#[inline(always)]
fn attend<'a, const WORDS: usize>(
    out: &mut [f32],
    query: &[f32],
    positions: impl Iterator<Item = (&'a [u32], &'a [u32])>,
    load: impl Fn([u32; WORDS]) -> [f32; STRIPES],
) {
    out.fill(0.0);
    let mut softmax = Softmax::EMPTY;
    for (key, value) in positions {
        let term = exp_parts(dot(key, query, &load));
        if let Some(rescale) = softmax.raise(term.0) {
            scale(out, rescale);
        }
        if let Some(weight) = softmax.add(term) {
            add_weighted(out, weight, value, &load);
        }
    }
    scale(out, 1.0 / softmax.sum);
}

/// The striped sum of `key * query`.
#[inline(always)]
fn dot<const WORDS: usize>(key: &[u32], query: &[f32], load: impl Fn([u32; WORDS]) -> [f32; STRIPES]) -> f32 {
    let (query, query_tail) = query.as_chunks::<STRIPES>();
    let (key, key_tail) = key.split_at(query.len() * WORDS);
    let mut sums = [0.0; STRIPES];
    for (&key, query) in key.as_chunks().0.iter().zip(query) {
        let key = load(key);
        for lane in 0..STRIPES {
            sums[lane] += key[lane] * query[lane];
        }
    }
    for ((sum, key), query) in sums.iter_mut().zip(load(padded(key_tail))).zip(query_tail) {
        *sum += key * query;
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
    let (value, value_tail) = value.split_at(out.len() * WORDS);
    for (out, &value) in out.iter_mut().zip(value.as_chunks().0) {
        let value = load(value);
        for lane in 0..STRIPES {
            out[lane] += weight * value[lane];
        }
    }
    for (out, value) in out_tail.iter_mut().zip(load(padded(value_tail))) {
        *out += weight * value;
    }
}

/// The last words of a row, and zeros.
fn padded<const WORDS: usize>(tail: &[u32]) -> [u32; WORDS] {
    core::array::from_fn(|i| tail.get(i).copied().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::pack::pack_f16;
    use half::f16;
    use std::vec::Vec;

    fn bits(row: &[f32]) -> Vec<u32> {
        row.iter().map(|v| v.to_bits()).collect()
    }

    fn halves(row: &[f32]) -> Vec<u32> {
        let mut words = std::vec![u32::MAX; row.len().div_ceil(2)];
        pack_f16(&mut words, row);
        words
    }

    fn pairs<'a>(keys: &'a [Vec<u32>], values: &'a [Vec<u32>]) -> impl Iterator<Item = (&'a [u32], &'a [u32])> {
        keys.iter().zip(values).map(|(key, value)| (&key[..], &value[..]))
    }

    fn run(query: &[f32], keys: &[Vec<u32>], values: &[Vec<u32>]) -> Vec<f32> {
        let mut out = std::vec![f32::NAN; query.len()];
        attend_f32(&mut out, query, pairs(keys, values));
        out
    }

    /// Rows `[n][dim]` of numbers up to 3.
    fn waves(seed: usize, n: usize, dim: usize) -> Vec<Vec<f32>> {
        let wave = |i: usize| ((i * 7919 % 1009) as f32 / 504.0 - 1.0) * 3.0;
        (0..n).map(|j| (0..dim).map(|i| wave(seed + j * dim + i)).collect()).collect()
    }

    #[test]
    fn agrees_with_a_softmax_in_f64() {
        let (n, dim) = (40, 11);
        let query = waves(0, 1, dim).remove(0);
        let (keys, values) = (waves(100, n, dim), waves(900, n, dim));
        let dot = |a: &[f32]| a.iter().zip(&query).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
        let terms: Vec<f64> = keys.iter().map(|key| dot(key).exp()).collect();
        let sum: f64 = terms.iter().sum();
        let got = run(
            &query,
            &keys.iter().map(|k| bits(k)).collect::<Vec<_>>(),
            &values.iter().map(|v| bits(v)).collect::<Vec<_>>(),
        );
        for i in 0..dim {
            let want: f64 = terms.iter().zip(&values).map(|(t, v)| t * f64::from(v[i])).sum::<f64>() / sum;
            assert!((f64::from(got[i]) - want).abs() < 2e-5, "{i}: {} {want}", got[i]);
        }
    }

    #[test]
    fn halves_give_the_bits_of_the_floats_that_they_are() {
        for dim in 1..=33 {
            let query = waves(0, 1, dim).remove(0);
            let (keys, values) = (waves(50, 20, dim), waves(700, 20, dim));
            let packed = |rows: &[Vec<f32>]| rows.iter().map(|row| halves(row)).collect::<Vec<_>>();
            let rounded = |rows: &[Vec<f32>]| {
                let round = |&v: &f32| f16::from_f32(v).to_f32().to_bits();
                rows.iter().map(|row| row.iter().map(round).collect()).collect::<Vec<Vec<u32>>>()
            };
            let mut out = std::vec![f32::NAN; dim];
            attend_f16(&mut out, &query, pairs(&packed(&keys), &packed(&values)));
            assert_eq!(bits(&out), bits(&run(&query, &rounded(&keys), &rounded(&values))), "{dim}");
        }
    }

    #[test]
    fn bad_scores_poison_and_hidden_positions_do_not() {
        let one = [bits(&[1.0])];
        assert!(run(&[f32::NAN], &one, &one)[0].is_nan());
        assert!(run(&[1.0], &[bits(&[f32::INFINITY])], &one)[0].is_nan());
        let keys = [bits(&[-1e30]), bits(&[2.0]), bits(&[-3000.0])];
        let values = [bits(&[7.0]), bits(&[5.0]), bits(&[9.0])];
        assert_eq!(run(&[1.0], &keys, &values), [5.0]);
    }

    #[test]
    fn halves_that_overflow_poison() {
        let (large, one) = ([halves(&[1e5])], [halves(&[1.0])]);
        for (keys, values) in [(&large, &one), (&one, &large)] {
            let mut out = [0.0];
            attend_f16(&mut out, &[1.0], pairs(keys, values));
            assert!(!out[0].is_finite());
        }
    }
}
