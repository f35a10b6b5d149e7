//! The portable kernel: the definition of every product, in plain Rust.

use super::Kernel;
use super::inputs::{Position, Rounding};
use super::matmul::{F32Matmul, F32Parts, Matmul, Parts};
use super::rows::{PackedRow, Unpacked, signed_bytes};
use crate::format::{Format, Packing};
use crate::ops::alone::alone;
use crate::ops::lanes::Plain;
use crate::ops::quantize::{i8_words, quantize_i8, quantize_i16};
use crate::ops::reduce::{STRIPES, accumulate_dot, fold};
use crate::part::{part, part_mut, put};

/// Runs everywhere, and defines what every other kernel computes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Portable;

impl Kernel for Portable {
    type Lanes = Plain;

    #[inline(always)]
    fn lanes(&self) -> &Plain {
        &Plain
    }

    #[inline(always)]
    fn quantize_i16(&self, rounding: Rounding<'_>) {
        rounding.each(quantize_i16);
    }

    #[inline(always)]
    fn quantize_i8(&self, rounding: Rounding<'_>) {
        rounding.each(|words, x| quantize_i8(part_mut(words, ..i8_words(x.len())), x));
    }

    #[inline(always)]
    fn matmul_f32(&self, matmul: F32Matmul<'_>) {
        let F32Parts { out, inputs, rows } = matmul.into_parts();
        for (r, row) in rows.iter().enumerate() {
            for (t, x) in inputs.iter().enumerate() {
                let mut stripes = [0.0; STRIPES];
                match rows.format().packing() {
                    None => accumulate_floats(&mut stripes, rows.format(), x, row),
                    Some(packing) => {
                        let row = PackedRow::new(row, packing, rows.n_in());
                        accumulate_groups(&mut stripes, packing, x, row.row_scale, row.groups(packing));
                    }
                }
                put(out, t * rows.n() + r, fold(stripes));
            }
        }
    }

    #[inline(always)]
    fn matmul_i16(&self, matmul: Matmul<'_>) {
        let parts = matmul.into_parts();
        multiply(parts.inputs.i16(), parts);
    }

    #[inline(always)]
    fn matmul_i8(&self, matmul: Matmul<'_>) {
        let parts = matmul.into_parts();
        multiply(parts.inputs.i8(), parts);
    }
}

/// Positions whose sums are under way together, a group unpacked once for all of them.
const POSITIONS: usize = 4;

/// Adds the products of a piece of a row of floats, of whole [`STRIPES`] but for a row's last, with the activations
/// `x` under it.
#[inline(always)]
pub(crate) fn accumulate_floats(stripes: &mut [f32; STRIPES], format: Format, x: &[f32], bytes: &[u8]) {
    match format {
        Format::F16 => {
            let load = |bytes| half::f16::from_le_bytes(bytes).to_f32();
            accumulate_dot(stripes, part(bytes.as_chunks().0, ..x.len()), load, x);
        }
        _ => accumulate_dot(stripes, part(bytes.as_chunks().0, ..x.len()), f32::from_le_bytes, x),
    }
}

/// Adds the products of groups of a row, each weight rounded to f32, with the activations `x` under them.
#[inline(always)]
pub(crate) fn accumulate_groups<'a>(
    stripes: &mut [f32; STRIPES],
    packing: Packing,
    x: &[f32],
    row_scale: f32,
    groups: impl Iterator<Item = (&'a [u8], i32)>,
) {
    let mut buffer: Unpacked = [0; 32];
    for ((bytes, scale), x) in groups.zip(x.chunks(packing.group.max(1))) {
        let step = row_scale * scale as f32;
        let integers = signed_bytes(packing, bytes, x.len(), &mut buffer);
        accumulate_dot(stripes, integers, |q| step * f32::from(q as i8), x);
    }
}

/// Each row with each position, a group unpacked once for several of them.
#[inline(always)]
fn multiply<X: Position>(mut positions: impl Iterator<Item = X>, parts: Parts<'_>) {
    let Parts { out, inputs, rows, packing } = parts;
    let (n_in, n_rows) = (rows.n_in(), rows.n());
    for (out, scales) in out.chunks_mut((POSITIONS * n_rows).max(1)).zip(inputs.scales().chunks(POSITIONS)) {
        let x: [Option<X>; POSITIONS] = core::array::from_fn(|i| scales.get(i).and_then(|_| positions.next()));
        for (r, row) in rows.iter().enumerate() {
            let row = PackedRow::new(row, packing, n_in);
            let mut sums = [0i64; POSITIONS];
            let mut buffer: Unpacked = [0; 32];
            for (first, (bytes, scale)) in (0..).step_by(packing.group.max(1)).zip(row.groups(packing)) {
                let integers = signed_bytes(packing, bytes, packing.group.min(n_in.saturating_sub(first)), &mut buffer);
                for (sum, x) in sums.iter_mut().zip(x.into_iter().flatten()) {
                    *sum += x.from(first).dot(integers) * i64::from(scale);
                }
            }
            for (i, (&sum, &scale)) in sums.iter().zip(scales).enumerate() {
                let product = finish(sum, packing, n_in, row.row_scale, scale);
                put(out, i * n_rows + r, product);
            }
        }
    }
}

/// One position's sum over the groups of a piece of a row, of `n` weights.
pub(crate) fn sum<'a>(
    packing: Packing,
    x: impl Position,
    n: usize,
    groups: impl Iterator<Item = (&'a [u8], i32)>,
) -> i64 {
    let mut buffer: Unpacked = [0; 32];
    let mut sum = 0;
    for (first, (bytes, scale)) in (0..).step_by(packing.group.max(1)).zip(groups) {
        let integers = signed_bytes(packing, bytes, packing.group.min(n.saturating_sub(first)), &mut buffer);
        sum += x.from(first).dot(integers) * i64::from(scale);
    }
    sum
}

/// How a product's integer sums become floats.
#[derive(Clone, Copy, Debug)]
pub struct Scaling {
    /// Bits that are shifted out of a sum, up to 28: a row has at most [`MAX_WIDTH`](crate::config::MAX_WIDTH) weights.
    pub shift: u32,
}

impl Scaling {
    /// Of a product whose rows have `n_in` weights.
    #[inline(always)]
    pub const fn new(packing: Packing, n_in: usize) -> Self {
        Self { shift: packing.shift(n_in) }
    }

    /// What one of a row's shifted sum stands for where the row's scale is 1 and the inputs' is `input_scale`.
    #[inline(always)]
    pub fn unit(self, input_scale: f32) -> f32 {
        alone(input_scale * f32::from_bits((self.shift + 127) << 23))
    }

    /// A row's integer sum without the bits that are shifted out: 32 are left.
    #[inline(always)]
    pub const fn shifted(self, sum: i64) -> i32 {
        // No more is computed than these.
        let (low, high) = (sum as u32, (sum >> 32) as u32);
        (low >> self.shift | (high << 1) << (31 - self.shift)) as i32
    }

    /// The product that the integer sum of a row stands for.
    #[inline(always)]
    pub fn finish(self, sum: i64, row_scale: f32, unit: f32) -> f32 {
        alone((self.shifted(sum) as f32 * row_scale) * unit)
    }
}

/// A row's integer sum as the f32 product.
#[inline(always)]
pub fn finish(sum: i64, packing: Packing, n_in: usize, row_scale: f32, input_scale: f32) -> f32 {
    let scaling = Scaling::new(packing, n_in);
    scaling.finish(sum, row_scale, scaling.unit(input_scale))
}
