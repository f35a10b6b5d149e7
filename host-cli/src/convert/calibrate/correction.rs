//! What weights are to make up for: what a layer's outputs lack because its inputs are those of a rounded model.

use std::ops::Range;

use super::exact::par_zip;
use crate::convert::linalg::{add_cross_moments, column_sums};
use crate::reference::gemm::{View, add_product};
use crate::reference::ops::Linear;

/// The same inputs in the checkpoint's model and in a rounded one, `[t, n_in]` each.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'i> {
    /// The checkpoint's.
    pub exact: &'i [f32],
    /// The rounded model's.
    pub rounded: &'i [f32],
}

/// What a layer's outputs lack, as sums over positions.
#[derive(Debug)]
pub enum Correction {
    /// What its inputs lack, times the inputs, `[n_in, n_in]`, and times 1, `[n_in]`: the weights times that.
    OfInputs(Vec<f64>, Vec<f64>),
    /// What the outputs lack, times the inputs, `[n_out, n_in]`, and times 1, `[n_out]`.
    OfOutputs(Vec<f64>, Vec<f64>),
}

impl Correction {
    /// Where the layer adds to a residual stream that lacks `missing` `[t, n_out]`, its outputs make up for that too.
    pub fn new(layer: &Linear<'_>, inputs: Inputs<'_>, n_in: usize, missing: Option<Vec<f32>>) -> Self {
        let lacking = par_zip(inputs.exact, inputs.rounded, |exact, rounded| exact - rounded);
        let Some(mut missing) = missing else {
            let mut cross = vec![0.0; n_in * n_in];
            add_cross_moments(&mut cross, &lacking, n_in, inputs.rounded, n_in);
            return Self::OfInputs(cross, column_sums(&lacking, n_in));
        };
        let n_out = missing.len() / (lacking.len() / n_in);
        layer.add_weighted(&mut missing, &lacking);
        let mut cross = vec![0.0; n_out * n_in];
        add_cross_moments(&mut cross, &missing, n_out, inputs.rounded, n_in);
        Self::OfOutputs(cross, column_sums(&missing, n_out))
    }

    /// For rows `range`, whose weights are `rows`: what their outputs lack times the inputs, and times 1.
    pub fn of_rows(&self, rows: &[f64], range: Range<usize>) -> (Vec<f64>, Vec<f64>) {
        let n = rows.len() / range.len();
        match self {
            Self::OfInputs(cross, sums) => {
                let (mut of_rows, mut sums_of_rows) = (vec![0.0; rows.len()], vec![0.0; range.len()]);
                let left = View::dense(rows, range.len(), n);
                add_product(&mut of_rows, left, View::dense(cross, n, n));
                add_product(&mut sums_of_rows, left, View::dense(sums, n, 1));
                (of_rows, sums_of_rows)
            }
            Self::OfOutputs(cross, sums) => (cross[range.start * n..range.end * n].to_vec(), sums[range].to_vec()),
        }
    }
}
