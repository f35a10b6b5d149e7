//! Where a position's activations lie, and what else the loops want to know of them.

use core::arch::naked_asm;

use crate::format::{MIN_GROUP, Packing};

/// A position's words: the activations, for 8-bit ones an integer scale for each 32, and what else sums of groups meet, in
/// blocks for four groups: for 8-bit activations the scales of even 32s and of odd ones where the weights are bytes, and
/// else the scales and the corrections; for 16-bit ones the corrections, which make up for weights' being unsigned in
/// the loops.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub is_i8: bool,
    /// The first block's place.
    pub blocks: usize,
}

impl Layout {
    /// For 8-bit activations.
    #[inline(always)]
    pub const fn i8(n_in: usize) -> Self {
        Self { is_i8: true, blocks: n_in.div_ceil(4) + n_in.div_ceil(32) }
    }

    /// For 16-bit activations.
    #[inline(always)]
    pub const fn i16(n_in: usize) -> Self {
        Self { is_i8: false, blocks: n_in.div_ceil(4) * 2 }
    }

    /// The word with the activation of a column that is a multiple of 32.
    #[inline(always)]
    pub const fn word(&self, column: usize) -> usize {
        if self.is_i8 { column / 4 } else { column / 2 }
    }

    /// The word where the block of a group starts that is a multiple of four.
    #[inline(always)]
    pub const fn block(&self, group: usize) -> usize {
        self.blocks + if self.is_i8 { 2 * group } else { group }
    }

    /// Adds the blocks to quantised activations. A correction is `-2^(bits - 1)` times the sum of a group's activations;
    /// of 16 bits under two planes, each 16 activations then become those at even places and those at odd ones.
    pub fn arrange(&self, words: &mut [u32], packing: Packing, n_in: usize) {
        // None has smaller groups: a position has room for so many.
        let groups = n_in / packing.group.max(MIN_GROUP);
        // Blocks of eight words, the last one whole.
        let room = if self.is_i8 { groups.next_multiple_of(4) * 2 } else { groups };
        if groups == 0 || words.len() < self.blocks + room {
            return;
        }
        let factor = packing.range().0;
        let x = words.as_mut_ptr();
        // SAFETY: so many groups are there, and room for their blocks.
        unsafe {
            let out = x.add(self.blocks);
            match (packing.bits, self.is_i8) {
                (8, true) => split_scales(out, x.add(n_in.div_ceil(4)), groups.div_ceil(4)),
                (8, false) => (),
                (_, true) => correct_i8(out, x, groups, factor, x.add(n_in.div_ceil(4))),
                (_, false) => {
                    correct_i16(out, x, groups, factor);
                    if packing.has_two_planes() {
                        split_pairs(x, 2 * groups);
                    }
                }
            }
        }
    }
}

/// Each eight scales: those at even places, then those at odd ones.
///
/// # Safety
/// `n` eights, 1 at least, are there, and room for them.
#[unsafe(naked)]
unsafe extern "C" fn split_scales(out: *mut u32, scales: *const u32, n: usize) {
    naked_asm!(
        any_cortex_m!(),
        "push {{r7, lr}}",
        "dls lr, r2",
        "2:",
        "vld20.32 {{q0, q1}}, [r1]",
        "vld21.32 {{q0, q1}}, [r1]!",
        "vstrw.32 q0, [r0], #16",
        "vstrw.32 q1, [r0], #16",
        "le lr, 2b",
        "pop {{r7, pc}}",
    )
}

/// Blocks of four scales and four corrections: the `g`th is `factor` times the sum of the `g`th 32 bytes at `x`.
///
/// # Safety
/// `groups`, from 1 on, are there, and room for their blocks; `factor` fits a byte.
#[unsafe(naked)]
unsafe extern "C" fn correct_i8(out: *mut u32, x: *const u32, groups: usize, factor: i32, scales: *const u32) {
    naked_asm!(
        any_cortex_m!(),
        "push {{r4, r5, r7, lr}}",
        "ldr r4, [sp, #16]",
        "vdup.8 q2, r3",
        "dls lr, r2",
        "movs r2, #0",
        "2:",
        "vldrw.u32 q0, [r1], #16",
        "vmladav.s8 r12, q0, q2",
        "vldrw.u32 q1, [r1], #16",
        "vmladava.s8 r12, q1, q2",
        "bic r5, r2, #3",
        "add r5, r2",
        "add r5, r0, r5, lsl #2",
        "str r12, [r5, #16]",
        "ldr r12, [r4], #4",
        "str r12, [r5]",
        "adds r2, #1",
        "le lr, 2b",
        "pop {{r4, r5, r7, pc}}",
    )
}

/// `out[g]` is `factor` times the sum of the `g`th 32 numbers of 16 bits at `x`.
///
/// # Safety
/// `groups`, from 1 on, are there, and room for their corrections.
#[unsafe(naked)]
unsafe extern "C" fn correct_i16(out: *mut u32, x: *const u32, groups: usize, factor: i32) {
    naked_asm!(
        any_cortex_m!(),
        "push {{r7, lr}}",
        "vdup.16 q2, r3",
        "dls lr, r2",
        "2:",
        "vldrw.u32 q0, [r1], #16",
        "vmladav.s16 r12, q0, q2",
        "vldrw.u32 q1, [r1], #16",
        "vmladava.s16 r12, q1, q2",
        "vldrw.u32 q0, [r1], #16",
        "vmladava.s16 r12, q0, q2",
        "vldrw.u32 q1, [r1], #16",
        "vmladava.s16 r12, q1, q2",
        "str r12, [r0], #4",
        "le lr, 2b",
        "pop {{r7, pc}}",
    )
}

/// Each 16 numbers of 16 bits at `x`: those at even places, then those at odd ones.
///
/// # Safety
/// `n` times 16, `n` from 1 on, are there.
#[unsafe(naked)]
unsafe extern "C" fn split_pairs(x: *mut u32, n: usize) {
    naked_asm!(
        any_cortex_m!(),
        "push {{r7, lr}}",
        "dls lr, r1",
        "2:",
        "vld20.16 {{q0, q1}}, [r0]",
        "vld21.16 {{q0, q1}}, [r0]",
        "vstrw.32 q0, [r0], #16",
        "vstrw.32 q1, [r0], #16",
        "le lr, 2b",
        "pop {{r7, pc}}",
    )
}
