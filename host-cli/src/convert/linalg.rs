//! The linear algebra that rounding needs: second moments, as f64, and in f64 triangular systems of a Cholesky factor.
//!
//! Columns are taken a block at a time, and blocks in panels: what a block does to its panel is a small product, what a
//! panel does to all other columns a large one. All sizes are fixed, so that no result depends on the number of threads.

use std::ops::Range;

use rayon::prelude::*;

use crate::reference::gemm::{View, add_scaled_product, par_add_tiles};
use crate::reference::lanes::{add_scaled, dot, in_lanes};

/// Columns of a block.
pub const BLOCK: usize = 64;
/// Columns of a panel.
pub const PANEL: usize = 512;
/// Positions whose products are added in f32, before their sums are in f64.
const POSITIONS: usize = 1024;

/// Adds `a^T b` to `out` `[n_a, n_b]`, for `a` `[t, n_a]` and `b` `[t, n_b]`.
pub fn add_cross_moments(out: &mut [f64], a: &[f32], n_a: usize, b: &[f32], n_b: usize) {
    add_products(out, (a, n_a), (b, n_b), |_, _| true);
}

/// The second moments `a^T a` `[n, n]` of `a` `[t, n]`.
///
/// Products are those of the deviations from the means, whose own are added in f64: columns may be far from 0, and vary
/// little.
pub fn second_moments(a: &[f32], n: usize) -> Vec<f64> {
    let mut out = vec![0.0; n * n];
    let count = (a.len() / n) as f64;
    let sums = column_sums(a, n);
    let means: Vec<f32> = sums.iter().map(|sum| (sum / count) as f32).collect();
    let mut deviations = a.to_vec();
    let rows = deviations.par_chunks_mut(n);
    rows.for_each(|row| row.iter_mut().zip(&means).for_each(|(x, mean)| *x -= mean));
    add_products(&mut out, (&deviations, n), (&deviations, n), |rows, cols| cols.end > rows.start);
    // What is left of the diagonal is what is right of it.
    for first in (0..n).step_by(BLOCK) {
        for row in first..n {
            for col in first..(first + BLOCK).min(row) {
                out[row * n + col] = out[col * n + row];
            }
        }
    }
    let means: Vec<f64> = to_f64(&means);
    let rest: Vec<f64> = sums.iter().zip(&means).map(|(sum, mean)| sum - count * mean).collect();
    out.par_chunks_mut(n).enumerate().for_each(|(i, row)| {
        for ((x, mean), rest_of_mean) in row.iter_mut().zip(&means).zip(&rest) {
            *x += means[i] * rest_of_mean + mean * rest[i] + count * means[i] * mean;
        }
    });
    out
}

/// Sums over positions of `x` `[t, n]`.
pub fn column_sums(x: &[f32], n: usize) -> Vec<f64> {
    let of_positions = |x: &[f32]| {
        let mut sums = vec![0.0; n];
        x.chunks(n).for_each(|row| sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x)));
        sums
    };
    let parts: Vec<Vec<f64>> = x.par_chunks(POSITIONS / 4 * n).map(of_positions).collect();
    let mut sums = vec![0.0; n];
    parts.iter().for_each(|part| sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part));
    sums
}

/// Adds to `out` `[n_a, n_b]` those tiles of `a^T b` that are wanted.
fn add_products(
    out: &mut [f64],
    (a, n_a): (&[f32], usize),
    (b, n_b): (&[f32], usize),
    wanted: impl Fn(Range<usize>, Range<usize>) -> bool,
) {
    let mut products = vec![0.0; n_a * n_b];
    for (a, b) in a.chunks(POSITIONS * n_a).zip(b.chunks(POSITIONS * n_b)) {
        let t = a.len() / n_a;
        products.fill(0.0);
        let (a, b) = (View::dense(a, t, n_a).transposed(), View::dense(b, t, n_b));
        par_add_tiles(&mut products, n_b, 1.0, a, b, &wanted);
        let rows = out.par_chunks_mut(n_b).zip(products.par_chunks(n_b));
        rows.for_each(|(out, products)| out.iter_mut().zip(products).for_each(|(out, x)| *out += f64::from(*x)));
    }
}

