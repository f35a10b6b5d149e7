//! The linear algebra that rounding needs, in f64: second moments, and triangular systems of a Cholesky factor.
//!
//! Work is cut into blocks whose sizes are fixed, so that no result depends on the number of threads.

use rayon::prelude::*;

use crate::reference::gemm::{View, add_scaled_product};

/// Rows or columns of a block.
pub const BLOCK: usize = 64;
/// Positions whose products are added at a time.
const POSITIONS: usize = 512;

/// Adds `a^T b` to `out` `[n_a, n_b]`, for `a` `[t, n_a]` and `b` `[t, n_b]`.
pub fn add_cross_moments(out: &mut [f64], a: &[f32], n_a: usize, b: &[f32], n_b: usize) {
    for (a, b) in a.chunks(POSITIONS * n_a).zip(b.chunks(POSITIONS * n_b)) {
        let (a, b) = (to_f64(a), to_f64(b));
        let t = a.len() / n_a;
        out.par_chunks_mut(BLOCK * n_b).enumerate().for_each(|(block, out)| {
            let (first, rows) = (block * BLOCK, out.len() / n_b);
            let left = View::new(&a[first..], (t, rows), (n_a, 1)).transposed();
            add_scaled_product(out, n_b, 1.0, left, View::dense(&b, t, n_b));
        });
    }
}

/// The second moments `a^T a` `[n, n]` of `a` `[t, n]`.
pub fn second_moments(a: &[f32], n: usize) -> Vec<f64> {
    let mut out = vec![0.0; n * n];
    for a in a.chunks(POSITIONS * n) {
        let a = to_f64(a);
        let t = a.len() / n;
        out.par_chunks_mut(BLOCK * n).enumerate().for_each(|(block, out)| {
            let (first, rows) = (block * BLOCK, out.len() / n);
            let left = View::new(&a[first..], (t, rows), (n, 1)).transposed();
            add_scaled_product(&mut out[first..], n, 1.0, left, View::new(&a[first..], (t, n - first), (n, 1)));
        });
    }
    // Blocks left of the diagonal are those right of it.
    for row in 1..n {
        for col in 0..row / BLOCK * BLOCK {
            out[row * n + col] = out[col * n + row];
        }
    }
    out
}

fn to_f64(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}

/// The lower triangle `L` of a positive definite `M = L L^T`.
#[derive(Clone, Debug)]
pub struct Cholesky {
    n: usize,
    /// `[n, n]`; only the lower triangle means anything.
    lower: Vec<f64>,
}

impl Cholesky {
    /// Factors `m` `[n, n]`, of which only the lower triangle is read; `None` where it is not positive definite.
    pub fn new(m: Vec<f64>, n: usize) -> Option<Self> {
        let mut lower = m;
        for first in (0..n).step_by(BLOCK) {
            let width = BLOCK.min(n - first);
            let (above, below) = lower.split_at_mut((first + width) * n);
            let square = &mut above[first * n..];
            factor_square(square, n, first, width)?;
            below.par_chunks_mut(n).for_each(|row| solve_square(&mut row[first..first + width], square, n, first));
            let panel: Vec<f64> = below.chunks(n).flat_map(|row| &row[first..first + width]).copied().collect();
            below.par_chunks_mut(BLOCK * n).enumerate().for_each(|(block, out)| {
                let (start, rows) = (block * BLOCK, out.len() / n);
                let left = View::dense(&panel[start * width..][..rows * width], rows, width);
                let right = View::dense(&panel[..(start + rows) * width], start + rows, width);
                add_scaled_product(&mut out[first + width..], n, -1.0, left, right.transposed());
            });
        }
        Some(Self { n, lower })
    }

    /// Row `t` of the triangle, up to the diagonal.
    fn row(&self, t: usize) -> &[f64] {
        &self.lower[t * self.n..][..=t]
    }

    /// Each row `x` of `rows` `[r, n]` becomes `x L^-T`.
    pub fn solve_transposed(&self, rows: &mut [f64]) {
        let n = self.n;
        for first in (0..n).step_by(BLOCK) {
            let width = BLOCK.min(n - first);
            let known: Vec<f64> = rows.chunks(n).flat_map(|row| &row[..first]).copied().collect();
            let r = rows.len() / n;
            let triangle = View::new(&self.lower[first * n..], (width, first), (n, 1)).transposed();
            add_scaled_product(&mut rows[first..], n, -1.0, View::dense(&known, r, first), triangle);
            for row in rows.chunks_mut(n) {
                solve_square(&mut row[first..first + width], &self.lower[first * n..], n, first);
            }
        }
    }

