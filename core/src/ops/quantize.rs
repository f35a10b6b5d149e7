//! Rounding activations to 16-bit integers under one scale a position.

/// The largest magnitude of a quantised activation.
pub const MAX: f32 = 32767.0;

/// Below it what shares a scale counts as zero: `MAX / LEAST` still is a finite number.
pub(super) const LEAST: f32 = 1e-30;

/// Adding it rounds a number of less than 2^22 to the nearest integer, ties to even.
pub(super) const ROUND: f32 = 12_582_912.0;

/// 32-bit words that `n` activations take: two a word, padded with zeros to an even number of words.
pub const fn i16_words(n: usize) -> usize {
    n.div_ceil(4) * 2
}

/// Writes `x` as 16-bit integers, element `2i` in the low and `2i + 1` in the high half of word `i`, and returns
/// their scale: `x ~ scale * integer`, off by at most half a scale.
///
/// The scale is `max |x| / 32767`; it is 0 where all of `x` is (nearly) zero, and not a number where `x` holds one
/// that is not finite.
pub fn quantize_i16(words: &mut [u32], x: &[f32]) -> f32 {
    // Magnitudes order like their bits, and anything not finite comes out above every number.
    let peak = f32::from_bits(x.iter().map(|v| v.to_bits() & 0x7FFF_FFFF).max().unwrap_or(0));
    if !(LEAST..=f32::MAX).contains(&peak) {
        words.fill(0);
        return if peak < LEAST { 0.0 } else { f32::NAN };
    }
    let inverse = MAX / peak;
    let round = |v: f32| {
        let integer = (v * inverse + ROUND).to_bits().wrapping_sub(ROUND.to_bits()) as i32;
        integer.clamp(-32767, 32767) as u16 as u32
    };
    let (pairs, last) = x.as_chunks::<2>();
    let (body, rest) = words.split_at_mut(pairs.len());
    for (word, &[low, high]) in body.iter_mut().zip(pairs) {
        *word = round(low) | round(high) << 16;
    }
    rest.fill(0);
    if let (Some(word), Some(&low)) = (rest.first_mut(), last.first()) {
        *word = round(low);
    }
    peak / MAX
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
    fn ties_go_to_even_and_extremes_stay_symmetric() {
        let mut words = [0; 2];
        quantize_i16(&mut words, &[32767.0, 0.5, 1.5, -2.5]);
        assert_eq!([0, 1, 2, 3].map(|i| integer(&words, i)), [32767, 0, 2, -2]);
        quantize_i16(&mut words, &[-3.0, 3.0, 0.0]);
        assert_eq!([0, 1, 2, 3].map(|i| integer(&words, i)), [-32767, 32767, 0, 0]);
    }

    #[test]
    fn nothing_and_not_a_number() {
        let mut words = [9; 2];
        assert_eq!(quantize_i16(&mut words, &[0.0, -0.0, 1e-38]), 0.0);
        assert_eq!(words, [0; 2]);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(quantize_i16(&mut words, &[1.0, bad]).is_nan());
        }
    }
}
