//! The rectified linear unit, and its square (So et al., 2021).

use super::fixed::multiply;

/// Makes each element of `out` that of `x` in its place, or 0 where that is negative. What is not a number stays so.
pub fn relu(out: &mut [f32], x: &[f32]) {
    out.iter_mut().zip(x).for_each(|(out, &x)| *out = one(x));
}

/// As [`relu`], each multiplied by itself; infinite where that is beyond f32.
pub fn relu_squared(out: &mut [f32], x: &[f32]) {
    out.iter_mut().zip(x).for_each(|(out, &x)| *out = multiply(one(x), one(x)));
}

/// By the order of bits, in which a vector unit has no say.
#[inline(always)]
const fn one(x: f32) -> f32 {
    const LEAST: u32 = (-0.0f32).to_bits() + 1;
    const MOST: u32 = f32::NEG_INFINITY.to_bits();
    if matches!(x.to_bits(), LEAST..=MOST) { 0.0 } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(function: fn(&mut [f32], &[f32]), x: f32) -> f32 {
        let mut y = [7.0];
        function(&mut y, &[x]);
        y[0]
    }

    #[test]
    fn what_is_negative_becomes_zero() {
        let x = [-1.5, -1e-40, f32::MIN, f32::NEG_INFINITY, 0.0, 1e-40, 1.5, f32::MAX, f32::INFINITY];
        let zeros = [0.0; 5];
        assert_eq!(x.map(|x| of(relu, x)), [&zeros[..], &x[5..]].concat()[..]);
        let squares = [0.0, 2.25, f32::INFINITY, f32::INFINITY];
        assert_eq!(x.map(|x| of(relu_squared, x)), [&zeros[..], &squares].concat()[..]);
        assert_eq!([-1.0, -1e-45].map(|x| of(relu, x).to_bits()), [0; 2]);
    }

    #[test]
    fn squares_are_rounded_once() {
        for x in (1..100_000).map(|i| i as f32 * 1.37e-3) {
            assert_eq!(of(relu_squared, x), (f64::from(x) * f64::from(x)) as f32);
        }
    }

    #[test]
    fn what_is_not_a_number_stays_so() {
        for x in [f32::NAN, -f32::NAN] {
            assert!(of(relu, x).is_nan() && of(relu_squared, x).is_nan());
        }
    }
}
