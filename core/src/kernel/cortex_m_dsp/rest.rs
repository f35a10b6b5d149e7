//! The columns behind a row's full groups: signed bytes, four at a time.
//!
//! As the [`loops`](super::loops) count:
//!
//! | loop | unit | instructions | cycles |
//! |---|---|---|---|
//! | by rows | 4 columns of 3 rows | 18 | 26 |
//! | | from three rows to the next | 36 | 66 |
//! | by four positions | 4 columns at 4 positions | 15 | 28 |
//! | | from one row to the next | 27 | 57 |
//! | by two positions | 4 columns at 2 positions | 10 | 18 |
//! | | from one row to the next | 19 | 39 |

use super::loops::{Loop, Run};
use core::arch::naked_asm;

/// Columns that lie together.
pub const COLUMNS: usize = 4;

/// The loop that adds ends of rows to their sums: three rows at one position, or one row at `P`. It wants the ends where a
/// [`Run`] has groups, as many times four columns, and the first row's scale where it has the last.
///
/// `IS_BYTES`: the scale is unsigned, as that of bytes is.
pub const fn run<const P: usize>(is_bytes: bool) -> Loop {
    match (P, is_bytes) {
        (1, true) => bytes_by_rows,
        (1, false) => unpacked_by_rows,
        (2, true) => bytes_by_two,
        (2, false) => unpacked_by_two,
        (_, true) => bytes_by_four,
        (_, false) => unpacked_by_four,
    }
}

/// Three rows at one position: r0 to r2 point to their weights, r3 to the activations, r8 to r10 are the sums, r12 counts.
macro_rules! three_rows {
    ($load_scale:literal) => {
        naked_asm!(
            any_cortex_m!(),
            "push {{r4-r11, lr}}",
            "ldm r0, {{r3-r9}}",
            "push {{r3-r9}}",
            ".macro FOUR row, sum",
            r"ldr r6, [\row], #4",
            "sxtb16 r7, r6",
            "sxtb16 r6, r6, ror #8",
            r"smlad \sum, r7, r4, \sum",
            r"smlad \sum, r6, r5, \sum",
            ".endm",
            ".macro ADD sum",
            concat!($load_scale, " r11, [r5]"),
            "add r5, r4",
            "ldrd r0, r1, [r6]",
            r"smlal r0, r1, \sum, r11",
            "strd r0, r1, [r6], #8",
            ".endm",
            "1:",
            "ldm sp, {{r0, r3, r4, r12}}",
            "add r1, r0, r4",
            "add r2, r1, r4",
            "mov r8, #0",
            "mov r9, #0",
            "mov r10, #0",
            "2:",
            "ldrd r4, r5, [r3], #8",
            "FOUR r0, r8",
            "FOUR r1, r9",
            "FOUR r2, r10",
            "adds r12, #1",
            "bne 2b",
            "ldr r4, [sp, #8]",
            "ldrd r5, r6, [sp, #16]",
            "ADD r8",
            "ADD r9",
            "ADD r10",
            ".purgem FOUR",
            ".purgem ADD",
            "ldr r0, [sp]",
            "ldr r7, [sp, #24]",
            "add r4, r4, r4, lsl #1",
            "add r0, r4",
            "subs r7, #1",
            "str r0, [sp]",
            "strd r5, r6, [sp, #16]",
            "str r7, [sp, #24]",
            "bne 1b",
            "add sp, #28",
            "pop {{r4-r11, pc}}",
        )
    };
}

/// One row at some positions: r0 points to the weights, r1 to the activations, r2 to r5 are the sums, r12 counts. `dots`
/// multiplies four columns, even ones in r7 and odd ones in r6, with every position, and `adds` adds the sums times r10.
macro_rules! positions {
    (dots: $dots:literal, adds: $adds:literal, load_scale: $load_scale:literal) => {
        naked_asm!(
            any_cortex_m!(),
            "push {{r4-r11, lr}}",
            "ldm r0, {{r3-r9}}",
            "push {{r3-r9}}",
            ".macro DOTS first, second",
            "ldm r1!, {{r8-r11}}",
            r"smlad \first, r7, r8, \first",
            r"smlad \first, r6, r9, \first",
            r"smlad \second, r7, r10, \second",
            r"smlad \second, r6, r11, \second",
            ".endm",
            ".macro ADD sum",
            "ldrd r8, r9, [r7]",
            r"smlal r8, r9, \sum, r10",
            "strd r8, r9, [r7], #8",
            ".endm",
            "1:",
            "ldm sp, {{r0-r2, r12}}",
            "movs r2, #0",
            "movs r3, #0",
            "movs r4, #0",
            "movs r5, #0",
            "2:",
            "ldr r6, [r0], #4",
            "sxtb16 r7, r6",
            "sxtb16 r6, r6, ror #8",
            $dots,
            "adds r12, #1",
            "bne 2b",
            "ldr r12, [sp, #8]",
            "ldrd r6, r7, [sp, #16]",
            concat!($load_scale, " r10, [r6]"),
            $adds,
            ".purgem DOTS",
            ".purgem ADD",
            "ldr r0, [sp]",
            "ldr r8, [sp, #24]",
            "add r0, r12",
            "add r6, r12",
            "subs r8, #1",
            "str r0, [sp]",
            "strd r6, r7, [sp, #16]",
            "str r8, [sp, #24]",
            "bne 1b",
            "add sp, #28",
            "pop {{r4-r11, pc}}",
        )
    };
}

/// # Safety
/// See [`run`] and [`Loop`].
#[unsafe(naked)]
unsafe extern "C" fn bytes_by_rows(run: &Run) {
    three_rows!("ldrb")
}

/// # Safety
/// See [`run`] and [`Loop`].
#[unsafe(naked)]
unsafe extern "C" fn unpacked_by_rows(run: &Run) {
    three_rows!("ldrsb")
}

/// # Safety
/// See [`run`] and [`Loop`].
#[unsafe(naked)]
unsafe extern "C" fn bytes_by_two(run: &Run) {
    positions!(dots: "DOTS r2, r3", adds: "ADD r2\nADD r3", load_scale: "ldrb")
}

/// # Safety
/// See [`run`] and [`Loop`].
#[unsafe(naked)]
unsafe extern "C" fn unpacked_by_two(run: &Run) {
    positions!(dots: "DOTS r2, r3", adds: "ADD r2\nADD r3", load_scale: "ldrsb")
}

/// # Safety
/// See [`run`] and [`Loop`].
#[unsafe(naked)]
unsafe extern "C" fn bytes_by_four(run: &Run) {
    positions!(dots: "DOTS r2, r3\nDOTS r4, r5", adds: "ADD r2\nADD r3\nADD r4\nADD r5", load_scale: "ldrb")
}

/// # Safety
/// See [`run`] and [`Loop`].
#[unsafe(naked)]
unsafe extern "C" fn unpacked_by_four(run: &Run) {
    positions!(dots: "DOTS r2, r3\nDOTS r4, r5", adds: "ADD r2\nADD r3\nADD r4\nADD r5", load_scale: "ldrsb")
}
