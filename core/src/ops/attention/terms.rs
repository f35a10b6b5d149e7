//! Terms of a softmax over floats, in plain Rust.

use crate::ops::alone::alone;
use crate::ops::exp::exp_parts;
use crate::ops::fixed::pow2;

/// [`Lanes::exp_terms`](crate::ops::lanes::Lanes::exp_terms).
#[inline(always)]
pub fn exp_terms(x: &mut [f32], exponents: &mut [i32]) -> i32 {
    let mut most = i32::MIN;
    for (x, exponent) in x.iter_mut().zip(exponents) {
        (*exponent, *x) = exp_parts(*x);
        most = most.max(*exponent);
    }
    most
}

/// [`Lanes::weigh_terms`](crate::ops::lanes::Lanes::weigh_terms).
#[inline(always)]
pub fn weigh_terms(factors: &mut [f32], exponents: &[i32], reference: i32, mut sum: f32) -> f32 {
    for (factor, exponent) in factors.iter_mut().zip(exponents) {
        *factor = alone(*factor * pow2(exponent - reference));
        sum += *factor;
    }
    sum
}
