//! Sums of rows to floats.

use core::arch::naked_asm;
use core::mem::MaybeUninit;

use crate::kernel::{Scaling, row_scale};

/// Sums to start from: `n` eights, 1 at least.
///
/// # Safety
/// There is room for them.
#[unsafe(naked)]
pub unsafe extern "C" fn clear_eights(room: *mut MaybeUninit<[i64; 8]>, n: usize) {
    naked_asm!(
        any_cortex_m!(),
        "push {{r7, lr}}",
        "vmov.i32 q0, #0",
        "dls lr, r1",
        "2:",
        "vstrw.32 q0, [r0], #16",
        "vstrw.32 q0, [r0], #16",
        "vstrw.32 q0, [r0], #16",
        "vstrw.32 q0, [r0], #16",
        "le lr, 2b",
        "pop {{r7, pc}}",
    )
}

/// Sums of consecutive rows with one position, and what makes products of them.
#[repr(C)]
pub struct RowSums {
    /// Two sums next to each other.
    pub sums: *const i64,
    /// Bytes from two sums to the next two.
    pub pitch: usize,
    /// The first row's end, with its scale.
    pub scales: *const [u8; 2],
    /// Bytes from row to row.
    pub stride: usize,
    /// Rows, from 1 on.
    pub rows: usize,
    /// See [`Scaling`].
    pub shift: u32,
    pub unit: f32,
}

impl RowSums {
    /// Writes the products that the sums stand for.
    ///
    /// # Safety
    /// Everything that this points to is there, and room for the products.
    #[inline(always)]
    pub unsafe fn finish(&self, out: *mut f32, scaling: Scaling) {
        // SAFETY: the caller's.
        unsafe {
            if finish_quads(out, self) != 0 {
                self.finish_exactly(out, scaling);
            }
        }
    }

    /// One row at a time, with subnormal numbers.
    ///
    /// # Safety
    /// As for [`RowSums::finish`].
    #[cold]
    #[inline(never)]
    unsafe fn finish_exactly(&self, out: *mut f32, scaling: Scaling) {
        for r in 0..self.rows {
            // SAFETY: the caller's.
            unsafe {
                let sum = *self.sums.byte_add(r / 2 * self.pitch).add(r % 2);
                let row_scale = row_scale(&*self.scales.byte_add(r * self.stride));
                *out.add(r) = scaling.finish(sum, row_scale, self.unit);
            }
        }
    }
}

/// Four rows at a time. Vectors of floats flush subnormal numbers to zero: where they did, the result is not 0.
///
/// # Safety
/// As for [`RowSums::finish`].
#[unsafe(naked)]
unsafe extern "C" fn finish_quads(out: *mut f32, sums: &RowSums) -> u32 {
    naked_asm!(
        any_cortex_m!(),
        "push {{r4-r7, r12, lr}}",
        // Flags of flushed inputs and results, bits 7 and 3.
        "vmrs r2, fpscr",
        "bic r2, #0x88",
        "vmsr fpscr, r2",
        "movs r4, #0",
        "vidup.u32 q2, r4, #1",
        "ldrd r4, r6, [r1]",
        "ldrd r2, r7, [r1, #8]",
        "ldrd lr, r3, [r1, #16]",
        "ldr r12, [r1, #24]",
        // Where sums are, and scales.
        "vmul.i32 q2, q2, r7",
        "add r5, r4, r6",
        "vmov q3[2], q3[0], r4, r5",
        "adds r4, #8",
        "adds r5, #8",
        "vmov q3[3], q3[1], r4, r5",
        "lsls r6, r6, #1",
        "lsls r7, r7, #2",
        "rsb r4, r3, #32",
        "rsbs r3, r3, #0",
        "dlstp.32 lr, lr",
        "2:",
        "vldrw.u32 q0, [q3]",
        "vshl.u32 q0, r3",
        "vldrw.u32 q1, [q3, #4]",
        "vshl.u32 q1, r4",
        "vadd.i32 q3, q3, r6",
        "vorr q0, q0, q1",
        "vldrh.u32 q1, [r2, q2]",
        "add r2, r7",
        "vshl.i32 q1, q1, #16",
        "vcvt.f32.s32 q0, q0",
        "vmul.f32 q0, q0, q1",
        "vmul.f32 q0, q0, r12",
        "vstrw.32 q0, [r0], #16",
        "letp lr, 2b",
        "vmrs r0, fpscr",
        "and r0, #0x88",
        "pop {{r4-r7, r12, pc}}",
    )
}
