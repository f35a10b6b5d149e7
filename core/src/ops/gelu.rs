//! The Gaussian error linear unit (Hendrycks and Gimpel, 2016), in both its forms.
//!
//! A GELU is its argument where that is positive, else 0, less a bump that is the same on both sides of 0 and gone beyond
//! 6. The bump is a table of cubics in fixed point.

use super::fixed::{from_fixed, mul_high, to_fixed};
pub use super::gelu_table::Table;
use super::gelu_table::{ERF, TANH};
use crate::config::Gelu;
use crate::features::{GELU_ERF, GELU_TANH};

/// From this magnitude on there is no bump.
const FAR: f32 = 6.0;

/// Fractional bits of the argument.
const POINT: i32 = 26;

/// Fractional bits of an argument's distance from the middle of its cubic.
const WITHIN: i32 = POINT - 4;

/// Makes each element of `out` the GELU of `x` in its place, `x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2` or
/// `x (1 + erf(x / sqrt 2)) / 2`, with an absolute error below `8e-8 max(|x|, 1)`. What is infinite or not a number stays
/// so.
#[inline(never)] // Its loop wants all registers.
pub fn gelu(out: &mut [f32], x: &[f32], form: Gelu) {
    let table = table(form);
    out.iter_mut().zip(x).for_each(|(out, &x)| *out = one(x, table));
}

/// The cubics of a form that this build computes.
pub const fn table(form: Gelu) -> &'static Table {
    match form {
        Gelu::Erf if GELU_ERF => &ERF,
        Gelu::Tanh if !GELU_TANH => &ERF,
        _ => &TANH,
    }
}

#[inline(always)]
fn one(x: f32, table: &Table) -> f32 {
    if x.to_bits() & 0x7FFF_FFFF >= FAR.to_bits() {
        return far(x);
    }
    let x = to_fixed(x, POINT);
    let magnitude = x.unsigned_abs();
    let Some(&[c0, c1, c2, c3]) = table.get(((magnitude + (1 << (WITHIN - 1))) >> WITHIN) as usize) else {
        return f32::NAN;
    };
    // From -1/2 to 1/2, in units of 2^-32.
    let t = (magnitude << (32 - WITHIN)) as i32;
    let bump = c0 + mul_high(c1 + mul_high(c2 + mul_high(c3, t), t), t);
    from_fixed(x.max(0) - ((bump + 8) >> 4), POINT)
}

#[cold]
fn far(x: f32) -> f32 {
    if (f32::MIN..0.0).contains(&x) { 0.0 } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(x: f32, form: Gelu) -> f32 {
        let mut y = [0.0];
        gelu(&mut y, &[x], form);
        y[0]
    }

    fn worst(form: Gelu, want: impl Fn(f64) -> f64) -> f64 {
        let points = (-1_000_000..1_000_000).step_by(if cfg!(miri) { 999 } else { 1 }).map(|i| i as f32 * 9e-6);
        points
            .map(|x| (f64::from(of(x, form)) - want(x.into())).abs() / f64::from(x).abs().max(1.0))
            .fold(0.0, f64::max)
    }

    #[test]
    fn tanh_form_keeps_its_bound() {
        let want = |x: f64| 0.5 * x * (1.0 + (0.797_884_560_802_865_4 * (x + 0.044_715 * x.powi(3))).tanh());
        let worst = worst(Gelu::Tanh, want);
        assert!(worst < 8e-8, "{worst}");
    }

    #[test]
    fn erf_form_keeps_its_bound() {
        let want = |x: f64| 0.5 * x * libm::erfc(-x / core::f64::consts::SQRT_2);
        let worst = worst(Gelu::Erf, want);
        assert!(worst < 8e-8, "{worst}");
    }

    #[test]
    fn edges() {
        for form in [Gelu::Tanh, Gelu::Erf] {
            let far = [-1e3, -6.0, f32::MIN, 1e3, 6.0, f32::MAX, f32::INFINITY, f32::NEG_INFINITY];
            assert_eq!(far.map(|x| of(x, form)), [0.0, 0.0, 0.0, 1e3, 6.0, f32::MAX, f32::INFINITY, f32::NEG_INFINITY]);
            assert!(of(f32::NAN, form).is_nan());
            assert_eq!([0.0, -0.0, 1e-30, -1e-40].map(|x| of(x, form).to_bits()), [0; 4]);
        }
    }
}
