//! One head of a position's keys or values, packed into words as the cache keeps it.

use super::alone::alone;
use super::fixed::{exponent, mul_high, to_fixed};
use super::quantize::{LEAST, peak};
use half::{bf16, f16};

/// The largest magnitude of an 8-bit key or value.
const MAX: f32 = 127.0;

/// The largest magnitude of a head as an integer, on the way to 8 bits, is from `2^POINT` on, and below twice that.
const POINT: i32 = 26;

/// Writes `x` as f32 bits, one a word.
pub fn pack_f32(words: &mut [u32], x: &[f32]) {
    words.iter_mut().zip(x).for_each(|(word, v)| *word = v.to_bits());
}

/// Writes `x` as IEEE 754 half precision, rounded to nearest even, two a word, the first in the low half; a last half
/// without an element is 0. What is beyond half precision becomes infinite.
pub fn pack_f16(words: &mut [u32], x: &[f32]) {
    let half = |v: &f32| u32::from(f16::from_f32_const(*v).to_bits());
    for (word, pair) in words.iter_mut().zip(x.chunks(2)) {
        *word = pair.first().map_or(0, half) | pair.get(1).map_or(0, half) << 16;
    }
}

/// The float that a half is, its upper 16 bits ignored. Without a branch, so that a vector unit can follow.
#[inline(always)]
pub fn unpack_f16(half: u32) -> f32 {
    /// What is lacking where a half's exponent stands for a float's: a factor.
    const REBIAS: f32 = f32::from_bits((127 + 127 - 15) << 23);
    /// One exponent above the largest finite half: only what is not finite gets there.
    const BEYOND: f32 = 65536.0;
    let magnitude = alone(f32::from_bits((half & 0x7FFF) << 13) * REBIAS);
    let not_finite = if magnitude >= BEYOND { 0xFF << 23 } else { 0 };
    f32::from_bits(magnitude.to_bits() | not_finite | (half & 0x8000) << 16)
}

/// Writes `x` as 8-bit integers, four a word, the first in the lowest byte, zeros where there is no element, and
/// returns their scale: `x ~ scale * integer`, off by at most half a scale.
///
/// The scale is the least bf16 that is not below `max |x| / 127`; it is 0 where all of `x` is (nearly) zero, and not a
/// number where `x` holds one that is not finite.
pub fn pack_i8(words: &mut [u32], x: &[f32]) -> bf16 {
    let peak = peak(x);
    if !(LEAST..=f32::MAX).contains(&peak) {
        words.fill(0);
        return if peak < LEAST { bf16::ZERO } else { bf16::NAN };
    }
    let scale = bf16::from_bits((((peak / MAX).to_bits() + 0xFFFF) >> 16) as u16);
    let shift = POINT - exponent(peak);
    let factor = u32::MAX / u32::from(scale.to_bits() & 0x7F | 0x80);
    // What is left of an element over the scale's mantissa, in powers of two: 12 or 13.
    let excess = shift + i32::from(scale.to_bits() >> 7) - 134;
    let byte = |v: &f32| ((mul_high(to_fixed(*v, shift), factor as i32) + (1 << (excess - 1))) >> excess) as u8;
    for (word, four) in words.iter_mut().zip(x.chunks(4)) {
        *word = u32::from_le_bytes(core::array::from_fn(|i| four.get(i).map_or(0, byte)));
    }
    scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn integers(words: &[u32]) -> Vec<i8> {
        words.iter().flat_map(|word| word.to_le_bytes()).map(|byte| byte as i8).collect()
    }

    #[test]
    fn integers_are_off_by_at_most_half_a_scale() {
        for (n, largest) in [(1usize, 0.3), (7, 1e-29), (64, 6.5e4), (33, 1e38), (8, f32::MAX)] {
            let x: Vec<f32> = (0..n).map(|i| ((i * 31 % n) as f32 / n as f32 - 0.6) * largest / 0.6).collect();
            let peak = x.iter().fold(0.0, |peak: f32, v| peak.max(v.abs()));
            let mut words = std::vec![u32::MAX; n.div_ceil(4)];
            let scale = pack_i8(&mut words, &x);
            let below = bf16::from_bits(scale.to_bits() - 1).to_f32();
            let scale = scale.to_f32();
            assert!(scale >= peak / 127.0 && below < peak / 127.0, "{n}: {scale} {below}");
            for (&v, &q) in x.iter().zip(&integers(&words)) {
                let error = (f64::from(scale) * f64::from(q) - f64::from(v)).abs();
                assert!(error <= 0.500_01 * f64::from(scale), "{n}: {v} {q}");
            }
            assert!(integers(&words)[n..].iter().all(|&q| q == 0));
        }
    }

    #[test]
    fn ties_go_up_and_extremes_stay_symmetric() {
        let mut words = [0; 2];
        assert_eq!(pack_i8(&mut words, &[254.0, -254.0, 1.0, 3.5, -5.0]).to_f32(), 2.0);
        assert_eq!(integers(&words), [127, -127, 0, 2, -2, 0, 0, 0]);
    }

    #[test]
    fn nothing_and_not_a_number() {
        let mut words = [9];
        assert_eq!(pack_i8(&mut words, &[0.0, -0.0, 1e-38]).to_f32(), 0.0);
        assert_eq!(words, [0]);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(pack_i8(&mut words, &[1.0, bad]).is_nan());
            pack_f16(&mut words, &[1.0, bad]);
            assert!(!f16::from_bits((words[0] >> 16) as u16).is_finite());
        }
    }

    #[test]
    fn every_half_is_the_float_that_it_is() {
        for half in (0..=u16::MAX).step_by(if cfg!(miri) { 61 } else { 1 }) {
            let (got, want) = (unpack_f16(0xABCD_0000 | u32::from(half)), f16::from_bits(half).to_f32());
            assert!(got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(), "{half:04x}: {got} {want}");
        }
    }

    #[test]
    fn halves_round_to_nearest_even() {
        let mut words = [u32::MAX; 2];
        pack_f16(&mut words, &[2049.0, 2051.0, -65520.0]);
        let float = |half: u32| f16::from_bits(half as u16).to_f32();
        assert_eq!(
            [words[0], words[0] >> 16, words[1], words[1] >> 16].map(float),
            [2048.0, 2052.0, -f32::INFINITY, 0.0]
        );
    }
}
