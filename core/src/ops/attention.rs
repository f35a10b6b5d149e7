//! Attention of one query over the cache, in one pass and without a row of scores.
//!
//! The softmax runs over the positions with a running reference and a running sum (Milakov and Gimelshein, 2018). The
//! reference is a power of two above every term, so that rescaling when it rises is exact.

use super::exp::{CUTOFF, NONE, exp_parts, pow2};
use super::reduce::{STRIPES, accumulate_dot, fold};

/// `out = softmax(query . keys) values` of one head.
///
/// `out` and `query` are `[head_dim]`, the query already scaled by `1 / sqrt(head_dim)`. `keys` and `values` yield one
/// row `[head_dim]` of f32 bits for each position that the query sees. A score that is not a number or infinite makes
/// every output one that is not a number.
pub fn attend_f32<'a>(out: &mut [f32], query: &[f32], positions: impl Iterator<Item = (&'a [u32], &'a [u32])>) {
    out.fill(0.0);
    let mut reference = NONE;
    let mut sum = 0.0;
    for (key, value) in positions {
        let mut stripes = [0.0; STRIPES];
        accumulate_dot(&mut stripes, key, f32::from_bits, query);
        let (exponent, factor) = exp_parts(fold(stripes));
        if exponent >= reference {
            let rescale = pow2(reference - exponent - 1);
            reference = exponent + 1;
            sum *= rescale;
            out.iter_mut().for_each(|out| *out *= rescale);
        }
        if exponent - reference < CUTOFF {
            continue;
        }
        let weight = factor * pow2(exponent - reference);
        sum += weight;
        for (out, &value) in out.iter_mut().zip(value) {
            *out += weight * f32::from_bits(value);
        }
    }
    let inverse = 1.0 / sum;
    out.iter_mut().for_each(|out| *out *= inverse);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn bits(row: &[f32]) -> Vec<u32> {
        row.iter().map(|v| v.to_bits()).collect()
    }

    fn run(query: &[f32], keys: &[Vec<u32>], values: &[Vec<u32>]) -> Vec<f32> {
        let mut out = std::vec![f32::NAN; query.len()];
        attend_f32(&mut out, query, keys.iter().zip(values).map(|(k, v)| (&k[..], &v[..])));
        out
    }

    #[test]
    fn agrees_with_a_softmax_in_f64() {
        let (n, dim) = (40, 11);
        let wave = |i: usize| ((i * 7919 % 1009) as f32 / 504.0 - 1.0) * 3.0;
        let query: Vec<f32> = (0..dim).map(wave).collect();
        let rows = |seed: usize| -> Vec<Vec<f32>> {
            (0..n).map(|j| (0..dim).map(|i| wave(seed + j * dim + i)).collect()).collect()
        };
        let (keys, values) = (rows(100), rows(900));
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
    fn bad_scores_poison_and_hidden_positions_do_not() {
        let one = [bits(&[1.0])];
        assert!(run(&[f32::NAN], &one, &one)[0].is_nan());
        assert!(run(&[1.0], &[bits(&[f32::INFINITY])], &one)[0].is_nan());
        let keys = [bits(&[-1e30]), bits(&[2.0]), bits(&[-3000.0])];
        let values = [bits(&[7.0]), bits(&[5.0]), bits(&[9.0])];
        assert_eq!(run(&[1.0], &keys, &values), [5.0]);
    }
}
