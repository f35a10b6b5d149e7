//! Rounding one matrix: to the nearest integers, or so that each column's error is made up for by those after it.
//!
//! The second kind is GPTQ (Frantar et al., 2022) for a layer `y = W x + b` whose bias stays a float. With the second
//! moments `M` of `(x, 1)`, damped, errors `e = W - Q` cost `e M e^T` a row. In a Cholesky factor of `M` with the bias
//! first, the columns are fixed from the last, and each takes `sum_(s > t) e_s L_st / L_tt` in addition; what reaches the
//! bias is a change of the bias. Then columns are revisited one by one until few change, and the groups' steps fitted by
//! least squares.

use emberlm_core::format::Packing;
use rayon::prelude::*;

use super::descent::Descent;
use super::grid::Grid;
use super::linalg::Cholesky;
use super::row::RoundedRow;

/// Added to the moments' diagonal: this share of its mean. Inputs that are always 0 need it, and it keeps weights near
/// the checkpoint's where the text says little.
const DAMPING: f64 = 0.01;
/// Positions for each input that say enough. Where there are fewer, much of the moments is chance, and the diagonal
/// grows by inputs over positions instead.
const ENOUGH: f64 = 4.0;
/// Passes over the columns before the steps are fitted anew, and after.
const SWEEPS: usize = 2;
/// Rows that one task rounds.
pub const SHARE: usize = 128;

/// The second moments of a layer's inputs, sums over positions.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Weights a row.
    pub n_in: usize,
    /// `[n_in, n_in]`.
    pub squares: Vec<f64>,
    /// Sums of the inputs, for a layer with a bias.
    pub sums: Option<Vec<f64>>,
    /// The number of positions.
    pub count: f64,
}

/// What a change of a row's weights costs, ready to round by.
#[derive(Debug)]
pub struct Metric {
    n_in: usize,
    /// Of the inputs, for a layer with a bias.
    means: Option<Vec<f64>>,
    /// The matrix's column at each place of `factor` after the bias, the one with the least moment first.
    order: Vec<usize>,
    factor: Cholesky,
    /// `[n_in, n_in]`: the moments with the bias at its best, in the order of the columns.
    hessian: Vec<f32>,
}

