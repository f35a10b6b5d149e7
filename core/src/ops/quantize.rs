//! Rounding activations to integers: of 16 bits under one scale a position, or of 8 bits under an integer scale a group
//! too.

use super::fixed::{HAS_FPU, exponent, mul_high, shifted};
use crate::format::MIN_GROUP;
use crate::part::split_mut;

/// The largest magnitude of a 16-bit activation.
pub const MAX_I16: f32 = 32767.0;

/// 8-bit activations that share an integer scale.
pub const I8_GROUP: usize = 32;

/// The largest magnitude of an 8-bit activation, and that times the largest scale of a group.
const MAX_I8: i32 = 127;
const MAX_I8_SCALED: f32 = 127.0 * 255.0;

/// Below it what shares a scale counts as zero: `MAX_I16 / LEAST` still is a finite number.
pub(super) const LEAST: f32 = 1e-30;

/// Adding it rounds a number of less than 2^22 to the nearest integer, ties to even.
const ROUND: f32 = 12_582_912.0;

/// 32-bit words that `n` 16-bit activations take: two a word, padded with zeros to an even number of words, and a spare
/// word for each group of weights, for what a kernel may want to know of the activations under it.
pub const fn i16_words(n: usize) -> usize {
    n.div_ceil(4) * 2 + n.div_ceil(MIN_GROUP)
}

/// 32-bit words that `n` 8-bit activations take: four a word, then one scale a group, one a word. Never more than
/// [`i16_words`].
pub const fn i8_words(n: usize) -> usize {
    n.div_ceil(4) + n.div_ceil(I8_GROUP)
}

/// The largest magnitude in `x`; what is not finite comes out above every number.
pub(super) fn peak(x: &[f32]) -> f32 {
    // Magnitudes order like their bits, of which a shift takes the sign.
    f32::from_bits(x.iter().map(|v| v.to_bits() << 1).max().unwrap_or(0) >> 1)
}

/// The integer nearest to `v`, of magnitude below 2^22; ties go to the even one.
#[inline(always)]
pub(super) fn round(v: f32) -> i32 {
    (v + ROUND).to_bits().wrapping_sub(ROUND.to_bits()) as i32
}

/// How a position's activations become integers.
#[derive(Clone, Copy, Debug)]
pub struct Rounding {
    /// What one of the integers stands for; 0 where all activations are (nearly) zero, and not a number where one is
    /// not finite.
    pub scale: f32,
    /// What activations are multiplied by before they are rounded; 0 where the scale is 0 or not a number.
    pub inverse: f32,
}

impl Rounding {
    /// To integers of up to `most`.
    #[inline(always)]
    fn new(peak: f32, most: f32) -> Self {
        if !(LEAST..=f32::MAX).contains(&peak) {
            return Self { scale: if peak < LEAST { 0.0 } else { f32::NAN }, inverse: 0.0 };
        }
        Self { scale: peak / most, inverse: most / peak }
    }

    /// To 16-bit integers.
    pub fn to_i16(x: &[f32]) -> Self {
        Self::to_i16_below(peak(x))
    }

    /// To 16-bit integers, of activations whose largest magnitude, in the order of their bits, is `peak`.
    #[inline(always)]
    pub fn to_i16_below(peak: f32) -> Self {
        Self::new(peak, MAX_I16)
    }

    /// To 8-bit integers under an integer scale a group.
    pub fn to_i8(x: &[f32]) -> Self {
        Self::to_i8_below(peak(x))
    }

    /// To 8-bit integers, as [`Rounding::to_i16_below`].
    #[inline(always)]
    pub fn to_i8_below(peak: f32) -> Self {
        Self::new(peak, MAX_I8_SCALED)
    }

    /// The integer scale of a group of up to [`I8_GROUP`] activations, and what these are multiplied by.
    #[inline(always)]
    pub fn group(&self, x: &[f32]) -> (i32, f32) {
        self.group_below(peak(x))
    }

    /// As [`Rounding::group`], of activations whose largest magnitude is `peak`.
    #[inline(always)]
    pub fn group_below(&self, peak: f32) -> (i32, f32) {
        let scale = ((peak * self.inverse) as i32 / MAX_I8 + 1).min(255);
        (scale, self.inverse / scale as f32)
    }
}

