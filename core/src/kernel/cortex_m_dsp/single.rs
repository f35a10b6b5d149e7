//! Rows of a single group of bytes, from weights to floats in one loop, with a floating-point unit.
//!
//! Such rows are short: what comes once a row counts as much as their columns. A row has its group's scale and its own right
//! behind its integers, its stride and the shift of its sums are known, and no sum waits in memory.
//!
//! As the [`loops`](super::loops) count:
//!
//! | loop | unit | instructions | cycles |
//! |---|---|---|---|
//! | [`three_rows`] | 64 columns of 3 rows | 224 | 304 |
//! | | their outputs | 42 | 50 |
//! | [`four_positions`] | 64 columns at 4 positions | 200 | 344 |
//! | | their outputs | 47 | 55 |

use super::loops::{eight_bytes, unpack_bytes};
use crate::format::{Format, Packing};
use crate::kernel::Scaling;
use core::arch::naked_asm;

/// Columns of a row.
const COLUMNS: usize = 64;

/// Bytes from row to row.
const STRIDE: usize = Format::Q8.row_stride(COLUMNS);

/// How far sums are shifted right.
const SHIFT: u32 = match Format::Q8.packing() {
    Some(packing) => packing.shift(COLUMNS),
    None => 0,
};

const _: () = assert!(STRIDE == COLUMNS + 4, "a scale, a byte between, and the row's scale");

/// Whether these are such rows.
#[inline(always)]
pub const fn fits(packing: Packing, n_in: usize) -> bool {
    packing.is_bytes() && n_in == COLUMNS
}

/// What a loop runs over.
#[repr(C)]
struct Run {
    weights: *const u8,
    x: *const u32,
    out: *mut f32,
    /// Times three rows, or one, at least one.
    times: usize,
    /// Bytes from position to position.
    out_stride: usize,
    /// Each position's, see [`Scaling::unit`].
    units: [f32; 4],
}

/// Writes the outputs of `n_rows` rows at one position. The last three rows may overlap those before them.
///
/// # Safety
/// They are there, at least three, as well as the activations, as [`layout`](super::layout) puts them, and outputs.
pub unsafe fn by_rows(out: *mut f32, weights: *const u8, n_rows: usize, x: *const u32, scaling: Scaling, scale: f32) {
    let units = [scaling.unit(scale); 4];
    let run = Run { weights, x, out, times: n_rows / 3, out_stride: 0, units };
    // SAFETY: the caller's.
    unsafe {
        three_rows(&run);
        if !n_rows.is_multiple_of(3) {
            let first = n_rows - 3;
            three_rows(&Run { weights: weights.add(first * STRIDE), out: out.add(first), times: 1, ..run });
        }
    }
}

/// Writes the outputs `[4][n_rows]` of rows at four positions.
///
/// # Safety
/// As [`by_rows`]; there is at least one row.
pub unsafe fn by_four(
    out: *mut f32,
    weights: *const u8,
    n_rows: usize,
    x: *const u32,
    scaling: Scaling,
    scales: [f32; 4],
) {
    let units = scales.map(|scale| scaling.unit(scale));
    // SAFETY: the caller's.
    unsafe { four_positions(&Run { weights, x, out, times: n_rows, out_stride: 4 * n_rows, units }) };
}

/// r0 to r2 point to the rows' weights, r3 to the activations, r8 to r10 are the sums. s8 is the unit, s9 what is left, s10
/// points to the outputs.
///
/// # Safety
/// All that [`Run`] says is there.
#[unsafe(naked)]
unsafe extern "C" fn three_rows(run: &Run) {
    naked_asm!(
        any_cortex_m!(),
        "push {{r4-r11, lr}}",
        "vldr s8, [r0, #20]",
        "ldm r0, {{r0, r3-r5}}",
        "vmov s10, r4",
        "vmov s9, r5",
        "add r1, r0, #{stride}",
        "add r2, r1, #{stride}",
        ".macro EIGHT row, sum, from",
        eight_bytes!(),
        ".endm",
        "2:",
        "ldm r3!, {{r4-r7}}",
        "EIGHT r0, r8, none",
        "EIGHT r1, r9, none",
        "EIGHT r2, r10, none",
        ".rept 7",
        "ldm r3!, {{r4-r7}}",
        "EIGHT r0, r8, r8",
        "EIGHT r1, r9, r9",
        "EIGHT r2, r10, r10",
        ".endr",
        ".purgem EIGHT",
        "ldrb r4, [r0]",
        "ldrb r5, [r1]",
        "ldrb r6, [r2]",
        "ldrh r11, [r0, #2]",
        "ldrh r12, [r1, #2]",
        "ldrh lr, [r2, #2]",
        "smull r4, r7, r8, r4",
        "smull r5, r8, r9, r5",
        "smull r6, r9, r10, r6",
        "lsr r4, #{shift}",
        "lsr r5, #{shift}",
        "lsr r6, #{shift}",
        "orr r4, r4, r7, lsl #32 - {shift}",
        "orr r5, r5, r8, lsl #32 - {shift}",
        "orr r6, r6, r9, lsl #32 - {shift}",
        "lsl r11, #16",
        "lsl r12, #16",
        "lsl lr, #16",
        "vmov s0, s1, r4, r5",
        "vmov s2, r6",
        "vmov s4, s5, r11, r12",
        "vmov s6, lr",
        "vcvt.f32.s32 s0, s0",
        "vcvt.f32.s32 s1, s1",
        "vcvt.f32.s32 s2, s2",
        "vmul.f32 s0, s0, s4",
        "vmul.f32 s1, s1, s5",
        "vmul.f32 s2, s2, s6",
        "vmul.f32 s0, s0, s8",
        "vmul.f32 s1, s1, s8",
        "vmul.f32 s2, s2, s8",
        "vmov r4, r5, s9, s10",
        "vstmia r5!, {{s0-s2}}",
        "add r0, r2, #{stride} - {columns}",
        "add r1, r0, #{stride}",
        "add r2, r1, #{stride}",
        "sub r3, #2 * {columns}",
        "subs r4, #1",
        "vmov s9, s10, r4, r5",
        "bne 2b",
        "pop {{r4-r11, pc}}",
        stride = const STRIDE,
        columns = const COLUMNS,
        shift = const SHIFT,
    )
}

