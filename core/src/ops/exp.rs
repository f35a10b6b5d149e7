//! The exponential, as a power of two and a factor.
//!
//! `exp(x) = factor * 2^exponent` keeps its relative precision however large `x` is, and sums of such terms can be
//! rescaled exactly. The argument becomes a fixed-point logarithm to base 2, whose integer part is the exponent; the
//! factor comes from a table of 32 powers and a cubic between them, in integers.

use super::fixed::{from_fixed, to_fixed, umul_high};

/// Beyond this magnitude an argument is not a number for [`exp_fixed`] (above), or its exponential is 0 (below).
pub const LIMIT: f32 = 268_435_456.0;

/// The exponent of what is not a number, above every other; its negative is that of 0, below every other.
pub const FAR: i32 = 1 << 29;

/// No exponent yet: below every one of [`exp_fixed`], and far enough from both ends of i32 to subtract.
pub const NONE: i32 = -(1 << 30);

/// Below this magnitude an argument fits fixed point with [`POINT`] fractional bits.
pub const NEAR: f32 = 128.0;
/// Those bits.
pub const POINT: i32 = 24;

/// log2(e) in units of `2^-30`, and of `2^-63` in two words.
pub const LOG2_E: i32 = 1_549_082_005;
const LOG2_E_HIGH: u32 = 0xB8AA_3B29;
const LOG2_E_LOW: u32 = 0x5C17_F0BC;

/// `2^(i / 32)` in units of `2^-31`.
pub static POWERS: [u32; 32] = [
    2_147_483_648,
    2_194_507_417,
    2_242_560_872,
    2_291_666_561,
    2_341_847_524,
    2_393_127_307,
    2_445_529_972,
    2_499_080_105,
    2_553_802_834,
    2_609_723_834,
    2_666_869_345,
    2_725_266_179,
    2_784_941_738,
    2_845_924_021,
    2_908_241_642,
    2_971_923_842,
    3_037_000_500,
    3_103_502_151,
    3_171_459_999,
    3_240_905_930,
    3_311_872_529,
    3_384_393_094,
    3_458_501_653,
    3_534_232_978,
    3_611_622_603,
    3_690_706_840,
    3_771_522_796,
    3_854_108_391,
    3_938_502_376,
    4_024_744_348,
    4_112_874_773,
    4_202_935_003,
];
/// In units of `2^-36`, the factor of `t` in the cubic that is `2^(t / 32) - 1` at 0, 1/4, 3/4 and 1.
pub const C1: u32 = 1_488_522_355;
/// As [`C1`], of the square.
pub const C2: u32 = 16_120_573;
/// As [`C1`], of the cube.
pub const C3: u32 = 117_669;

/// `exp(x)` as `(exponent, factor)`, the factor in [1, 2] and off by less than 1.3e-7 of itself.
///
/// `x` below `-LIMIT` gives `(-FAR, 0.0)`; `x` above `LIMIT`, infinite or not a number gives `(FAR, NaN)`: the one
/// never raises a running reference, the other always does. All other exponents lie between.
#[inline(always)]
pub fn exp_parts(x: f32) -> (i32, f32) {
    if is_near(x) { parts(exp_near(x)) } else { exp_parts_far(x) }
}

/// As [`exp_parts`] with the factor in units of `2^-31`: from `2^31` on, or 0 where [`exp_parts`] has 0 or NaN. It is
/// off by less than 7e-8 of itself.
#[inline(always)]
pub fn exp_fixed(x: f32) -> (i32, u32) {
    if is_near(x) { exp_near(x) } else { exp_far(x) }
}

/// The factor as a float.
#[inline(always)]
fn parts((exponent, factor): (i32, u32)) -> (i32, f32) {
    // 31 bits are more than a float keeps.
    (exponent, from_fixed((factor >> 1) as i32, 30))
}

#[inline(always)]
const fn is_near(x: f32) -> bool {
    x.to_bits() & 0x7FFF_FFFF < NEAR.to_bits()
}

