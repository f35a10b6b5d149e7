//! Sums of rows to floats.

use crate::kernel::Scaling;

/// The products that the sums of rows stand for. The first row's bf16 scale is in front of `scales`, each other one's
/// `stride` bytes on.
#[cfg(not(target_abi = "eabihf"))]
pub fn finish_rows(out: &mut [f32], sums: &[i64], scales: &[u8], stride: usize, scaling: &Scaling, scale: f32) {
    for ((out, &sum), row) in out.iter_mut().zip(sums).zip(scales.chunks(stride)) {
        *out = scaling.finish(sum, super::row_scale(&row[..2]), scale);
    }
}

/// The products that the sums of rows stand for. The first row's bf16 scale is in front of `scales`, each other one's
/// `stride` bytes on.
#[cfg(target_abi = "eabihf")]
#[inline(always)]
pub fn finish_rows(out: &mut [f32], sums: &[i64], scales: &[u8], stride: usize, scaling: &Scaling, scale: f32) {
    let n = out.len();
    assert!(n > 0 && sums.len() >= n && scales.len() >= (n - 1) * stride + 2);
    let scaling = fpu::RowScaling {
        scales: scales.as_ptr(),
        stride,
        half: scaling.half as u32,
        shift: scaling.shift,
        unit: scaling.unit,
        scale,
    };
    let out = out.as_mut_ptr_range();
    // SAFETY: `n` sums, scales and outputs are there.
    unsafe { fpu::finish_rows(out.start, out.end, sums.as_ptr(), &scaling) };
}

/// With a floating-point unit: sixteen instructions a row.
#[cfg(target_abi = "eabihf")]
mod fpu {
    use core::arch::naked_asm;

    #[repr(C)]
    pub struct RowScaling {
        pub scales: *const u8,
        pub stride: usize,
        /// Half of what the shift leaves out, below 2^31.
        pub half: u32,
        pub shift: u32,
        pub unit: f32,
        pub scale: f32,
    }

    /// [`Scaling::finish`](crate::kernel::Scaling::finish) for each output.
    ///
    /// # Safety
    /// `out` is before `end`; a sum and a row scale are there for each.
    #[unsafe(naked)]
    pub unsafe extern "C" fn finish_rows(out: *mut f32, end: *mut f32, sums: *const i64, scaling: &RowScaling) {
        naked_asm!(
            // The target has it, but the assembler is not told.
            ".fpu fpv4-sp-d16",
            "push {{r4-r8, lr}}",
            "vldr s2, [r3, #16]",
            "vldr s3, [r3, #20]",
            "ldm r3, {{r3-r6}}",
            "rsb r7, r6, #32",
            "2:",
            "ldrd r8, r12, [r2], #8",
            "ldrh lr, [r3]",
            "add r3, r4",
            "adds r8, r5",
            "adc r12, r12, #0",
            "lsr r8, r6",
            "lsl r12, r7",
            "orr r8, r12",
            "lsl lr, #16",
            "vmov s0, s1, r8, lr",
            "vcvt.f32.s32 s0, s0",
            "vmul.f32 s1, s1, s2",
            "vmul.f32 s0, s0, s1",
            "vmul.f32 s0, s0, s3",
            "vstmia r0!, {{s0}}",
            "cmp r0, r1",
            "bne 2b",
            "pop {{r4-r8, pc}}",
        )
    }
}
