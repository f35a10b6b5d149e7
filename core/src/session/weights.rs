//! Reading weights as floats: embedding rows and vectors, in whatever pieces the source gives.

use crate::format::{Format, GROUP};
use crate::kernel::q8_row_scale;
use crate::model::Tensor;
use crate::ops::reduce::STRIPES;
use crate::source::{ReadError, Source};
use core::ops::Range;

/// Reads elements `range` of a vector, a tensor of one f32 row, and hands each to `each` with its place in the range.
pub(super) fn read_vector(
    source: &mut impl Source,
    vector: &Tensor,
    range: Range<usize>,
    mut each: impl FnMut(usize, f32),
) -> Result<(), ReadError> {
    read_floats(source, vector.offset + 4 * range.start, range.len(), &mut each)
}

/// Reads one row of a matrix and hands each weight to `each` with its column. `group_scales` has room for a row's.
pub(super) fn read_row(
    source: &mut impl Source,
    matrix: &Tensor,
    row: usize,
    group_scales: &mut [u32],
    mut each: impl FnMut(usize, f32),
) -> Result<(), ReadError> {
    let offset = matrix.offset + row * matrix.stride;
    match matrix.format {
        Format::F32 => read_floats(source, offset, matrix.cols, &mut each),
        Format::Q8 => {
            let row_scale = read_q8_scales(source, matrix, row, group_scales)?;
            for piece in pieces(matrix.cols, source.max_read(), GROUP) {
                let bytes = source.read(offset + piece.start, piece.len())?;
                for (column, &weight) in piece.zip(bytes) {
                    let scale = group_scales[column / GROUP] as f32;
                    each(column, (row_scale * scale) * f32::from(weight as i8));
                }
            }
            Ok(())
        }
        _ => unimplemented!(),
    }
}

/// Reads the scales at the end of a q8 row: one word a group into `group_scales`; returns the row's.
pub(super) fn read_q8_scales(
    source: &mut impl Source,
    matrix: &Tensor,
    row: usize,
    group_scales: &mut [u32],
) -> Result<f32, ReadError> {
    let end = matrix.offset + (row + 1) * matrix.stride;
    let start = matrix.offset + row * matrix.stride + matrix.cols;
    let n_groups = matrix.cols.div_ceil(GROUP);
    for piece in pieces(n_groups, source.max_read(), 1) {
        let bytes = source.read(start + piece.start, piece.len())?;
        for (scale, &byte) in group_scales[piece].iter_mut().zip(bytes) {
            *scale = u32::from(byte);
        }
    }
    Ok(q8_row_scale(source.read(end - 4, 4)?))
}

/// Cuts `0..n` into runs of at most `max` elements, all but the last of a multiple of `unit`.
pub(super) fn pieces(n: usize, max: usize, unit: usize) -> impl Iterator<Item = Range<usize>> {
    let step = (max / unit * unit).max(unit);
    (0..n).step_by(step.min(n.max(1))).map(move |start| start..n.min(start.saturating_add(step)))
}

fn read_floats(
    source: &mut impl Source,
    offset: usize,
    n: usize,
    each: &mut impl FnMut(usize, f32),
) -> Result<(), ReadError> {
    for piece in pieces(n, source.max_read() / 4, STRIPES) {
        let bytes = source.read(offset + 4 * piece.start, 4 * piece.len())?;
        for (index, &bytes) in piece.zip(bytes.as_chunks().0) {
            each(index, f32::from_le_bytes(bytes));
        }
    }
    Ok(())
}
