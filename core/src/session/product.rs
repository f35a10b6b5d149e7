//! Matrix products over rows that come block by block, or, where a row outgrows the source's buffer, piece by piece.

use super::weights::{pieces, read_q8_scales, read_vector};
use crate::format::{Format, GROUP};
use crate::kernel::{F32Inputs, F32Rows, I16Inputs, Kernel, Q8Rows, finish_q8};
use crate::model::Tensor;
use crate::ops::quantize::{i16_words, quantize_i16};
use crate::ops::reduce::{STRIPES, fold};
use crate::scratch::{BLOCK_ROWS, Partial};
use crate::source::{ReadError, Source};
use core::ops::Range;

/// A matrix with what it is multiplied by and added to.
pub(super) struct Product<'a> {
    pub matrix: Tensor,
    pub bias: Option<Tensor>,
    /// `[positions][n_in]`.
    pub floats: &'a [f32],
    /// The same, quantised and arranged, where the matrix is.
    pub integers: I16Inputs<'a>,
}

/// Quantises the inputs `[n][n_in]` of a product with `matrix`, unless its weights are f32.
pub(super) fn prepare<K: Kernel>(kernel: &K, matrix: &Tensor, floats: &[f32], words: &mut [u32], scales: &mut [f32]) {
    if matrix.format == Format::F32 {
        return;
    }
    let n_in = matrix.cols;
    for ((x, words), scale) in floats.chunks_exact(n_in).zip(words.chunks_exact_mut(i16_words(n_in))).zip(scales) {
        *scale = quantize_i16(words, x);
        kernel.arrange_i16(words);
    }
}

impl<'a> Product<'a> {
    /// The product with the inputs that [`prepare`] left in `words` and `scales`, for `n` positions.
    pub(super) fn new(
        matrix: Tensor,
        bias: Option<Tensor>,
        floats: &'a [f32],
        (words, scales): (&'a [u32], &'a [f32]),
        n: usize,
    ) -> Self {
        let words = &words[..n * i16_words(matrix.cols)];
        Self { matrix, bias, floats: &floats[..n * matrix.cols], integers: I16Inputs { words, scales: &scales[..n] } }
    }

    /// Computes rows `rows`, at most [`BLOCK_ROWS`], bias added: row `rows.start + i` of position `t` goes to
    /// `out[t * BLOCK_ROWS + i]`.
    pub(super) fn rows<S: Source, K: Kernel>(
        &self,
        out: &mut [f32],
        source: &mut S,
        kernel: &K,
        partial: &mut Partial<'_>,
        rows: Range<usize>,
    ) -> Result<(), ReadError> {
        let Tensor { offset, stride, cols: n_in, .. } = self.matrix;
        let fitting = source.max_read() / stride;
        if fitting == 0 {
            for row in rows.clone() {
                self.long_row(&mut out[row - rows.start..], source, kernel, partial, row)?;
            }
        } else {
            for run in pieces(rows.len(), fitting, 1) {
                let bytes = source.read(offset + (rows.start + run.start) * stride, run.len() * stride)?;
                let out = &mut out[run.start..];
                match self.matrix.format {
                    Format::F32 => {
                        let inputs = F32Inputs { values: self.floats };
                        kernel.matmul_f32(out, BLOCK_ROWS, inputs, F32Rows { bytes, n_in });
                    }
                    Format::Q8 => kernel.matmul_q8_i16(out, BLOCK_ROWS, self.integers, Q8Rows { bytes, n_in }),
                    _ => unimplemented!(),
                }
            }
        }
        let Some(bias) = &self.bias else { return Ok(()) };
        read_vector(source, bias, rows, |i, bias| {
            out.iter_mut().skip(i).step_by(BLOCK_ROWS).for_each(|out| *out += bias);
        })
    }

    /// One row, piece by piece: position `t` goes to `out[t * BLOCK_ROWS]`.
    fn long_row<S: Source, K: Kernel>(
        &self,
        out: &mut [f32],
        source: &mut S,
        kernel: &K,
        partial: &mut Partial<'_>,
        row: usize,
    ) -> Result<(), ReadError> {
        let Tensor { offset, stride, cols: n_in, format, .. } = self.matrix;
        let offset = offset + row * stride;
        let out = out.iter_mut().step_by(BLOCK_ROWS);
        match format {
            Format::F32 => {
                let n = self.floats.len() / n_in;
                let stripes = &mut partial.stripes[..n];
                stripes.fill([0.0; STRIPES]);
                for piece in pieces(n_in, source.max_read() / 4, STRIPES) {
                    let bytes = source.read(offset + 4 * piece.start, 4 * piece.len())?;
                    for (stripes, x) in stripes.iter_mut().zip(self.floats.chunks_exact(n_in)) {
                        kernel.accumulate_f32(stripes, &x[piece.clone()], bytes);
                    }
                }
                out.zip(stripes).for_each(|(out, stripes)| *out = fold(*stripes));
            }
            Format::Q8 => {
                let row_scale = read_q8_scales(source, &self.matrix, row, partial.group_scales)?;
                let sums = &mut partial.sums[..self.integers.scales.len()];
                sums.fill([0; 2]);
                for piece in pieces(n_in, source.max_read(), GROUP) {
                    let bytes = source.read(offset + piece.start, piece.len())?;
                    for (sum, (words, _)) in sums.iter_mut().zip(self.integers.iter(n_in)) {
                        let scales = partial.group_scales[piece.start / GROUP..].iter().map(|&scale| scale as u8);
                        let words = &words[piece.start / 2..piece.end.div_ceil(2)];
                        add(sum, kernel.sum_q8_i16(words, bytes, scales));
                    }
                }
                for ((out, sum), &scale) in out.zip(sums).zip(self.integers.scales) {
                    *out = finish_q8(wide(*sum), n_in, row_scale, scale);
                }
            }
            _ => unimplemented!(),
        }
        Ok(())
    }
}

/// A 64-bit sum out of its two words.
fn wide([low, high]: [u32; 2]) -> i64 {
    (u64::from(high) << 32 | u64::from(low)) as i64
}

fn add(sum: &mut [u32; 2], term: i64) {
    let total = wide(*sum).wrapping_add(term) as u64;
    *sum = [total as u32, (total >> 32) as u32];
}
