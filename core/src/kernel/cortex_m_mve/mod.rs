//! Products with the vector extension (MVE, Helium) of Cortex-M55: 16 products of bytes, or 8 of 16 bits, an instruction.
//!
//! Whole groups go through [`loops`] written by hand, several rows or positions at once; a row's ragged end goes the
//! portable kernel's way.
#![allow(unsafe_code)]

mod finish;
mod layout;
mod loops;
mod round;

use core::mem::MaybeUninit;

use super::{I8Inputs, I8Position, I16Inputs, I16Position, Kernel, PackedRow, Position, Rows, Scaling, sum};
use crate::format::Packing;
use crate::ops::quantize::{i8_words, i16_words, quantize_i8, quantize_i16};
use finish::{fill, finish_rows};
use layout::Layout;
use loops::*;

/// For processors with the vector extension, of integers at least: running it elsewhere is an undefined instruction.
#[derive(Clone, Copy, Debug, Default)]
pub struct CortexMMve;

/// Positions that share two rows' weights.
const POSITIONS: usize = 4;

/// Rows whose sums are under way together: a multiple of six.
const BLOCK: usize = 48;

impl Kernel for CortexMMve {
    fn quantize_i16(&self, words: &mut [u32], scales: &mut [f32], x: &[f32], packing: Packing, n_in: usize) {
        let layout = Layout::i16(n_in);
        let positions = words.chunks_exact_mut(i16_words(n_in)).zip(x.chunks_exact(n_in));
        for ((words, x), scale) in positions.zip(scales) {
            *scale = match x.as_chunks() {
                (groups, []) => round::quantize_i16(words, groups),
                _ => quantize_i16(words, x),
            };
            layout.arrange(words, packing, n_in);
        }
    }

    fn quantize_i8(&self, words: &mut [u32], scales: &mut [f32], x: &[f32], packing: Packing, n_in: usize) {
        let layout = Layout::i8(n_in);
        let positions = words.chunks_exact_mut(i16_words(n_in)).zip(x.chunks_exact(n_in));
        for ((words, x), scale) in positions.zip(scales) {
            *scale = match x.as_chunks() {
                (groups, []) => round::quantize_i8(words, groups),
                _ => quantize_i8(&mut words[..i8_words(n_in)], x),
            };
            layout.arrange(words, packing, n_in);
        }
    }

    fn matmul_i16(&self, out: &mut [f32], out_stride: usize, inputs: I16Inputs<'_>, rows: Rows<'_>) {
        let Some(packing) = rows.format.packing() else { return };
        let layout = Layout::i16(rows.n_in);
        Product::new(inputs.words, inputs.scales, rows, packing, layout).run(out, out_stride);
    }

    fn matmul_i8(&self, out: &mut [f32], out_stride: usize, inputs: I8Inputs<'_>, rows: Rows<'_>) {
        let Some(packing) = rows.format.packing() else { return };
        let layout = Layout::i8(rows.n_in);
        Product::new(inputs.words, inputs.scales, rows, packing, layout).run(out, out_stride);
    }
}

/// The loops of a format with activations of a width.
struct Loops {
    /// For one position: most rows first.
    rows: [(usize, Run); 2],
    /// For [`POSITIONS`] positions.
    positions: Option<Run>,
}

impl Loops {
    fn new(packing: Packing, is_i8: bool) -> &'static Self {
        const fn whole(many: Run, few: Run, positions: Run) -> Loops {
            Loops { rows: [(6, many), (4, few)], positions: Some(positions) }
        }
        const fn planes(run: Run) -> Loops {
            Loops { rows: [(2, run); 2], positions: None }
        }
        const BYTES_I8: Loops = whole(bytes_i8_by_six, bytes_i8_by_four, bytes_i8_by_positions);
        const BYTES_I16: Loops = whole(bytes_i16_by_six, bytes_i16_by_four, bytes_i16_by_positions);
        const NIBBLES_I8: Loops = whole(nibbles_i8_by_six, nibbles_i8_by_four, nibbles_i8_by_positions);
        const NIBBLES_I16: Loops = whole(nibbles_i16_by_six, nibbles_i16_by_four, nibbles_i16_by_positions);
        match (packing.bits, is_i8) {
            (8, true) => &const { BYTES_I8 },
            (8, false) => &const { BYTES_I16 },
            (4, true) => &const { NIBBLES_I8 },
            (4, false) => &const { NIBBLES_I16 },
            (6, true) => &const { planes(six_bits_i8) },
            (6, false) => &const { planes(six_bits_i16) },
            (5, true) => &const { planes(five_bits_i8) },
            (5, false) => &const { planes(five_bits_i16) },
            (_, true) => &const { planes(three_bits_i8) },
            (_, false) => &const { planes(three_bits_i16) },
        }
    }

    /// How many rows of so many go through each of the loops for one position; what is left is fewer than four.
    const fn shares(&self, rows: usize) -> [usize; 2] {
        let [(many, _), (few, _)] = self.rows;
        let mut share = rows / many * many;
        // Eight rows are twice four, not six and two.
        if rows - share >= 2 * few - many && rows - share < few && share > 0 && many > few {
            share -= many;
        }
        [share, (rows - share) / few * few]
    }
}

