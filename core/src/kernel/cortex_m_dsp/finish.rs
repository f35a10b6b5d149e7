//! Sums to floats.

use crate::kernel::Scaling;

/// Where a block of rows' products go, and their row scales.
#[repr(C)]
pub struct Outputs {
    /// The first row's, at the first position.
    pub out: *mut f32,
    /// Floats from position to position.
    pub out_stride: usize,
    /// The first row's, a bf16 at an even address.
    pub row_scales: *const u8,
    /// Bytes from row scale to row scale.
    pub stride: usize,
}

/// Writes the products that the sums `[n][P]` of `n` rows at `P` positions stand for.
///
/// # Safety
/// Sums, row scales and outputs are there.
#[cfg(not(target_abi = "eabihf"))]
pub unsafe fn finish_rows<const P: usize>(
    to: Outputs,
    n: usize,
    sums: *const i64,
    scaling: &Scaling,
    scales: [f32; P],
) {
    for r in 0..n {
        for (p, &scale) in scales.iter().enumerate() {
            // SAFETY: the caller's.
            unsafe {
                let row_scale = to.row_scales.add(r * to.stride).cast::<u16>().read_unaligned();
                let row_scale = f32::from_bits(u32::from(u16::from_le(row_scale)) << 16);
                to.out.add(p * to.out_stride + r).write(scaling.finish(*sums.add(r * P + p), row_scale, scale));
            }
        }
    }
}

/// Writes the products that the sums `[n][P]` of `n` rows at `P` positions stand for.
///
/// # Safety
/// Sums, row scales and outputs are there; `n` is not 0, and `P` is 1, 2 or 4.
#[cfg(target_abi = "eabihf")]
#[inline(always)]
pub unsafe fn finish_rows<const P: usize>(
    to: Outputs,
    n: usize,
    sums: *const i64,
    scaling: &Scaling,
    scales: [f32; P],
) {
    let Outputs { out, out_stride, row_scales, stride } = to;
    let (half, shift, unit) = (scaling.half as u32, scaling.shift, scaling.unit);
    let mut each = [0.0; 4];
    each.iter_mut().zip(scales).for_each(|(each, scale)| *each = scale);
    let over = fpu::Block { row_scales, stride, half, shift, out_stride: 4 * out_stride, unit, scales: each };
    let run = match P {
        1 => fpu::finish_one,
        2 => fpu::finish_two,
        _ => fpu::finish_four,
    };
    // SAFETY: the caller's.
    unsafe { run(out, sums, n, &over) };
}

/// With a floating-point unit: 17, 32 or 56 instructions for the products of one, two or four positions.
#[cfg(target_abi = "eabihf")]
mod fpu {
    use core::arch::naked_asm;

    #[repr(C)]
    pub struct Block {
        pub row_scales: *const u8,
        pub stride: usize,
        /// Half of what the shift leaves out, below 2^31.
        pub half: u32,
        pub shift: u32,
        /// Bytes from position to position.
        pub out_stride: usize,
        pub unit: f32,
        pub scales: [f32; 4],
    }

    /// [`Scaling::finish`](crate::kernel::Scaling::finish) for each output. `row` is what a row's loop does behind its
    /// scale: `PUT n` puts the next product out, by the scale in register `n`.
    ///
    /// r0 points to the first position's output, r12 to that of the position under way, r1 to the sums, r2 counts rows.
    macro_rules! finish {
        ($row:literal) => {
            naked_asm!(
                // The target has it, but the assembler is not told.
                ".arch armv7e-m",
                ".fpu fpv4-sp-d16",
                "push {{r4-r11, lr}}",
                "ldm r3!, {{r4-r8}}",
                "vldm r3, {{s2-s6}}",
                "rsb r9, r7, #32",
                ".macro PUT scale",
                "ldrd r10, r11, [r1], #8",
                "adds r10, r6",
                "adc r11, r11, #0",
                "lsr r10, r7",
                "lsl r11, r9",
                "orr r10, r11",
                "vmov s0, r10",
                "vcvt.f32.s32 s0, s0",
                "vmul.f32 s0, s0, s1",
                r"vmul.f32 s0, s0, \scale",
                ".endm",
                "2:",
                "ldrh r10, [r4]",
                "add r4, r5",
                "lsl r10, #16",
                "vmov s1, r10",
                "vmul.f32 s1, s1, s2",
                $row,
                "subs r2, #1",
                "bne 2b",
                ".purgem PUT",
                "pop {{r4-r11, pc}}",
            )
        };
    }

    /// Of one position.
    ///
    /// # Safety
    /// `n` rows' sums, scales and outputs are there, and `n` is not 0.
    #[unsafe(naked)]
    pub unsafe extern "C" fn finish_one(out: *mut f32, sums: *const i64, n: usize, block: &Block) {
        finish!(
            r"
            PUT s3
            vstmia r0!, {{s0}}"
        )
    }

    /// Of two positions.
    ///
    /// # Safety
    /// As [`finish_one`].
    #[unsafe(naked)]
    pub unsafe extern "C" fn finish_two(out: *mut f32, sums: *const i64, n: usize, block: &Block) {
        finish!(
            r"
            add r12, r0, r8
            PUT s3
            vstmia r0!, {{s0}}
            PUT s4
            vstr s0, [r12]"
        )
    }

    /// Of four positions.
    ///
    /// # Safety
    /// As [`finish_one`].
    #[unsafe(naked)]
    pub unsafe extern "C" fn finish_four(out: *mut f32, sums: *const i64, n: usize, block: &Block) {
        finish!(
            r"
            add r12, r0, r8
            PUT s3
            vstmia r0!, {{s0}}
            PUT s4
            vstr s0, [r12]
            add r12, r8
            PUT s5
            vstr s0, [r12]
            add r12, r8
            PUT s6
            vstr s0, [r12]"
        )
    }
}
