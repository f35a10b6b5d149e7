//! The weights that a q8 tensor stands for, decoded from its bytes as FORMAT.md lays them out.
//!
//! A row of n_in weights is n_in signed bytes, then one unsigned scale for each group of 64 of them (the last group may be
//! shorter), then zeros, and in the last two bytes of the row a scale for the whole row, a bfloat16.
//! A row takes a multiple of 4 bytes. The weight is row scale * group scale * byte, and exact in f64.

use half::{bf16, f16};

use crate::oracle::Matrix;

/// Weights that share a group scale.
pub const GROUP: usize = 64;

/// The largest magnitude of a quantised activation.
pub const MAX_ACTIVATION: f64 = 32767.0;

/// Bytes from one row of `n_in` weights to the next.
pub fn q8_row_stride(n_in: usize) -> usize {
    (n_in + n_in.div_ceil(GROUP) + 2).next_multiple_of(4)
}

/// The weights `[n_out, n_in]` of a q8 tensor.
///
/// # Panics
/// If `bytes` is not n_out rows.
pub fn decode_q8(bytes: &[u8], n_out: usize, n_in: usize) -> Matrix {
    let stride = q8_row_stride(n_in);
    assert_eq!(bytes.len(), n_out * stride);
    bytes.chunks(stride).map(|row| decode_q8_row(row, n_in)).collect()
}

fn decode_q8_row(row: &[u8], n_in: usize) -> Vec<f64> {
    let (weights, rest) = row.split_at(n_in);
    let (rest, row_scale) = rest.split_last_chunk().expect("a row ends in its scale");
    let (group_scales, padding) = rest.split_at(n_in.div_ceil(GROUP));
    assert!(padding.iter().all(|&b| b == 0), "padding is zeros");
    let row_scale = f64::from(bf16::from_le_bytes(*row_scale));
    weights
        .chunks(GROUP)
        .zip(group_scales)
        .flat_map(|(group, &scale)| group.iter().map(move |&q| row_scale * f64::from(scale) * f64::from(q as i8)))
        .collect()
}

/// Rounds a vector to the 16-bit grid that its largest magnitude spans: what activations keep when int16 holds them.
pub fn round_to_a16(x: &mut [f64]) {
    let max = x.iter().fold(0.0, |max: f64, v| max.max(v.abs()));
    if max > 0.0 {
        let step = max / MAX_ACTIVATION;
        x.iter_mut().for_each(|v| *v = (*v / step).round_ties_even() * step);
    }
}

/// Rounds keys or values to half precision.
pub fn round_to_f16(x: &mut [f64]) {
    x.iter_mut().for_each(|v| *v = f64::from(f16::from_f64(*v)));
}

/// Rounds one head's keys or values to the 8-bit grid under the least bf16 scale that reaches the largest of them.
pub fn round_to_i8(x: &mut [f64]) {
    let least = x.iter().fold(0.0, |max: f64, v| max.max(v.abs())) / 127.0;
    let mut scale = bf16::from_f64(least);
    if f64::from(scale) < least {
        scale = bf16::from_bits(scale.to_bits() + 1);
    }
    if f64::from(scale) > 0.0 {
        x.iter_mut().for_each(|v| *v = (*v / f64::from(scale)).round_ties_even() * f64::from(scale));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_are_multiples_of_four_with_room_for_the_scales() {
        let cases = [(1, 4), (2, 8), (5, 8), (64, 68), (65, 72), (128, 132), (768, 784)];
        for (n_in, stride) in cases {
            assert_eq!(q8_row_stride(n_in), stride, "{n_in}");
        }
    }

    #[test]
    fn a_ragged_row_by_hand() {
        let mut row = vec![0_u8; q8_row_stride(66)];
        row[0] = 127;
        row[1] = (-127_i8) as u8;
        row[64] = 3;
        row[65] = (-2_i8) as u8;
        row[66] = 200;
        row[67] = 10;
        row[70..].copy_from_slice(&bf16::from_f32(0.5).to_le_bytes());
        let weights = &decode_q8(&row, 1, 66)[0];
        assert_eq!(weights.len(), 66);
        assert_eq!((weights[0], weights[1], weights[2]), (12_700.0, -12_700.0, 0.0));
        assert_eq!((weights[64], weights[65]), (15.0, -10.0));
    }

    #[test]
    fn rounding_moves_a_value_by_half_a_step_at_most() {
        let original: Vec<f64> = (0..500).map(|i| (f64::from(i) * 1.7).sin() * 3.0).collect();
        let mut rounded = original.clone();
        round_to_a16(&mut rounded);
        for (a, b) in original.iter().zip(&rounded) {
            assert!((a - b).abs() <= 0.5001 * 3.0 / MAX_ACTIVATION);
        }
        assert_ne!(original, rounded);
        round_to_i8(&mut rounded);
        let coarse: Vec<f64> = rounded.iter().map(|v| (v * 127.0 / 3.0).round()).collect();
        assert!(coarse.iter().all(|v| v.abs() <= 127.0) && coarse.contains(&126.0));
        for (a, b) in original.iter().zip(&rounded) {
            assert!((a - b).abs() <= 0.504 * 3.0 / 127.0);
        }
        let mut zeros = [0.0; 4];
        round_to_a16(&mut zeros);
        round_to_i8(&mut zeros);
        assert_eq!(zeros, [0.0; 4]);
    }
}