impl Metric {
    /// `None` where moments are not finite.
    pub fn new(moments: Moments) -> Option<Self> {
        let Moments { n_in: n, squares: mut hessian, sums, count } = moments;
        let mean = (0..n).map(|i| hessian[i * n + i]).sum::<f64>() / n as f64;
        let scarcity = n as f64 / count;
        let share = if scarcity * ENOUGH > 1.0 { scarcity } else { DAMPING };
        let damping = if mean > 0.0 { share * mean } else { 1.0 };
        (0..n).for_each(|i| hessian[i * n + i] += damping);
        let means = sums.as_ref().map(|sums| sums.iter().map(|sum| sum / count).collect::<Vec<f64>>());
        let shared = |i: usize, j: usize| match (&sums, &means) {
            (Some(sums), Some(means)) => sums[i] * means[j],
            _ => 0.0,
        };
        let own: Vec<f64> = (0..n).map(|i| hessian[i * n + i] - shared(i, i)).collect();
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&i, &j| own[i].total_cmp(&own[j]));
        let first = usize::from(means.is_some());
        let m = first + n;
        let mut permuted = vec![0.0; m * m];
        permuted[..first].fill(count);
        permuted[first * m..].par_chunks_mut(m).zip(&order).for_each(|(row, &i)| {
            row[..first].fill(sums.as_ref().map_or(0.0, |sums| sums[i]));
            row[first..].iter_mut().zip(&order).for_each(|(x, &j)| *x = hessian[i * n + j]);
        });
        let factor = Cholesky::new(permuted, m)?;
        hessian.par_chunks_mut(n).enumerate().for_each(|(i, row)| {
            row.iter_mut().enumerate().for_each(|(j, x)| *x -= shared(i, j));
        });
        let hessian = hessian.into_par_iter().map(|x| x as f32).collect();
        Some(Self { n_in: n, means, order, factor, hessian })
    }

    /// Moves `rows` `[r, n_in]` and their `biases` to where the layer's outputs on these inputs come closest to others:
    /// `cross` `[r, n_in]` and `cross_bias` are the sums over positions of what is missing times the inputs, and times 1.
    pub fn correct(&self, rows: &mut [f64], biases: Option<&mut [f64]>, cross: &[f64], cross_bias: &[f64]) {
        let (n, m) = (self.n_in, self.places());
        let first = m - n;
        let mut right = vec![0.0; rows.len() / n * m];
        for (index, (right, cross)) in right.chunks_mut(m).zip(cross.chunks(n)).enumerate() {
            right[..first].fill(cross_bias[index]);
            right[first..].iter_mut().zip(&self.order).for_each(|(x, &column)| *x = cross[column]);
        }
        self.factor.solve(&mut right);
        for (row, change) in rows.chunks_mut(n).zip(right.chunks(m)) {
            change[first..].iter().zip(&self.order).for_each(|(change, &column)| row[column] += change);
        }
        if let (Some(biases), Some(_)) = (biases, &self.means) {
            biases.iter_mut().zip(right.chunks(m)).for_each(|(bias, change)| *bias += change[0]);
        }
    }

    /// Rounds `rows` `[r, n_in]`.
    pub fn round(&self, packing: Packing, rows: &[f64], biases: Option<&[f64]>) -> Vec<RoundedRow> {
        let n = self.n_in;
        let importance: Vec<f64> = (0..n).map(|i| f64::from(self.hessian[i * n + i])).collect();
        let mut rounded: Vec<RoundedRow> = rows
            .chunks(n)
            .map(|row| {
                let grid = Grid::fit(packing, row, Some(&importance));
                RoundedRow { integers: vec![0; n], grid, bias: None }
            })
            .collect();
        self.compensate(packing, rows, &mut rounded);
        let mut descent = Descent::new(&self.hessian, packing, rows, &rounded);
        (0..SWEEPS).for_each(|_| descent.sweep(&mut rounded));
        descent.refit(&mut rounded);
        (0..SWEEPS).for_each(|_| descent.sweep(&mut rounded));
        if let (Some(biases), Some(means)) = (biases, &self.means) {
            // The bias takes what the errors change of the outputs' means.
            for ((row, bias), rounded) in rows.chunks(n).zip(biases).zip(&mut rounded) {
                let weights = rounded.weights(packing.group);
                let change = row.iter().zip(weights).zip(means).map(|((w, q), mean)| (w - f64::from(q)) * mean);
                let change: f64 = change.sum();
                rounded.bias = Some(bias + change);
            }
        }
        rounded
    }

    fn places(&self) -> usize {
        self.n_in + usize::from(self.means.is_some())
    }

    fn compensate(&self, packing: Packing, rows: &[f64], rounded: &mut [RoundedRow]) {
        let (n, first) = (self.n_in, usize::from(self.means.is_some()));
        self.factor.descend(rounded.len(), |row, place, sum| {
            let Some(place) = place.checked_sub(first) else { return 0.0 };
            let column = self.order[place];
            let (weight, rounded) = (rows[row * n + column], &mut rounded[row]);
            let step = rounded.grid.step(column / packing.group);
            let integer = rounded.grid.nearest(weight + sum, step);
            rounded.integers[column] = integer;
            weight - step * f64::from(integer)
        });
    }
}

