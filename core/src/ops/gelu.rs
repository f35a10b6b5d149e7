//! The Gaussian error linear unit (Hendrycks and Gimpel, 2016), in both its forms.
//!
//! A GELU is its argument where that is positive, else 0, less a bump that is gone beyond 6.

pub use super::gelu_table::Table;
use super::gelu_table::{ERF, TANH};
use super::lanes::Lanes;
use crate::config::Gelu;
use crate::features::{GELU_ERF, GELU_TANH};

/// From this magnitude on there is no bump.
const FAR: f32 = 6.0;

/// Cubics lie 1/16 apart.
const SPACING: i32 = 4;

/// Makes each element of `out` the GELU of `x` in its place, `x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2` or
/// `x (1 + erf(x / sqrt 2)) / 2`, with an absolute error below `8e-8 max(|x|, 1)`. What is infinite or not a number stays
/// so.
#[inline(never)] // Its loop wants all registers.
pub fn gelu(lanes: &impl Lanes, out: &mut [f32], x: &[f32], form: Gelu) {
    lanes.less_bump(out, x, table(form), FAR, SPACING);
}

/// The cubics of a form that this build computes.
pub const fn table(form: Gelu) -> &'static Table {
    match form {
        Gelu::Erf if GELU_ERF => &ERF,
        Gelu::Tanh if !GELU_TANH => &ERF,
        _ => &TANH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::lanes::Plain;

    fn of(x: f32, form: Gelu) -> f32 {
        let mut y = [0.0];
        gelu(&Plain, &mut y, &[x], form);
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
