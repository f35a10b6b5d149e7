//! Products whose parts fit each other: what a kernel need not look at again.

use super::inputs::{F32Inputs, Inputs};
use super::rows::Rows;
use crate::format::Packing;

/// A product of f32 activations: row `r`, position `t` goes to `out[t * out_stride + r]`.
#[derive(Debug)]
pub struct F32Matmul<'a> {
    /// Outputs of all rows and positions, each its own.
    out: &'a mut [f32],
    out_stride: usize,
    inputs: F32Inputs<'a>,
    rows: Rows<'a>,
}

/// What an [`F32Matmul`] consists of.
#[derive(Debug)]
pub struct F32Parts<'a> {
    /// `(positions - 1) * out_stride` outputs and one for each row, or more.
    pub out: &'a mut [f32],
    /// From position to position.
    pub out_stride: usize,
    /// The activations.
    pub inputs: F32Inputs<'a>,
    /// The weights, as many a row.
    pub rows: Rows<'a>,
}

impl<'a> F32Matmul<'a> {
    /// `None` where rows have another length than positions, or outputs are missing.
    #[inline(always)]
    pub fn new(out: &'a mut [f32], out_stride: usize, inputs: F32Inputs<'a>, rows: Rows<'a>) -> Option<Self> {
        let fits = inputs.n_in() == rows.n_in() && holds(out, out_stride, inputs.n(), rows.n());
        fits.then_some(Self { out, out_stride, inputs, rows })
    }

    /// Takes it apart.
    #[inline(always)]
    pub fn into_parts(self) -> F32Parts<'a> {
        let Self { out, out_stride, inputs, rows } = self;
        F32Parts { out, out_stride, inputs, rows }
    }
}

/// A product of activations and weights that are integers: row `r`, position `t` goes to `out[t * out_stride + r]`.
#[derive(Debug)]
pub struct Matmul<'a> {
    out: &'a mut [f32],
    out_stride: usize,
    inputs: Inputs<'a>,
    rows: Rows<'a>,
    packing: Packing,
}

/// What a [`Matmul`] consists of.
#[derive(Debug)]
pub struct Parts<'a> {
    /// `(positions - 1) * out_stride` outputs and one for each row, or more.
    pub out: &'a mut [f32],
    /// From position to position.
    pub out_stride: usize,
    /// The activations.
    pub inputs: Inputs<'a>,
    /// The weights, as many a row.
    pub rows: Rows<'a>,
    /// How they are packed.
    pub packing: Packing,
}

impl<'a> Matmul<'a> {
    /// `None` where weights are floats, rows have another length than positions, or outputs are missing.
    #[inline(always)]
    pub fn new(out: &'a mut [f32], out_stride: usize, inputs: Inputs<'a>, rows: Rows<'a>) -> Option<Self> {
        let packing = rows.format().packing()?;
        let fits = inputs.n_in() == rows.n_in() && holds(out, out_stride, inputs.scales().len(), rows.n());
        fits.then_some(Self { out, out_stride, inputs, rows, packing })
    }

    /// Takes it apart.
    #[inline(always)]
    pub fn into_parts(self) -> Parts<'a> {
        let Self { out, out_stride, inputs, rows, packing } = self;
        Parts { out, out_stride, inputs, rows, packing }
    }

    /// How many outputs it has.
    pub fn n_outputs(&self) -> usize {
        self.inputs.scales().len() * self.rows.n()
    }

    /// How the weights are stored.
    pub const fn rows(&self) -> Rows<'a> {
        self.rows
    }
}

/// Whether there is a place for each output. Products of any lengths of 32 bits are exact.
#[inline(always)]
const fn holds(out: &[f32], out_stride: usize, n: usize, n_rows: usize) -> bool {
    n == 0 || (n - 1) as u64 * out_stride as u64 + n_rows as u64 <= out.len() as u64
}