#[inline(always)]
fn exp_near(x: f32) -> (i32, u32) {
    let log2 = i64::from(to_fixed(x, POINT)) * i64::from(LOG2_E);
    ((log2 >> (POINT + 30)) as i32, exp2_fraction((log2 >> (POINT - 2)) as u32))
}

#[cold]
#[inline(never)]
fn exp_parts_far(x: f32) -> (i32, f32) {
    let far = exp_far(x);
    if far.0 == FAR { (FAR, f32::NAN) } else { parts(far) }
}

/// The rarer large argument.
#[cold]
#[inline(never)]
fn exp_far(x: f32) -> (i32, u32) {
    if x < -LIMIT {
        return (-FAR, 0);
    }
    if x.is_nan() || x > LIMIT {
        return (FAR, 0);
    }
    let bits = x.to_bits();
    let mantissa = u64::from(bits & 0x007F_FFFF | 0x0080_0000);
    let product = mantissa * u64::from(LOG2_E_HIGH) + ((mantissa * u64::from(LOG2_E_LOW)) >> 32);
    // In units of 2^-32.
    let right = 149 - (bits >> 23 & 0xFF) as i32;
    let magnitude = (if right < 0 { product << -right } else { product >> right }) as i64;
    let log2 = if x < 0.0 { -magnitude } else { magnitude };
    ((log2 >> 32) as i32, exp2_fraction(log2 as u32))
}

/// `2^fraction`, the fraction in units of `2^-32`, the result in units of `2^-31`, off by less than 4 of these.
#[inline(always)]
pub fn exp2_fraction(fraction: u32) -> u32 {
    let power = POWERS[(fraction >> 27) as usize];
    let t = fraction << 5;
    let grown = umul_high(C1 + umul_high(C2 + umul_high(C3, t), t), t);
    power + (umul_high(power, grown) >> 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn off(x: f32) -> (f64, f64) {
        let (exponent, factor) = exp_fixed(x);
        let want = (f64::from(x) - f64::from(exponent) * core::f64::consts::LN_2).exp();
        (f64::from(factor) / 2f64.powi(31) / want - 1.0, f64::from(exp_parts(x).1) / want - 1.0)
    }

    #[test]
    fn factors_keep_their_bounds() {
        let mut worst = (0.0f64, 0.0f64);
        let mut x = -2000.0f32;
        while x < 9000.0 {
            let (fixed, float) = off(x);
            worst = (worst.0.max(fixed.abs()), worst.1.max(float.abs()));
            x += if cfg!(miri) { 3.7 } else { 0.003_7 };
        }
        for i in (-1_000_000..1_000_000).step_by(if cfg!(miri) { 999 } else { 1 }) {
            let (fixed, float) = off(i as f32 * 1.3e-6);
            worst = (worst.0.max(fixed.abs()), worst.1.max(float.abs()));
        }
        assert!(worst.0 < 7e-8 && worst.1 < 1.3e-7, "{worst:?}");
    }

    #[test]
    fn fractions_keep_their_bound() {
        let mut last = 0;
        for fraction in (0..=u32::MAX).step_by(if cfg!(miri) { 1 << 21 } else { 4099 }).chain([u32::MAX - 1, u32::MAX])
        {
            let power = exp2_fraction(fraction);
            let want = (f64::from(fraction) / 2f64.powi(32) + 31.0).exp2();
            assert!((f64::from(power) - want).abs() < 4.0 && power >= last, "{fraction}: {power} {want}");
            last = power;
        }
    }

    #[test]
    fn edges() {
        assert_eq!([0.0, -0.0].map(exp_parts), [(0, 1.0); 2]);
        assert_eq!(exp_fixed(0.0), exp_fixed(-0.0));
        assert_eq!((exp_parts(f32::NEG_INFINITY), exp_fixed(-1e30)), ((-FAR, 0.0), (-FAR, 0)));
        for x in [f32::NAN, f32::INFINITY, 1e30] {
            assert!(exp_parts(x).0 == FAR && exp_parts(x).1.is_nan() && exp_fixed(x) == (FAR, 0));
        }
        assert!(exp_parts(LIMIT).0 < FAR && exp_parts(-LIMIT).0 > -FAR);
    }
}