/// The integer of an activation times [`Rounding::inverse`], in the low 16 bits: it needs no bound, since none is beyond
/// the largest one. Anything where the scale is not a number.
#[inline(always)]
pub fn low_bits(v: f32) -> u32 {
    (v + ROUND).to_bits()
}

/// Writes `x` as 16-bit integers, element `2i` in the low and `2i + 1` in the high half of word `i`, and returns
/// their scale: `x ~ scale * integer`, off by at most half a scale.
///
/// The scale is `max |x| / 32767`; it is 0 where all of `x` is (nearly) zero, and not a number where `x` holds one
/// that is not finite.
pub fn quantize_i16(words: &mut [u32], x: &[f32]) -> f32 {
    let rounding = Rounding::to_i16(x);
    if rounding.inverse == 0.0 {
        words.fill(0);
        return rounding.scale;
    }
    if HAS_FPU {
        fill_i16(words, x, |v| low_bits(v * rounding.inverse) & 0xFFFF);
    } else {
        let shifts = Shifts::new(&rounding);
        fill_i16(words, x, |v| shifts.low_bits(v) & 0xFFFF);
    }
    rounding.scale
}

/// Writes what `integer` makes of `x`, two a word, and zeros behind.
#[inline(always)]
fn fill_i16(words: &mut [u32], x: &[f32], integer: impl Fn(f32) -> u32) {
    let (pairs, last) = x.as_chunks::<2>();
    let (body, rest) = split_mut(words, pairs.len());
    for (word, &[low, high]) in body.iter_mut().zip(pairs) {
        *word = integer(low) | integer(high) << 16;
    }
    rest.fill(0);
    if let (Some(word), Some(&low)) = (rest.first_mut(), last.first()) {
        *word = integer(low);
    }
}

/// [`low_bits`] of products with [`Rounding::inverse`], for a core without a floating-point unit: in integers, but where
/// they cannot tell which way two roundings go.
struct Shifts {
    inverse: f32,
    /// What takes an activation to an integer of at most 31 bits.
    shift: i32,
    /// The inverse as an integer of 31 bits, which takes such an integer to one with [`Shifts::POINT`] fractional bits.
    factor: i32,
}

impl Shifts {
    /// Fractional bits of a product.
    const POINT: i32 = 14;
    /// Around a half, products whose roundings are left to floats: a float of up to 2^15 is off by at most 2^-10.
    const UNSURE: i32 = 1 << (Self::POINT - 9);

    fn new(rounding: &Rounding) -> Self {
        // The peak times the inverse has 15 bits.
        let shift = exponent(rounding.inverse) + 16;
        Self { inverse: rounding.inverse, shift, factor: shifted(rounding.inverse, 32 + Self::POINT - shift) }
    }

    #[inline(always)]
    fn low_bits(&self, v: f32) -> u32 {
        let up = mul_high(shifted(v, self.shift), self.factor) + (1 << (Self::POINT - 1));
        if (up + Self::UNSURE) & ((1 << Self::POINT) - 1) < 2 * Self::UNSURE {
            return low_bits(v * self.inverse);
        }
        (up >> Self::POINT) as u32
    }
}

/// Writes `x` as 8-bit integers, element `i` in byte `i % 4` of word `i / 4`, then a scale from 1 to 255 for each
/// [`I8_GROUP`] of them, and returns the position's scale: `x ~ scale * group_scale * integer`, off by at most half of
/// `scale * group_scale`.
///
/// The position's scale is `max |x| / (127 * 255)`, 0 and not a number as in [`quantize_i16`]; a group's is the least
/// under which the group's integers stay within ±127, or that plus one.
pub fn quantize_i8(words: &mut [u32], x: &[f32]) -> f32 {
    let (words, scales) = split_mut(words, x.len().div_ceil(4));
    let rounding = Rounding::to_i8(x);
    if rounding.inverse == 0.0 {
        words.fill(0);
        scales.fill(0);
        return rounding.scale;
    }
    for ((words, scale), x) in words.chunks_mut(I8_GROUP / 4).zip(scales).zip(x.chunks(I8_GROUP)) {
        let (group_scale, inverse) = rounding.group(x);
        *scale = group_scale as u32;
        for (word, x) in words.iter_mut().zip(x.chunks(4)) {
            let byte = |v: f32| round_i8(v * inverse) as u8;
            *word = u32::from_le_bytes(core::array::from_fn(|i| x.get(i).map_or(0, |&v| byte(v))));
        }
    }
    rounding.scale
}

