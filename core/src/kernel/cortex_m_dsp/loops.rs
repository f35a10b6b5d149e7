//! The loops over whole groups, written by hand: they need all fourteen registers, of which the compiler keeps some for
//! itself.
//!
//! An instruction here is one cycle by Arm's published timings for Cortex-M4, but for loads (2 for one word, 1 + n for n)
//! and what ends a group.
//!
//! | loop | unit | loads of activations | of weights | unpacking | multiplying | instructions a MAC |
//! |---|---|---|---|---|---|---|
//! | [`bytes_by_rows`] | 8 columns of 3 rows | 1 | 3 | 12 | 12 | 28 / 24 |
//! | [`nibbles_by_rows`] | 8 columns of 3 rows | 1 | 3 | 12 | 12 | 28 / 24 |
//! | [`bytes_by_positions`] | 4 columns of 4 positions | 4 | 1 | 2 | 8 | 15 / 16 |
//!
//! At a group's end each sum times the group's scale is added to 64 bits on the stack, in 18 or 19 instructions.

use core::arch::{asm, naked_asm};

/// Where a row's scales are, as a loop over its groups wants to know it: behind the end of group `g`'s weights by
/// `first - step * g` bytes, `step` being one less than a group has, for `g` from 0 up to where that is `end`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ScaleDistance {
    /// Of the first group.
    pub first: isize,
    /// Of the one after the last.
    pub end: isize,
}

/// What a loop over three rows has in common with the other: `eight` is a macro's body, eight columns of a row at
/// `\row` into the sum `\sum` with the activations in r4 to r7, the first product added to `\from`.
///
/// r0 to r2 point to the rows' weights, r3 to the activations, r8 to r10 are the group's sums. The stack holds the three
/// 64-bit sums, the scales' distance and its end, and where the sums go.
macro_rules! three_rows {
    (eight: $eight:literal, group: $group:literal, load_scale: $load_scale:literal, step: $step:literal, mask: $mask:literal) => {
        naked_asm!(
            "push {{r4-r11, lr}}",
            "sub sp, #36",
            "movs r4, #0",
            "movs r5, #0",
            "strd r4, r5, [sp]",
            "strd r4, r5, [sp, #8]",
            "strd r4, r5, [sp, #16]",
            "str r0, [sp, #32]",
            "ldrd r4, r5, [sp, #72]",
            "strd r4, r5, [sp, #24]",
            "mov r0, r1",
            "add r1, r1, r2",
            "add r2, r1, r2",
            $mask,
            ".macro EIGHT row, sum, from",
            $eight,
            ".endm",
            ".macro SCALE row, sum, place",
            concat!($load_scale, r" r5, [\row, r4]"),
            r"ldrd r6, r7, [sp, #\place]",
            r"smlal r6, r7, \sum, r5",
            r"strd r6, r7, [sp, #\place]",
            ".endm",
            "2:",
            $group,
            "ldr r4, [sp, #24]",
            "SCALE r0, r8, 0",
            "SCALE r1, r9, 8",
            "SCALE r2, r10, 16",
            "ldr r5, [sp, #28]",
            concat!("subs r4, #", $step),
            "str r4, [sp, #24]",
            "cmp r4, r5",
            "bne 2b",
            ".purgem EIGHT",
            ".purgem SCALE",
            "ldr r12, [sp, #32]",
            "ldm sp, {{r0-r5}}",
            "stm r12, {{r0-r5}}",
            "add sp, #36",
            "pop {{r4-r11, pc}}",
        )
    };
}

/// The integer sums of three rows of signed bytes, `stride` bytes apart, with one position's arranged activations.
///
/// # Safety
/// `sums` has room for three; `rows` and `x` are multiples of 4 and have behind them what the groups counted by
/// `scales` need, one at least.
#[unsafe(naked)]
pub unsafe extern "C" fn bytes_by_rows(
    sums: *mut i64,
    rows: *const u8,
    stride: usize,
    x: *const u32,
    scales: ScaleDistance,
) {
    three_rows!(
        eight: r"
            ldrd r11, r12, [\row], #8
            sxtb16 lr, r11
            sxtb16 r11, r11, ror #8
            .ifc \from, none
            smuad \sum, lr, r4
            .else
            smlad \sum, lr, r4, \from
            .endif
            smlad \sum, r11, r5, \sum
            sxtb16 lr, r12
            sxtb16 r12, r12, ror #8
            smlad \sum, lr, r6, \sum
            smlad \sum, r12, r7, \sum",
        group: r"
            ldm r3!, {{r4-r7}}
            EIGHT r0, r8, none
            EIGHT r1, r9, none
            EIGHT r2, r10, none
            .rept 7
            ldm r3!, {{r4-r7}}
            EIGHT r0, r8, r8
            EIGHT r1, r9, r9
            EIGHT r2, r10, r10
            .endr",
        load_scale: "ldrb",
        step: "63",
        mask: ""
    )
}

