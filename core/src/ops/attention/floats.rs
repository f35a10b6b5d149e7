//! Attention over keys and values that are floats.
//!
//! Positions come in blocks of [`BLOCK`], counted from position 0: the scores of a block, then its softmax, then its
//! values.

use super::blocks::{BLOCK, Ring, Seen};
use super::heads::HeadRows;
use crate::ops::exp::NONE;
use crate::ops::fixed::pow2;
use crate::ops::lanes::Lanes;
use crate::part::{part, part_mut};
use core::ops::Range;

/// What attention does to the rows of a head, one type of cache at a time: the scores of a query `[head_dim]` with
/// the first keys, one each; and `out += weight * value` for each weight and value, in order.
pub trait HeadOps {
    /// `scores[i] = query . keys[i]`, each a striped sum; one of zeros may be 0 of either sign.
    fn dots(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>);

    /// `out += weights[i] * values[i]`.
    fn add_weighted(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>);

    /// What is done to every type of cache.
    fn lanes(&self) -> &impl Lanes;
}

/// A softmax under way.
#[derive(Clone, Copy)]
struct Softmax {
    /// The exponent that every term so far lies below.
    reference: i32,
    /// Of the terms so far, in units of `2^reference`.
    sum: f32,
}

impl Softmax {
    const EMPTY: Self = Self { reference: NONE, sum: 0.0 };

    /// Makes weights of a block's scores, and `out` relative to the same reference.
    #[inline(always)]
    fn weigh(&mut self, out: &mut [f32], scores: &mut [f32], lanes: &impl Lanes) {
        let mut exponents = [0; BLOCK];
        let most = lanes.exp_terms(scores, &mut exponents);
        if let Some(rescale) = self.raise(most) {
            lanes.scale(out, rescale);
        }
        self.sum = lanes.weigh_terms(scores, &exponents, self.reference, self.sum);
    }

    /// Makes room for terms of up to `exponent`. Where the reference rises for it, returns what sums relative to the
    /// old one are to be multiplied by.
    fn raise(&mut self, exponent: i32) -> Option<f32> {
        if exponent < self.reference {
            return None;
        }
        let rescale = pow2(self.reference - exponent - 1);
        self.reference = exponent + 1;
        self.sum *= rescale;
        Some(rescale)
    }
}

/// `out = softmax(query . keys) values` of one head over the positions that are seen.
///
/// `out` and `query` are `[head_dim]`, the query already scaled by `1 / sqrt(head_dim)`. A score that is not a number or
/// above 2^28 makes every output one that is not a number; one below -2^28 has no weight, and where none has any, no output
/// is a number.
#[inline(always)]
pub fn attend(
    out: &mut [f32],
    query: &[f32],
    seen: Seen,
    keys: HeadRows<'_>,
    values: HeadRows<'_>,
    ops: &impl HeadOps,
) {
    out.fill(0.0);
    let mut softmax = Softmax::EMPTY;
    let mut weights = [0.0; BLOCK];
    for (first, n) in seen.blocks() {
        let weights = part_mut(&mut weights, ..n);
        ops.dots(weights, query, keys.from(first));
        softmax.weigh(out, weights, ops.lanes());
        ops.add_weighted(out, weights, values.from(first));
    }
    ops.lanes().scale(out, 1.0 / softmax.sum);
}

/// One query of several of a head, and what becomes of it.
#[derive(Debug)]
pub struct Query<'a> {
    /// `[head_dim]`
    pub out: &'a mut [f32],
    /// `[head_dim]`, scaled by `1 / sqrt(head_dim)`.
    pub query: &'a [f32],
    /// The positions that it sees.
    pub seen: Range<usize>,
}

/// Queries that meet a block of positions while it is near.
pub const TOGETHER: usize = 16;

