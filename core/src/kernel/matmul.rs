//! Products whose parts fit each other: what a kernel need not look at again.

use super::inputs::{F32Inputs, Inputs};
use super::rows::Rows;
use crate::format::Packing;

/// A product of f32 activations.
#[derive(Debug)]
pub struct F32Matmul<'a> {
    out: &'a mut [f32],
    inputs: F32Inputs<'a>,
    rows: Rows<'a>,
}

/// What an [`F32Matmul`] consists of.
#[derive(Debug)]
pub struct F32Parts<'a> {
    /// Where each output goes, `[positions][rows]`.
    pub out: &'a mut [f32],
    /// The activations.
    pub inputs: F32Inputs<'a>,
    /// The weights, as many a row.
    pub rows: Rows<'a>,
}

impl<'a> F32Matmul<'a> {
    /// `None` where rows have another length than positions, or `out` has not one element for each row and position.
    #[inline(always)]
    pub fn new(out: &'a mut [f32], inputs: F32Inputs<'a>, rows: Rows<'a>) -> Option<Self> {
        let fits = inputs.n_in() == rows.n_in() && holds(out, inputs.n(), rows.n());
        fits.then_some(Self { out, inputs, rows })
    }

    /// Takes it apart.
    #[inline(always)]
    pub fn into_parts(self) -> F32Parts<'a> {
        let Self { out, inputs, rows } = self;
        F32Parts { out, inputs, rows }
    }
}

/// A product of activations and weights that are integers.
#[derive(Debug)]
pub struct Matmul<'a> {
    out: &'a mut [f32],
    inputs: Inputs<'a>,
    rows: Rows<'a>,
    packing: Packing,
}

/// What a [`Matmul`] consists of.
#[derive(Debug)]
pub struct Parts<'a> {
    /// Where each output goes, `[positions][rows]`.
    pub out: &'a mut [f32],
    /// The activations.
    pub inputs: Inputs<'a>,
    /// The weights, as many a row.
    pub rows: Rows<'a>,
    /// How they are packed.
    pub packing: Packing,
}

impl<'a> Matmul<'a> {
    /// `None` where weights are floats, rows have another length than positions, or `out` has not one element for each
    /// row and position.
    #[inline(always)]
    pub fn new(out: &'a mut [f32], inputs: Inputs<'a>, rows: Rows<'a>) -> Option<Self> {
        let packing = rows.format().packing()?;
        let fits = inputs.n_in() == rows.n_in() && holds(out, inputs.scales().len(), rows.n());
        fits.then_some(Self { out, inputs, rows, packing })
    }

    /// Takes it apart.
    #[inline(always)]
    pub fn into_parts(self) -> Parts<'a> {
        let Self { out, inputs, rows, packing } = self;
        Parts { out, inputs, rows, packing }
    }

    /// How many outputs it has.
    pub const fn n_outputs(&self) -> usize {
        self.out.len()
    }

    /// How the weights are stored.
    pub const fn rows(&self) -> Rows<'a> {
        self.rows
    }
}

/// Whether there is a place for each output, and none beside.
#[inline(always)]
fn holds(out: &[f32], n: usize, n_rows: usize) -> bool {
    n.checked_mul(n_rows) == Some(out.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MAX_WIDTH;
    use crate::format::Format;
    use crate::kernel::{Rounding, input_words};

    /// Bytes at a multiple of 4.
    #[repr(align(4))]
    struct Bytes([u8; 280]);

    #[test]
    fn rows_are_whole_aligned_and_of_a_length_that_models_have() {
        let bytes = Bytes([0; 280]);
        let stride = Format::Q8.row_stride(64);
        let rows = |n, n_in| Rows::new(Format::Q8, &bytes.0[..n], n_in).map(Rows::n);
        assert_eq!([rows(0, 64), rows(stride, 64), rows(4 * stride, 64)], [Some(0), Some(1), Some(4)]);
        assert_eq!([rows(stride - 1, 64), rows(stride + 1, 64), rows(4 * stride, 40)], [None; 3]);
        assert!(Rows::new(Format::Q8, &bytes.0[1..=stride], 64).is_none());
        for n_in in [0, MAX_WIDTH as usize + 1, usize::MAX / 2, usize::MAX] {
            assert!(rows(0, n_in).is_none(), "{n_in}");
        }
    }

    #[test]
    fn each_position_has_its_integers_and_its_scale() {
        let (words, scales) = ([0; 64], [1.0; 4]);
        let inputs = |n_words, n, n_in| Inputs::new(&words[..n_words], &scales[..n], n_in).is_some();
        let len = input_words(33);
        assert!(inputs(0, 0, 33) && inputs(len, 1, 33) && inputs(3 * len, 3, 33));
        assert!(!inputs(len, 0, 33) && !inputs(len - 1, 1, 33) && !inputs(len + 1, 1, 33) && !inputs(len, 2, 33));
        assert!(!inputs(0, 4, usize::MAX));
        let x = [0.0; 66];
        assert_eq!([F32Inputs::new(&x, 33), F32Inputs::new(&x, 66)].map(|x| x.map(F32Inputs::n)), [Some(2), Some(1)]);
        assert!([0, 32, 67].iter().all(|&n_in| F32Inputs::new(&x, n_in).is_none()));
        let x = F32Inputs::new(&x, 33).unwrap();
        let packing = Format::Q4.packing().unwrap();
        let rounding = |n_words, n| Rounding::new(&mut [0; 64][..n_words], &mut [0.0; 4][..n], x, packing).is_some();
        assert!(rounding(2 * len, 2));
        assert!(!rounding(2 * len, 1) && !rounding(2 * len - 1, 2) && !rounding(3 * len, 3));
    }

    #[test]
    fn every_output_has_a_place() {
        let (bytes, words, scales, x) = (Bytes([0; 280]), [0; 72], [1.0; 2], [0.0; 128]);
        let rows = Rows::new(Format::Q8, &bytes.0[..4 * Format::Q8.row_stride(64)], 64).unwrap();
        let inputs = Inputs::new(&words[..2 * input_words(64)], &scales, 64).unwrap();
        let floats = F32Inputs::new(&x, 64).unwrap();
        let mut out = [0.0; 16];
        for len in 0..out.len() {
            assert_eq!(Matmul::new(&mut out[..len], inputs, rows).is_some(), len == 8, "{len}");
            assert_eq!(F32Matmul::new(&mut out[..len], floats, rows).is_some(), len == 8, "{len}");
        }
        let none = Inputs::new(&[], &[], 64).unwrap();
        assert!(Matmul::new(&mut [], none, rows).is_some());
    }

    #[test]
    fn lengths_agree_and_integers_meet_integers() {
        let (bytes, words) = (Bytes([0; 280]), [0; 72]);
        let mut out = [0.0];
        let inputs = Inputs::new(&words[..input_words(64)], &[1.0], 64).unwrap();
        let other = Rows::new(Format::Q8, &bytes.0[..Format::Q8.row_stride(65)], 65).unwrap();
        assert!(Matmul::new(&mut out, inputs, other).is_none());
        let floats = Rows::new(Format::F32, &bytes.0[..256], 64).unwrap();
        assert!(Matmul::new(&mut out, inputs, floats).is_none());
    }
}
