//! Sums of attention over 8-bit keys and values. Cycles are counted as for the [`loops`](super::loops).
//!
//! | loop | unit | instructions | cycles |
//! |---|---|---|---|
//! | [`add_eight`] | 8 lanes of a key | 14 | 20 |
//! | [`weigh_i8`] | 4 lanes of 2 values | 23 | 27 |

use super::instructions::{smlad, sxtb16, sxtb16_rotated};
use crate::ops::attention::HeadRows;
use crate::part::{part, part_mut};
use core::arch::{asm, naked_asm};

/// As [`attention::dots_i8`](crate::ops::attention::dots_i8): eight lanes of all keys, then the next eight.
#[inline(never)]
pub fn dots_i8(sums: &mut [i32], query: &[u32], keys: HeadRows<'_>) {
    let last = keys.words().len().checked_sub(query.len() / 2).and_then(|last| last.checked_div(keys.stride()));
    let n = last.map_or(0, |last| sums.len().min(last + 1));
    let sums = part_mut(sums, ..n);
    sums.fill(0);
    if n == 0 {
        return;
    }
    let (eights, rest) = query.as_chunks::<4>();
    let mut key = keys.words().as_ptr();
    for &query in eights {
        let run = Eight { key, stride: size_of::<u32>() * keys.stride(), sums: sums.as_mut_ptr(), n, query };
        // SAFETY: each of the `n` keys has half as many words as the query, and a sum; there is one.
        unsafe { add_eight(&run) };
        key = key.wrapping_add(2);
    }
    if let &[low, high, ..] = rest {
        let (even, odd) = (low & 0xFFFF | high << 16, low >> 16 | high & 0xFFFF_0000);
        for (sum, &key) in sums.iter_mut().zip(part(keys.words(), 2 * eights.len()..).iter().step_by(keys.stride())) {
            *sum = smlad(sxtb16_rotated(key), odd, smlad(sxtb16(key), even, *sum));
        }
    }
}

/// Eight lanes of keys and a query.
#[repr(C)]
struct Eight {
    /// The first key's lanes.
    key: *const u32,
    /// Bytes from key to key.
    stride: usize,
    sums: *mut i32,
    n: usize,
    query: [u32; 4],
}

/// Adds the products of `n` keys' lanes, at least one's, to their sums.
///
/// # Safety
/// So many keys and sums are there.
#[unsafe(naked)]
unsafe extern "C" fn add_eight(run: &Eight) {
    naked_asm!(
        any_cortex_m!(),
        "push {{r4-r11, lr}}",
        "ldm r0, {{r1-r8}}",
        "pkhbt r9, r5, r6, lsl #16",
        "pkhtb r6, r6, r5, asr #16",
        "pkhbt r10, r7, r8, lsl #16",
        "pkhtb r8, r8, r7, asr #16",
        "2:",
        "ldrd r5, r7, [r1]",
        "add r1, r1, r2",
        "ldr r0, [r3]",
        "sxtb16 r11, r5",
        "smlad r0, r11, r9, r0",
        "sxtb16 r11, r5, ror #8",
        "smlad r0, r11, r6, r0",
        "sxtb16 r11, r7",
        "smlad r0, r11, r10, r0",
        "sxtb16 r11, r7, ror #8",
        "smlad r0, r11, r8, r0",
        "subs r4, r4, #1",
        "str r0, [r3], #4",
        "bne 2b",
        "pop {{r4-r11, pc}}",
    );
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
            any_cortex_m!(),
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
