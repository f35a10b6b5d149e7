//! Attention of one query over the cache, in one pass and without a row of scores.
//!
//! The softmax runs over the positions with a running reference and a running sum (Milakov and Gimelshein, 2018). The
//! reference is a power of two above every term, so that rescaling when it rises is exact.

mod floats;
mod integers;

pub use floats::{HeadOps, HeadRows, add_weighted_f16, add_weighted_f32, attend, dots_f16, dots_f32};
pub use integers::{I8Head, attend_i8, dot_i8, weigh_i8};

use super::exp::{CUTOFF, NONE, pow2};

/// A softmax under way.
struct Softmax {
    /// The exponent that every term so far lies below.
    reference: i32,
    /// Of the terms so far, in units of `2^reference`.
    sum: f32,
}

impl Softmax {
    const EMPTY: Self = Self { reference: NONE, sum: 0.0 };

    /// Makes room for terms of up to `exponent`. Where the reference rises for it, returns what sums relative to the
    /// old one are to be multiplied by.
    #[inline(always)]
    fn raise(&mut self, exponent: i32) -> Option<f32> {
        if exponent < self.reference {
            return None;
        }
        let rescale = pow2(self.reference - exponent - 1);
        self.reference = exponent + 1;
        self.sum *= rescale;
        Some(rescale)
    }

    /// Adds `factor * 2^exponent`, for which there is room, and returns its weight relative to the reference; `None`
    /// where it is too small to count.
    #[inline(always)]
    fn add(&mut self, (exponent, factor): (i32, f32)) -> Option<f32> {
        let exponent = exponent - self.reference;
        if exponent < CUTOFF {
            return None;
        }
        let weight = factor * pow2(exponent);
        self.sum += weight;
        Some(weight)
    }
}

/// Multiplies all of `out`.
#[inline(always)]
fn scale(out: &mut [f32], by: f32) {
    out.iter_mut().for_each(|out| *out *= by);
}