/// One product's parts, and what follows from their shape.
struct Product<'a> {
    words: &'a [u32],
    input_scales: &'a [f32],
    rows: Rows<'a>,
    packing: Packing,
    layout: Layout,
    loops: &'static Loops,
    scaling: Scaling,
    /// Bytes from row to row, and words from position to position.
    stride: usize,
    len: usize,
    /// Full groups of a row.
    full: usize,
}

impl<'a> Product<'a> {
    fn new(words: &'a [u32], input_scales: &'a [f32], rows: Rows<'a>, packing: Packing, layout: Layout) -> Self {
        let (stride, len) = (rows.format.row_stride(rows.n_in), i16_words(rows.n_in));
        // The loops are handed addresses: this is what they rest on.
        assert!(words.len() >= input_scales.len() * len && rows.bytes.as_ptr().addr().is_multiple_of(4));
        Self {
            words,
            input_scales,
            rows,
            packing,
            layout,
            loops: Loops::new(packing, layout.is_i8),
            scaling: Scaling::new(packing, rows.n_in),
            stride,
            len,
            full: rows.n_in / packing.group,
        }
    }

    fn run(&self, out: &mut [f32], out_stride: usize) {
        let (n_rows, n) = (self.rows.bytes.len() / self.stride, self.input_scales.len());
        let mut room = [const { MaybeUninit::uninit() }; BLOCK * POSITIONS];
        let mut t = 0;
        while t < n {
            let positions = if n - t >= POSITIONS && self.loops.positions.is_some() { POSITIONS } else { 1 };
            for start in (0..n_rows).step_by(BLOCK) {
                let rows = BLOCK.min(n_rows - start);
                let room = &mut room[..rows.next_multiple_of(2) * positions];
                let sums = fill(room, self.scaling.half);
                self.block(sums, start, rows, t, positions);
                for i in 0..positions {
                    let out = &mut out[(t + i) * out_stride + start..][..rows];
                    let ends = &self.rows.bytes[start * self.stride..];
                    let scale = self.input_scales[t + i];
                    finish_rows(out, &sums[2 * i..], 2 * positions, ends, self.stride, &self.scaling, scale);
                }
            }
            t += positions;
        }
    }

    /// Adds to the sums of rows from `start` on with positions from `t` on: of each two rows for each position.
    fn block(&self, sums: &mut [i64], start: usize, rows: usize, t: usize, positions: usize) {
        let most = MAX_GROUPS * 32 / self.packing.group;
        let x = &self.words[t * self.len..][..positions * self.len];
        let weights = &self.rows.bytes[start * self.stride..][..rows * self.stride];
        for first in (0..self.full).step_by(most) {
            let column = first * self.packing.group;
            let integers = first * self.packing.group_bytes(self.packing.group);
            let scales = self.packing.row_bytes(self.rows.n_in) + first;
            let mut tile = Tile {
                weights: weights[integers..].as_ptr(),
                stride: self.stride,
                x: x[self.layout.word(column)..].as_ptr(),
                x_stride: 4 * self.len,
                groups: most.min(self.full - first),
                scales: weights[scales..].as_ptr(),
                x_scales: x[self.layout.scales + column / 32..].as_ptr(),
                corrections: x[self.layout.corrections + column / 32..].as_ptr().cast(),
                sums: sums.as_mut_ptr(),
                tile_stride: 0,
                tiles: 0,
            };
            // SAFETY, here and below: rows, activations, scales and corrections of these groups are there, and a place for
            // each sum.
            if let (Some(run), true) = (self.loops.positions, positions > 1) {
                unsafe { tile.take(run, 2 * self.stride, rows / 2) };
                // A last row stands for two.
                tile.stride = 0;
                unsafe { tile.take(run, 0, rows % 2) };
                continue;
            }
            let shares = self.loops.shares(rows);
            for ((n, run), share) in self.loops.rows.into_iter().zip(shares) {
                unsafe { tile.take(run, n * self.stride, share / n) };
            }
            tile.stride = 0;
            for sum in &mut sums[shares[0] + shares[1]..rows] {
                // One row stands for four.
                let mut same = [*sum; 4];
                tile.sums = same.as_mut_ptr();
                unsafe { tile.take(self.loops.rows[1].1, self.stride, 1) };
                *sum = same[0];
            }
        }
        if self.full * self.packing.group != self.rows.n_in {
            self.add_rest(sums, start, rows, t, positions);
        }
    }

    /// Adds the ragged end.
    #[cold]
    #[inline(never)]
    fn add_rest(&self, sums: &mut [i64], start: usize, rows: usize, t: usize, positions: usize) {
        let n_in = self.rows.n_in;
        let first = self.full * self.packing.group;
        for r in 0..rows {
            let row = &self.rows.bytes[(start + r) * self.stride..][..self.stride];
            let groups = || PackedRow::new(row, self.packing, n_in).groups(self.packing).skip(self.full);
            for i in 0..positions {
                let words = &self.words[(t + i) * self.len..][..self.len];
                let rest = if self.layout.is_i8 {
                    let scales = &words[self.layout.scales..];
                    sum(self.packing, I8Position { words, scales }.from(first), n_in - first, groups())
                } else {
                    sum(self.packing, I16Position { words }.from(first), n_in - first, groups())
                };
                sums[r / 2 * 2 * positions + 2 * i + r % 2] += rest;
            }
        }
    }
}
