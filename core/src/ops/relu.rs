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

#[inline(always)]
fn one(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
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
        assert_eq!(of(relu, -1.0).to_bits(), 0);
    }

    #[test]
    fn squares_are_rounded_once() {
        for x in (1..100_000).map(|i| i as f32 * 1.37e-3) {
            assert_eq!(of(relu_squared, x), (f64::from(x) * f64::from(x)) as f32);
        }
    }

    #[test]
    fn what_is_not_a_number_stays_so() {
        assert!([relu, relu_squared].map(|function| of(function, f32::NAN)).iter().all(|y| y.is_nan()));
    }
}
