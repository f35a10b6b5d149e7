//! Sums of attention over 8-bit keys and values.

use super::{smlad, sxtb16, sxtb16_rotated};

/// As [`attention::dot_i8`](crate::ops::attention::dot_i8): a key's word in two products of pairs.
#[inline(never)] // They need the registers.
pub fn dot_i8(key: &[u32], query: &[u32]) -> i32 {
    key.iter().zip(query.as_chunks::<2>().0).fold(0, |sum, (&key, &[low, high])| {
        let (even, odd) = (low & 0xFFFF | high << 16, low >> 16 | high & 0xFFFF_0000);
        smlad(sxtb16_rotated(key), odd, smlad(sxtb16(key), even, sum))
    })
}

/// As [`attention::weigh_i8`](crate::ops::attention::weigh_i8): a value's word in four products of halves.
#[inline(never)]
pub fn weigh_i8(values: &[u32], stride: usize, weights: &[i32]) -> [i32; 4] {
    let Some(rows) = values.len().checked_sub(1).and_then(|last| last.checked_div(stride)) else { return [0; 4] };
    let weights = weights.get(..=rows).unwrap_or(weights);
    let mut value = values.as_ptr();
    let mut add = |[a, b, c, d]: [i32; 4], weight: i32| {
        // SAFETY: there are no more weights than rows.
        let word = unsafe { value.read() };
        value = value.wrapping_add(stride);
        let (even, odd, weight) = (sxtb16(word) as i32, sxtb16_rotated(word) as i32, i32::from(weight as i16));
        let low = |half: i32| i32::from(half as i16);
        [a + low(even) * weight, b + low(odd) * weight, c + (even >> 16) * weight, d + (odd >> 16) * weight]
    };
    let (fours, rest) = weights.as_chunks::<4>();
    let sums = fours.iter().fold([0; 4], |sums, weights| weights.iter().fold(sums, |sums, &weight| add(sums, weight)));
    rest.iter().fold(sums, |sums, &weight| add(sums, weight))
}
