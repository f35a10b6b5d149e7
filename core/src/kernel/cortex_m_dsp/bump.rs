//! Functions less a bump, with a floating-point unit: 25 instructions for an element, in 35 cycles of a Cortex-M4 by Arm's
//! published timings with memory that never waits.

use crate::ops::bump::{self, POINT};
use core::arch::naked_asm;

/// As [`bump::less_bump`](crate::ops::bump::less_bump).
#[inline(always)]
pub fn less_bump<const N: usize>(out: &mut [f32], x: &[f32], cubics: &[[i32; 4]; N], far: f32, spacing: i32) {
    let n = out.len().min(x.len());
    // Arguments that fit fixed point, and a cubic for each.
    let reach = (0.0..32.0).contains(&far) && (0..POINT).contains(&spacing);
    if !reach || (far * (1 << spacing) as f32 + 0.5) as usize >= N {
        return bump::less_bump(out, x, cubics, far, spacing);
    }
    let within = POINT - spacing;
    if n > 0 {
        let half = 1 << (within - 1);
        let cubics = Cubics { far: far.to_bits(), half, within, beyond: 32 - within, first: cubics.as_ptr() };
        // SAFETY: so many elements are there, and all cubics that arguments below `far` come to.
        unsafe { run(out.as_mut_ptr(), x.as_ptr(), n, &cubics) };
    }
}

#[repr(C)]
struct Cubics {
    /// The bits of the least argument without a bump.
    far: u32,
    /// What takes an argument to the middle of its cubic, and bits of an argument's distance from there.
    half: u32,
    within: i32,
    /// The others of 32.
    beyond: i32,
    first: *const [i32; 4],
}

/// # Safety
/// So many elements are there, at least one, and as many cubics as arguments of less than `far` meet.
#[unsafe(naked)]
unsafe extern "C" fn run(out: *mut f32, x: *const f32, n: usize, cubics: &Cubics) {
    naked_asm!(
        any_cortex_m!(),
        "push {{r4-r11, lr}}",
        "ldm r3, {{r6, r8-r11}}",
        "2:",
        "ldr r4, [r1], #4",
        "bic r5, r4, #0x80000000",
        "cmp r5, r6",
        "bhs 4f",
        "vmov s0, r4",
        "vcvt.s32.f32 s0, s0, #{point}",
        "vmov r4, s0",
        "eor r5, r4, r4, asr #31",
        "sub r5, r5, r4, asr #31",
        "add r7, r5, r8",
        "lsr r7, r9",
        "lsl r5, r10",
        "add r7, r11, r7, lsl #4",
        "ldm r7, {{r3, r7, r12, lr}}",
        "smmla lr, lr, r5, r12",
        "smmla lr, lr, r5, r7",
        "smmla lr, lr, r5, r3",
        "bic r4, r4, r4, asr #31",
        "add lr, #8",
        "sub r4, r4, lr, asr #4",
        "vmov s0, r4",
        "vcvt.f32.s32 s0, s0, #{point}",
        "3:",
        "vstmia r0!, {{s0}}",
        "subs r2, #1",
        "bne 2b",
        "pop {{r4-r11, pc}}",
        // Finite and negative, it becomes 0.
        "4:",
        "cmp r4, #0",
        "it lt",
        "cmplt r5, #0x7F800000",
        "it lt",
        "movlt r4, #0",
        "vmov s0, r4",
        "b 3b",
        point = const POINT,
    )
}
