//! Where a position's activations lie, and what else the loops want to know of them.

use core::arch::naked_asm;

use crate::format::Packing;

/// A position's words: the activations, for 8-bit ones an integer scale for each 32, and a correction for each 32 that
/// makes up for weights' being unsigned in the loops.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub is_i8: bool,
    /// The first scale's place.
    pub scales: usize,
    /// The first correction's.
    pub corrections: usize,
}

impl Layout {
    /// For 8-bit activations.
    pub fn i8(n_in: usize) -> Self {
        let scales = n_in.div_ceil(4);
        Self { is_i8: true, scales, corrections: scales + n_in.div_ceil(32) }
    }

    /// For 16-bit activations.
    pub fn i16(n_in: usize) -> Self {
        let words = n_in.div_ceil(4) * 2;
        Self { is_i8: false, scales: words, corrections: words }
    }

    /// The word with the activation of a column that is a multiple of 32.
    #[inline(always)]
    pub const fn word(&self, column: usize) -> usize {
        if self.is_i8 { column / 4 } else { column / 2 }
    }

    /// Adds the corrections to quantised activations, `-2^(bits - 1)` times the sum of each full group; of 16 bits under
    /// two planes, each 16 then become those at even places and those at odd ones.
    pub fn arrange(&self, words: &mut [u32], packing: Packing, n_in: usize) {
        let groups = n_in / 32;
        if packing.bits == 8 || groups == 0 {
            return;
        }
        let (x, rest) = words.split_at_mut(self.corrections);
        let out = &mut rest[..groups];
        // SAFETY: so many groups are there, and a place for each correction.
        unsafe {
            let run = if self.is_i8 { correct_i8 } else { correct_i16 };
            run(out.as_mut_ptr(), x.as_ptr(), groups, packing.range().0);
            if !self.is_i8 && packing.planes.1 > 0 {
                split_pairs(x.as_mut_ptr(), 2 * groups);
            }
        }
    }
}

/// `out[g]` is `factor` times the sum of the `g`th 32 bytes at `x`.
///
/// # Safety
/// `groups`, from 1 on, are there; `factor` fits a byte.
#[unsafe(naked)]
unsafe extern "C" fn correct_i8(out: *mut u32, x: *const u32, groups: usize, factor: i32) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r7, lr}}",
        "vdup.8 q2, r3",
        "dls lr, r2",
        "2:",
        "vldrw.u32 q0, [r1], #16",
        "vmladav.s8 r12, q0, q2",
        "vldrw.u32 q1, [r1], #16",
        "vmladava.s8 r12, q1, q2",
        "str r12, [r0], #4",
        "le lr, 2b",
        "pop {{r7, pc}}",
    )
}

/// As [`correct_i8`], of 32 activations of 16 bits.
///
/// # Safety
/// As [`correct_i8`].
#[unsafe(naked)]
unsafe extern "C" fn correct_i16(out: *mut u32, x: *const u32, groups: usize, factor: i32) {
    naked_asm!(
        ".cpu cortex-m55",
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
        ".cpu cortex-m55",
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
