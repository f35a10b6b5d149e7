//! Sums to floats.

use crate::kernel::Scaling;

/// Where a product's outputs go at `P` positions, and by what its sums become them.
#[cfg(not(target_abi = "eabihf"))]
pub struct Outputs<const P: usize> {
    out: *mut f32,
    out_stride: usize,
    row_scales: *const u8,
    stride: usize,
    scaling: Scaling,
    units: [f32; P],
}

#[cfg(not(target_abi = "eabihf"))]
impl<const P: usize> Outputs<P> {
    /// Row `r`'s go to `out + r` and as much as `out_stride` floats further for each next position. Its scale, a bf16 at an
    /// even address, lies `r * stride` bytes from `row_scales`.
    #[inline(always)]
    pub fn new(
        (out, out_stride): (*mut f32, usize),
        (row_scales, stride): (*const u8, usize),
        scaling: Scaling,
        scales: [f32; P],
    ) -> Self {
        Self { out, out_stride, row_scales, stride, scaling, units: scales.map(|scale| scaling.unit(scale)) }
    }

    /// Writes the products that the sums `[n][P]` of `n` rows from row `first` on stand for.
    ///
    /// # Safety
    /// Sums, row scales and outputs are there.
    pub unsafe fn finish(&mut self, first: usize, n: usize, sums: *const i64) {
        for (i, r) in (first..first + n).enumerate() {
            for (p, &unit) in self.units.iter().enumerate() {
                // SAFETY: the caller's.
                unsafe {
                    let row_scale = self.row_scales.add(r * self.stride).cast::<u16>().read_unaligned();
                    let row_scale = f32::from_bits(u32::from(u16::from_le(row_scale)) << 16);
                    let product = self.scaling.finish(*sums.add(i * P + p), row_scale, unit);
                    self.out.add(p * self.out_stride + r).write(product);
                }
            }
        }
    }
}

/// Where a product's outputs go at `P` positions, which are 1, 2 or 4, and by what its sums become them.
#[cfg(target_abi = "eabihf")]
pub struct Outputs<const P: usize> {
    out: *mut f32,
    row_scales: *const u8,
    block: fpu::Block,
}

#[cfg(target_abi = "eabihf")]
impl<const P: usize> Outputs<P> {
    /// Row `r`'s go to `out + r` and as much as `out_stride` floats further for each next position. Its scale, a bf16 at an
    /// even address, lies `r * stride` bytes from `row_scales`.
    #[inline(always)]
    pub fn new(
        (out, out_stride): (*mut f32, usize),
        (row_scales, stride): (*const u8, usize),
        scaling: Scaling,
        scales: [f32; P],
    ) -> Self {
        let mut units = [0.0; 4];
        units.iter_mut().zip(scales).for_each(|(unit, scale)| *unit = scaling.unit(scale));
        let block = fpu::Block { row_scales, stride, shift: scaling.shift, out_stride: 4 * out_stride, units };
        Self { out, row_scales, block }
    }

    /// Writes the products that the sums `[n][P]` of `n` rows from row `first` on stand for.
    ///
    /// # Safety
    /// Sums, row scales and outputs are there; `n` is not 0.
    #[inline(always)]
    pub unsafe fn finish(&mut self, first: usize, n: usize, sums: *const i64) {
        let run = match P {
            1 => fpu::finish_one,
            2 => fpu::finish_two,
            _ => fpu::finish_four,
        };
        // SAFETY: the caller's.
        unsafe {
            self.block.row_scales = self.row_scales.add(first * self.block.stride);
            run(self.out.add(first), sums, n, &self.block);
        }
    }
}

/// With a floating-point unit: 23 instructions for two rows at one position, 25 or 45 for a row at two or four positions.
#[cfg(target_abi = "eabihf")]
mod fpu {
    use core::arch::naked_asm;

    #[repr(C)]
    pub struct Block {
        pub row_scales: *const u8,
        pub stride: usize,
        pub shift: u32,
        /// Bytes from position to position.
        pub out_stride: usize,
        /// Each position's, see [`Scaling::unit`](crate::kernel::Scaling::unit).
        pub units: [f32; 4],
    }

