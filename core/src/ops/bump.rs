//! Functions that are their argument where that is positive, else 0, less a bump that is the same on both sides of 0 and
//! gone far from it. The bump is a table of cubics in fixed point.

use super::fixed::{from_fixed, mul_high, to_fixed};

/// Fractional bits of the argument.
pub const POINT: i32 = 26;

/// [`Lanes::less_bump`](super::lanes::Lanes::less_bump).
#[inline(always)]
pub fn less_bump<const N: usize>(out: &mut [f32], x: &[f32], cubics: &[[i32; 4]; N], far: f32, spacing: i32) {
    for (out, &x) in out.iter_mut().zip(x) {
        *out = of(x, cubics, far, spacing);
    }
}

#[inline(always)]
fn of<const N: usize>(x: f32, cubics: &[[i32; 4]; N], far: f32, spacing: i32) -> f32 {
    if x.to_bits() & 0x7FFF_FFFF >= far.to_bits() {
        return beyond(x);
    }
    // Fractional bits of an argument's distance from the middle of its cubic.
    let within = POINT - spacing;
    let x = to_fixed(x, POINT);
    let magnitude = x.unsigned_abs();
    let Some(&[c0, c1, c2, c3]) = cubics.get(((magnitude + (1 << (within - 1))) >> within) as usize) else {
        return f32::NAN;
    };
    // From -1/2 to 1/2, in units of 2^-32.
    let t = (magnitude << (32 - within)) as i32;
    let bump = c0 + mul_high(c1 + mul_high(c2 + mul_high(c3, t), t), t);
    from_fixed(x.max(0) - ((bump + 8) >> 4), POINT)
}

#[cold]
fn beyond(x: f32) -> f32 {
    if (f32::MIN..0.0).contains(&x) { 0.0 } else { x }
}
