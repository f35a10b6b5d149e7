//! Products with the DSP extension of Cortex-M4, M7 and M33: two 16-bit products an instruction.
//!
//! Whole groups go through [`loops`] written by hand, over activations in the order in which unpacking yields the
//! weights ([`layout`]): three rows share one position's activations, or two or four positions one row's weights.
//! Weights of two planes become bytes first ([`unpack`]). A row's ragged end goes through the same instructions in Rust.
//!
//! 8-bit activations under integer scales are 16-bit ones: each times its group's scale stays below 2^15, and the row's
//! sum is the same integer.
#![allow(unsafe_code)]

mod finish;
mod layout;
mod loops;
mod unpack;

use super::{I8Inputs, I16Inputs, Kernel, PackedRow, Rows, Scaling, row_scale, signed_bytes};
use crate::format::Packing;
use crate::ops::quantize::i16_words;
use core::arch::asm;
use core::mem::MaybeUninit;
use finish::finish_rows;
use layout::{FOUR, Group, TWO, tiles};
use loops::{Loop, MAX_GROUPS, Run};

/// For processors with the DSP extension: running it elsewhere is an undefined instruction.
#[derive(Clone, Copy, Debug, Default)]
pub struct CortexMDsp;

/// Rows that share one position's activations.
const ROWS: usize = 3;

/// Sums of rows that become floats together.
const SUMS: usize = 24;

impl Kernel for CortexMDsp {
    fn quantize_i16(&self, words: &mut [u32], scales: &mut [f32], x: &[f32], packing: Packing, n_in: usize) {
        layout::quantize::<false>(words, scales, x, packing, n_in);
    }

    fn quantize_i8(&self, words: &mut [u32], scales: &mut [f32], x: &[f32], packing: Packing, n_in: usize) {
        layout::quantize::<true>(words, scales, x, packing, n_in);
    }

    fn matmul_i16(&self, out: &mut [f32], out_stride: usize, inputs: I16Inputs<'_>, rows: Rows<'_>) {
        let Some(product) = Product::new(inputs, rows) else { return };
        for (first, size) in tiles(inputs.scales.len()) {
            let (out, scales) = (&mut out[first * out_stride..], &inputs.scales[first..]);
            match (size, scales, product.plain) {
                (FOUR, &[a, b, c, d, ..], true) => {
                    product.by_positions::<4, true>(out, out_stride, first, [a, b, c, d])
                }
                (FOUR, &[a, b, c, d, ..], _) => product.by_positions::<4, false>(out, out_stride, first, [a, b, c, d]),
                (TWO, &[a, b, ..], true) => product.by_positions::<2, true>(out, out_stride, first, [a, b]),
                (TWO, &[a, b, ..], _) => product.by_positions::<2, false>(out, out_stride, first, [a, b]),
                (_, &[scale, ..], true) => product.by_rows::<true>(&mut out[..product.n_rows], first, scale),
                (_, &[scale, ..], _) => product.by_rows::<false>(&mut out[..product.n_rows], first, scale),
                _ => return,
            }
        }
    }

    fn matmul_i8(&self, out: &mut [f32], out_stride: usize, inputs: I8Inputs<'_>, rows: Rows<'_>) {
        let I8Inputs { words, scales } = inputs;
        self.matmul_i16(out, out_stride, I16Inputs { words, scales }, rows);
    }
}

/// One product's parts, and what follows from their shape.
struct Product<'a> {
    rows: Rows<'a>,
    n_rows: usize,
    words: &'a [u32],
    packing: Packing,
    group: Group,
    scaling: Scaling,
    /// Bytes from row to row, and words of a position.
    stride: usize,
    len: usize,
    /// Full groups of a row.
    full: usize,
    /// Bytes from a row's start to its scales.
    scales: usize,
    /// Whether a row is nothing but groups that a loop takes at once.
    plain: bool,
}