/// r0 points to the weights, r1 to the activations, r2 to r5 are the sums. s8 to s11 are the units, s12 is what is left, s13
/// points to the first position's output, s14 says how far it is to the next.
///
/// # Safety
/// All that [`Run`] says is there.
#[unsafe(naked)]
unsafe extern "C" fn four_positions(run: &Run) {
    naked_asm!(
        any_cortex_m!(),
        "push {{r4-r11, lr}}",
        "mov r12, r0",
        "ldm r12!, {{r0-r4}}",
        "vldm r12, {{s8-s11}}",
        "vmov s12, r3",
        "vmov s13, r2",
        "vmov s14, r4",
        ".macro DOT sum, multiply",
        "ldm r1!, {{r10-r12, lr}}",
        r".ifc \multiply, smuad",
        r"smuad \sum, r6, r10",
        ".else",
        r"smlad \sum, r6, r10, \sum",
        ".endif",
        r"smlad \sum, r7, r11, \sum",
        r"smlad \sum, r8, r12, \sum",
        r"smlad \sum, r9, lr, \sum",
        ".endm",
        ".macro EIGHT multiply",
        unpack_bytes!(),
        r"DOT r2, \multiply",
        r"DOT r3, \multiply",
        r"DOT r4, \multiply",
        r"DOT r5, \multiply",
        ".endm",
        "2:",
        "EIGHT smuad",
        ".rept 7",
        "EIGHT smlad",
        ".endr",
        ".purgem DOT",
        ".purgem EIGHT",
        "ldrb r6, [r0]",
        "ldrh r7, [r0, #2]",
        "add r0, #{stride} - {columns}",
        "sub r1, #8 * {columns}",
        "smull r2, r8, r2, r6",
        "smull r3, r9, r3, r6",
        "smull r4, r10, r4, r6",
        "smull r5, r11, r5, r6",
        "lsr r2, #{shift}",
        "lsr r3, #{shift}",
        "lsr r4, #{shift}",
        "lsr r5, #{shift}",
        "orr r2, r2, r8, lsl #32 - {shift}",
        "orr r3, r3, r9, lsl #32 - {shift}",
        "orr r4, r4, r10, lsl #32 - {shift}",
        "orr r5, r5, r11, lsl #32 - {shift}",
        "lsl r7, #16",
        "vmov s4, r7",
        "vmov s0, s1, r2, r3",
        "vmov s2, s3, r4, r5",
        "vcvt.f32.s32 s0, s0",
        "vcvt.f32.s32 s1, s1",
        "vcvt.f32.s32 s2, s2",
        "vcvt.f32.s32 s3, s3",
        "vmul.f32 s0, s0, s4",
        "vmul.f32 s1, s1, s4",
        "vmul.f32 s2, s2, s4",
        "vmul.f32 s3, s3, s4",
        "vmul.f32 s0, s0, s8",
        "vmul.f32 s1, s1, s9",
        "vmul.f32 s2, s2, s10",
        "vmul.f32 s3, s3, s11",
        "vmov r2, r3, s12, s13",
        "vmov r4, s14",
        "add r5, r3, r4",
        "vstmia r3!, {{s0}}",
        "vstr s1, [r5]",
        "add r5, r4",
        "vstr s2, [r5]",
        "add r5, r4",
        "vstr s3, [r5]",
        "subs r2, #1",
        "vmov s12, s13, r2, r3",
        "bne 2b",
        "pop {{r4-r11, pc}}",
        stride = const STRIDE,
        columns = const COLUMNS,
        shift = const SHIFT,
    )
}
