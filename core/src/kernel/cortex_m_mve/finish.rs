//! Sums of rows to floats.

use core::arch::naked_asm;
use core::mem::MaybeUninit;

use crate::kernel::{Scaling, row_scale};

/// Sums to start from, each of them `start`, from 0 to 2^31: of an even number, 2 at least.
pub fn fill(room: &mut [MaybeUninit<i64>], start: i64) -> &mut [i64] {
    assert!(!room.is_empty() && room.len().is_multiple_of(2));
    // SAFETY: pairs are all there is, and they are written.
    unsafe {
        fill_pairs(room.as_mut_ptr().cast(), start as u32, room.len() / 2);
        &mut *(room as *mut [MaybeUninit<i64>] as *mut [i64])
    }
}

/// # Safety
/// There is room for `n` pairs, 1 at least.
#[unsafe(naked)]
unsafe extern "C" fn fill_pairs(room: *mut [i64; 2], start: u32, n: usize) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r7, lr}}",
        "vmov.i32 q0, #0",
        "vmov s0, r1",
        "vmov s2, r1",
        "dls lr, r2",
        "2:",
        "vstrw.32 q0, [r0], #16",
        "le lr, 2b",
        "pop {{r7, pc}}",
    )
}

#[repr(C)]
struct RowScaling {
    /// Bytes from row to row.
    stride: usize,
    /// Bytes from two sums to the next two.
    sums_stride: usize,
    shift: u32,
    unit: f32,
    scale: f32,
}

/// The products that rows' sums stand for, half of what the shift leaves out added already: two sums next to each other,
/// and the next two `sums_stride` behind. `rows` starts with the first row.
pub fn finish_rows(
    out: &mut [f32],
    sums: &[i64],
    sums_stride: usize,
    rows: &[u8],
    stride: usize,
    scaling: &Scaling,
    scale: f32,
) {
    let (quads, rest) = out.as_chunks_mut::<4>();
    assert!(rows.len() >= (4 * quads.len() + rest.len()) * stride);
    if !quads.is_empty() {
        let _ = &sums[(2 * quads.len() - 1) * sums_stride + 1];
        let parts =
            RowScaling { stride, sums_stride: 8 * sums_stride, shift: scaling.shift, unit: scaling.unit, scale };
        // SAFETY: sums, rows and outputs are there.
        unsafe { finish_quads(quads.as_mut_ptr(), sums.as_ptr(), rows[stride - 2..].as_ptr(), &parts, quads.len()) };
    }
    let first = 4 * quads.len();
    for (r, out) in (first..).zip(rest) {
        let sum = sums[r / 2 * sums_stride + r % 2];
        *out = scaling.finish(sum - scaling.half, row_scale(&rows[..(r + 1) * stride]), scale);
    }
}

/// Four rows at a time. Only conversion, which is exact about its one rounding, is done in vectors: vectors of floats
/// flush subnormal numbers to zero.
///
/// # Safety
/// `n` fours of outputs, sums and rows are there; `scales` points to the first row's bf16.
#[unsafe(naked)]
unsafe extern "C" fn finish_quads(
    out: *mut [f32; 4],
    sums: *const i64,
    scales: *const u8,
    scaling: &RowScaling,
    n: usize,
) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "ldr lr, [sp, #36]",
        "ldrd r4, r12, [r3]",
        "vldr s12, [r3, #12]",
        "vldr s13, [r3, #16]",
        "ldr r3, [r3, #8]",
        "movs r6, #0",
        "vidup.u32 q2, r6, #1",
        "vmul.i32 q2, q2, r4",
        "vmov s14, lr",
        "lsl r4, r4, #2",
        "vmov s15, r4",
        "dls lr, lr",
        "2:",
        "ldrd r4, r5, [r1]",
        "asrl r4, r5, r3",
        "ldrd r6, r7, [r1, #8]",
        "asrl r6, r7, r3",
        "add r1, r12",
        "ldrd r8, r9, [r1]",
        "asrl r8, r9, r3",
        "ldrd r10, r11, [r1, #8]",
        "asrl r10, r11, r3",
        "add r1, r12",
        "vldrh.u32 q1, [r2, q2]",
        "vmov q0[2], q0[0], r4, r8",
        "vmov q0[3], q0[1], r6, r10",
        "vshl.i32 q1, q1, #16",
        "vcvt.f32.s32 q0, q0",
        "vmov r4, s15",
        "vmul.f32 s4, s4, s12",
        "vmul.f32 s5, s5, s12",
        "vmul.f32 s6, s6, s12",
        "vmul.f32 s7, s7, s12",
        "add r2, r4",
        "vmul.f32 s0, s0, s4",
        "vmul.f32 s1, s1, s5",
        "vmul.f32 s2, s2, s6",
        "vmul.f32 s3, s3, s7",
        "vmul.f32 s0, s0, s13",
        "vmul.f32 s1, s1, s13",
        "vmul.f32 s2, s2, s13",
        "vmul.f32 s3, s3, s13",
        "vstrw.32 q0, [r0], #16",
        "le lr, 2b",
        "pop {{r4-r11, pc}}",
    )
}