impl<'a> Product<'a> {
    fn new(inputs: I16Inputs<'a>, rows: Rows<'a>) -> Option<Self> {
        let (packing, n_in) = (rows.format.packing()?, rows.n_in);
        let (stride, len) = (rows.format.row_stride(n_in), i16_words(n_in));
        let full = n_in / packing.group;
        let plain = packing.planes.1 == 0 && full * packing.group == n_in && full <= MAX_GROUPS;
        // The loops are handed addresses: this is what they rest on.
        assert!(inputs.words.len() >= inputs.scales.len() * len && rows.bytes.as_ptr().addr().is_multiple_of(4));
        Some(Self {
            rows,
            n_rows: rows.bytes.len() / stride,
            words: inputs.words,
            packing,
            group: Group::new(packing),
            scaling: Scaling::new(packing, n_in),
            stride,
            len,
            full,
            scales: packing.row_bytes(n_in),
            plain,
        })
    }

    /// Every row with one position, to `out` `[n_rows]`. `PLAIN`: [`Product::plain`].
    #[inline(never)]
    fn by_rows<const PLAIN: bool>(&self, out: &mut [f32], t: usize, scale: f32) {
        let run = self.run::<1>();
        // Of fewer than three rows, each takes the place of all.
        let (rows, step, most) = if out.len() < ROWS { (1, 0, 1) } else { (ROWS, 1, SUMS) };
        let (mut sums, mut next) = ([const { MaybeUninit::<i64>::uninit() }; SUMS], 0);
        while next < out.len() {
            // The last three rows may overlap those before them, here and below.
            let start = next.min(out.len() - rows);
            next = out.len().min(start + most);
            let last = next - start - rows;
            let mut first = 0;
            loop {
                // SAFETY: `first` is at most `SUMS - ROWS`.
                let sums = unsafe { sums.as_mut_ptr().add(first) };
                self.sums::<ROWS, 1, PLAIN>(run, sums.cast(), start + first, step, t);
                if first == last {
                    break;
                }
                first = last.min(first + ROWS);
            }
            // SAFETY: as many sums as the block has rows are written.
            let sums = unsafe { core::slice::from_raw_parts(sums.as_ptr().cast(), next - start) };
            let scales = &self.rows.bytes[(start + 1) * self.stride - 2..];
            finish_rows(&mut out[start..next], sums, scales, self.stride, &self.scaling, scale);
        }
    }

    /// Every row with `P` positions.
    #[inline(never)]
    fn by_positions<const P: usize, const PLAIN: bool>(
        &self,
        out: &mut [f32],
        out_stride: usize,
        t: usize,
        scales: [f32; P],
    ) {
        let run = self.run::<P>();
        let out = &mut out[..(P - 1) * out_stride + self.n_rows];
        for (r, row) in self.rows.bytes.chunks_exact(self.stride).enumerate() {
            let mut sums = MaybeUninit::<[i64; P]>::uninit();
            self.sums::<1, P, PLAIN>(run, sums.as_mut_ptr().cast(), r, 0, t);
            // SAFETY: every sum is written.
            let sums = unsafe { sums.assume_init() };
            let row_scale = row_scale(row);
            for (i, (&sum, &scale)) in sums.iter().zip(&scales).enumerate() {
                out[i * out_stride + r] = self.scaling.finish(sum, row_scale, scale);
            }
        }
    }

    /// The loop over rows, or `P` positions.
    fn run<const P: usize>(&self) -> Loop {
        match (self.packing.bits, P) {
            (8, 1) => loops::bytes_by_rows,
            (8, 2) => loops::bytes_by_two,
            (8, _) => loops::bytes_by_four,
            (4, 1) => loops::nibbles_by_rows,
            (4, 2) => loops::nibbles_by_two,
            (4, _) => loops::nibbles_by_four,
            (_, 1) => loops::unpacked_by_rows,
            (_, 2) => loops::unpacked_by_two,
            _ => loops::unpacked_by_four,
        }
    }

    /// Writes the sums `[R][P]` of rows `first`, `first + step`, … with each position of a tile that starts with
    /// position `t`, for which there is room.
    #[inline(always)]
    fn sums<const R: usize, const P: usize, const PLAIN: bool>(
        &self,
        run: Loop,
        sums: *mut [[i64; P]; R],
        first: usize,
        step: usize,
        t: usize,
    ) {
        if PLAIN {
            // SAFETY: the shapes are those that `new` checked; `full` is not 0 where rows are whole groups.
            unsafe {
                let row = self.rows.bytes.as_ptr().add(first * self.stride);
                let over = Run {
                    weights: row,
                    x: self.words.as_ptr().add(t * self.len),
                    stride: step * self.stride,
                    last_scale: row.add(self.scales + self.full - 1),
                    groups: self.full,
                };
                run(&over, sums.cast());
            }
        } else {
            let total = self.pieces::<R, P>(run, first, step, t);
            // SAFETY: the caller's.
            unsafe { sums.write(total) };
        }
    }