    /// Goes through the columns from the last to the first: `column(row, t, sum)` is given the sum over `s > t` of
    /// `e_s L_st / L_tt`, and returns `e_t`. Rows are `rows` many.
    pub fn descend(&self, rows: usize, mut column: impl FnMut(usize, usize, f64) -> f64) {
        let n = self.n;
        let mut sums = vec![0.0; rows * n];
        for first in (0..n).step_by(BLOCK).rev() {
            let width = BLOCK.min(n - first);
            let mut e = vec![0.0; rows * width];
            for row in 0..rows {
                let sums = &mut sums[row * n + first..][..width];
                for i in (0..width).rev() {
                    let triangle = &self.row(first + i)[first..];
                    let chosen = column(row, first + i, sums[i] / triangle[i]);
                    e[row * width + i] = chosen;
                    sums[..i].iter_mut().zip(triangle).for_each(|(sum, l)| *sum += chosen * l);
                }
            }
            let triangle = View::new(&self.lower[first * n..], (width, first), (n, 1));
            add_scaled_product(&mut sums, n, 1.0, View::dense(&e, rows, width), triangle);
        }
    }

    /// Each row `x` of `rows` `[r, n]` becomes `x M^-1`.
    pub fn solve(&self, rows: &mut [f64]) {
        let n = self.n;
        self.solve_transposed(rows);
        self.descend(rows.len() / n, |row, t, sum| {
            let x = &mut rows[row * n + t];
            *x = *x / self.row(t)[t] - sum;
            *x
        });
    }
}

/// Factors the square of `width` columns from `first` on, in rows of `n`.
fn factor_square(square: &mut [f64], n: usize, first: usize, width: usize) -> Option<()> {
    for i in 0..width {
        let (done, rest) = square.split_at_mut(i * n);
        let row = &mut rest[first..first + i + 1];
        for j in 0..i {
            let other = &done[j * n + first..][..=j];
            row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
        }
        let pivot = row[i] - dot(&row[..i], &row[..i]);
        if pivot.is_nan() || pivot <= 0.0 || pivot.is_infinite() {
            return None;
        }
        row[i] = pivot.sqrt();
    }
    Some(())
}

/// `x` becomes `x T^-T`, for the triangle `T` of `x.len()` columns from `first` on, in rows of `n`.
fn solve_square(x: &mut [f64], triangle: &[f64], n: usize, first: usize) {
    for i in 0..x.len() {
        let row = &triangle[i * n + first..][..=i];
        x[i] = (x[i] - dot(&x[..i], &row[..i])) / row[i];
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(len: usize) -> Vec<f32> {
        (0..len).map(|index| ((index * 7919 % 1009) as f32 - 504.0) / 300.0).collect()
    }

    #[test]
    fn moments_are_sums_over_positions() {
        let (t, n_a, n_b) = (POSITIONS + 3, 2 * BLOCK + 1, BLOCK + 5);
        let (a, b) = (numbers(t * n_a), numbers(t * n_b));
        let (square, mut cross) = (second_moments(&a, n_a), vec![1.0; n_a * n_b]);
        add_cross_moments(&mut cross, &a, n_a, &b, n_b);
        let column =
            |x: &[f32], n: usize, at: usize| x.iter().skip(at).step_by(n).map(|x| f64::from(*x)).collect::<Vec<_>>();
        for (i, j) in [(0, 0), (0, BLOCK), (BLOCK + 4, 3), (n_a - 1, 7), (70, 66)] {
            let sum = dot(&column(&a, n_a, i), &column(&a, n_a, j));
            assert!((square[i * n_a + j] - sum).abs() < 1e-9);
            let sum = 1.0 + dot(&column(&a, n_a, i), &column(&b, n_b, j.min(n_b - 1)));
            assert!((cross[i * n_b + j.min(n_b - 1)] - sum).abs() < 1e-9);
        }
    }

    #[test]
    fn solutions_solve() {
        for n in [1, 5, BLOCK, 2 * BLOCK + 9] {
            let mut m = second_moments(&numbers(3 * n * n), n);
            (0..n).for_each(|i| m[i * n + i] += 0.5);
            let cholesky = Cholesky::new(m.clone(), n).unwrap();
            let right: Vec<f64> = numbers(3 * n).into_iter().map(f64::from).collect();
            let mut x = right.clone();
            cholesky.solve(&mut x);
            for (x, right) in x.chunks(n).zip(right.chunks(n)) {
                for (col, right) in right.iter().enumerate() {
                    let product = dot(x, &m[col * n..][..n]);
                    assert!((product - right).abs() < 1e-8, "{n}: {product} {right}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_positive_definite_has_no_factor() {
        assert!(Cholesky::new(vec![1.0, 2.0, 2.0, 1.0], 2).is_none());
        assert!(Cholesky::new(vec![f64::NAN], 1).is_none());
        assert!(Cholesky::new(vec![0.0], 1).is_none());
    }
}