    /// [`Scaling::finish`](crate::kernel::Scaling::finish) for each output. `row` is what a row's loop does behind its
    /// scale: `PUT n` puts the next product out, by the scale in register `n`.
    ///
    /// r0 points to the first position's output, r12 to that of the position under way, r1 to the sums, r2 counts rows.
    macro_rules! finish {
        ($row:literal) => {
            naked_asm!(
                any_cortex_m!(),
                "push {{r4-r11, lr}}",
                "ldm r3!, {{r4-r7}}",
                "vldm r3, {{s2-s5}}",
                "rsb r8, r6, #32",
                ".macro PUT unit",
                "ldrd r10, r11, [r1], #8",
                "lsr r10, r6",
                "lsl r11, r8",
                "orr r10, r11",
                "vmov s0, r10",
                "vcvt.f32.s32 s0, s0",
                "vmul.f32 s0, s0, s1",
                r"vmul.f32 s0, s0, \unit",
                ".endm",
                "2:",
                "ldrh r10, [r4]",
                "add r4, r5",
                "lsl r10, #16",
                "vmov s1, r10",
                $row,
                "subs r2, #1",
                "bne 2b",
                ".purgem PUT",
                "pop {{r4-r11, pc}}",
            )
        };
    }

    /// Of one position, two rows at a time, and the last one, where it has no second, alone.
    ///
    /// r0 points to the outputs, r1 to the sums, r4 to the row scales; r2 counts rows.
    ///
    /// # Safety
    /// `n` rows' sums, scales and outputs are there, and `n` is not 0.
    #[unsafe(naked)]
    pub unsafe extern "C" fn finish_one(out: *mut f32, sums: *const i64, n: usize, block: &Block) {
        naked_asm!(
            any_cortex_m!(),
            "push {{r4-r11, lr}}",
            "ldm r3!, {{r4-r7}}",
            "vldr s2, [r3]",
            "rsb r9, r6, #32",
            ".macro SHIFT low, high",
            r"lsr \low, r6",
            r"lsl \high, r9",
            r"orr \low, \high",
            ".endm",
            ".macro MULTIPLY out, row_scale",
            r"vcvt.f32.s32 \out, \out",
            r"vmul.f32 \out, \out, \row_scale",
            r"vmul.f32 \out, \out, s2",
            ".endm",
            "subs r2, #2",
            "blo 3f",
            "2:",
            "ldm r1!, {{r8, r10-r12}}",
            "SHIFT r8, r10",
            "SHIFT r11, r12",
            "ldrh r10, [r4]",
            "ldrh r12, [r4, r5]",
            "add r4, r4, r5, lsl #1",
            "lsl r10, #16",
            "lsl r12, #16",
            "vmov s0, s1, r8, r11",
            "vmov s4, s5, r10, r12",
            "MULTIPLY s0, s4",
            "MULTIPLY s1, s5",
            "vstmia r0!, {{s0-s1}}",
            "subs r2, #2",
            "bhs 2b",
            "3:",
            "adds r2, #1",
            "bmi 4f",
            "ldm r1, {{r8, r10}}",
            "SHIFT r8, r10",
            "ldrh r10, [r4]",
            "lsl r10, #16",
            "vmov s0, r8",
            "vmov s4, r10",
            "MULTIPLY s0, s4",
            "vstr s0, [r0]",
            "4:",
            ".purgem SHIFT",
            ".purgem MULTIPLY",
            "pop {{r4-r11, pc}}",
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
            add r12, r0, r7
            PUT s2
            vstmia r0!, {{s0}}
            PUT s3
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
            add r12, r0, r7
            PUT s2
            vstmia r0!, {{s0}}
            PUT s3
            vstr s0, [r12]
            add r12, r7
            PUT s4
            vstr s0, [r12]
            add r12, r7
            PUT s5
            vstr s0, [r12]"
        )
    }
}
