//! Rounding activations in vectors.
//!
//! Vectors of floats flush subnormal numbers to zero. Here that changes no bit: what is subnormal rounds to zero anyway,
//! since the largest magnitude is at least 1e-30 where anything is rounded at all.

use core::arch::naked_asm;

use crate::ops::quantize::Rounding;
use crate::part::{part_mut, split_mut};

/// As [`quantize_i16`](crate::ops::quantize::quantize_i16), of `x` in whole groups of 32.
pub fn quantize_i16(words: &mut [u32], groups: &[[f32; 32]]) -> f32 {
    let words = part_mut(words, ..16 * groups.len());
    let mut peak = 0;
    for x in groups {
        // SAFETY: 32 activations are there.
        peak = peak.max(unsafe { group_peak(x) });
    }
    let rounding = Rounding::to_i16_below(f32::from_bits(peak));
    if rounding.inverse == 0.0 {
        words.fill(0);
        return rounding.scale;
    }
    for (words, x) in words.as_chunks_mut::<16>().0.iter_mut().zip(groups) {
        // SAFETY: 32 activations are there, and room for them.
        unsafe { round_group_i16(words, x, rounding.inverse.to_bits()) };
    }
    rounding.scale
}

/// As [`quantize_i8`](crate::ops::quantize::quantize_i8), of `x` in whole groups of 32.
pub fn quantize_i8(words: &mut [u32], groups: &[[f32; 32]]) -> f32 {
    let (words, scales) = split_mut(words, 8 * groups.len());
    let scales = part_mut(scales, ..groups.len());
    let mut largest = 0;
    for (peak, x) in scales.iter_mut().zip(groups) {
        // SAFETY: 32 activations are there.
        *peak = unsafe { group_peak(x) };
        largest = largest.max(*peak);
    }
    let rounding = Rounding::to_i8_below(f32::from_bits(largest));
    if rounding.inverse == 0.0 {
        words.fill(0);
        scales.fill(0);
        return rounding.scale;
    }
    for ((words, scale), x) in words.as_chunks_mut::<8>().0.iter_mut().zip(scales).zip(groups) {
        let (group_scale, inverse) = rounding.group_below(f32::from_bits(*scale));
        *scale = group_scale as u32;
        // SAFETY: 32 activations are there, and room for them.
        unsafe { round_group_i8(words, x, inverse.to_bits()) };
    }
    rounding.scale
}

/// The bits of the largest magnitude.
///
/// # Safety
/// None is needed.
#[unsafe(naked)]
unsafe extern "C" fn group_peak(x: &[f32; 32]) -> u32 {
    naked_asm!(
        any_cortex_m!(),
        "vldrw.u32 q0, [r0], #16",
        "vshl.i32 q0, q0, #1",
        ".rept 7",
        "vldrw.u32 q1, [r0], #16",
        "vshl.i32 q1, q1, #1",
        "vmax.u32 q0, q0, q1",
        ".endr",
        "movs r0, #0",
        "vmaxv.u32 r0, q0",
        "lsrs r0, r0, #1",
        "bx lr",
    )
}

/// The integers of activations times the float with the bits `inverse`: adding 1.5 * 2^23 leaves them in the low bits.
///
/// # Safety
/// None is needed.
#[unsafe(naked)]
unsafe extern "C" fn round_group_i8(words: &mut [u32; 8], x: &[f32; 32], inverse: u32) {
    naked_asm!(
        any_cortex_m!(),
        "movw r3, #0",
        "movt r3, #0x4B40",
        ".rept 8",
        "vldrw.u32 q0, [r1], #16",
        "vmul.f32 q0, q0, r2",
        "vadd.f32 q0, q0, r3",
        "vstrb.32 q0, [r0], #4",
        ".endr",
        "bx lr",
    )
}

/// As [`round_group_i8`].
///
/// # Safety
/// None is needed.
#[unsafe(naked)]
unsafe extern "C" fn round_group_i16(words: &mut [u32; 16], x: &[f32; 32], inverse: u32) {
    naked_asm!(
        any_cortex_m!(),
        "movw r3, #0",
        "movt r3, #0x4B40",
        ".rept 8",
        "vldrw.u32 q0, [r1], #16",
        "vmul.f32 q0, q0, r2",
        "vadd.f32 q0, q0, r3",
        "vstrh.32 q0, [r0], #8",
        ".endr",
        "bx lr",
    )
}
