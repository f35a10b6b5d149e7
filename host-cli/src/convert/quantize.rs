//! Weights to the bytes of a blob's rows.

use emberlm_core::format::Format;
const GROUP: usize = 64;
use half::bf16;

/// Largest magnitude of a q8 weight, and largest scale of a group.
const MAX_Q8: f64 = 127.0;
const MAX_SCALE: f64 = 255.0;

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

    fn push(&mut self, weight: f32, stored: f64) {
        let (weight, error) = (f64::from(weight), (f64::from(weight) - stored).abs());
        self.n += 1;
        self.squares += weight * weight;
        self.error_squares += error * error;
        self.max = self.max.max(error);
    }
}

/// Appends one row of finite weights in `format`, padded to its stride.
pub fn append_row(out: &mut Vec<u8>, row: &[f32], format: Format, error: &mut RoundingError) {
    let start = out.len();
    match format {
        Format::F32 => {
            out.extend(row.iter().flat_map(|weight| weight.to_le_bytes()));
            row.iter().for_each(|&weight| error.push(weight, f64::from(weight)));
        }
        Format::Q8 => append_q8(out, row, error),
        _ => unimplemented!(),
    }
    debug_assert_eq!(out.len() - start, format.row_stride(row.len()));
}

/// The row's scale is the least that lets every group's largest weight fit; a group's is the least that fits its own.
fn append_q8(out: &mut Vec<u8>, row: &[f32], error: &mut RoundingError) {
    let peak = |weights: &[f32]| weights.iter().fold(0.0, |peak: f64, &weight| peak.max(f64::from(weight).abs()));
    let row_scale = bf16_at_least(peak(row) / (MAX_Q8 * MAX_SCALE));
    let start = out.len();
    let mut scales = Vec::with_capacity(row.len().div_ceil(GROUP));
    for group in row.chunks(GROUP) {
        let scale = match f64::from(row_scale) {
            0.0 => 0.0,
            unit => (peak(group) / (MAX_Q8 * unit)).ceil().min(MAX_SCALE),
        };
        scales.push(scale as u8);
        let step = f64::from(row_scale) * scale;
        for &weight in group {
            let q = if step > 0.0 { (f64::from(weight) / step).round_ties_even().clamp(-MAX_Q8, MAX_Q8) } else { 0.0 };
            out.push(q as i8 as u8);
            error.push(weight, step * q);
        }
    }
    out.extend(scales);
    out.resize(start + Format::Q8.row_stride(row.len()) - 2, 0);
    out.extend(row_scale.to_le_bytes());
}

/// The least bf16 that is not below `x`, a number from 0 to half the largest.
fn bf16_at_least(x: f64) -> bf16 {
    let near = bf16::from_f64(x);
    if f64::from(near) < x { bf16::from_bits(near.to_bits() + 1) } else { near }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emberlm_core::kernel::PackedRow;

    fn stored(row: &[f32]) -> (Vec<f64>, RoundingError) {
        let (mut bytes, mut error) = (Vec::new(), RoundingError::default());
        append_row(&mut bytes, row, Format::Q8, &mut error);
        let view = PackedRow::new(&bytes, Format::Q8.packing().unwrap(), row.len());
        let weight = |(i, &q): (usize, &u8)| {
            f64::from(view.row_scale) * f64::from(view.group_scales[i / GROUP]) * f64::from(q as i8)
        };
        (view.integers.iter().enumerate().map(weight).collect(), error)
    }

    #[test]
    fn every_weight_is_within_half_a_step() {
        let wave = |i: usize| ((i * 7919 % 1009) as f32 / 504.0 - 1.0) * if i < 64 { 0.01 } else { 0.7 };
        for n in [1, 2, 63, 64, 65, 128, 200] {
            let row: Vec<f32> = (0..n).map(wave).collect();
            let (back, error) = stored(&row);
            let peak = row.iter().fold(0f32, |peak, weight| peak.max(weight.abs()));
            for (group, back) in row.chunks(GROUP).zip(back.chunks(GROUP)) {
                let group_peak = group.iter().fold(0f32, |peak, weight| peak.max(weight.abs()));
                // A group's scale is rounded up to a multiple of the row's, at most 1/255 of the largest (1/128 more in bf16).
                let step = (f64::from(group_peak) + f64::from(peak) * 1.008 / 255.0) * 1.008 / 127.0;
                for (weight, back) in group.iter().zip(back) {
                    assert!((f64::from(*weight) - back).abs() <= 0.5 * step, "{n}: {weight} {back}");
                }
            }
            assert!(error.max() <= 0.51 * f64::from(peak) / 127.0);
        }
    }

    #[test]
    fn rows_at_the_edges() {
        assert_eq!(stored(&[0.0; 70]).0, [0.0; 70]);
        let (back, _) = stored(&[1e-41, -1e-41, 0.0]);
        assert!(back.iter().all(|weight| weight.abs() < 1e-39), "{back:?}");
        let (back, error) = stored(&[f32::MAX, -f32::MAX]);
        assert!((back[0] / f64::from(f32::MAX) - 1.0).abs() < 0.01 && back[1] == -back[0] && error.relative() < 0.01);
        let (back, _) = stored(&[1.0, 1e-3]);
        assert!((back[0] - 1.0).abs() < 0.01);
    }
}
