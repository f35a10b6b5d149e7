//! Attention over floats with a floating-point unit.
//!
//! Eight lanes are eight registers, filled by one load. A product is added by `vmla`, which rounds the product, then the
//! sum: it is not fused. It takes 3 cycles of a Cortex-M4, as `vmul` and `vadd` take 2, and one issue of a Cortex-M7
//! instead of two.
//!
//! | loop | unit | instructions | cycles on Cortex-M4 |
//! |---|---|---|---|
//! | [`f32_dots`] | 8 lanes of 2 keys | 21 | 79 |
//! | [`f16_dots`] | 8 lanes of 2 keys | 37 | 87 |
//! | [`f32_add_weighted`] | 8 lanes of 4 values | 43 | 144 |
//! | [`f16_add_weighted`] | 8 lanes of 4 values | 75 | 160 |

use crate::ops::attention::{self, HeadRows};
use core::arch::naked_asm;

/// As [`attention::dots_f32`].
pub fn dots_f32(scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
    if !dots(scores, query, keys, 1, f32_dots) {
        uncommon(|| attention::dots_f32(scores, query, keys));
    }
}

/// As [`attention::dots_f16`].
pub fn dots_f16(scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
    if !dots(scores, query, keys, 2, f16_dots) {
        uncommon(|| attention::dots_f16(scores, query, keys));
    }
}

/// As [`attention::add_weighted_f32`].
pub fn add_weighted_f32(out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
    if !add_weighted(out, weights, values, 1, f32_add_weighted) {
        uncommon(|| attention::add_weighted_f32(out, weights, values));
    }
}

/// As [`attention::add_weighted_f16`].
pub fn add_weighted_f16(out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
    if !add_weighted(out, weights, values, 2, f16_add_weighted) {
        uncommon(|| attention::add_weighted_f16(out, weights, values));
    }
}

/// Runs what the loops do not do, where it is not in the way of what they do.
#[cold]
#[inline(never)]
fn uncommon(run: impl FnOnce()) {
    run();
}

/// One of the loops.
type HeadLoop = unsafe extern "C" fn(*mut f32, *const f32, *const u32, &Shape);

/// The shape of heads of `dim` lanes, `lanes` of them a word, in `rows` rows; `None` where it has ragged ends or the rows
/// are not there.
#[inline(always)]
fn shape(heads: HeadRows<'_>, dim: usize, lanes: usize, rows: usize) -> Option<Shape> {
    // Products of any lengths of 32 bits are exact.
    let need = rows.checked_sub(1)? as u64 * heads.stride() as u64 + (dim / lanes) as u64;
    let fits = dim > 0 && dim.is_multiple_of(8) && need <= heads.words().len() as u64;
    fits.then_some(Shape { stride: heads.stride().wrapping_mul(4), eights: dim / 8, rows })
}

/// Runs a loop over dot products; says whether it could.
#[inline(always)]
fn dots(scores: &mut [f32], query: &[f32], keys: HeadRows<'_>, lanes: usize, run: HeadLoop) -> bool {
    let Some(shape) = shape(keys, query.len(), lanes, scores.len()) else { return false };
    let (pairs, last) = scores.as_chunks_mut::<2>();
    // SAFETY: the shape was checked.
    unsafe {
        if !pairs.is_empty() {
            let shape = Shape { rows: 2 * pairs.len(), ..shape };
            run(pairs.as_mut_ptr().cast(), query.as_ptr(), keys.words().as_ptr(), &shape);
        }
        if let [last] = last {
            // The last key takes both places.
            let mut scores = [0.0; 2];
            let key = keys.words().as_ptr().add(2 * pairs.len() * keys.stride());
            run(scores.as_mut_ptr(), query.as_ptr(), key, &Shape { stride: 0, rows: 2, ..shape });
            *last = scores[0];
        }
    }
    true
}

/// Runs a loop over weighted values; says whether it could.
#[inline(always)]
fn add_weighted(out: &mut [f32], weights: &[f32], values: HeadRows<'_>, lanes: usize, run: HeadLoop) -> bool {
    let Some(shape) = shape(values, out.len(), lanes, weights.len()) else { return false };
    // SAFETY: the shape was checked.
    unsafe { run(out.as_mut_ptr(), weights.as_ptr(), values.words().as_ptr(), &shape) };
    true
}

/// What the loops run over.
#[repr(C)]
struct Shape {
    /// Bytes from row to row.
    stride: usize,
    /// Times eight lanes that a head has, at least 1.
    eights: usize,
    /// Rows, at least 1; for the dot products an even number.
    rows: usize,
}

