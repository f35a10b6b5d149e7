//! Terms of a softmax over floats, four at a time, with a floating-point unit.
//!
//! | loop | unit | instructions | cycles on Cortex-M4 |
//! |---|---|---|---|
//! | [`exp_fours`] | 4 exponentials | 98 | 127 |
//! | [`weigh_fours`] | 4 weights | 27 | 43 |

use crate::ops::attention;
use crate::ops::exp::{C1, C2, C3, LOG2_E, POWERS};
use crate::part::{part, part_mut};
use core::arch::naked_asm;

/// As [`attention::exp_terms`].
pub fn exp_terms(x: &mut [f32], exponents: &mut [i32]) -> i32 {
    let n = x.len().min(exponents.len());
    let (mut most, mut done) = (i32::MIN, 0);
    if n >= 4 {
        // SAFETY: so many scores and places for exponents are there.
        done = n - n % 4 - 4 * unsafe { exp_fours(x.as_mut_ptr(), exponents.as_mut_ptr(), n / 4, &mut most) };
    }
    if done == n {
        return most;
    }
    let rest = attention::exp_terms(part_mut(x, done..n), part_mut(exponents, done..n));
    if done > 0 { most.max(rest) } else { rest }
}

/// As [`attention::weigh_terms`].
pub fn weigh_terms(factors: &mut [f32], exponents: &[i32], reference: i32, sum: f32) -> f32 {
    let n = factors.len().min(exponents.len());
    let fours = n / 4;
    let mut sum = sum;
    if fours > 0 {
        // SAFETY: so many factors and exponents are there.
        sum = unsafe {
            weigh_fours(factors.as_mut_ptr(), exponents.as_ptr(), fours, 127_i32.wrapping_sub(reference), sum)
        };
    }
    if 4 * fours < n {
        sum = attention::weigh_terms(part_mut(factors, 4 * fours..n), part(exponents, 4 * fours..n), reference, sum);
    }
    sum
}

/// [`exp_parts`](crate::ops::exp::exp_parts) of up to `4 * fours` scores, and the greatest exponent to `most` if there
/// was one; stops before four of which one is 128 or more in magnitude, or no number, and returns how many fours are left.
///
/// r3 holds two running maxima of logarithms, in units of 1/64. A term's is the upper half of its product in r10 or r11.
///
/// # Safety
/// So many scores are there, at least four, and places for their exponents.
#[unsafe(naked)]
unsafe extern "C" fn exp_fours(x: *mut f32, exponents: *mut i32, fours: usize, most: &mut i32) -> usize {
    naked_asm!(
        any_cortex_m!(),
        "push {{r3-r11, lr}}",
        "ldr r8, 9f",
        "adr r4, 8f",
        "ldm r4, {{r3-r7}}",
        "vmov s6, r3",
        "mov r3, #0x80008000",
        // A product's whole and its fraction of 32 bits: the factor to lr by the power of the fraction's first five bits,
        // and the cubic in the others.
        ".macro TERM low, high, x",
        r"smull \low, \high, \x, r7",
        r"lsr \low, #22",
        r"orr \low, \low, \high, lsl #10",
        r"lsl \low, #5",
        r"umull lr, \x, \low, r4",
        r"add \x, r5",
        r"umull lr, \x, \x, \low",
        r"add \x, r6",
        r"umull lr, \x, \x, \low",
        r"ubfx lr, \high, #17, #5",
        "ldr lr, [r8, lr, lsl #2]",
        r"umull \low, \x, lr, \x",
        r"add lr, lr, \x, lsr #4",
        "lsr lr, #1",
        r"asr \low, \high, #22",
        r"str \low, [r1], #4",
        ".endm",
        ".macro TWO a, b",
        r"vmov r9, r12, \a, \b",
        "TERM r10, r11, r9",
        r"vmov \a, lr",
        "TERM r9, r10, r12",
        r"vmov \b, lr",
        "pkhtb r9, r11, r10, asr #16",
        "ssub16 r10, r9, r3",
        "sel r3, r9, r3",
        ".endm",
        "2:",
        // Twice the upper halves of four scores, their signs gone, against that of 128.
        "ldm r0, {{r9-r12}}",
        "pkhtb r9, r9, r10, asr #16",
        "pkhtb r11, r11, r12, asr #16",
        "vmov r12, s6",
        "uadd16 r9, r9, r9",
        "uadd16 r11, r11, r11",
        "uqsub16 r9, r9, r12",
        "uqsub16 r11, r11, r12",
        "orrs r9, r11",
        "bne 3f",
        "vldm r0, {{s0-s3}}",
        "vcvt.s32.f32 s0, s0, #24",
        "vcvt.s32.f32 s1, s1, #24",
        "vcvt.s32.f32 s2, s2, #24",
        "vcvt.s32.f32 s3, s3, #24",
        "TWO s0, s1",
        "TWO s2, s3",
        "vcvt.f32.u32 s0, s0, #30",
        "vcvt.f32.u32 s1, s1, #30",
        "vcvt.f32.u32 s2, s2, #30",
        "vcvt.f32.u32 s3, s3, #30",
        "vstmia r0!, {{s0-s3}}",
        "subs r2, #1",
        "bne 2b",
        "3:",
        ".purgem TERM",
        ".purgem TWO",
        "asr r4, r3, #22",
        "sxth r5, r3",
        "asr r5, #6",
        "cmp r4, r5",
        "it lt",
        "movlt r4, r5",
        "pop {{r3}}",
        "str r4, [r3]",
        "mov r0, r2",
        "pop {{r4-r11, pc}}",
        ".p2align 2",
        "8:",
        ".word 0x85FF85FF, {c3}, {c2}, {c1}, {log2_e}",
        "9:",
        ".word {powers}",
        c3 = const C3,
        c2 = const C2,
        c1 = const C1,
        log2_e = const LOG2_E,
        powers = sym POWERS,
    )
}

/// `factors[i] *= 2^(exponents[i] + bias - 127)`, 0 below the least normal number; returns `sum` and them, added in order.
///
/// # Safety
/// `4 * fours` of both are there, at least four.
#[unsafe(naked)]
unsafe extern "C" fn weigh_fours(factors: *mut f32, exponents: *const i32, fours: usize, bias: i32, sum: f32) -> f32 {
    naked_asm!(
        any_cortex_m!(),
        "push {{r4-r7, lr}}",
        ".macro POWER exponent",
        r"add \exponent, r3",
        r"usat \exponent, #8, \exponent",
        r"lsl \exponent, #23",
        ".endm",
        "2:",
        "ldmia r1!, {{r4-r7}}",
        "POWER r4",
        "POWER r5",
        "POWER r6",
        "POWER r7",
        "vldm r0, {{s4-s7}}",
        "vmov s8, s9, r4, r5",
        "vmov s10, s11, r6, r7",
        "vmul.f32 s4, s4, s8",
        "vmul.f32 s5, s5, s9",
        "vmul.f32 s6, s6, s10",
        "vmul.f32 s7, s7, s11",
        "vadd.f32 s0, s0, s4",
        "vadd.f32 s0, s0, s5",
        "vadd.f32 s0, s0, s6",
        "vadd.f32 s0, s0, s7",
        "vstmia r0!, {{s4-s7}}",
        "subs r2, #1",
        "bne 2b",
        ".purgem POWER",
        "pop {{r4-r7, pc}}",
    )
}
