//! Attention over a window of positions, and its positions' rotations.

use super::gemm::{View, add_product};
use super::lanes::{add_scaled, dot, exponentials, in_lanes, max};
use super::ops::{Norm, ROWS};
use crate::checkpoint::architecture::Architecture;
use rayon::prelude::*;

/// A layer's heads: how many, how wide, how they turn, and what they see.
///
/// A row of `qkv` has the queries of all heads, then the keys, then the values of those that have their own.
#[derive(Clone, Copy, Debug)]
pub struct Heads<'a> {
    n_head: usize,
    n_kv_head: usize,
    head_dim: usize,
    frequencies: &'a [f64],
    window: Option<u32>,
}

impl<'a> Heads<'a> {
    /// Those of a layer.
    pub fn of(architecture: &'a Architecture, layer: u32) -> Self {
        Self {
            n_head: architecture.n_head as usize,
            n_kv_head: architecture.n_kv_head as usize,
            head_dim: architecture.head_dim as usize,
            frequencies: architecture.table(layer),
            window: architecture.windows.of(layer),
        }
    }

    /// Elements of a position's queries.
    pub const fn q_len(&self) -> usize {
        self.n_head * self.head_dim
    }

    /// Elements of a position's keys and values.
    pub const fn kv_len(&self) -> usize {
        2 * self.n_kv_head * self.head_dim
    }

    /// Elements of a row of queries, keys and values.
    pub const fn row_len(&self) -> usize {
        self.q_len() + self.kv_len()
    }

    /// The first position that the query at `position` sees.
    pub fn first_seen(&self, position: usize) -> usize {
        self.window.map_or(0, |window| (position + 1).saturating_sub(window as usize))
    }

    /// The query heads' factor before the exponential.
    fn scale(&self) -> f64 {
        1.0 / (self.head_dim as f64).sqrt()
    }

    /// Normalises each head's queries and keys in `qkv` `[t, row_len]`, in f64, rounded to f32.
    pub fn normalize(&self, qkv: &mut [f32], norms: Option<&[Norm; 2]>) {
        let Some([of_queries, of_keys]) = norms else { return };
        qkv.par_chunks_mut(self.row_len()).for_each(|row| {
            let (queries, rest) = row.split_at_mut(self.q_len());
            let keys = &mut rest[..self.kv_len() / 2];
            for (norm, heads) in [(of_queries, queries), (of_keys, keys)] {
                let normed = norm.apply(&heads.iter().map(|&x| f64::from(x)).collect::<Vec<_>>());
                heads.copy_from_slice(&normed);
            }
        });
    }

    /// Rotates the queries and keys of `qkv` `[t, row_len]`, whose first row is at position `first`; in f64, rounded to
    /// f32.
    pub fn rotate(&self, qkv: &mut [f32], first: usize) {
        if self.frequencies.is_empty() {
            return;
        }
        let pairs = self.frequencies.len();
        qkv.par_chunks_mut(self.row_len()).enumerate().for_each(|(row, qkv)| {
            let turns: Vec<(f64, f64)> =
                self.frequencies.iter().map(|frequency| ((first + row) as f64 * frequency).sin_cos()).collect();
            for head in qkv[..self.q_len() + self.kv_len() / 2].chunks_exact_mut(self.head_dim) {
                let (left, right) = head[..2 * pairs].split_at_mut(pairs);
                for ((left, right), (sin, cos)) in left.iter_mut().zip(right).zip(&turns) {
                    let (x, y) = (f64::from(*left), f64::from(*right));
                    (*left, *right) = ((x * cos - y * sin) as f32, (y * cos + x * sin) as f32);
                }
            }
        });
    }

    /// Causal attention of a window: rotated `qkv` `[t, row_len]` to `[t, q_len]`, softmax in f64.
    pub fn attend(&self, qkv: &[f32]) -> Vec<f32> {
        let (t, width) = (qkv.len() / self.row_len(), self.q_len());
        let heads: Vec<Vec<f32>> = (0..self.n_head).into_par_iter().map(|head| self.attend_head(qkv, head)).collect();
        let mut out = vec![0.0; t * width];
        for (head, values) in heads.iter().enumerate() {
            for (row, values) in out.chunks_exact_mut(width).zip(values.chunks_exact(self.head_dim)) {
                row[head * self.head_dim..][..self.head_dim].copy_from_slice(values);
            }
        }
        out
    }

    /// The head of keys and values that a head of queries meets.
    const fn shared(&self, head: usize) -> usize {
        head / (self.n_head / self.n_kv_head)
    }

    /// One head's `[t, head_dim]`, a block of queries at a time over the keys that they see.
    fn attend_head(&self, qkv: &[f32], head: usize) -> Vec<f32> {
        let (stride, dim, shared) = (self.row_len(), self.head_dim, self.shared(head));
        let t = qkv.len() / stride;
        let (query, key) = (head * dim, self.q_len() + shared * dim);
        let value = key + self.n_kv_head * dim;
        let part =
            |offset: usize, first: usize, n: usize| View::new(&qkv[first * stride + offset..], (n, dim), (stride, 1));
        let mut out = vec![0.0; t * dim];
        for first in (0..t).step_by(ROWS) {
            let n = ROWS.min(t - first);
            let oldest = self.first_seen(first);
            let seen = first + n - oldest;
            let mut weights = vec![0.0; n * seen];
            add_product(&mut weights, part(query, first, n), part(key, oldest, seen).transposed());
            for (query, row) in weights.chunks_exact_mut(seen).enumerate() {
                let (past, hidden) = row.split_at_mut(first + query + 1 - oldest);
                let (forgotten, visible) = past.split_at_mut(self.first_seen(first + query) - oldest);
                softmax_row(visible, self.scale());
                hidden.fill(0.0);
                forgotten.fill(0.0);
            }
            let values = &mut out[first * dim..(first + n) * dim];
            add_product(values, View::dense(&weights, n, seen), part(value, oldest, seen));
        }
        out
    }