    /// As [`Product::sums`], piece by piece.
    #[inline(never)]
    fn pieces<const R: usize, const P: usize>(&self, run: Loop, first: usize, step: usize, t: usize) -> [[i64; P]; R] {
        let group_bytes = self.packing.group_bytes(self.packing.group);
        let two_planes = self.packing.planes.1 > 0;
        let mut unpacked = unpack::Unpacked([0; ROWS * unpack::ROW]);
        let most = if two_planes { unpack::GROUPS } else { MAX_GROUPS };
        let rows = &self.rows.bytes[first * self.stride..(first + (R - 1) * step + 1) * self.stride];
        let mut total = [[0; P]; R];
        for start in (0..self.full).step_by(most) {
            let groups = (self.full - start).min(most);
            let (integers, scales) = (start * group_bytes, self.scales + start);
            if two_planes {
                for (i, out) in unpacked.0.chunks_exact_mut(unpack::ROW).take(R).enumerate() {
                    let row = &rows[i * step * self.stride..];
                    let planes = &row[integers..][..groups * group_bytes];
                    unpack::unpack(out, self.packing, planes, &row[scales..][..groups]);
                }
            }
            let (weights, last_scale, stride) = if two_planes {
                (&unpacked.0[..], &unpacked.0[33 * groups - 1..], unpack::ROW)
            } else {
                (&rows[integers..], &rows[scales + groups - 1..], step * self.stride)
            };
            let x = &self.words[t * self.len + P * start * self.group.words..];
            let (weights, x, last_scale) = (weights.as_ptr(), x.as_ptr(), last_scale.as_ptr());
            let mut part = [[0i64; P]; R];
            // SAFETY: rows, scales and activations of these groups are there, and a place for each sum.
            unsafe {
                run(&Run { weights, x, stride, last_scale, groups }, part.as_mut_ptr().cast());
            }
            total.as_flattened_mut().iter_mut().zip(part.as_flattened()).for_each(|(sum, part)| *sum += part);
        }
        if self.full * self.group.columns != self.rows.n_in {
            self.add_rest(&mut total, first, step, t);
        }
        total
    }

    /// Adds the ragged end.
    #[cold]
    #[inline(never)]
    fn add_rest<const R: usize, const P: usize>(&self, sums: &mut [[i64; P]; R], first: usize, step: usize, t: usize) {
        let m = self.rows.n_in - self.full * self.group.columns;
        let (words, behind) = (m.div_ceil(4) * 2, t * self.len + P * self.full * self.group.words);
        for (i, sums) in sums.iter_mut().enumerate() {
            let row = &self.rows.bytes[(first + i * step) * self.stride..][..self.stride];
            let row = PackedRow::new(row, self.packing, self.rows.n_in);
            let Some((bytes, scale)) = row.groups(self.packing).nth(self.full) else { return };
            let mut buffer = [0; 32];
            let integers = signed_bytes(self.packing, bytes, m, &mut buffer);
            for (sum, x) in sums.iter_mut().zip(self.words[behind..].chunks_exact(words)) {
                *sum += i64::from(dot(integers, x)) * i64::from(scale);
            }
        }
    }
}

/// The dot product of a group's signed bytes and its activations.
fn dot(weights: &[u8], x: &[u32]) -> i32 {
    let (quads, last) = weights.as_chunks::<4>();
    let pairs = x.as_chunks::<2>().0;
    let four = |sum: i32, (quad, &[low, high]): ([u8; 4], &[u32; 2])| {
        let weights = u32::from_le_bytes(quad);
        smlad(sxtb16_rotated(weights), high, smlad(sxtb16(weights), low, sum))
    };
    let mut padded = [0; 4];
    padded[..last.len()].copy_from_slice(last);
    quads.iter().copied().chain((!last.is_empty()).then_some(padded)).zip(pairs).fold(0, four)
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
