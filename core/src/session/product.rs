//! Matrix products over rows that come block by block, or, where a row outgrows the source's buffer, piece by piece.

use super::weights::{piece_groups, pieces, read_scales, read_vector};
use crate::blob::slot::{LayerSlot, Slot};
use crate::config::Activations;
use crate::features::{FLOATS, I8_ACTIVATIONS};
use crate::format::Packing;
use crate::kernel::{
    self, F32Inputs, I8Inputs, I16Inputs, Kernel, Portable, Rows, accumulate_floats, accumulate_groups, finish,
};
use crate::model::{Model, Tensor};
use crate::ops::quantize::i16_words;
use crate::ops::reduce::{STRIPES, fold};
use crate::ops::vector::Update;
use crate::part::{self, part, part_mut};
use crate::scratch::{BLOCK_ROWS, Partial};
use crate::source::{ReadError, Source};
use core::ops::Range;

/// A matrix, and what its inputs are rounded to.
#[derive(Clone, Copy)]
pub(super) struct Matrix {
    pub tensor: Tensor,
    rounding: Activations,
}

impl Matrix {
    /// Of the slot, which the model has.
    pub(super) fn find<S: Source>(model: &mut Model<S>, slot: Slot) -> Result<Self, ReadError> {
        let tensor = model.required(slot)?;
        Ok(Self { tensor, rounding: rounding(model.activations(), slot, &tensor) })
    }

    /// Rounds the inputs `[n][n_in]` of a product into `words` and `scales`, as `kernel` wants them where it will see
    /// them.
    pub(super) fn prepare<S: Source, K: Kernel>(
        &self,
        kernel: &K,
        source: &S,
        floats: &[f32],
        words: &mut [u32],
        scales: &mut [f32],
    ) {
        let n_in = self.tensor.cols;
        let Some(packing) = self.tensor.format.packing() else { return };
        let n = floats.len() / n_in.max(1);
        let (words, scales) = (part_mut(words, ..n * i16_words(n_in)), part_mut(scales, ..n));
        let whole = comes_whole(&self.tensor, source);
        match self.rounding {
            Activations::F32 if FLOATS => {}
            Activations::I8 if I8_ACTIVATIONS && whole => kernel.quantize_i8(words, scales, floats, packing, n_in),
            Activations::I8 if I8_ACTIVATIONS => Portable.quantize_i8(words, scales, floats, packing, n_in),
            _ if whole => kernel.quantize_i16(words, scales, floats, packing, n_in),
            _ => Portable.quantize_i16(words, scales, floats, packing, n_in),
        }
    }
}

/// Whether the source gives whole rows, which a kernel multiplies. Where they come in pieces, reading decides the pace, and
/// no kernel is asked.
#[inline(always)]
fn comes_whole(matrix: &Tensor, source: &impl Source) -> bool {
    matrix.stride <= source.max_read()
}

/// What the inputs of a matrix in this slot are rounded to.
fn rounding(activations: Activations, slot: Slot, matrix: &Tensor) -> Activations {
    match (matrix.format.packing(), activations, slot) {
        (None, ..) => Activations::F32,
        (_, Activations::I8, Slot::Layer(_, LayerSlot::MlpProjWeight)) => Activations::I16,
        _ => activations,
    }
}

/// A matrix with what it is multiplied by and added to.
pub(super) struct Product<'a> {
    matrix: Tensor,
    bias: Option<Tensor>,
    inputs: Inputs<'a>,
}

