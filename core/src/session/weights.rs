//! Reading weights as floats: embedding rows and vectors, in whatever pieces the source gives.

use crate::features::FLOATS;
use crate::format::{Format, Packing};
use crate::kernel::{Unpacked, row_scale, signed_bytes};
use crate::model::Tensor;
use crate::ops::fixed::multiply;
use crate::ops::lanes::Lanes;
use crate::ops::reduce::STRIPES;
use crate::ops::vector::Update;
use crate::part::{missing, part, part_mut};
use crate::source::{ReadError, Source};
use core::ops::Range;

/// Reads elements `range` of a vector, a tensor of one row of floats, piece by piece, and hands each piece to `each` with
/// its place in the range.
pub(super) fn read_vector(
    source: &mut impl Source,
    vector: &Tensor,
    range: Range<usize>,
    each: impl FnMut(Range<usize>, Floats<'_>),
) -> Result<(), ReadError> {
    read_floats(source, vector.format, vector.offset, range, each)
}

/// Floats as they are stored.
#[derive(Clone, Copy)]
pub(super) enum Floats<'a> {
    F32(&'a [[u8; 4]]),
    F16(&'a [[u8; 2]]),
}

impl Floats<'_> {
    /// A part of them.
    #[inline(always)]
    pub(super) fn part(self, range: Range<usize>) -> Self {
        match self {
            Self::F32(floats) => Self::F32(part(floats, range)),
            Self::F16(halves) => Self::F16(part(halves, range)),
        }
    }

    /// Updates each element of `out` with the float in its place.
    #[inline(never)] // Its buffer would lie under the callers' products.
    pub(super) fn update(self, lanes: &impl Lanes, out: &mut [f32], update: Update) {
        match self {
            Self::F32(floats) => lanes.update(out, floats, update),
            Self::F16(halves) => {
                update_with(lanes, out, update, halves, |bytes| half::f16::from_le_bytes(bytes).to_f32());
            }
        }
    }
}

/// Updates each element of `out` with what `convert` makes of the weight in its place.
#[inline(always)]
fn update_with<T: Copy>(
    lanes: &impl Lanes,
    out: &mut [f32],
    update: Update,
    weights: &[T],
    convert: impl Fn(T) -> f32,
) {
    let mut floats = [[0; 4]; 64];
    for (out, weights) in out.chunks_mut(floats.len()).zip(weights.chunks(floats.len())) {
        floats.iter_mut().zip(weights).for_each(|(float, &weight)| *float = convert(weight).to_le_bytes());
        lanes.update(out, part(&floats, ..weights.len()), update);
    }
}

/// Reads one row of a matrix, and updates each element of `x` with the weight of its column. `group_scales` has room for
/// a row's.
pub(super) fn read_row(
    source: &mut impl Source,
    lanes: &impl Lanes,
    matrix: &Tensor,
    row: usize,
    group_scales: &mut [u32],
    x: &mut [f32],
    update: Update,
) -> Result<(), ReadError> {
    let offset = matrix.offset + row * matrix.stride;
    let Some(packing) = matrix.format.packing() else {
        if !FLOATS {
            missing();
            return Ok(());
        }
        return read_floats(source, matrix.format, offset, 0..matrix.cols, |range, floats| {
            floats.update(lanes, part_mut(x, range), update);
        });
    };
    let row_scale = read_scales(source, matrix, packing, row, group_scales)?;
    let mut buffer: Unpacked = [0; 32];
    for piece in pieces(matrix.cols, packing.weights_in(source.max_read()), packing.group) {
        let (start, end) = (packing.row_bytes(piece.start), packing.row_bytes(piece.end));
        let bytes = source.read(offset + start, end - start)?;
        let groups = piece_groups(packing, bytes, part(group_scales, packing.n_groups(piece.start)..));
        for (first, (bytes, scale)) in piece.clone().step_by(packing.group).zip(groups) {
            let step = row_scale * scale as f32;
            let integers = signed_bytes(packing, bytes, packing.group.min(piece.end - first), &mut buffer);
            update_with(lanes, part_mut(x, first..), update, integers, |q| multiply(step, f32::from(q as i8)));
        }
    }
    Ok(())
}

/// The groups of a piece of a row, and their scales as [`read_scales`] left them.
pub(super) fn piece_groups<'a>(
    packing: Packing,
    bytes: &'a [u8],
    group_scales: &'a [u32],
) -> impl Iterator<Item = (&'a [u8], i32)> {
    let scales = group_scales.iter().map(move |&scale| packing.scale(scale as u8));
    bytes.chunks(packing.group_bytes(packing.group).max(1)).zip(scales)
}

/// Reads the scales at the end of a row of integers: one word a group into `group_scales`; returns the row's.
pub(super) fn read_scales(
    source: &mut impl Source,
    matrix: &Tensor,
    packing: Packing,
    row: usize,
    group_scales: &mut [u32],
) -> Result<f32, ReadError> {
    let end = matrix.offset + (row + 1) * matrix.stride;
    let start = matrix.offset + row * matrix.stride + packing.row_bytes(matrix.cols);
    let n_groups = packing.n_groups(matrix.cols);
    for piece in pieces(n_groups, source.max_read(), 1) {
        let bytes = source.read(start + piece.start, piece.len())?;
        for (scale, &byte) in part_mut(group_scales, piece).iter_mut().zip(bytes) {
            *scale = u32::from(byte);
        }
    }
    Ok(row_scale(source.read(end - 4, 4)?))
}

/// Cuts `0..n` into runs of at most `max` elements, all but the last of a multiple of `unit`.
pub(super) fn pieces(n: usize, max: usize, unit: usize) -> impl Iterator<Item = Range<usize>> {
    let step = (max - max.checked_rem(unit).unwrap_or(0)).max(unit).clamp(1, n.max(1));
    (0..n).step_by(step).map(move |start| start..n.min(start.saturating_add(step)))
}

fn read_floats(
    source: &mut impl Source,
    format: Format,
    offset: usize,
    range: Range<usize>,
    mut each: impl FnMut(Range<usize>, Floats<'_>),
) -> Result<(), ReadError> {
    let size = format.float_bytes();
    let offset = offset + size * range.start;
    for piece in pieces(range.len(), source.max_read() / size, STRIPES) {
        let bytes = source.read(offset + size * piece.start, size * piece.len())?;
        let floats = match format {
            Format::F16 => Floats::F16(bytes.as_chunks().0),
            _ => Floats::F32(bytes.as_chunks().0),
        };
        each(piece, floats);
    }
    Ok(())
}
