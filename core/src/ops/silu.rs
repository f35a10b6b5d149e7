//! The sigmoid linear unit (Elfwing, Uchibe and Doya, 2018), which others call swish: its argument where that is positive,
//! else 0, less a bump.

use super::lanes::Lanes;
pub use super::silu_table::TABLE;

/// From this magnitude on there is no bump.
const FAR: f32 = 22.0;

/// Cubics lie 1/8 apart.
const SPACING: i32 = 3;

/// Makes each element of `out` the SiLU of `x` in its place, `x / (1 + e^-x)`, with an absolute error below
/// `8e-8 max(|x|, 1)`. What is infinite or not a number stays so.
#[inline(never)] // Its loop wants all registers.
pub fn silu(lanes: &impl Lanes, out: &mut [f32], x: &[f32]) {
    lanes.less_bump(out, x, &TABLE, FAR, SPACING);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::lanes::Plain;

    fn of(x: f32) -> f32 {
        let mut y = [0.0];
        silu(&Plain, &mut y, &[x]);
        y[0]
    }

    #[test]
    fn it_keeps_its_bound() {
        let points = (-1_000_000..1_000_000).step_by(if cfg!(miri) { 999 } else { 1 }).map(|i| i as f32 * 23e-6);
        let error = |x: f32| (f64::from(of(x)) - f64::from(x) / (1.0 + (-f64::from(x)).exp())).abs();
        let worst = points.map(|x| error(x) / f64::from(x.abs().max(1.0))).fold(0.0, f64::max);
        assert!(worst < 8e-8, "{worst}");
    }

    #[test]
    fn edges() {
        let far = [-1e3, -22.0, f32::MIN, 1e3, 22.0, f32::MAX, f32::INFINITY, f32::NEG_INFINITY];
        assert_eq!(far.map(of), [0.0, 0.0, 0.0, 1e3, 22.0, f32::MAX, f32::INFINITY, f32::NEG_INFINITY]);
        assert!(of(f32::NAN).is_nan());
        assert_eq!([0.0, -0.0, 1e-30, -1e-40].map(|x| of(x).to_bits()), [0; 4]);
        // The last cubic's last argument.
        assert!(of(22f32.next_down()) <= 22.0 && of(-22f32.next_down()).abs() < 1e-7);
    }
}