    /// Attention of one position: a rotated `query` `[q_len]` over `past` `[t, kv_len]`, rotated keys and values, its own
    /// included.
    pub fn attend_one(&self, out: &mut [f32], query: &[f32], past: &[f32]) {
        attend_each(self, out, query, past);
    }
}

/// `softmax(scale * x)` in place: exponentials rounded to f32, their sum and the division in f64.
#[inline(always)]
fn softmax(x: &mut [f32], scale: f64) {
    let max = f64::from(max(x));
    let sum = exponentials(x, max, scale);
    for x in x {
        *x = (f64::from(*x) / sum) as f32;
    }
}

in_lanes! {
    /// [`softmax`], where nothing else is done with the elements.
    fn softmax_row(x: &mut [f32], scale: f64) {
        softmax(x, scale);
    }

    /// [`Heads::attend_one`].
    fn attend_each(heads: &Heads<'_>, out: &mut [f32], query: &[f32], past: &[f32]) {
        let (dim, kv_len) = (heads.head_dim, heads.kv_len());
        let past = &past[heads.first_seen(past.len() / kv_len - 1) * kv_len..];
        for (head, (out, query)) in out.chunks_exact_mut(dim).zip(query.chunks_exact(dim)).enumerate() {
            let part = |offset: usize| {
                let start = offset + heads.shared(head) * dim;
                past.chunks_exact(kv_len).map(move |kv| &kv[start..][..dim])
            };
            let mut weights = vec![0.0; past.len() / kv_len];
            for (weight, key) in weights.iter_mut().zip(part(0)) {
                *weight = dot(key, query);
            }
            softmax(&mut weights, heads.scale());
            out.fill(0.0);
            for (weight, value) in weights.iter().zip(part(kv_len / 2)) {
                add_scaled(out, *weight, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(len: usize) -> Vec<f32> {
        (0..len).map(|index| ((index * 7919 % 1009) as f32 - 504.0) / 300.0).collect()
    }

    #[test]
    fn attention_over_several_blocks_of_queries_matches_the_definition() {
        let t = ROWS + 9;
        for (n_head, n_kv_head, window) in [
            (2, 2, None),
            (6, 2, None),
            (4, 1, Some(5)),
            (2, 2, Some(1)),
            (2, 1, Some(ROWS as u32 + 3)),
            (2, 2, Some(1000)),
        ] {
            let heads = Heads { n_head, n_kv_head, head_dim: 3, frequencies: &[], window };
            let qkv = numbers(t * heads.row_len());
            let out = heads.attend(&qkv);
            let at = |position: usize, column: usize| f64::from(qkv[position * heads.row_len() + column]);
            for position in [0, 1, ROWS - 1, ROWS, t - 1] {
                let first = window.map_or(0, |window| (position + 1).saturating_sub(window as usize));
                for head in 0..n_head {
                    let key = 3 * n_head + head * n_kv_head / n_head * 3;
                    let value = key + 3 * n_kv_head;
                    let score = |past: usize| {
                        let dot: f64 = (0..3).map(|i| at(position, head * 3 + i) * at(past, key + i)).sum();
                        (dot / 3f64.sqrt()).exp()
                    };
                    let total: f64 = (first..=position).map(score).sum();
                    for i in 0..3 {
                        let expected: f64 =
                            (first..=position).map(|past| score(past) * at(past, value + i)).sum::<f64>() / total;
                        let found = f64::from(out[position * 3 * n_head + head * 3 + i]);
                        assert!(
                            (found - expected).abs() < 1e-5,
                            "{window:?} {position} {head} {i}: {found} {expected}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn pairs_turn_by_their_position_and_the_rest_of_a_head_stays() {
        let quarter = std::f64::consts::FRAC_PI_2;
        let heads =
            Heads { n_head: 2, n_kv_head: 1, head_dim: 6, frequencies: &[quarter, 2.0 * quarter], window: None };
        let row: Vec<f32> = (1..=24).map(|value| value as f32).collect();
        let mut qkv = row.repeat(2);
        heads.rotate(&mut qkv, 3);
        let close = |found: &[f32], expected: &[f32]| {
            assert!(found.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-5), "{found:?} {expected:?}");
        };
        // Three quarters, then a whole turn; three halves, then two turns.
        close(&qkv[..6], &[3.0, -2.0, -1.0, -4.0, 5.0, 6.0]);
        close(&qkv[6..12], &[9.0, -8.0, -7.0, -10.0, 11.0, 12.0]);
        close(&qkv[12..18], &[15.0, -14.0, -13.0, -16.0, 17.0, 18.0]);
        close(&qkv[18..24], &row[18..]);
        close(&qkv[24..], &row);
    }
}