/// Inputs of so many positions.
enum Inputs<'a> {
    F32(F32Inputs<'a>),
    I16(I16Inputs<'a>),
    I8(I8Inputs<'a>),
}

impl<'a> Product<'a> {
    /// The product with the inputs of `n` positions, or what [`Matrix::prepare`] left of them in `words` and `scales`.
    pub(super) fn new(
        matrix: Matrix,
        bias: Option<Tensor>,
        floats: &'a [f32],
        (words, scales): (&'a [u32], &'a [f32]),
        n: usize,
    ) -> Self {
        let n_in = matrix.tensor.cols;
        let inputs = match matrix.rounding {
            Activations::F32 => Inputs::F32(F32Inputs { values: part(floats, ..n * n_in) }),
            Activations::I16 => {
                Inputs::I16(I16Inputs { words: part(words, ..n * i16_words(n_in)), scales: part(scales, ..n) })
            }
            Activations::I8 => {
                Inputs::I8(I8Inputs { words: part(words, ..n * i16_words(n_in)), scales: part(scales, ..n) })
            }
        };
        Self { matrix: matrix.tensor, bias, inputs }
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
        let Tensor { format, offset, stride, cols: n_in, .. } = self.matrix;
        if !comes_whole(&self.matrix, source) {
            for row in rows.clone() {
                self.long_row(part_mut(out, row - rows.start..), source, partial, row)?;
            }
        } else {
            for run in pieces(rows.len(), source.max_read() / stride.max(1), 1) {
                let bytes = source.read(offset + (rows.start + run.start) * stride, run.len() * stride)?;
                let (out, rows) = (part_mut(out, run.start..), Rows { format, bytes, n_in });
                match self.inputs {
                    Inputs::F32(inputs) if FLOATS => kernel.matmul_f32(out, BLOCK_ROWS, inputs, rows),
                    Inputs::I16(inputs) => kernel.matmul_i16(out, BLOCK_ROWS, inputs, rows),
                    Inputs::I8(inputs) if I8_ACTIVATIONS => kernel.matmul_i8(out, BLOCK_ROWS, inputs, rows),
                    _ => {}
                }
            }
        }
        let Some(bias) = &self.bias else { return Ok(()) };
        read_vector(source, bias, rows, |range, bias| {
            for out in out.chunks_exact_mut(BLOCK_ROWS) {
                bias.update(kernel.lanes(), part_mut(out, range.clone()), Update::Add);
            }
        })
    }

    /// One row, piece by piece: position `t` goes to `out[t * BLOCK_ROWS]`.
    fn long_row<S: Source>(
        &self,
        out: &mut [f32],
        source: &mut S,
        partial: &mut Partial<'_>,
        row: usize,
    ) -> Result<(), ReadError> {
        let n_in = self.matrix.cols;
        let out = out.iter_mut().step_by(BLOCK_ROWS);
        let Some(packing) = self.matrix.format.packing() else {
            let Inputs::F32(inputs) = self.inputs else { return Ok(()) };
            return self.long_row_of_floats(out, inputs, source, partial.stripes, row);
        };
        let row_scale = read_scales(source, &self.matrix, packing, row, partial.group_scales)?;
        match self.inputs {
            Inputs::F32(inputs) => {
                let stripes = part_mut(partial.stripes, ..inputs.values.len() / n_in.max(1));
                stripes.fill([0.0; STRIPES]);
                self.each_piece(packing, source, row, |piece, bytes| {
                    for (stripes, x) in stripes.iter_mut().zip(part::rows(inputs.values, n_in)) {
                        let groups =
                            piece_groups(packing, bytes, part(partial.group_scales, packing.n_groups(piece.start)..));
                        accumulate_groups(stripes, packing, part(x, piece.clone()), row_scale, groups);
                    }
                })?;
                out.zip(stripes).for_each(|(out, stripes)| *out = fold(*stripes));
            }
            Inputs::I16(inputs) => {
                let (positions, sums) = (inputs.iter(n_in), part_mut(partial.sums, ..inputs.scales.len()));
                let sums = self.long_sums(packing, positions, sums, source, partial.group_scales, row)?;
                self.finish_row(packing, out, sums, row_scale, inputs.scales);
            }
            Inputs::I8(inputs) => {
                let (positions, sums) = (inputs.iter(n_in), part_mut(partial.sums, ..inputs.scales.len()));
                let sums = self.long_sums(packing, positions, sums, source, partial.group_scales, row)?;
                self.finish_row(packing, out, sums, row_scale, inputs.scales);
            }
        }
        Ok(())
    }

    fn long_row_of_floats<'o, S: Source>(
        &self,
        out: impl Iterator<Item = &'o mut f32>,
        inputs: F32Inputs<'_>,
        source: &mut S,
        stripes: &mut [[f32; STRIPES]],
        row: usize,
    ) -> Result<(), ReadError> {
        let Tensor { format, offset, stride, cols: n_in, .. } = self.matrix;
        let size = format.float_bytes();
        let stripes = part_mut(stripes, ..inputs.values.len() / n_in.max(1));
        stripes.fill([0.0; STRIPES]);
        for piece in pieces(n_in, source.max_read() / size, STRIPES) {
            let bytes = source.read(offset + row * stride + size * piece.start, size * piece.len())?;
            for (stripes, x) in stripes.iter_mut().zip(part::rows(inputs.values, n_in)) {
                accumulate_floats(stripes, format, part(x, piece.clone()), bytes);
            }
        }
        out.zip(stripes).for_each(|(out, stripes)| *out = fold(*stripes));
        Ok(())
    }

    /// Hands each piece of a row of integers to `each`: its columns and the bytes of its groups.
    fn each_piece<S: Source>(
        &self,
        packing: Packing,
        source: &mut S,
        row: usize,
        mut each: impl FnMut(Range<usize>, &[u8]),
    ) -> Result<(), ReadError> {
        let Tensor { offset, stride, cols: n_in, .. } = self.matrix;
        for piece in pieces(n_in, packing.weights_in(source.max_read()), packing.group) {
            let (start, end) = (packing.row_bytes(piece.start), packing.row_bytes(piece.end));
            each(piece, source.read(offset + row * stride + start, end - start)?);
        }
        Ok(())
    }

    /// Each position's integer sum.
    fn long_sums<'s, S: Source, P: kernel::Position>(
        &self,
        packing: Packing,
        positions: impl Iterator<Item = P> + Clone,
        sums: &'s mut [[u32; 2]],
        source: &mut S,
        group_scales: &[u32],
        row: usize,
    ) -> Result<&'s [[u32; 2]], ReadError> {
        sums.fill([0; 2]);
        self.each_piece(packing, source, row, |piece, bytes| {
            for (sum, x) in sums.iter_mut().zip(positions.clone()) {
                let groups = piece_groups(packing, bytes, part(group_scales, packing.n_groups(piece.start)..));
                add(sum, kernel::sum(packing, x.from(piece.start), piece.len(), groups));
            }
        })?;
        Ok(sums)
    }

    fn finish_row<'o>(
        &self,
        packing: Packing,
        out: impl Iterator<Item = &'o mut f32>,
        sums: &[[u32; 2]],
        row_scale: f32,
        scales: &[f32],
    ) {
        for ((out, sum), &scale) in out.zip(sums).zip(scales) {
            *out = finish(wide(*sum), packing, self.matrix.cols, row_scale, scale);
        }
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
