//! Matrix products over rows that come block by block, or, where a row outgrows the source's buffer, piece by piece.

use super::weights::{piece_groups, pieces, read_scales, read_vector};
use crate::blob::slot::{LayerSlot, Slot};
use crate::config::Activations;
use crate::features::{FLOATS, I8_ACTIVATIONS};
use crate::format::Packing;
use crate::kernel::{
    self, F32Inputs, F32Matmul, Inputs, Kernel, Matmul, Portable, Rounding, Rows, accumulate_floats, accumulate_groups,
    finish, input_words,
};
use crate::model::{Model, Tensor};
use crate::ops::reduce::{STRIPES, fold};
use crate::ops::vector::Update;
use crate::part::{missing, part, part_mut, rows_mut};
use crate::scratch::Partial;
use crate::source::{ReadError, Source};
use crate::team::{PerUnit, Ranges, Solo, Team};
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

    /// Rows that a product takes at once where there is room for outputs of `most`: no more than the source gives.
    #[inline(always)]
    pub(super) fn rows_at_once(&self, source: &impl Source, most: usize) -> usize {
        let given = source.max_read() / self.tensor.stride.max(1);
        if given == 0 { most } else { most.min(given) }
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
        if FLOATS && self.rounding == Activations::F32 {
            return;
        }
        let n = floats.len() / n_in.max(1);
        let (words, scales) = (part_mut(words, ..n * input_words(n_in)), part_mut(scales, ..n));
        let x = F32Inputs::new(floats, n_in);
        let Some(rounding) = x.and_then(|x| Rounding::new(words, scales, x, packing)) else { return missing() };
        let whole = comes_whole(&self.tensor, source);
        match self.rounding {
            Activations::I8 if I8_ACTIVATIONS && whole => kernel.quantize_i8(rounding),
            Activations::I8 if I8_ACTIVATIONS => Portable.quantize_i8(rounding),
            _ if whole => kernel.quantize_i16(rounding),
            _ => Portable.quantize_i16(rounding),
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

/// How a block's outputs lie: `[range of rows][position][row]`, a range for each worker.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    ranges: Ranges,
    /// Positions.
    n: usize,
    /// The first row.
    first: usize,
}

impl Tiles {
    /// Rows of the block.
    pub(super) const fn n_rows(self) -> usize {
        self.ranges.len()
    }

    /// Hands `each` every range's rows, and their outputs `[position][row]` in the block `out`.
    #[inline(always)]
    pub(super) fn each<T: Team>(self, out: &[f32], mut each: impl FnMut(Range<usize>, &[f32])) {
        self.ranges.each::<T>(|range| {
            let outputs = part(out, self.n * range.start..self.n * range.end);
            each(self.first + range.start..self.first + range.end, outputs);
        });
    }
}

/// A matrix with what it is multiplied by and added to.
pub(super) struct Product<'a> {
    matrix: Tensor,
    rounding: Activations,
    bias: Option<Tensor>,
    /// `[n][n_in]`
    floats: &'a [f32],
    /// What [`Matrix::prepare`] made of them, `[n][input_words(n_in)]`.
    words: &'a [u32],
    scales: &'a [f32],
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
        Self {
            matrix: matrix.tensor,
            rounding: matrix.rounding,
            bias,
            floats: part(floats, ..n * n_in),
            words: part(words, ..n * input_words(n_in)),
            scales: part(scales, ..n),
        }
    }

    #[inline(always)]
    fn floats(&self) -> Option<F32Inputs<'a>> {
        F32Inputs::new(self.floats, self.matrix.cols)
    }

    #[inline(always)]
    fn integers(&self) -> Option<Inputs<'a>> {
        Inputs::new(self.words, self.scales, self.matrix.cols)
    }

    /// Computes rows `rows`, no more than [`Matrix::rows_at_once`] says, bias added, into the first `n * rows.len()`
    /// elements of `out`.
    pub(super) fn rows<S: Source, K: Kernel, T: Team>(
        &self,
        out: &mut [f32],
        source: &mut S,
        (kernel, team): (&K, &T),
        partial: &mut Partial<'_>,
        rows: Range<usize>,
    ) -> Result<Tiles, ReadError> {
        let Tensor { format, offset, stride, cols: n_in, .. } = self.matrix;
        let n = self.scales.len();
        let out = part_mut(out, ..n * rows.len());
        let ranges = if comes_whole(&self.matrix, source) {
            let bytes = source.read(offset + rows.start * stride, rows.len() * stride)?;
            let ranges = Ranges::new(team, rows.len(), n.saturating_mul(n_in));
            ranges.share(team, PerUnit(&mut *out, n), |range, PerUnit(out, _)| {
                let bytes = part(bytes, range.start * stride..range.end * stride);
                let rows = Rows::new(format, bytes, n_in);
                if rows.and_then(|rows| self.multiply(kernel, out, rows)).is_none() {
                    out.fill(f32::NAN);
                }
            });
            ranges
        } else {
            for (i, row) in rows.clone().enumerate() {
                let out = out.iter_mut().skip(i).step_by(rows.len().max(1));
                self.long_row(out, source, partial, row)?;
            }
            Ranges::new(&Solo, rows.len(), 0)
        };
        let tiles = Tiles { ranges, n, first: rows.start };
        let Some(bias) = &self.bias else { return Ok(tiles) };
        read_vector(source, bias, rows.clone(), |read, bias| {
            ranges.each::<T>(|range| {
                let tile = part_mut(out, n * range.start..n * range.end);
                let met = range.start.max(read.start)..range.end.min(read.end);
                if met.is_empty() {
                    return;
                }
                let bias = bias.part(met.start - read.start..met.end - read.start);
                for out in rows_mut(tile, range.len()) {
                    bias.update(
                        kernel.lanes(),
                        part_mut(out, met.start - range.start..met.end - range.start),
                        Update::Add,
                    );
                }
            });
        })?;
        Ok(tiles)
    }

    /// Multiplies whole rows, `None` where the parts do not fit.
    #[inline(always)]
    fn multiply(&self, kernel: &impl Kernel, out: &mut [f32], rows: Rows<'_>) -> Option<()> {
        if FLOATS && self.rounding == Activations::F32 {
            kernel.matmul_f32(F32Matmul::new(out, self.floats()?, rows)?);
            return Some(());
        }
        let matmul = Matmul::new(out, self.integers()?, rows)?;
        match self.rounding {
            Activations::I8 if I8_ACTIVATIONS => kernel.matmul_i8(matmul),
            _ => kernel.matmul_i16(matmul),
        }
        Some(())
    }

    /// One row, piece by piece, into an output for each position.
    fn long_row<'o, S: Source>(
        &self,
        out: impl Iterator<Item = &'o mut f32>,
        source: &mut S,
        partial: &mut Partial<'_>,
        row: usize,
    ) -> Result<(), ReadError> {
        let Some(packing) = self.matrix.format.packing() else {
            let Some(inputs) = self.floats() else { return no_numbers(out) };
            return self.long_row_of_floats(out, inputs, source, partial.stripes, row);
        };
        let row_scale = read_scales(source, &self.matrix, packing, row, partial.group_scales)?;
        if self.rounding == Activations::F32 {
            let Some(inputs) = self.floats() else { return no_numbers(out) };
            let stripes = part_mut(partial.stripes, ..inputs.n());
            stripes.fill([0.0; STRIPES]);
            self.each_piece(packing, source, row, |piece, bytes| {
                for (stripes, x) in stripes.iter_mut().zip(inputs.iter()) {
                    let groups =
                        piece_groups(packing, bytes, part(partial.group_scales, packing.n_groups(piece.start)..));
                    accumulate_groups(stripes, packing, part(x, piece.clone()), row_scale, groups);
                }
            })?;
            out.zip(stripes).for_each(|(out, stripes)| *out = fold(*stripes));
            return Ok(());
        }
        let Some(inputs) = self.integers() else { return no_numbers(out) };
        let sums = part_mut(partial.sums, ..inputs.scales().len());
        let sums = match self.rounding {
            Activations::I8 => self.long_sums(packing, inputs.i8(), sums, source, partial.group_scales, row)?,
            _ => self.long_sums(packing, inputs.i16(), sums, source, partial.group_scales, row)?,
        };
        self.finish_row(packing, out, sums, row_scale, inputs.scales());
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
        let stripes = part_mut(stripes, ..inputs.n());
        stripes.fill([0.0; STRIPES]);
        for piece in pieces(n_in, source.max_read() / size, STRIPES) {
            let bytes = source.read(offset + row * stride + size * piece.start, size * piece.len())?;
            for (stripes, x) in stripes.iter_mut().zip(inputs.iter()) {
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

/// No numbers, where inputs are missing.
fn no_numbers<'o>(out: impl Iterator<Item = &'o mut f32>) -> Result<(), ReadError> {
    out.for_each(|out| *out = f32::NAN);
    Ok(())
}

/// A 64-bit sum out of its two words.
fn wide([low, high]: [u32; 2]) -> i64 {
    (u64::from(high) << 32 | u64::from(low)) as i64
}

fn add(sum: &mut [u32; 2], term: i64) {
    let total = wide(*sum).wrapping_add(term) as u64;
    *sum = [total as u32, (total >> 32) as u32];
}