fn to_f64(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}

/// The blocks of the columns `first..first + width`, as their first column and their width.
pub fn blocks(first: usize, width: usize, block: usize) -> impl DoubleEndedIterator<Item = (usize, usize)> {
    let end = first + width;
    (0..width.div_ceil(block)).map(move |index| (first + index * block, block.min(end - first - index * block)))
}

/// Columns `first..first + width` of `rows` `[r, n]`, as `[r, width]`.
fn columns(rows: &[f64], n: usize, first: usize, width: usize) -> Vec<f64> {
    rows.chunks(n).flat_map(|row| &row[first..first + width]).copied().collect()
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
        for (panel, panel_width) in blocks(0, n, PANEL) {
            let end = panel + panel_width;
            for (first, width) in blocks(panel, panel_width, BLOCK) {
                let (above, below) = lower.split_at_mut((first + width) * n);
                let square = &mut above[first * n..];
                factor_square(square, n, first, width)?;
                let square = &*square;
                let solve = |rows: &mut [f64]| solve_square(rows, square, n, first, width);
                below.par_chunks_mut(BLOCK * n).for_each(solve);
                subtract_square(below, n, first, width, end - first - width);
            }
            subtract_square(&mut lower[end * n..], n, panel, panel_width, n - end);
        }
        Some(Self { n, lower })
    }

    /// Row `t` of the triangle, up to the diagonal.
    fn row(&self, t: usize) -> &[f64] {
        &self.lower[t * self.n..][..=t]
    }

    /// The triangle's rows and columns from `row` and `col` on.
    fn part(&self, (row, n_rows): (usize, usize), (col, n_cols): (usize, usize)) -> View<'_, f64> {
        let start = (row * self.n + col).min(self.lower.len());
        View::new(&self.lower[start..], (n_rows, n_cols), (self.n, 1))
    }

    /// Each row `x` of `rows` `[r, n]` becomes `x L^-T`.
    pub fn solve_transposed(&self, rows: &mut [f64]) {
        let (n, r) = (self.n, rows.len() / self.n);
        let subtract = |rows: &mut [f64], (first, width): (usize, usize), end: usize| {
            let (known, next) = (columns(rows, n, first, width), first + width);
            let triangle = self.part((next, end - next), (first, width)).transposed();
            add_scaled_product(&mut rows[next.min(n - 1)..], n, -1.0, View::dense(&known, r, width), triangle);
        };
        for panel in blocks(0, n, PANEL) {
            for (first, width) in blocks(panel.0, panel.1, BLOCK) {
                solve_square(rows, &self.lower[first * n..], n, first, width);
                subtract(rows, (first, width), panel.0 + panel.1);
            }
            subtract(rows, panel, n);
        }
    }

    /// Goes through the columns from the last to the first: `column(row, t, sum)` is given the sum over `s > t` of
    /// `e_s L_st / L_tt`, and returns `e_t`. Rows are `rows` many.
    pub fn descend(&self, rows: usize, mut column: impl FnMut(usize, usize, f64) -> f64) {
        let n = self.n;
        let (mut sums, mut e) = (vec![0.0; rows * n], vec![0.0; rows * n]);
        let add = |sums: &mut [f64], e: &[f64], (first, width): (usize, usize), begin: usize| {
            let e = View::new(&e[first..], (rows, width), (n, 1));
            add_scaled_product(&mut sums[begin..], n, 1.0, e, self.part((first, width), (begin, first - begin)));
        };
        for panel in blocks(0, n, PANEL).rev() {
            for (first, width) in blocks(panel.0, panel.1, BLOCK).rev() {
                for row in 0..rows {
                    let sums = &mut sums[row * n + first..][..width];
                    for i in (0..width).rev() {
                        let triangle = &self.row(first + i)[first..];
                        let chosen = column(row, first + i, sums[i] / triangle[i]);
                        e[row * n + first + i] = chosen;
                        add_multiple(&mut sums[..i], chosen, triangle);
                    }
                }
                add(&mut sums, &e, (first, width), panel.0);
            }
            add(&mut sums, &e, panel, 0);
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

/// Of `below`, the rows of `n` under a square whose columns `first..first + width` are known, the `n_cols` columns that
/// follow lose the known columns' products. Only the lower triangle means anything.
fn subtract_square(below: &mut [f64], n: usize, first: usize, width: usize, n_cols: usize) {
    if n_cols == 0 {
        return;
    }
    let known = columns(below, n, first, width);
    let left = View::dense(&known, below.len() / n, width);
    let right = View::dense(&known[..n_cols * width], n_cols, width).transposed();
    par_add_tiles(&mut below[first + width..], n, -1.0, left, right, |rows, cols| cols.start < rows.end);
}

in_lanes! {
    fn add_multiple(sums: &mut [f64], chosen: f64, triangle: &[f64]) {
        add_scaled(sums, chosen, triangle);
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

    /// Columns `first..first + width` `x` of each of `rows` of `n` become `x T^-T`, for the triangle `T` of those columns, in
    /// rows of `n`.
    fn solve_square(rows: &mut [f64], triangle: &[f64], n: usize, first: usize, width: usize) {
        for row in rows.chunks_mut(n) {
            let x = &mut row[first..first + width];
            for i in 0..width {
                let row = &triangle[i * n + first..][..=i];
                x[i] = (x[i] - dot(&x[..i], &row[..i])) / row[i];
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
    fn moments_are_sums_over_positions() {
        let (t, n_a, n_b) = (POSITIONS + 3, 2 * BLOCK + 1, BLOCK + 5);
        let (a, b) = (numbers(t * n_a), numbers(t * n_b));
        let (square, mut cross) = (second_moments(&a, n_a), vec![1.0; n_a * n_b]);
        add_cross_moments(&mut cross, &a, n_a, &b, n_b);
        let column =
            |x: &[f32], n: usize, at: usize| x.iter().skip(at).step_by(n).map(|x| f64::from(*x)).collect::<Vec<_>>();
        for (i, j) in [(0, 0), (0, BLOCK), (BLOCK + 4, 3), (n_a - 1, 7), (70, 66)] {
            let sum = dot(&column(&a, n_a, i), &column(&a, n_a, j));
            assert!((square[i * n_a + j] - sum).abs() < 1e-6 * t as f64);
            let sum = 1.0 + dot(&column(&a, n_a, i), &column(&b, n_b, j.min(n_b - 1)));
            assert!((cross[i * n_b + j.min(n_b - 1)] - sum).abs() < 1e-6 * t as f64);
        }
    }

    #[test]
    fn columns_far_from_zero_keep_what_they_vary_by() {
        let (t, n) = (2 * POSITIONS, 3);
        let x: Vec<f32> = numbers(t * n).iter().enumerate().map(|(at, x)| [0.0, 1e3, -4e3][at % n] + x).collect();
        let (squares, sums) = (second_moments(&x, n), column_sums(&x, n));
        for (i, j) in [(1, 1), (2, 2), (1, 2), (2, 0)] {
            let deviation = |column: usize, row: &[f32]| f64::from(row[column]) - sums[column] / t as f64;
            let expected: f64 = x.chunks(n).map(|row| deviation(i, row) * deviation(j, row)).sum();
            let found = squares[i * n + j] - sums[i] * sums[j] / t as f64;
            assert!((found - expected).abs() < 1e-6 * t as f64, "{i} {j}: {found} {expected}");
        }
    }

    #[test]
    fn solutions_solve() {
        for n in [1, 5, BLOCK, 2 * BLOCK + 9, PANEL + BLOCK + 3] {
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
