//! Coordinate descent on integers that are rounded already: each becomes the best for what the others are.
//!
//! In f32: slopes say which of two integers is nearer, and are far from exact halves.

use emberlm_core::format::Packing;

use super::linalg::{BLOCK, PANEL, blocks};
use super::row::RoundedRow;
use crate::reference::gemm::{View, add_scaled_product};
use crate::reference::lanes::{add_scaled, dot, in_lanes};

/// Where fewer than one in so many weights change, they are taken one by one.
const FEW: usize = 3;
/// Columns that such a change is counted into at a time: a panel's rows of the Hessian, so wide, stay in a cache.
const STRIP: usize = 256;

/// Coordinate descent on the integers and steps of several rows.
#[derive(Debug)]
pub struct Descent<'m> {
    n_in: usize,
    /// `[n_in, n_in]`.
    hessian: &'m [f32],
    packing: Packing,
    /// `[r, n_in]`: half the derivative of the cost by each weight.
    slopes: Vec<f32>,
}

impl<'m> Descent<'m> {
    /// Of `rows` `[r, n_in]` that have become `rounded`; `hessian` `[n_in, n_in]` says what errors cost.
    pub fn new(hessian: &'m [f32], packing: Packing, rows: &[f64], rounded: &[RoundedRow]) -> Self {
        let n_in = rows.len() / rounded.len();
        let mut errors = vec![0.0; rows.len()];
        for ((errors, weights), row) in errors.chunks_mut(n_in).zip(rows.chunks(n_in)).zip(rounded) {
            let groups = errors.chunks_mut(packing.group).zip(weights.chunks(packing.group));
            for (index, (integers, (errors, weights))) in row.integers.chunks(packing.group).zip(groups).enumerate() {
                let step = row.grid.step(index);
                let error = |(&q, weight): (&i8, &f64)| (step * f64::from(q) - weight) as f32;
                errors.iter_mut().zip(integers.iter().zip(weights).map(error)).for_each(|(out, error)| *out = error);
            }
        }
        let mut slopes = vec![0.0; rows.len()];
        let (errors, all) = (View::dense(&errors, rounded.len(), n_in), View::dense(hessian, n_in, n_in));
        add_scaled_product(&mut slopes, n_in, 1.0, errors, all);
        Self { n_in, hessian, packing, slopes }
    }

    /// Each integer in turn becomes the best for what the others are.
    pub fn sweep(&mut self, rounded: &mut [RoundedRow]) {
        self.pass(BLOCK, rounded, improve_integers);
    }

    /// Each group's step in turn becomes the best for its integers.
    pub fn refit(&mut self, rounded: &mut [RoundedRow]) {
        self.pass(self.packing.group, rounded, improve_step);
    }

    /// Changes weights block by block, and keeps the slopes what they are.
    fn pass(&mut self, block: usize, rounded: &mut [RoundedRow], change: impl Fn(Part<'_>) + Copy) {
        let (n, r, group) = (self.n_in, rounded.len(), self.packing.group);
        let mut changes = vec![0.0; r * PANEL.min(n)];
        for (panel, panel_width) in blocks(0, n, PANEL) {
            let changes = &mut changes[..r * panel_width];
            changes.fill(0.0);
            for (first, width) in blocks(panel, panel_width, block) {
                let square = Square { rows: &self.hessian[first * n + first..], stride: n, width };
                let rows = rounded.iter_mut().zip(self.slopes.chunks(n)).zip(changes.chunks_mut(panel_width));
                for ((row, slopes), changes) in rows {
                    let slopes = &slopes[first..first + width];
                    let changes = &mut changes[first - panel..][..width];
                    change(Part { row, first, group, square, slopes, changes });
                }
                self.add(&changes[first - panel..], panel_width, (first, width), (panel, panel_width));
            }
            let next = panel + panel_width;
            for others in [(0, panel), (next, n - next)] {
                self.add(changes, panel_width, (panel, panel_width), others);
            }
        }
    }

    /// Counts changes of the weights of columns `first..first + width`, rows of `stride`, into the slopes of others.
    fn add(&mut self, changes: &[f32], stride: usize, (first, width): (usize, usize), others: (usize, usize)) {
        let (n, (begin, n_cols)) = (self.n_in, others);
        if n_cols == 0 {
            return;
        }
        let rows = || changes.chunks(stride).map(|row| &row[..width]);
        let n_changed = rows().flatten().filter(|change| **change != 0.0).count();
        let r = self.slopes.len() / n;
        if n_changed > r * width / FEW {
            let hessian = View::new(&self.hessian[first * n + begin..], (width, n_cols), (n, 1));
            let changes = View::new(changes, (r, width), (stride, 1));
            return add_scaled_product(&mut self.slopes[begin..], n, 1.0, changes, hessian);
        }
        for (begin, n_cols) in blocks(begin, n_cols, STRIP) {
            for (row, slopes) in rows().zip(self.slopes.chunks_mut(n)) {
                let curvatures = &self.hessian[first * n + begin..];
                add_changes(&mut slopes[begin..][..n_cols], row, curvatures, n);
            }
        }
    }
}

/// Of one row the weights of a block.
struct Part<'p> {
    row: &'p mut RoundedRow,
    /// The block's first column.
    first: usize,
    group: usize,
    square: Square<'p>,
    slopes: &'p [f32],
    /// What is added to the weights.
    changes: &'p mut [f32],
}