/// The integer of an activation times what [`Rounding::group`] says.
#[inline(always)]
pub fn round_i8(v: f32) -> i32 {
    round(v).clamp(-MAX_I8, MAX_I8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integer(words: &[u32], i: usize) -> i16 {
        (words[i / 2] >> (16 * (i % 2))) as i16
    }

    #[test]
    fn off_by_at_most_half_a_scale() {
        let x: std::vec::Vec<f32> = (0..77).map(|i| ((i * 31) % 77) as f32 * 0.017 - 0.6).collect();
        let mut words = [u32::MAX; i16_words(77)];
        let scale = quantize_i16(&mut words, &x);
        for (i, &v) in x.iter().enumerate() {
            let back = f64::from(scale) * f64::from(integer(&words, i));
            assert!((back - f64::from(v)).abs() <= 0.501 * f64::from(scale), "{i}");
        }
        for i in 77..2 * words.len() {
            assert_eq!(integer(&words, i), 0);
        }
    }

    #[test]
    fn both_ways_of_rounding_agree() {
        let mut bits = 0x2545_F491u32;
        for peak in [1.0, 1e-30, 1.999_999_9, 3.0, 32767.0, 1.7e38, f32::MAX] {
            let rounding = Rounding::to_i16(&[peak]);
            let shifts = Shifts::new(&rounding);
            for i in 0..if cfg!(miri) { 200 } else { 200_000 } {
                bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let even = peak * (bits as i32 as f32 / 2_147_483_648.0);
                // As near to halves as floats come.
                let half = (((bits >> 16) as f32 + 0.5) / 65536.0) * peak * if i % 2 == 0 { 1.0 } else { -1.0 };
                let close = f32::from_bits((half * (32768.0 / 32767.0)).to_bits() - i % 5);
                for v in [even, half, close, even * 1e-5, peak, -peak] {
                    if v.abs() <= peak {
                        let want = low_bits(v * rounding.inverse) as u16;
                        assert_eq!(shifts.low_bits(v) as u16, want, "{v} under {peak}");
                    }
                }
            }
        }
    }

    #[test]
    fn eight_bits_are_off_by_at_most_half_a_groups_scale() {
        let mut x: std::vec::Vec<f32> = (0..77).map(|i| ((i * 31) % 77) as f32 * 0.017 - 0.6).collect();
        x[40..60].iter_mut().for_each(|v| *v *= 1e-3);
        x[7] = 40.0;
        for n in [1, 4, 5, 31, 32, 33, 77] {
            let mut words = std::vec![u32::MAX; i8_words(n)];
            let scale = quantize_i8(&mut words, &x[..n]);
            let (integers, scales) = words.split_at(n.div_ceil(4));
            for (i, &v) in x[..n].iter().enumerate() {
                let step = f64::from(scale) * f64::from(scales[i / I8_GROUP]);
                let q = integers[i / 4].to_le_bytes()[i % 4] as i8;
                assert!((step * f64::from(q) - f64::from(v)).abs() <= 0.501 * step && q != i8::MIN, "{n} {i}");
            }
            assert!(i8_words(n) <= i16_words(n));
        }
        let mut words = [7; 2];
        assert_eq!((quantize_i8(&mut words, &[0.0, -0.0, 1e-38]), words), (0.0, [0; 2]));
        assert!(quantize_i8(&mut words, &[1.0, f32::NEG_INFINITY]).is_nan());
    }

    #[test]
    fn ties_go_to_even_and_extremes_stay_symmetric() {
        let mut words = [0; 3];
        quantize_i16(&mut words, &[32767.0, 0.5, 1.5, -2.5]);
        assert_eq!([0, 1, 2, 3].map(|i| integer(&words, i)), [32767, 0, 2, -2]);
        quantize_i16(&mut words, &[-3.0, 3.0, 0.0]);
        assert_eq!([0, 1, 2, 3].map(|i| integer(&words, i)), [-32767, 32767, 0, 0]);
    }

    #[test]
    fn nothing_and_not_a_number() {
        let mut words = [9; 3];
        assert_eq!(quantize_i16(&mut words, &[0.0, -0.0, 1e-38]), 0.0);
        assert_eq!(words, [0; 3]);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(quantize_i16(&mut words, &[1.0, bad]).is_nan());
        }
    }
}
