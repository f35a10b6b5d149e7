//! Attention over 8-bit keys and values keeps the error bound that it documents.

use std::ops::Range;

use emberlm_core::ops::attention::{I8Head, Seen, attend_i8};
use emberlm_core::ops::lanes::Plain;
use emberlm_core::ops::pack::pack_i8;
use emberlm_core::ops::quantize::{i16_words, quantize_i16};
use proptest::prelude::*;

/// The rows of one head, packed, and as the numbers that they stand for.
struct Stored {
    words: Vec<u32>,
    stride: usize,
    scales: Vec<f64>,
    /// `[positions, head_dim]`
    integers: Vec<Vec<f64>>,
}

impl Stored {
    fn new(rows: &[Vec<f32>]) -> Self {
        let stride = rows[0].len().div_ceil(4) + 1;
        let mut stored = Self { words: Vec::new(), stride, scales: Vec::new(), integers: Vec::new() };
        for row in rows {
            let mut words = vec![0; stride];
            let scale = pack_i8(&mut words[..stride - 1], row);
            let integers = words.iter().flat_map(|word| word.to_le_bytes()).map(|byte| f64::from(byte as i8));
            stored.integers.push(integers.take(row.len()).collect());
            stored.scales.push(f64::from(scale));
            words[stride - 1] = u32::from(scale.to_bits());
            stored.words.extend(words);
        }
        stored
    }

    fn head(&self) -> I8Head<'_> {
        I8Head { rows: &self.words, stride: self.stride, integers: 0, scale: 2 * (self.stride - 1) }
    }

    fn largest_scale(&self) -> f64 {
        self.scales.iter().copied().fold(0.0, f64::max)
    }
}

/// Exact attention over what is stored, and how far off it the core may be.
fn oracle(query: &[f32], query_scale: f32, keys: &Stored, values: &Stored) -> (Vec<f64>, f64) {
    let dot = |key: &Vec<f64>| key.iter().zip(query).map(|(&k, &q)| k * f64::from(q)).sum::<f64>();
    let scores: Vec<f64> = keys.integers.iter().zip(&keys.scales).map(|(key, scale)| dot(key) * scale).collect();
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let terms: Vec<f64> = scores.iter().map(|score| (score - highest).exp()).collect();
    let sum: f64 = terms.iter().sum();
    let out = (0..query.len()).map(|i| {
        let values = values.integers.iter().zip(&values.scales).map(|(value, scale)| value[i] * scale);
        terms.iter().zip(values).map(|(term, value)| term / sum * value).sum()
    });

    let magnitude = |key: &Vec<f64>| key.iter().map(|k| k.abs()).sum::<f64>();
    let magnitudes = keys.integers.iter().zip(&keys.scales).map(|(key, scale)| magnitude(key) * scale);
    let largest_score = scores.iter().fold(0.0, |max: f64, score| max.max(score.abs()));
    let s = largest_score / 2f64.powi(21) + 0.51 * f64::from(query_scale) * magnitudes.fold(0.0, f64::max);
    let m = 127.0 * values.largest_scale();
    (out.collect(), m * (1e-3 + s + terms.len() as f64 / 2f64.powi(22)))
}

/// The largest error as a share of what is allowed.
fn share_of_bound(query: &[f32], keys: &[Vec<f32>], values: &[Vec<f32>]) -> f64 {
    let (keys, values) = (Stored::new(keys), Stored::new(values));
    let mut words = vec![0; i16_words(query.len())];
    let query_scale = quantize_i16(&mut words, query);
    let mut out = vec![f32::NAN; query.len()];
    attend_i8(&Plain, &mut out, &words, query_scale, Seen::first(keys.scales.len()), keys.head(), values.head());
    let (want, allowed) = oracle(query, query_scale, &keys, &values);
    out.iter().zip(want).map(|(&got, want)| (f64::from(got) - want).abs() / allowed).fold(0.0, f64::max)
}

fn rows(n: usize, head_dim: usize, largest: f32) -> impl Strategy<Value = Vec<Vec<f32>>> {
    let element = prop_oneof![4 => -1.0..1.0_f32, 1 => Just(0.0), 1 => Just(1.0)];
    let row = (prop::collection::vec(element, head_dim), prop_oneof![3 => Just(1.0_f32), 1 => 1e-6..1e3_f32]);
    prop::collection::vec(row.prop_map(move |(row, gain)| row.iter().map(|x| x * gain * largest).collect()), n)
}

fn problem(
    n: Range<usize>,
    head_dim: Range<usize>,
    sharp: f32,
) -> impl Strategy<Value = (Vec<f32>, Vec<Vec<f32>>, Vec<Vec<f32>>)> {
    let sizes = (n, head_dim, 1e-3..sharp, 1e-12..1e12_f32);
    sizes.prop_flat_map(|(n, head_dim, sharp, largest)| {
        let query = prop::collection::vec(-sharp..sharp, head_dim);
        (query, rows(n, head_dim, 1.0), rows(n, head_dim, largest))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn attention_keeps_its_bound((query, keys, values) in problem(1..140, 1..40, 8.0)) {
        let share = share_of_bound(&query, &keys, &values);
        prop_assert!(share <= 1.0, "{share}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn wide_heads_keep_it_too((query, keys, values) in problem(1..10, 40..1200, 0.5)) {
        let share = share_of_bound(&query, &keys, &values);
        prop_assert!(share <= 1.0, "{share}");
    }
}

/// The bound is not far above what can happen: weights that are just below half a unit all become 0.
#[test]
fn roundings_that_all_go_one_way_come_near_the_bound() {
    let keys: Vec<_> = (0..32).map(|j| vec![if j == 0 { 0.0 } else { -10.5 }]).collect();
    let share = share_of_bound(&[1.0], &keys, &vec![vec![1.0]; 32]);
    assert!((0.6..1.0).contains(&share), "{share}");
}
