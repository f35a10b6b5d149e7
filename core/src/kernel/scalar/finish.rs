//! From a row's integer sum to its f32 product, for cores on which every operation on floats is a call.

use crate::kernel::Scaling;
use crate::ops::fixed::HAS_CLZ;

/// [`Scaling::finish`] with as few operations on floats as there can be.
#[inline(always)]
pub fn finish(scaling: Scaling, sum: i64, row_scale: f32, unit: f32) -> f32 {
    if cfg!(target_feature = "f") {
        return scaling.finish(sum, row_scale, unit);
    }
    let integer = scaling.shifted(sum);
    scaled(integer, row_scale, unit).unwrap_or_else(|| scaled_in_floats(integer, row_scale, unit))
}

#[cold]
#[inline(never)]
fn scaled_in_floats(integer: i32, row_scale: f32, unit: f32) -> f32 {
    (integer as f32 * row_scale) * unit
}

/// `(integer as f32 * row_scale) * unit` in integers, each of the roundings included; `None` where `row_scale` is no normal
/// bf16, or something on the way is not a normal number.
#[inline(always)]
fn scaled(integer: i32, row_scale: f32, unit: f32) -> Option<f32> {
    let (r, s) = (row_scale.to_bits(), unit.to_bits());
    let is_normal = |exponent: u32| exponent.wrapping_sub(1) < 254;
    let (r_exponent, s_exponent) = (r >> 23 & 0xFF, s >> 23 & 0xFF);
    let magnitude = integer.unsigned_abs();
    if magnitude.wrapping_sub(1) >= i32::MAX as u32
        || r & 0xFFFF != 0
        || !is_normal(r_exponent)
        || !is_normal(s_exponent)
    {
        return None;
    }
    // Mantissas of 31 bits become 24.
    let (magnitude, zeros) = if HAS_CLZ { cleared(magnitude) } else { cleared_by_halves(magnitude) };
    let mantissa = round(magnitude >> 1, 7);
    // From 2^30 on, and no more than 255 * 2^24.
    let product = mantissa * (r >> 16 & 0x7F | 0x80);
    let high = product >> 31;
    let mantissa = round(product, 7 + high);
    let exponent = (r_exponent + 31 + high).wrapping_sub(zeros);
    // From 2^61 on, and below 2^63: its upper word, and whether there is more.
    let product = u64::from(mantissa << 7) * u64::from(s << 8 | 1 << 31);
    let product = (product >> 32) as u32 | u32::from(product as u32 != 0);
    let high = product >> 30;
    let result = (exponent + s_exponent + high).wrapping_sub(127);
    if !is_normal(exponent) || !is_normal(result) {
        return None;
    }
    // A mantissa that rounding has made 2^24 raises the exponent by one.
    let magnitude = ((result - 1) << 23) + round(product, 6 + high);
    Some(f32::from_bits(magnitude | (integer as u32 ^ r ^ s) & 1 << 31))
}

/// `x`, which is not zero, without its leading zeros, and how many there were.
#[inline(always)]
const fn cleared(x: u32) -> (u32, u32) {
    (x << x.leading_zeros(), x.leading_zeros())
}

/// As [`cleared`], in half the instructions of counting without an instruction for it.
#[inline(always)]
fn cleared_by_halves(mut x: u32) -> (u32, u32) {
    let mut zeros = 0;
    for half in [16, 8, 4, 2, 1] {
        if x >> (32 - half) == 0 {
            x <<= half;
            zeros += half;
        }
    }
    (x, zeros)
}

/// `x / 2^bits` rounded to nearest even, with `bits` from 1 on and `x` no more than `2^32 - 2^bits`.
#[inline(always)]
fn round(x: u32, bits: u32) -> u32 {
    (x + (((1 << bits) - 1) >> 1) + (x >> bits & 1)) >> bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_give_the_bits_of_floats() {
        let mut random = 0x2545_F491_4F6C_DD1Du64;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let (n, mut taken) = (if cfg!(miri) { 2000 } else { 2_000_000 }, 0);
        for i in 0..n {
            let integer = (next() as i32) >> (next() % 32);
            let row_scale = f32::from_bits(next() as u32 & 0xFFFF_0000);
            // Exponents whose sum is in the middle, or any.
            let exponent = 254 - (row_scale.to_bits() >> 23 & 0xFF).min(254);
            let scale = next() as u32;
            let scale = f32::from_bits(if i % 4 == 0 { scale } else { scale & 0x807F_FFFF | exponent << 23 });
            let want = scaled_in_floats(integer, row_scale, scale);
            if let Some(got) = scaled(integer, row_scale, scale) {
                taken += 1;
                assert_eq!(got.to_bits(), want.to_bits(), "{integer} {row_scale:e} {scale:e}");
            }
        }
        assert!(taken > n / 2, "{taken}");
    }

    #[test]
    fn both_ways_of_clearing_zeros_agree() {
        for bit in 0..32 {
            for x in [1 << bit, (1 << bit) | 1, u32::MAX >> bit] {
                assert_eq!(cleared_by_halves(x), cleared(x), "{x}");
            }
        }
    }

    #[test]
    fn ties_and_carries() {
        let [less, more] = [0x3F7F_FFFF, 0x3F80_0001].map(f32::from_bits);
        for integer in [1, -1, i32::MAX, -i32::MAX, 0x00FF_FFFF, 0x0100_0001, 0x0100_0003, 0x7FFF_FFC0, 0x7FFF_FF40] {
            for row_scale in [1.0, 1.5, 255.0 / 128.0, 2.0, -1e-30].map(|x: f32| f32::from_bits(x.to_bits() & !0xFFFF))
            {
                for scale in [1.0, less, more, 1.5, 3e-5] {
                    let got = scaled(integer, row_scale, scale).map(f32::to_bits);
                    let want = scaled_in_floats(integer, row_scale, scale).to_bits();
                    assert_eq!(got, Some(want), "{integer} {row_scale:e} {scale:e}");
                }
            }
        }
        for (integer, row_scale, scale) in
            [(0, 1.0, 1.0), (i32::MIN, 1.0, 1.0), (1, 0.0, 1.0), (1, 1.0, f32::NAN), (1, 2e-30, 2e-30), (2, 1.1, 1.0)]
        {
            let row_scale = if row_scale == 2e-30 { f32::from_bits(0x0E00_0000) } else { row_scale };
            assert_eq!(scaled(integer, row_scale, scale), None);
        }
    }
}