in_lanes! {
    /// [`Descent::sweep`].
    fn improve_integers(part: Part<'_>) {
        let Part { row, first, group, square, slopes, changes } = part;
        // Here only the slopes of columns still to come matter; the changes are counted into all of them afterwards.
        let mut later = [0.0; BLOCK];
        let later = &mut later[..slopes.len()];
        later.copy_from_slice(slopes);
        for (i, change) in changes.iter_mut().enumerate() {
            let curvatures = square.row(i);
            let step = row.grid.step((first + i) / group);
            let integer = &mut row.integers[first + i];
            let old = step * f64::from(*integer);
            let best = row.grid.nearest(old - f64::from(later[i] / curvatures[i]), step);
            if best != *integer {
                *integer = best;
                *change = (step * f64::from(best) - old) as f32;
                add_scaled(later, *change, curvatures);
            }
        }
    }

    /// [`Descent::refit`].
    fn improve_step(part: Part<'_>) {
        let Part { row, first, group, square, slopes, changes } = part;
        let mut integers = [0.0; BLOCK];
        let integers = &mut integers[..slopes.len()];
        for (x, &q) in integers.iter_mut().zip(&row.integers[first..]) {
            *x = f32::from(q);
        }
        let mut curvature = 0.0;
        for (i, q) in integers.iter().enumerate() {
            curvature += q * dot(integers, square.row(i));
        }
        if curvature <= 0.0 {
            return;
        }
        let old = row.grid.step(first / group);
        let best = row.grid.refit(first / group, old - f64::from(dot(integers, slopes) / curvature));
        for (change, q) in changes.iter_mut().zip(integers) {
            *change = (best - old) as f32 * *q;
        }
    }

    /// Counts the changes of one row into some of its slopes; `curvatures` are as many columns of the changed weights' rows of
    /// the Hessian, which are `stride` apart.
    fn add_changes(slopes: &mut [f32], changes: &[f32], curvatures: &[f32], stride: usize) {
        for (index, &change) in changes.iter().enumerate() {
            if change != 0.0 {
                add_scaled(slopes, change, &curvatures[index * stride..][..slopes.len()]);
            }
        }
    }
}

/// The Hessian of a block's columns.
#[derive(Clone, Copy)]
struct Square<'h> {
    rows: &'h [f32],
    stride: usize,
    width: usize,
}

impl<'h> Square<'h> {
    #[inline(always)]
    fn row(self, index: usize) -> &'h [f32] {
        &self.rows[index * self.stride..][..self.width]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::linalg::second_moments;
    use emberlm_core::format::Format;

    /// The sum over rows of `e H e^T`, for errors `e`.
    fn cost(hessian: &[f32], packing: Packing, rows: &[f64], rounded: &[RoundedRow]) -> f64 {
        let n = rows.len() / rounded.len();
        let slopes = Descent::new(hessian, packing, rows, rounded).slopes;
        let stored = rounded.iter().flat_map(|row| row.weights(packing.group));
        let errors = stored.zip(rows).map(|(stored, weight)| f64::from(stored) - weight);
        assert_eq!(slopes.len(), rounded.len() * n);
        errors.zip(slopes).map(|(error, slope)| error * f64::from(slope)).sum()
    }

    /// Many changes at first, few after: both ways of counting them, over several panels.
    #[test]
    fn each_pass_lowers_the_cost_and_slopes_stay_those_of_the_errors() {
        let (n, r) = (PANEL + STRIP + 35, 3);
        let noise = |i: usize| ((i * 7919 % 1009) as f32 - 504.0) / 504.0;
        let x: Vec<f32> = (0..2 * n * n).map(|at| noise(at) + 0.5 * noise(at / n * 31)).collect();
        let hessian: Vec<f32> = second_moments(&x, n).into_iter().map(|x| x as f32).collect();
        let rows: Vec<f64> = (0..r * n).map(|i| f64::from(noise(i * 17)) * 0.1).collect();
        for packing in [Format::Q8, Format::Q4].map(|format| format.packing().unwrap()) {
            let mut rounded: Vec<RoundedRow> = rows.chunks(n).map(|row| RoundedRow::nearest(packing, row)).collect();
            rounded.iter_mut().for_each(|row| row.integers.fill(0));
            let mut descent = Descent::new(&hessian, packing, &rows, &rounded);
            let mut costs = vec![cost(&hessian, packing, &rows, &rounded)];
            for pass in [Descent::sweep, Descent::sweep, Descent::refit, Descent::sweep] {
                pass(&mut descent, &mut rounded);
                costs.push(cost(&hessian, packing, &rows, &rounded));
                let anew = Descent::new(&hessian, packing, &rows, &rounded).slopes;
                let largest = hessian[0] * 0.1;
                let close = |(x, y): (&f32, &f32)| (x - y).abs() < 1e-4 * largest;
                assert!(descent.slopes.iter().zip(&anew).all(close), "{packing:?}");
            }
            assert!(costs.is_sorted_by(|a, b| a > b), "{packing:?} {costs:?}");
            assert!(costs[4] < 0.1 * costs[0], "{packing:?} {costs:?}");
        }
    }
}
