//! What the functions of a pass do lane by lane: elementwise operations, and the products of attention's heads.

use super::attention::{self, HeadRows};
use super::bump;
use super::vector::{self, Update};

/// The operations that a core may have faster instructions for. Whoever implements them gives [`Plain`]'s bits.
pub trait Lanes: Sync {
    /// `sums[i]` becomes that of `keys[i] * query`, which an i32 holds; sums beyond the last key stay as they are. The
    /// query is `[2 * n]` words of two 16-bit integers, each key the first `n` words of a row, of four bytes.
    fn dots_i8(&self, sums: &mut [i32], query: &[u32], keys: HeadRows<'_>);

    /// The sums of `weights[i]`, which are from 0 to 32767, times the four bytes of `values[i * stride]`; an i32 holds
    /// them.
    fn weigh_i8(&self, values: &[u32], stride: usize, weights: &[i32]) -> [i32; 4];

    /// `scores[i] = query . keys[i]` of keys that are f32 bits, each a striped sum; one of zeros may be 0 of either sign.
    fn dots_f32(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>);

    /// `out += weights[i] * values[i]`, in order, of values that are f32 bits.
    fn add_weighted_f32(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>);

    /// As [`Lanes::dots_f32`], of keys that [`pack_f16`](super::pack::pack_f16) packed.
    fn dots_f16(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>);

    /// As [`Lanes::add_weighted_f32`], of values that [`pack_f16`](super::pack::pack_f16) packed.
    fn add_weighted_f16(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>);

    /// Makes of each of `x` the factor of its exponential and puts the exponent in its place in `exponents`, as
    /// [`exp_parts`](super::exp::exp_parts); returns the greatest of these, `i32::MIN` where there is none.
    fn exp_terms(&self, x: &mut [f32], exponents: &mut [i32]) -> i32;

    /// Multiplies each factor by `2^(exponent - reference)`, which is at most 1 and counts as 0 below the least normal
    /// number; returns `sum` with all of them added to it, in order.
    fn weigh_terms(&self, factors: &mut [f32], exponents: &[i32], reference: i32, sum: f32) -> f32;

    /// Adds the exponentials of the first of `logits`, in units of `2^(reference - 62)` and without what is below one, to
    /// `sum`, below `2^63`: of as many as lie below `2^reference` and leave the sum below `2^63`, or of fewer. Returns the
    /// sum and how many there were.
    #[inline(always)]
    fn add_exponentials(&self, sum: u64, reference: i32, logits: &[f32]) -> (u64, usize) {
        let _ = (reference, logits);
        (sum, 0)
    }

    /// Makes each element of `out` the function of `x` in its place that is its argument where that is positive, else 0, less
    /// a bump: around each multiple of `2^-spacing` one of `cubics`, whose coefficients in `t` from -1/2 to 1/2 are in units
    /// of `2^-30`, up to `far`, which the cubics reach; from there on there is none. What is infinite or not a number stays
    /// so.
    fn less_bump<const N: usize>(&self, out: &mut [f32], x: &[f32], cubics: &[[i32; 4]; N], far: f32, spacing: i32);

    /// Updates each element of `x` with the float in its place, of four bytes in the order of the blob.
    fn update(&self, x: &mut [f32], floats: &[[u8; 4]], update: Update);

    /// Multiplies all of `x`.
    fn scale(&self, x: &mut [f32], by: f32);

    /// The square root, rounded to nearest even; of a negative number or none, no number.
    fn sqrt(&self, x: f32) -> f32;
}

/// Plain Rust: the definition of each.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Lanes for Plain {
    #[inline(always)]
    fn dots_i8(&self, sums: &mut [i32], query: &[u32], keys: HeadRows<'_>) {
        attention::dots_i8(sums, query, keys);
    }

    #[inline(always)]
    fn weigh_i8(&self, values: &[u32], stride: usize, weights: &[i32]) -> [i32; 4] {
        attention::weigh_i8(values, stride, weights)
    }

    #[inline(always)]
    fn dots_f32(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
        attention::dots_f32(scores, query, keys);
    }

    #[inline(always)]
    fn add_weighted_f32(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
        attention::add_weighted_f32(out, weights, values);
    }

    #[inline(always)]
    fn dots_f16(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
        attention::dots_f16(scores, query, keys);
    }

    #[inline(always)]
    fn add_weighted_f16(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
        attention::add_weighted_f16(out, weights, values);
    }

    #[inline(always)]
    fn exp_terms(&self, x: &mut [f32], exponents: &mut [i32]) -> i32 {
        attention::exp_terms(x, exponents)
    }

    #[inline(always)]
    fn weigh_terms(&self, factors: &mut [f32], exponents: &[i32], reference: i32, sum: f32) -> f32 {
        attention::weigh_terms(factors, exponents, reference, sum)
    }

    #[inline(always)]
    fn less_bump<const N: usize>(&self, out: &mut [f32], x: &[f32], cubics: &[[i32; 4]; N], far: f32, spacing: i32) {
        bump::less_bump(out, x, cubics, far, spacing);
    }

    #[inline(always)]
    fn update(&self, x: &mut [f32], floats: &[[u8; 4]], update: Update) {
        vector::update(x, floats, update);
    }

    #[inline(always)]
    fn scale(&self, x: &mut [f32], by: f32) {
        vector::scale(x, by);
    }

    #[inline(always)]
    fn sqrt(&self, x: f32) -> f32 {
        vector::sqrt(x)
    }
}
