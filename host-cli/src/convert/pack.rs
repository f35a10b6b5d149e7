//! Weights to the bytes of a blob's rows.

use emberlm_core::format::{Format, Packing};
use half::f16;

use super::grid::Grid;

/// What rounding did to a tensor's weights.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RoundingError {
    n: u64,
    squares: f64,
    error_squares: f64,
    max: f64,
}

impl RoundingError {
    /// Largest absolute difference of a stored weight from the checkpoint's.
    pub const fn max(&self) -> f64 {
        self.max
    }

    /// Root mean square of the differences.
    pub fn rms(&self) -> f64 {
        (self.error_squares / self.n.max(1) as f64).sqrt()
    }

    /// Root mean square of the differences over that of the weights; 0 for all-zero weights.
    pub fn relative(&self) -> f64 {
        if self.squares > 0.0 { (self.error_squares / self.squares).sqrt() } else { 0.0 }
    }

    /// Takes in one weight and what stands for it.
    pub fn push(&mut self, weight: f32, stored: f64) {
        let (weight, error) = (f64::from(weight), (f64::from(weight) - stored).abs());
        self.n += 1;
        self.squares += weight * weight;
        self.error_squares += error * error;
        self.max = self.max.max(error);
    }

    /// Takes in what another saw.
    pub fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.squares += other.squares;
        self.error_squares += other.error_squares;
        self.max = self.max.max(other.max);
    }
}

/// Appends a row of finite weights as floats, padded to its stride. Half precision holds up to 65504; what is larger
/// becomes that.
///
/// # Panics
/// The format is one of integers.
pub fn append_floats(out: &mut Vec<u8>, row: &[f32], format: Format, error: &mut RoundingError) {
    let end = out.len() + format.row_stride(row.len());
    match format {
        Format::F32 => out.extend(row.iter().flat_map(|weight| weight.to_le_bytes())),
        Format::F16 => out.extend(row.iter().flat_map(|&weight| to_f16(weight).to_le_bytes())),
        _ => panic!("{} is no format of floats", format.name()),
    }
    row.iter().for_each(|&weight| error.push(weight, f64::from(stored_float(weight, format))));
    out.resize(end, 0);
}

/// What stands for `weight` in a format of floats.
pub fn stored_float(weight: f32, format: Format) -> f32 {
    if format == Format::F16 { to_f16(weight).to_f32() } else { weight }
}

fn to_f16(weight: f32) -> f16 {
    f16::from_f32(weight.clamp(f16::MIN.to_f32(), f16::MAX.to_f32()))
}

/// Appends a row of integers under its scales, padded to its stride.
pub fn append_integers(out: &mut Vec<u8>, integers: &[i8], grid: &Grid, format: Format, packing: Packing) {
    let end = out.len() + format.row_stride(integers.len());
    for group in integers.chunks(packing.group) {
        append_group(out, group, packing);
    }
    out.extend(grid.scales().iter().map(|&scale| scale as u8));
    out.resize(end - 2, 0);
    out.extend(grid.unit().to_le_bytes());
}

/// Appends the planes of one group.
fn append_group(out: &mut Vec<u8>, group: &[i8], packing: Packing) {
    if packing.bits == 8 {
        return out.extend(group.iter().map(|&q| q as u8));
    }
    let fields = |q: i8| (i32::from(q) - packing.range().0) as u8;
    let (low, high) = packing.planes;
    for (bits, shift) in [(low, 0), (high, low)] {
        let start = out.len();
        let width = (bits as usize * group.len()).div_ceil(8);
        out.resize(start + width, 0);
        for (i, &q) in group.iter().enumerate().take(if bits == 0 { 0 } else { group.len() }) {
            let field = fields(q) >> shift & ((1 << bits) - 1);
            out[start + i % width] |= field << (bits as usize * (i / width));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emberlm_core::kernel::{PackedRow, signed_bytes};

    #[test]
    fn integers_come_back_from_their_planes() {
        for format in [Format::Q8, Format::Q6, Format::Q5, Format::Q4, Format::Q3] {
            let packing = format.packing().unwrap();
            let (least, most) = packing.range();
            for n in [1, 3, 31, 32, 33, 64, 65, 97, 160] {
                let integers: Vec<i8> = (0..n).map(|i| (least + (i * 7919) % (most - least + 1)) as i8).collect();
                let row: Vec<f64> = integers.iter().map(|&q| f64::from(q) * 0.01).collect();
                let grid = Grid::fit(packing, &row, None);
                let mut bytes = Vec::new();
                append_integers(&mut bytes, &integers, &grid, format, packing);
                assert_eq!(bytes.len(), format.row_stride(n as usize));
                let view = PackedRow::new(&bytes, packing, n as usize);
                assert_eq!(view.row_scale, grid.unit().to_f32());
                let mut buffer = [0; 32];
                for ((group, scale), (want, want_scale)) in
                    view.groups(packing).zip(integers.chunks(packing.group).zip(grid.scales()))
                {
                    assert_eq!(scale, *want_scale);
                    let have = signed_bytes(packing, group, want.len(), &mut buffer);
                    assert_eq!(
                        &have[..want.len()].iter().map(|&q| q as i8).collect::<Vec<_>>(),
                        want,
                        "{}",
                        format.name()
                    );
                }
            }
        }
    }

    #[test]
    fn halves_are_the_nearest_and_finite() {
        let row = [1.0, 1.0 + f32::EPSILON, -1e30, 1e-9];
        let (mut bytes, mut error) = (Vec::new(), RoundingError::default());
        append_floats(&mut bytes, &row[..3], Format::F16, &mut error);
        assert_eq!(bytes, [0x00, 0x3C, 0x00, 0x3C, 0xFF, 0xFB, 0, 0]);
        assert!(error.max() > 9e29 && stored_float(row[3], Format::F16) == 0.0);
    }
}