/// `round` over fixed shares of rows `0..n_rows`, on all threads, in order.
pub fn in_shares<T: Send>(n_rows: usize, round: impl Fn(std::ops::Range<usize>) -> Vec<T> + Sync) -> Vec<T> {
    let shares: Vec<_> = (0..n_rows).step_by(SHARE).map(|first| first..n_rows.min(first + SHARE)).collect();
    shares.into_par_iter().flat_map_iter(&round).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::linalg::second_moments;
    use emberlm_core::format::Format;

    /// Inputs `[t, n]` that depend on one another, the column `dead` all zero.
    fn inputs(t: usize, n: usize, dead: usize) -> Vec<f32> {
        let noise = |i: usize| ((i * 7919 % 1009) as f32 - 504.0) / 504.0;
        (0..t * n)
            .map(|at| match (at / n, at % n) {
                (_, column) if column == dead => 0.0,
                (row, column) => 0.7 + noise(row * 31) * (column % 5) as f32 + noise(at),
            })
            .collect()
    }

    fn moments(x: &[f32], n: usize, bias: bool) -> Moments {
        let sums = (0..n).map(|i| x.iter().skip(i).step_by(n).map(|x| f64::from(*x)).sum()).collect();
        Moments { n_in: n, squares: second_moments(x, n), sums: bias.then_some(sums), count: (x.len() / n) as f64 }
    }

    /// Mean square of what rounding changes of the outputs of one row.
    fn output_error(x: &[f32], weights: &[f64], bias: f64, rounded: &RoundedRow, group: usize) -> f64 {
        let n = weights.len();
        let stored: Vec<f64> = rounded.weights(group).map(f64::from).collect();
        let change = rounded.bias.unwrap_or(bias) - bias;
        let errors = x.chunks(n).map(|x| {
            x.iter().zip(stored.iter().zip(weights)).map(|(x, (q, w))| f64::from(*x) * (q - w)).sum::<f64>() + change
        });
        errors.map(|error| error * error).sum::<f64>() / (x.len() / n) as f64
    }

    #[test]
    fn outputs_change_far_less_than_by_the_nearest_integers() {
        let (t, n) = (1000, 150);
        let x = inputs(t, n, 17);
        let weights: Vec<f64> = (0..3 * n).map(|i| ((i * 6007 % 997) as f64 / 498.5 - 1.0) * 0.1).collect();
        for format in [Format::Q8, Format::Q6, Format::Q5, Format::Q4, Format::Q3] {
            let packing = format.packing().unwrap();
            for bias in [false, true] {
                let metric = Metric::new(moments(&x, n, bias)).unwrap();
                let rounded = metric.round(packing, &weights, bias.then_some(&[0.25; 3]));
                for (row, rounded) in weights.chunks(n).zip(&rounded) {
                    let nearest = output_error(&x, row, 0.25, &RoundedRow::nearest(packing, row), packing.group);
                    let compensated = output_error(&x, row, 0.25, rounded, packing.group);
                    assert!(compensated < 0.5 * nearest, "{}: {compensated} {nearest}", format.name());
                    assert_eq!(rounded.bias.is_some(), bias);
                }
            }
        }
    }

    #[test]
    fn corrections_make_up_for_other_inputs() {
        let (t, n) = (400, 20);
        let (x, other) = (inputs(t, n, n), inputs(t, n, 3));
        let weights: Vec<f64> = (0..n).map(|i| (i as f64 * 0.7).sin()).collect();
        let output = |x: &[f32], w: &[f64], b: f64| {
            x.chunks(n).map(|x| x.iter().zip(w).map(|(x, w)| f64::from(*x) * w).sum::<f64>() + b).collect::<Vec<_>>()
        };
        let want = output(&x, &weights, 0.5);
        let missing: Vec<f64> = want.iter().zip(output(&other, &weights, 0.5)).map(|(a, b)| a - b).collect();
        let cross: Vec<f64> =
            (0..n).map(|i| other.chunks(n).zip(&missing).map(|(x, missing)| f64::from(x[i]) * missing).sum()).collect();
        let (mut corrected, mut bias) = (weights.clone(), [0.5]);
        let metric = Metric::new(moments(&other, n, true)).unwrap();
        metric.correct(&mut corrected, Some(&mut bias), &cross, &[missing.iter().sum()]);
        let square = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>();
        let rest: Vec<f64> = want.iter().zip(output(&other, &corrected, bias[0])).map(|(a, b)| a - b).collect();
        assert!(square(&rest) < 0.2 * square(&missing), "{} {}", square(&rest), square(&missing));
        assert!((corrected[3] - weights[3]).abs() < 1e-12, "a dead input's weight stays");
    }

    #[test]
    fn inputs_that_are_never_anything_leave_the_nearest_integers() {
        let packing = Format::Q4.packing().unwrap();
        let row: Vec<f64> = (0..40).map(|i| (f64::from(i) * 0.9).sin()).collect();
        let metric = Metric::new(moments(&[0.0; 400], 40, true)).unwrap();
        let [rounded] = metric.round(packing, &row, Some(&[1.0])).try_into().unwrap();
        let nearest = RoundedRow::nearest(packing, &row);
        let error =
            |rounded: &RoundedRow| rounded.weights(32).zip(&row).map(|(q, w)| (f64::from(q) - w).powi(2)).sum::<f64>();
        assert!(error(&rounded) <= error(&nearest) && rounded.bias == Some(1.0));
        assert!(Metric::new(moments(&[f32::NAN; 40], 40, false)).is_none());
    }
}
