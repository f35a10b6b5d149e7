//! The exponential, as a power of two and a factor near 1.
//!
//! `exp(x) = factor * 2^exponent` keeps its relative precision however large `x` is, and sums of such terms can be
//! rescaled exactly. The argument is reduced by a three-part ln 2 (after Cody and Waite, *Software Manual for the
//! Elementary Functions*, 1980); the polynomial is a minimax fit of `exp(r)` with relative error below 3.2e-9 on
//! `|r| <= 0.348`.

/// Beyond this magnitude an argument is not a number for [`exp_parts`] (above), or its exponential is 0 (below).
pub const LIMIT: f32 = 268_435_456.0;

/// The exponent of what is not a number, above every other; its negative is that of 0, below every other.
const FAR: i32 = 1 << 29;

/// Below this magnitude the argument's reduction in f32 is exact.
const FAST: f32 = 4096.0;

/// ln 2 = `LN_2_HIGH + LN_2_MIDDLE + LN_2_LOW`. The first two have 10 and 11 significant bits: their products with
/// an exponent of up to 13 bits are exact.
const LN_2_HIGH: f32 = 709.0 / 1024.0;
const LN_2_MIDDLE: f32 = 1603.0 / 2_097_152.0;
const LN_2_LOW: f32 = -1.904_654_3e-9;

/// Adding it rounds a number of less than 2^22 to the nearest integer, ties to even, and leaves that integer in the
/// low bits of the sum.
const ROUND: f32 = 12_582_912.0;

/// `exp(x)` as `(exponent, factor)`, the factor in [0.7, 1.42] and off by less than 2 units in its last place.
///
/// `x` below `-LIMIT` gives `(-2^29, 0.0)`; `x` above `LIMIT`, infinite or not a number gives `(2^29, NaN)`: the one
/// never raises a running reference, the other always does. All other exponents lie between.
#[inline(always)]
pub fn exp_parts(x: f32) -> (i32, f32) {
    if x.abs() < FAST {
        let rounded = x * core::f32::consts::LOG2_E + ROUND;
        let exponent = rounded - ROUND;
        let r = ((x - exponent * LN_2_HIGH) - exponent * LN_2_MIDDLE) - exponent * LN_2_LOW;
        ((rounded.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32), exp_near_zero(r))
    } else {
        exp_parts_far(x)
    }
}

/// No exponent yet: below every one of [`exp_parts`], and far enough from both ends of i32 to subtract.
pub const NONE: i32 = -(1 << 30);

/// Terms this many powers of two below their running reference are left out of a sum.
pub const CUTOFF: i32 = -60;

/// The rare large argument, in f64.
#[cold]
#[inline(never)]
fn exp_parts_far(x: f32) -> (i32, f32) {
    if x < -LIMIT {
        return (-FAR, 0.0);
    }
    if x.is_nan() || x > LIMIT {
        return (FAR, f32::NAN);
    }
    let x = f64::from(x);
    let half = if x < 0.0 { -0.5 } else { 0.5 };
    let exponent = (x * core::f64::consts::LOG2_E + half) as i32;
    // ln 2 in two parts, the first of 22 significant bits.
    const HIGH: f64 = 2_907_270.0 / 4_194_304.0;
    const LOW: f64 = core::f64::consts::LN_2 - HIGH;
    let r = (x - f64::from(exponent) * HIGH) - f64::from(exponent) * LOW;
    (exponent, exp_near_zero(r as f32))
}

/// `exp(r)` for `|r| <= 0.348`.
#[inline(always)]
fn exp_near_zero(r: f32) -> f32 {
    const P: [f32; 5] = [0.499_999_93, 0.166_665_18, 0.041_668_415, 0.008_368_992, 0.001_381_402_7];
    let p = (((P[4] * r + P[3]) * r + P[2]) * r + P[1]) * r + P[0];
    1.0 + (r + r * r * p)
}

/// `2^exponent` for exponents from -126 to 127; 0 below, unspecified above.
#[inline(always)]
pub fn pow2(exponent: i32) -> f32 {
    if exponent < -126 { 0.0 } else { f32::from_bits((exponent.wrapping_add(127) as u32) << 23) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factor_is_within_two_units_in_the_last_place() {
        let mut worst = 0.0f64;
        let mut x = -2000.0f32;
        while x < 9000.0 {
            let (exponent, factor) = exp_parts(x);
            let want = (f64::from(x) - f64::from(exponent) * core::f64::consts::LN_2).exp();
            let ulp = if want < 1.0 { 2f64.powi(-24) } else { 2f64.powi(-23) };
            worst = worst.max((f64::from(factor) - want).abs() / ulp);
            x += 0.013_7;
        }
        assert!(worst < 2.0, "{worst}");
        assert!((0.7..1.42).contains(&exp_parts(1e6).1));
    }

    #[test]
    fn edges() {
        assert_eq!(exp_parts(0.0), (0, 1.0));
        assert_eq!(exp_parts(f32::NEG_INFINITY), (-FAR, 0.0));
        for x in [f32::NAN, f32::INFINITY, 1e30] {
            assert!(exp_parts(x).0 == FAR && exp_parts(x).1.is_nan());
        }
        assert!(exp_parts(LIMIT).0 < FAR && exp_parts(-LIMIT).0 > -FAR);
        assert_eq!((pow2(-127), pow2(-126), pow2(0), pow2(127)), (0.0, f32::MIN_POSITIVE, 1.0, 2f32.powi(127)));
    }
}
