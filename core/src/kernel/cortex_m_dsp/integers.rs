//! Sums of attention over 8-bit keys and values. Cycles are counted as for the [`loops`](super::loops).
//!
//! | loop | unit | instructions | cycles |
//! |---|---|---|---|
//! | [`dot_i8`] | 4 lanes of a key | 11 | 16 |
//! | [`weigh_i8`] | 4 lanes of 2 values | 23 | 27 |

use super::{smlad, sxtb16, sxtb16_rotated};
use core::arch::asm;

/// As [`attention::dot_i8`](crate::ops::attention::dot_i8): a key's word in two products of pairs.
#[inline(never)] // They need the registers.
pub fn dot_i8(key: &[u32], query: &[u32]) -> i32 {
    key.iter().zip(query.as_chunks::<2>().0).fold(0, |sum, (&key, &[low, high])| {
        let (even, odd) = (low & 0xFFFF | high << 16, low >> 16 | high & 0xFFFF_0000);
        smlad(sxtb16_rotated(key), odd, smlad(sxtb16(key), even, sum))
    })
}

/// As [`attention::weigh_i8`](crate::ops::attention::weigh_i8): the words of two values in four products of pairs.
#[inline(never)]
pub fn weigh_i8(values: &[u32], stride: usize, weights: &[i32]) -> [i32; 4] {
    let Some(rows) = values.len().checked_sub(1).and_then(|last| last.checked_div(stride)) else { return [0; 4] };
    let (pairs, last) = weights.get(..=rows).unwrap_or(weights).as_chunks::<2>();
    let mut sums = [0; 4];
    let mut value = values.as_ptr();
    for &[low, high] in pairs {
        // SAFETY: there are no more weights than rows.
        let words = unsafe { [value.read(), value.wrapping_add(stride).read()] };
        add_pair(&mut sums, words, low as u32 & 0xFFFF | (high as u32) << 16);
        value = value.wrapping_add(2 * stride);
    }
    if let &[weight] = last {
        // SAFETY: as above.
        let word = unsafe { value.read() };
        add_pair(&mut sums, [word, 0], weight as u32 & 0xFFFF);
    }
    sums
}

/// Adds each byte of the first word times the low half of `weights`, and of the second times the high half.
#[inline(always)]
fn add_pair(sums: &mut [i32; 4], words: [u32; 2], weights: u32) {
    let [a, b, c, d] = sums;
    // SAFETY: arithmetic on registers.
    unsafe {
        asm!(
            "sxtb16 {x}, {first}",
            "sxtb16 {y}, {second}",
            "pkhbt {z}, {x}, {y}, lsl #16",
            "pkhtb {x}, {y}, {x}, asr #16",
            "smlad {a}, {z}, {weights}, {a}",
            "smlad {c}, {x}, {weights}, {c}",
            "sxtb16 {x}, {first}, ror #8",
            "sxtb16 {y}, {second}, ror #8",
            "pkhbt {z}, {x}, {y}, lsl #16",
            "pkhtb {x}, {y}, {x}, asr #16",
            "smlad {b}, {z}, {weights}, {b}",
            "smlad {d}, {x}, {weights}, {d}",
            first = in(reg) words[0],
            second = in(reg) words[1],
            weights = in(reg) weights,
            a = inout(reg) *a,
            b = inout(reg) *b,
            c = inout(reg) *c,
            d = inout(reg) *d,
            x = out(reg) _,
            y = out(reg) _,
            z = out(reg) _,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
}
