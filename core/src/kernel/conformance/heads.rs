//! What attention does to the rows of a head.

use super::mismatch::{Mismatch, bits};
use super::random::Random;
use crate::ops::attention::HeadRows;
use crate::ops::lanes::{Lanes, Plain};
use crate::ops::pack::{pack_f16, pack_f32};
use alloc::vec;
use alloc::vec::Vec;

/// Lanes of a head: eights, and ragged ends.
const DIMS: &[usize] = if cfg!(miri) { &[3, 16] } else { &[1, 3, 8, 12, 16, 31, 32, 80] };
const ROWS: &[usize] = if cfg!(miri) { &[1, 5] } else { &[1, 2, 3, 4, 5, 8, 13, 32] };

/// Compares scores and weighted values; says how many heads there were.
pub(super) fn check(lanes: &impl Lanes, random: &mut Random) -> Result<usize, Mismatch> {
    let mut heads = 0;
    for &head_dim in DIMS {
        for &n_rows in ROWS {
            let mismatch = Err(Mismatch::Head { head_dim, n_rows });
            for half in [false, true] {
                let head = Head::new(head_dim, n_rows, half, random);
                // Zeros of either sign, by zeros of either sign, add up to one of either sign.
                let zeros = Head { query: vec![-0.0; head_dim], weights: vec![-0.0; n_rows], ..head.clone() };
                let empty = Head { words: vec![0; head.words.len()], ..head.clone() };
                let small = Head { query: vec![1e-41; head_dim], weights: vec![3e-42; n_rows], ..head.clone() };
                if head.bits(lanes) != head.bits(&Plain) || small.bits(lanes) != small.bits(&Plain) {
                    return mismatch;
                }
                for zeros in [zeros, empty] {
                    if zeros.results(lanes) != zeros.results(&Plain) {
                        return mismatch;
                    }
                }
                heads += 4;
            }
            for zeros in [false, true] {
                let integers = Integers::new(head_dim, n_rows, zeros, random);
                if integers.sums(lanes) != integers.sums(&Plain) {
                    return mismatch;
                }
                heads += 1;
            }
        }
    }
    Ok(heads)
}

/// Random keys, which are values too, with a query and weights.
#[derive(Clone)]
struct Head {
    half: bool,
    /// The rows' words, three more than a head has in each.
    words: Vec<u32>,
    stride: usize,
    query: Vec<f32>,
    weights: Vec<f32>,
}

impl Head {
    fn new(head_dim: usize, n_rows: usize, half: bool, random: &mut Random) -> Self {
        let mut floats = |n| (0..n).map(|_| random.float()).collect::<Vec<f32>>();
        let (query, weights) = (floats(head_dim), floats(n_rows));
        let n = if half { head_dim.div_ceil(2) } else { head_dim };
        let stride = n + 3;
        let mut words = vec![0; n_rows * stride];
        for row in words.chunks_exact_mut(stride) {
            let x = floats(head_dim);
            if half { pack_f16(&mut row[..n], &x) } else { pack_f32(&mut row[..n], &x) }
        }
        Self { half, words, stride, query, weights }
    }

    fn bits(&self, lanes: &impl Lanes) -> Vec<u32> {
        bits(self.results(lanes))
    }

    /// Scores, then outputs.
    fn results(&self, lanes: &impl Lanes) -> Vec<f32> {
        let rows = HeadRows::new(&self.words, self.stride);
        let (mut scores, mut out) = (vec![0.0; self.weights.len()], vec![1.0; self.query.len()]);
        if self.half {
            lanes.dots_f16(&mut scores, &self.query, rows);
            lanes.add_weighted_f16(&mut out, &self.weights, rows);
        } else {
            lanes.dots_f32(&mut scores, &self.query, rows);
            lanes.add_weighted_f32(&mut out, &self.weights, rows);
        }
        scores.into_iter().chain(out).collect()
    }
}

/// A head of bytes with a query of 16-bit integers, and weights.
struct Integers {
    /// One word more than a head has in each.
    words: Vec<u32>,
    stride: usize,
    query: Vec<u32>,
    weights: Vec<i32>,
}

impl Integers {
    fn new(head_dim: usize, n_rows: usize, zeros: bool, random: &mut Random) -> Self {
        let stride = head_dim.div_ceil(4) + 1;
        let mut words = |n| (0..n).map(|_| if zeros { 0 } else { random.next() }).collect::<Vec<u32>>();
        let (query, rows) = (words(2 * (stride - 1)), words(n_rows * stride));
        let weights = words(n_rows).into_iter().map(|word| (word >> 17) as i32).collect();
        Self { words: rows, stride, query, weights }
    }

    /// Each column's, then each row's, and of one row more than there are, whose sum stays as it is.
    fn sums(&self, lanes: &impl Lanes) -> Vec<i32> {
        let Self { words, stride, query, weights } = self;
        let mut dots = vec![1; weights.len() + 1];
        lanes.dots_i8(&mut dots, query, HeadRows::new(words, *stride));
        let columns = (0..stride - 1).flat_map(|i| lanes.weigh_i8(&words[i..], *stride, weights));
        columns.chain(dots).collect()
    }
}