/// [`attend`] of up to [`TOGETHER`] queries, block by block: what one sees lies in a cache for the next.
#[inline(always)]
pub fn attend_together(
    queries: &mut [Query<'_>],
    ring: Ring,
    keys: HeadRows<'_>,
    values: HeadRows<'_>,
    ops: &impl HeadOps,
) {
    let lanes = ops.lanes();
    let mut softmaxes = [Softmax::EMPTY; TOGETHER];
    let mut blocks = [[0.0; BLOCK]; TOGETHER];
    queries.iter_mut().for_each(|query| query.out.fill(0.0));
    let start = queries.iter().map(|query| query.seen.start).min().unwrap_or(0);
    let end = queries.iter().map(|query| query.seen.end).max().unwrap_or(0);
    let mut at = start;
    for (first, n) in Seen::new(start..end, ring).blocks() {
        // What a query sees of the block: its first row, and how many.
        let seen = |query: &Query<'_>| {
            let (from, to) = (query.seen.start.max(at), query.seen.end.min(at + n));
            (from < to).then(|| (first + (from - at), to - from))
        };
        for (query, weights) in queries.iter().zip(&mut blocks) {
            if let Some((first, n)) = seen(query) {
                ops.dots(part_mut(weights, ..n), query.query, keys.from(first));
            }
        }
        for ((query, weights), softmax) in queries.iter_mut().zip(&mut blocks).zip(&mut softmaxes) {
            if let Some((_, n)) = seen(query) {
                softmax.weigh(query.out, part_mut(weights, ..n), lanes);
            }
        }
        for (query, weights) in queries.iter_mut().zip(&blocks) {
            if let Some((first, n)) = seen(query) {
                ops.add_weighted(query.out, part(weights, ..n), values.from(first));
            }
        }
        at += n;
    }
    for (query, softmax) in queries.iter_mut().zip(softmaxes) {
        lanes.scale(query.out, 1.0 / softmax.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::attention::{add_weighted_f16, add_weighted_f32, dots_f16, dots_f32};
    use crate::ops::lanes::Plain;
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

    struct F32;

    impl HeadOps for F32 {
        fn dots(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
            dots_f32(scores, query, keys);
        }

        fn add_weighted(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
            add_weighted_f32(out, weights, values);
        }

        fn lanes(&self) -> &impl Lanes {
            &Plain
        }
    }

    struct F16;

    impl HeadOps for F16 {
        fn dots(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
            dots_f16(scores, query, keys);
        }

        fn add_weighted(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
            add_weighted_f16(out, weights, values);
        }

        fn lanes(&self) -> &impl Lanes {
            &Plain
        }
    }

    fn run_with(ops: &impl HeadOps, query: &[f32], keys: &[Vec<u32>], values: &[Vec<u32>]) -> Vec<f32> {
        let (words, stride) = ([keys.concat(), values.concat()], keys[0].len());
        let [keys, values] = words.each_ref().map(|words| HeadRows::new(words, stride));
        let mut out = std::vec![f32::NAN; query.len()];
        attend(&mut out, query, Seen::first(words[0].len() / stride), keys, values, ops);
        out
    }

    fn run(query: &[f32], keys: &[Vec<u32>], values: &[Vec<u32>]) -> Vec<f32> {
        run_with(&F32, query, keys, values)
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
        for dim in (1..=33).step_by(if cfg!(miri) { 5 } else { 1 }) {
            let query = waves(0, 1, dim).remove(0);
            let (keys, values) = (waves(50, 20, dim), waves(700, 20, dim));
            let packed = |rows: &[Vec<f32>]| rows.iter().map(|row| halves(row)).collect::<Vec<_>>();
            let rounded = |rows: &[Vec<f32>]| {
                let round = |&v: &f32| f16::from_f32(v).to_f32().to_bits();
                rows.iter().map(|row| row.iter().map(round).collect()).collect::<Vec<Vec<u32>>>()
            };
            let out = run_with(&F16, &query, &packed(&keys), &packed(&values));
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
            let out = run_with(&F16, &[1.0], keys, values);
            assert!(!out[0].is_finite());
        }
    }
}
