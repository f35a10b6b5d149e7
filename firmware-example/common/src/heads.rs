//! The board's kernel beside the portable one in attention.

use alloc::vec;
use alloc::vec::Vec;

use emberlm_core::kernel::{Kernel, Portable};
use emberlm_core::ops::attention::HeadRows;
use emberlm_core::ops::pack::{pack_f16, pack_f32};

use crate::ProgramError;
use crate::kernels::Random;

/// Lanes of a head: eights, and ragged ends.
const DIMS: [usize; 8] = [1, 3, 8, 12, 16, 31, 32, 80];
const ROWS: [usize; 8] = [1, 2, 3, 4, 5, 8, 13, 32];

/// Compares scores and weighted values, bit by bit; says how many heads there were.
pub(crate) fn compare<K: Kernel>(kernel: &K, random: &mut Random) -> Result<usize, ProgramError> {
    let mut heads = 0;
    for head_dim in DIMS {
        for n_rows in ROWS {
            for half in [false, true] {
                let head = Head::new(head_dim, n_rows, half, random);
                if head.bits(kernel) != head.bits(&Portable) {
                    return Err(ProgramError::HeadBits { head_dim, n_rows });
                }
                // Zeros of either sign, by zeros of either sign.
                let zeros = Head { query: vec![-0.0; head_dim], weights: vec![-0.0; n_rows], ..head };
                if zeros.results(kernel) != zeros.results(&Portable) {
                    return Err(ProgramError::HeadBits { head_dim, n_rows });
                }
                heads += 2;
            }
            if sums(kernel, head_dim, n_rows, &mut random.clone()) != sums(&Portable, head_dim, n_rows, random) {
                return Err(ProgramError::HeadBits { head_dim, n_rows });
            }
            heads += 1;
        }
    }
    Ok(heads)
}

/// The sums of attention over a random head of bytes: each row's, and each column's.
fn sums<K: Kernel>(kernel: &K, head_dim: usize, n_rows: usize, random: &mut Random) -> Vec<i32> {
    let (n, stride) = (head_dim.div_ceil(4), head_dim.div_ceil(4) + 1);
    let mut words = |n| (0..n).map(|_| random.next()).collect::<Vec<u32>>();
    let (query, rows, weights) = (words(2 * n), words(n_rows * stride), words(n_rows));
    let weights: Vec<i32> = weights.into_iter().map(|word| (word >> 17) as i32).collect();
    // One more than there are keys, which stays as it is.
    let mut dots = vec![1; n_rows + 1];
    kernel.dots_i8(&mut dots, &query, HeadRows { words: &rows, stride });
    (0..n).flat_map(|i| kernel.weigh_i8(&rows[i..], stride, &weights)).chain(dots).collect()
}

/// Random keys, which are values too, with a query and weights.
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
        let mut floats = |n| (0..n).map(|_| random.next() as i32 as f32 * (1.0 / 1_048_576.0)).collect::<Vec<f32>>();
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

    fn bits<K: Kernel>(&self, kernel: &K) -> Vec<u32> {
        self.results(kernel).into_iter().map(f32::to_bits).collect()
    }

    /// Scores, then outputs.
    fn results<K: Kernel>(&self, kernel: &K) -> Vec<f32> {
        let rows = HeadRows { words: &self.words, stride: self.stride };
        let (mut scores, mut out) = (vec![0.0; self.weights.len()], vec![1.0; self.query.len()]);
        if self.half {
            kernel.dots_f16(&mut scores, &self.query, rows);
            kernel.add_weighted_f16(&mut out, &self.weights, rows);
        } else {
            kernel.dots_f32(&mut scores, &self.query, rows);
            kernel.add_weighted_f32(&mut out, &self.weights, rows);
        }
        scores.into_iter().chain(out).collect()
    }
}
