//! Root mean square normalisation (Zhang and Sennrich, 2019) without its scale, which is a weight and comes in blocks.

use super::fixed::{exponent, to_fixed};
use super::lanes::Lanes;
use super::layer_norm::{POINT, divide, square};
use super::quantize::{LEAST, peak};

/// `out = x / sqrt(mean(x^2) + epsilon)`, both `[n]`, `n` at most `2^20`.
///
/// What [layer norm](super::layer_norm::normalize) does with a mean of 0. A row that is all (nearly) zero comes out as 0,
/// and one with an element that is infinite or not a number as no number.
pub fn rms_normalize(lanes: &impl Lanes, out: &mut [f32], x: &[f32], epsilon: f32) {
    let peak = peak(x);
    if !(LEAST..=f32::MAX).contains(&peak) {
        return out.fill(if peak < LEAST { 0.0 } else { f32::NAN });
    }
    let shift = POINT - exponent(peak);
    let mut squares = 0;
    for (out, &v) in out.iter_mut().zip(x) {
        let integer = to_fixed(v, shift);
        squares += square(integer);
        *out = f32::from_bits(integer as u32);
    }
    divide(lanes, out, squares as f32 / x.len() as f32, shift, epsilon);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::lanes::Plain;
    use crate::ops::layer_norm::normalize;
    use std::vec::Vec;

    fn assert_normal(x: &[f32], epsilon: f64) {
        let square = x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / x.len() as f64;
        let mut y = std::vec![0.0; x.len()];
        rms_normalize(&Plain, &mut y, x, epsilon as f32);
        for (&x, &y) in x.iter().zip(&y) {
            let want = f64::from(x) / (square + epsilon).sqrt();
            assert!((f64::from(y) - want).abs() < 5e-7 * want.abs().max(1.0), "{x}: {y} {want}");
        }
    }

    #[test]
    fn mean_square_one() {
        let mut x: Vec<f32> = (0..61).map(|i| ((i * 29) % 61) as f32 * 0.3 - 4.0).collect();
        assert_normal(&x, 0.0);
        for gain in [1e-15, 1e-3, 1e15] {
            let x: Vec<f32> = x.iter().map(|v| v * gain).collect();
            assert_normal(&x, 0.0);
        }
        // One far from the others, as deep layers have them.
        x[17] = 3000.0;
        assert_normal(&x, 1e-5);
        assert_normal(&x[17..18], 1e-5);
        let long = if cfg!(miri) { 1 << 12 } else { 1 << 20 };
        assert_normal(&std::vec![1.999_999_9; long], 1e-6);
        assert_normal(&std::vec![-1.999_999_9; long], 1e-6);
    }

    #[test]
    fn rows_of_mean_zero_have_the_bits_of_layer_norm() {
        for n in [2, 3, 64, 101] {
            let half: Vec<f32> = (0..n).map(|i| ((i * 7919 % 1009) as f32 / 504.0 - 1.0) * 3.0).collect();
            let x: Vec<f32> = half.iter().flat_map(|&v| [v, -v]).collect();
            let [mut ours, mut theirs] = [0; 2].map(|_| std::vec![f32::NAN; x.len()]);
            rms_normalize(&Plain, &mut ours, &x, 1e-5);
            normalize(&Plain, &mut theirs, &x, 1e-5);
            assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn edges() {
        let mut y = [1.0; 5];
        rms_normalize(&Plain, &mut y, &[0.0, -0.0, 1e-38, 0.0, -1e-40], 0.0);
        assert_eq!(y, [0.0; 5]);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            rms_normalize(&Plain, &mut y, &[1.0, bad, 0.0, 0.0, 0.0], 1e-5);
            assert!(y.iter().all(|y| y.is_nan()));
        }
        rms_normalize(&Plain, &mut [], &[], 1e-5);
    }
}