/// The integer sums of three rows of nibbles, `stride` bytes apart, with one position's activations arranged for them.
///
/// # Safety
/// As [`bytes_by_rows`].
#[unsafe(naked)]
pub unsafe extern "C" fn nibbles_by_rows(
    sums: *mut i64,
    rows: *const u8,
    stride: usize,
    x: *const u32,
    scales: ScaleDistance,
) {
    three_rows!(
        eight: r"
            ldr r11, [\row], #4
            and lr, r12, r11
            smlad \sum, lr, r4, \from
            and lr, r12, r11, lsr #8
            smlad \sum, lr, r5, \sum
            and lr, r12, r11, lsr #4
            smlad \sum, lr, r6, \sum
            and lr, r12, r11, lsr #12
            smlad \sum, lr, r7, \sum",
        // The first load brings the group's correction too, from which all three sums start, the one it is in last.
        group: r"
            ldm r3!, {{r4-r8}}
            EIGHT r2, r10, r8
            EIGHT r1, r9, r8
            EIGHT r0, r8, r8
            .rept 3
            ldm r3!, {{r4-r7}}
            EIGHT r0, r8, r8
            EIGHT r1, r9, r9
            EIGHT r2, r10, r10
            .endr",
        load_scale: "ldrsb",
        step: "15",
        mask: "mov r12, #0x000F000F"
    )
}

/// The integer sums of one row of signed bytes with four positions' arranged activations, `stride` bytes apart.
///
/// # Safety
/// `sums` has room for four; `row` and `x` as in [`bytes_by_rows`].
#[unsafe(naked)]
pub unsafe extern "C" fn bytes_by_positions(
    sums: *mut i64,
    row: *const u8,
    stride: usize,
    x: *const u32,
    scales: ScaleDistance,
) {
    // r0 points to the weights, r1 to r4 to the activations, r5 to r8 are the group's sums. The stack holds the four
    // 64-bit sums, the scales' distance and its end, and where the sums go.
    naked_asm!(
        "push {{r4-r11, lr}}",
        "sub sp, #44",
        "movs r4, #0",
        "movs r5, #0",
        "strd r4, r5, [sp]",
        "strd r4, r5, [sp, #8]",
        "strd r4, r5, [sp, #16]",
        "strd r4, r5, [sp, #24]",
        "str r0, [sp, #40]",
        "ldrd r4, r5, [sp, #80]",
        "strd r4, r5, [sp, #32]",
        "mov r0, r1",
        "mov r1, r3",
        "mov r12, r2",
        "add r2, r1, r12",
        "add r3, r2, r12",
        "add r4, r3, r12",
        ".macro FOUR x, sum, multiply",
        r"ldrd r11, r12, [\x], #8",
        ".ifc \\multiply, smuad",
        r"smuad \sum, r9, r11",
        ".else",
        r"smlad \sum, r9, r11, \sum",
        ".endif",
        r"smlad \sum, r10, r12, \sum",
        ".endm",
        ".macro SIXTEEN multiply",
        "ldr lr, [r0], #4",
        "sxtb16 r9, lr",
        "sxtb16 r10, lr, ror #8",
        r"FOUR r1, r5, \multiply",
        r"FOUR r2, r6, \multiply",
        r"FOUR r3, r7, \multiply",
        r"FOUR r4, r8, \multiply",
        ".endm",
        ".macro SCALE sum, place",
        r"ldrd r10, r11, [sp, #\place]",
        r"smlal r10, r11, \sum, r12",
        r"strd r10, r11, [sp, #\place]",
        ".endm",
        "2:",
        "SIXTEEN smuad",
        ".rept 15",
        "SIXTEEN smlad",
        ".endr",
        "ldr r9, [sp, #32]",
        "ldrb r12, [r0, r9]",
        "SCALE r5, 0",
        "SCALE r6, 8",
        "SCALE r7, 16",
        "SCALE r8, 24",
        "ldr r12, [sp, #36]",
        "subs r9, #63",
        "str r9, [sp, #32]",
        "cmp r9, r12",
        "bne 2b",
        ".purgem FOUR",
        ".purgem SIXTEEN",
        ".purgem SCALE",
        "ldr r12, [sp, #40]",
        "ldm sp, {{r0-r7}}",
        "stm r12, {{r0-r7}}",
        "add sp, #44",
        "pop {{r4-r11, pc}}",
    )
}

/// Bytes 0 and 2, sign-extended to the two halves.
#[inline(always)]
pub fn sxtb16(x: u32) -> u32 {
    let out;
    // SAFETY: arithmetic on registers.
    unsafe { asm!("sxtb16 {}, {}", lateout(reg) out, in(reg) x, options(pure, nomem, nostack, preserves_flags)) };
    out
}

/// Bytes 1 and 3, sign-extended to the two halves.
#[inline(always)]
pub fn sxtb16_rotated(x: u32) -> u32 {
    let out;
    // SAFETY: arithmetic on registers.
    unsafe {
        asm!("sxtb16 {}, {}, ror #8", lateout(reg) out, in(reg) x, options(pure, nomem, nostack, preserves_flags))
    };
    out
}

/// `sum + low(a) * low(b) + high(a) * high(b)`. A group's sum stays below 2^28, so that it never overflows.
#[inline(always)]
pub fn smlad(a: u32, b: u32, sum: i32) -> i32 {
    let out;
    // SAFETY: arithmetic on registers.
    unsafe {
        asm!("smlad {}, {}, {}, {}", lateout(reg) out, in(reg) a, in(reg) b, in(reg) sum,
            options(pure, nomem, nostack, preserves_flags));
    }
    out
}