/// Dot products of keys, two at a time. `LOAD` is a macro's body: eight lanes at `\\row` into s24 to s31.
macro_rules! dots {
    ($load:literal) => {
        naked_asm!(
            any_cortex_m!(),
            "push {{r4-r9, lr}}",
            "vpush {{s16-s31}}",
            "ldm r3, {{r4-r6}}",
            ".macro LOAD row",
            $load,
            ".endm",
            ".macro EIGHT multiply, a, b, c, d, e, f, g, h",
            r"\multiply \a, s24, s16",
            r"\multiply \b, s25, s17",
            r"\multiply \c, s26, s18",
            r"\multiply \d, s27, s19",
            r"\multiply \e, s28, s20",
            r"\multiply \f, s29, s21",
            r"\multiply \g, s30, s22",
            r"\multiply \h, s31, s23",
            ".endm",
            ".macro KEYS multiply",
            "vldmia r9!, {{s16-s23}}",
            "LOAD r7",
            r"EIGHT \multiply, s0, s1, s2, s3, s4, s5, s6, s7",
            "LOAD r8",
            r"EIGHT \multiply, s8, s9, s10, s11, s12, s13, s14, s15",
            ".endm",
            "2:",
            "mov r7, r2",
            "add r8, r2, r4",
            "mov r9, r1",
            "KEYS vmul.f32",
            "subs r12, r5, #1",
            "beq 4f",
            "3:",
            "KEYS vmla.f32",
            "subs r12, #1",
            "bne 3b",
            "4:",
            "vadd.f32 s0, s0, s4",
            "vadd.f32 s8, s8, s12",
            "vadd.f32 s2, s2, s6",
            "vadd.f32 s10, s10, s14",
            "vadd.f32 s1, s1, s5",
            "vadd.f32 s9, s9, s13",
            "vadd.f32 s3, s3, s7",
            "vadd.f32 s11, s11, s15",
            "vadd.f32 s0, s0, s2",
            "vadd.f32 s8, s8, s10",
            "vadd.f32 s1, s1, s3",
            "vadd.f32 s9, s9, s11",
            "vadd.f32 s0, s0, s1",
            "vadd.f32 s1, s8, s9",
            "vstmia r0!, {{s0-s1}}",
            "add r2, r2, r4, lsl #1",
            "subs r6, #2",
            "bne 2b",
            ".purgem LOAD",
            ".purgem EIGHT",
            ".purgem KEYS",
            "vpop {{s16-s31}}",
            "pop {{r4-r9, pc}}",
        )
    };
}

/// Each score the striped sum of key times query.
///
/// # Safety
/// Scores, query and keys have the shape.
#[unsafe(naked)]
unsafe extern "C" fn f32_dots(scores: *mut f32, query: *const f32, keys: *const u32, shape: &Shape) {
    dots!(r"vldmia \row!, {{s24-s31}}")
}

/// As [`f32_dots`] of keys that are halves.
///
/// # Safety
/// Scores, query and keys have the shape.
#[unsafe(naked)]
unsafe extern "C" fn f16_dots(scores: *mut f32, query: *const f32, keys: *const u32, shape: &Shape) {
    dots!(
        r"
        vldmia \row!, {{s28-s31}}
        vcvtb.f32.f16 s24, s28
        vcvtt.f32.f16 s25, s28
        vcvtb.f32.f16 s26, s29
        vcvtt.f32.f16 s27, s29
        vcvtb.f32.f16 s28, s30
        vcvtt.f32.f16 s29, s30
        vcvtb.f32.f16 s30, s31
        vcvtt.f32.f16 s31, s31"
    )
}

/// Weighted values, eight lanes at a time, four positions in a turn of the loop. `LOAD` is a macro's body: eight lanes
/// at r7 into s8 to s15.
macro_rules! add_weighted {
    ($load:literal, $bytes:literal) => {
        naked_asm!(
            any_cortex_m!(),
            "push {{r4-r9, lr}}",
            "vpush {{s16-s19}}",
            "ldm r3, {{r4-r6}}",
            ".macro VALUE weight",
            $load,
            "add r7, r4",
            r"vmla.f32 s0, s8, \weight",
            r"vmla.f32 s1, s9, \weight",
            r"vmla.f32 s2, s10, \weight",
            r"vmla.f32 s3, s11, \weight",
            r"vmla.f32 s4, s12, \weight",
            r"vmla.f32 s5, s13, \weight",
            r"vmla.f32 s6, s14, \weight",
            r"vmla.f32 s7, s15, \weight",
            ".endm",
            "2:",
            "vldm r0, {{s0-s7}}",
            "mov r7, r2",
            "mov r8, r1",
            "subs r9, r6, #4",
            "blo 4f",
            "3:",
            "vldmia r8!, {{s16-s19}}",
            "VALUE s16",
            "VALUE s17",
            "VALUE s18",
            "VALUE s19",
            "subs r9, #4",
            "bhs 3b",
            "4:",
            "adds r9, #4",
            "beq 6f",
            "5:",
            "vldmia r8!, {{s16}}",
            "VALUE s16",
            "subs r9, #1",
            "bne 5b",
            "6:",
            "vstmia r0!, {{s0-s7}}",
            concat!("add r2, #", $bytes),
            "subs r5, #1",
            "bne 2b",
            ".purgem VALUE",
            "vpop {{s16-s19}}",
            "pop {{r4-r9, pc}}",
        )
    };
}

/// Adds each weight times its value, in order.
///
/// # Safety
/// Outputs, weights and values have the shape.
#[unsafe(naked)]
unsafe extern "C" fn f32_add_weighted(out: *mut f32, weights: *const f32, values: *const u32, shape: &Shape) {
    add_weighted!("vldm r7, {{s8-s15}}", "32")
}

/// As [`f32_add_weighted`] of values that are halves.
///
/// # Safety
/// Outputs, weights and values have the shape.
#[unsafe(naked)]
unsafe extern "C" fn f16_add_weighted(out: *mut f32, weights: *const f32, values: *const u32, shape: &Shape) {
    add_weighted!(
        r"
        vldm r7, {{s12-s15}}
        vcvtb.f32.f16 s8, s12
        vcvtt.f32.f16 s9, s12
        vcvtb.f32.f16 s10, s13
        vcvtt.f32.f16 s11, s13
        vcvtb.f32.f16 s12, s14
        vcvtt.f32.f16 s13, s14
        vcvtb.f32.f16 s14, s15
        vcvtt.f32.f16 s15, s15",
        "16"
    )
}
