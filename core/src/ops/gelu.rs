//! The Gaussian error linear unit (Hendrycks and Gimpel, 2016), in both its forms.

use super::exp::{exp_parts, pow2};
use crate::config::Gelu;

/// Replaces each element of `x` by its GELU.
///
/// The tanh form is computed as `x / (1 + exp(-2u))` with `u = sqrt(2/pi) (x + 0.044715 x^3)`, which is the same
/// function; its absolute error is below `3e-7 max(|x|, 1)`. The erf form is `0.5 x erfc(-x / sqrt 2)`.
pub fn gelu(x: &mut [f32], form: Gelu) {
    match form {
        Gelu::Tanh => x.iter_mut().for_each(|x| *x = gelu_tanh(*x)),
        Gelu::Erf => x.iter_mut().for_each(|x| *x = gelu_erf(*x)),
    }
}

#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    /// 2 sqrt(2/pi), and that times 0.044715.
    const LINEAR: f32 = 1.595_769;
    const CUBIC: f32 = 0.071_354_814;
    /// exp(-80) is far below half a unit in the last place of 1.
    const FLAT: f32 = 80.0;
    let z = -(x * (LINEAR + CUBIC * (x * x)));
    let z = if z > FLAT { FLAT } else { z };
    let z = if z < -FLAT { -FLAT } else { z };
    let (exponent, factor) = exp_parts(z);
    x / (1.0 + factor * pow2(exponent))
}

fn gelu_erf(x: f32) -> f32 {
    0.5 * x * libm::erfcf(-x * core::f32::consts::FRAC_1_SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst(form: Gelu, want: impl Fn(f64) -> f64) -> f64 {
        (-120_000..120_000)
            .map(|i| {
                let x = i as f32 * 1e-4;
                let mut y = [x];
                gelu(&mut y, form);
                (f64::from(y[0]) - want(f64::from(x))).abs() / f64::from(x).abs().max(1.0)
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn tanh_form_keeps_its_bound() {
        let want = |x: f64| 0.5 * x * (1.0 + (0.797_884_560_802_865_4 * (x + 0.044_715 * x.powi(3))).tanh());
        assert!(worst(Gelu::Tanh, want) < 3e-7);
    }

    #[test]
    fn erf_form_keeps_its_bound() {
        let want = |x: f64| 0.5 * x * libm::erfc(-x / core::f64::consts::SQRT_2);
        assert!(worst(Gelu::Erf, want) < 3e-7);
    }

    #[test]
    fn far_arguments() {
        for form in [Gelu::Tanh, Gelu::Erf] {
            let mut y = [-1e3, 1e3, 0.0, f32::NAN];
            gelu(&mut y, form);
            assert!(y[0].abs() < 1e-30 && y[1] == 1e3 && y[2] == 0.0 && y[3].is_nan(), "{y:?}");
        }
    }
}
