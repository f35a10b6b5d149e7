//! Layer normalisation (Ba, Kiros and Hinton, 2016) without its scale and shift, which are weights and come in blocks.

use super::fixed::{exponent, from_fixed, multiply, pow2, to_fixed};
use super::lanes::Lanes;
use super::quantize::{LEAST, peak};

/// The row's largest magnitude as an integer is from `2^POINT` on, and below twice that.
pub(super) const POINT: i32 = 26;

/// Bits that a distance from the mean loses before it is squared: what is left has at most 22, so that `2^20` squares
/// fit 64 bits.
const DROPPED: i32 = 6;

/// `out = (x - mean) / sqrt(variance + epsilon)`, both `[n]`, `n` at most `2^20`; the variance is the biased one.
///
/// The row becomes integers under one power of two, off by less than `2^-26` of its largest magnitude; sums are exact. A
/// row that is all (nearly) zero comes out as 0, and one with an element that is infinite or not a number as no number.
pub fn normalize(lanes: &impl Lanes, out: &mut [f32], x: &[f32], epsilon: f32) {
    let peak = peak(x);
    if !(LEAST..=f32::MAX).contains(&peak) {
        return out.fill(if peak < LEAST { 0.0 } else { f32::NAN });
    }
    let shift = POINT - exponent(peak);
    // Integers wait in `out`, as the bits of its floats.
    let mut sum = 0;
    for (out, &v) in out.iter_mut().zip(x) {
        let integer = to_fixed(v, shift);
        sum += i64::from(integer);
        *out = f32::from_bits(integer as u32);
    }
    let mean = quotient(sum, x.len() as u32);
    let mut squares = 0;
    for out in &mut *out {
        let distance = out.to_bits() as i32 - mean;
        squares += square(distance);
        *out = f32::from_bits(distance as u32);
    }
    divide(lanes, out, squares as f32 / x.len() as f32, shift, epsilon);
}

/// What one of the row's integers adds to the sum of their squares.
#[inline(always)]
pub(super) const fn square(integer: i32) -> u64 {
    let high = (integer >> DROPPED) as i64;
    (high * high) as u64
}

/// Makes floats of the integers that wait in `out`, divided by the root of their mean `square` and `epsilon`.
#[inline(always)]
pub(super) fn divide(lanes: &impl Lanes, out: &mut [f32], square: f32, shift: i32, epsilon: f32) {
    let unit = pow2(DROPPED - shift);
    let variance = (square * unit) * unit;
    let inverse = (1.0 / lanes.sqrt(variance + epsilon)) * pow2(-shift);
    for out in out {
        *out = multiply(from_fixed(out.to_bits() as i32, 0), inverse);
    }
}

/// `sum / n`, cut off towards 0, in divisions of 32 bits: those of 64 are a library's. `n` is at most `2^20`, and the sum of
/// less than 48 bits.
fn quotient(sum: i64, n: u32) -> i32 {
    let (mut quotient, mut rest) = (0, 0);
    for shift in [36, 24, 12, 0] {
        let digits = rest << 12 | (sum.unsigned_abs() >> shift) as u32 & 0xFFF;
        let digit = digits.checked_div(n).unwrap_or(0);
        rest = digits - digit * n;
        quotient = quotient << 12 | digit;
    }
    if sum < 0 { -(quotient as i32) } else { quotient as i32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::lanes::Plain;
    use std::vec::Vec;

    fn assert_normal(x: &[f32], epsilon: f64) {
        let n = x.len() as f64;
        let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let variance = x.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
        let mut y = std::vec![0.0; x.len()];
        normalize(&Plain, &mut y, x, epsilon as f32);
        for (&x, &y) in x.iter().zip(&y) {
            let want = (f64::from(x) - mean) / (variance + epsilon).sqrt();
            assert!((f64::from(y) - want).abs() < 5e-7 * want.abs().max(1.0), "{x}: {y} {want}");
        }
    }

    #[test]
    fn mean_zero_variance_one() {
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
        assert_normal(&(0..long).map(|i| (i % 2) as f32).collect::<Vec<_>>(), 1e-5);
    }

    #[test]
    fn long_division_is_division() {
        let mut state = 1_u64;
        for n in [1, 2, 3, 61, 128, 768, 1023, 1025, 65_537, (1 << 20) - 1, 1 << 20] {
            let most = (i64::from(n) << 27) - 1;
            for _ in 0..if cfg!(miri) { 10 } else { 1000 } {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let sum = (state >> 16) as i64 % (most + 1);
                for sum in [sum, -sum, most, -most, 0, i64::from(n), i64::from(n) - 1, 1 - i64::from(n)] {
                    assert_eq!(i64::from(quotient(sum, n)), sum / i64::from(n), "{sum} / {n}");
                }
            }
        }
    }

    #[test]
    fn edges() {
        let mut y = [1.0; 5];
        normalize(&Plain, &mut y, &[3.0; 5], 1e-5);
        assert_eq!(y, [0.0; 5]);
        normalize(&Plain, &mut y, &[0.0, -0.0, 1e-38, 0.0, -1e-40], 0.0);
        assert_eq!(y, [0.0; 5]);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            normalize(&Plain, &mut y, &[1.0, bad, 0.0, 0.0, 0.0], 1e-5);
            assert!(y.iter().all(|y| y.is_nan()));
        }
    }
}
