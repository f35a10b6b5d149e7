//! Products with the DSP extension of Cortex-M4, M7 and M33: two 16-bit products an instruction.
//!
//! Four weights are one load and two `SXTB16`: bytes 0 and 2, and, rotated, bytes 1 and 3. Activations are arranged in
//! the same order once a product. Several rows, or several positions, share what is loaded and unpacked.
#![allow(unsafe_code)]

use super::{I16Inputs, Kernel, PackedRow, Rows, Unpacked, finish, signed_bytes};
use crate::format::Packing;
use crate::ops::quantize::i16_words;
use core::arch::asm;

/// For processors with the DSP extension: running it elsewhere is an undefined instruction.
#[derive(Clone, Copy, Debug, Default)]
pub struct CortexMDsp;

impl Kernel for CortexMDsp {
    /// Each four activations `a b | c d` become `a c | b d`.
    fn arrange_i16(&self, words: &mut [u32], _packing: Packing) {
        for [low, high] in words.as_chunks_mut::<2>().0 {
            (*low, *high) = (*low & 0xFFFF | *high << 16, *low >> 16 | *high & 0xFFFF_0000);
        }
    }

    fn matmul_i16(&self, out: &mut [f32], out_stride: usize, inputs: I16Inputs<'_>, rows: Rows<'_>) {
        let Some(packing) = rows.format.packing() else { return };
        let n_in = rows.n_in;
        let (stride, words) = (rows.format.row_stride(n_in), i16_words(n_in));
        let n_rows = rows.bytes.len() / stride;
        let row = |r: usize| PackedRow::new(&rows.bytes[r * stride..][..stride], packing, n_in);
        let position = |t: usize| &inputs.words[t * words..][..words];
        let mut put = |r: usize, t: usize, row_scale: f32, sum: i64| {
            out[t * out_stride + r] = finish(sum, packing, n_in, row_scale, inputs.scales[t]);
        };
        let mut t = 0;
        while t + 4 <= inputs.scales.len() {
            let x = [position(t), position(t + 1), position(t + 2), position(t + 3)];
            for r in 0..n_rows {
                let row = row(r);
                let [sums] = tile(packing, n_in, [row], x);
                sums.into_iter().enumerate().for_each(|(i, sum)| put(r, t + i, row.row_scale, sum));
            }
            t += 4;
        }
        while t < inputs.scales.len() {
            let mut r = 0;
            while r + 4 <= n_rows {
                let four = [row(r), row(r + 1), row(r + 2), row(r + 3)];
                let sums = tile(packing, n_in, four, [position(t)]);
                for (i, (row, [sum])) in four.iter().zip(sums).enumerate() {
                    put(r + i, t, row.row_scale, sum);
                }
                r += 4;
            }
            while r < n_rows {
                let row = row(r);
                let [[sum]] = tile(packing, n_in, [row], [position(t)]);
                put(r, t, row.row_scale, sum);
                r += 1;
            }
            t += 1;
        }
    }
}

/// The integer sums of `R` rows with `T` positions.
#[inline(always)]
fn tile<const R: usize, const T: usize>(
    packing: Packing,
    n_in: usize,
    rows: [PackedRow<'_>; R],
    x: [&[u32]; T],
) -> [[i64; T]; R] {
    let mut sums = [[0i64; T]; R];
    let mut buffers: [Unpacked; R] = [[0; 32]; R];
    let group_bytes = packing.group_bytes(packing.group);
    for g in 0..rows[0].group_scales.len() {
        let m = packing.group.min(n_in - g * packing.group);
        let x = x.map(|x| &x[g * packing.group / 2..]);
        let mut buffers = buffers.iter_mut();
        let weights = rows.map(|row| {
            let bytes = &row.integers[g * group_bytes..row.integers.len().min((g + 1) * group_bytes)];
            buffers.next().map_or(bytes, |buffer| signed_bytes(packing, bytes, m, buffer))
        });
        let dots = group(weights, x);
        for (r, (sums, dots)) in sums.iter_mut().zip(dots).enumerate() {
            let scale = i64::from(packing.scale(rows[r].group_scales[g]));
            for (sum, dot) in sums.iter_mut().zip(dots) {
                *sum += i64::from(dot) * scale;
            }
        }
    }
    sums
}

/// The dot products of a group's signed bytes of `R` rows with the arranged activations of `T` positions.
#[inline(always)]
fn group<const R: usize, const T: usize>(weights: [&[u8]; R], x: [&[u32]; T]) -> [[i32; T]; R] {
    let mut dots = [[0i32; T]; R];
    let n = weights[0].len();
    let quads = weights.map(|weights| weights.as_chunks::<4>().0);
    let pairs = x.map(|x| &x.as_chunks::<2>().0[..n.div_ceil(4)]);
    for i in 0..n / 4 {
        let x = pairs.map(|pairs| pairs[i]);
        for (dots, quads) in dots.iter_mut().zip(quads) {
            multiply(dots, u32::from_le_bytes(quads[i]), x);
        }
    }
    if !n.is_multiple_of(4) {
        let x = pairs.map(|pairs| pairs[n / 4]);
        for (dots, weights) in dots.iter_mut().zip(weights) {
            let mut last = [0; 4];
            last[..n % 4].copy_from_slice(&weights[n / 4 * 4..]);
            multiply(dots, u32::from_le_bytes(last), x);
        }
    }
    dots
}

/// Adds the products of four weights with four activations of each position.
#[inline(always)]
fn multiply<const T: usize>(dots: &mut [i32; T], weights: u32, x: [[u32; 2]; T]) {
    let (even, odd) = (sxtb16(weights), sxtb16_rotated(weights));
    for (dot, [low, high]) in dots.iter_mut().zip(x) {
        *dot = smlad(odd, high, smlad(even, low, *dot));
    }
}

/// Bytes 0 and 2, sign-extended to the two halves.
#[inline(always)]
fn sxtb16(x: u32) -> u32 {
    let out;
    // SAFETY: arithmetic on registers.
    unsafe { asm!("sxtb16 {}, {}", lateout(reg) out, in(reg) x, options(pure, nomem, nostack, preserves_flags)) };
    out
}

/// Bytes 1 and 3, sign-extended to the two halves.
#[inline(always)]
fn sxtb16_rotated(x: u32) -> u32 {
    let out;
    // SAFETY: arithmetic on registers.
    unsafe {
        asm!("sxtb16 {}, {}, ror #8", lateout(reg) out, in(reg) x, options(pure, nomem, nostack, preserves_flags))
    };
    out
}

/// `sum + low(a) * low(b) + high(a) * high(b)`. A group's sum stays below 2^28, so that it never overflows.
#[inline(always)]
fn smlad(a: u32, b: u32, sum: i32) -> i32 {
    let out;
    // SAFETY: arithmetic on registers.
    unsafe {
        asm!("smlad {}, {}, {}, {}", lateout(reg) out, in(reg) a, in(reg) b, in(reg) sum,
            options(pure, nomem, nostack, preserves_flags));
    }
    out
}
