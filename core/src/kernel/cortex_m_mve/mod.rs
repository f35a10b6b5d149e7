//! Products with the vector extension (MVE, Helium) of Cortex-M55: 16 products of bytes, or 8 of 16 bits, an instruction.
//!
//! Whole groups go through [`loops`] written by hand, several rows or positions at once; a row's ragged end goes the
//! portable kernel's way.
#![allow(unsafe_code)]

mod finish;
mod layout;
mod loops;

use super::{I8Inputs, I8Position, I16Inputs, I16Position, Kernel, PackedRow, Position, Rows, Scaling, sum};
use crate::format::Packing;
use crate::ops::quantize::{i8_words, i16_words, quantize_i8, quantize_i16};
use finish::finish_rows;
use layout::Layout;
use loops::{MAX_GROUPS, Run, Tile};

/// For processors with the vector extension, of integers at least: running it elsewhere is an undefined instruction.
#[derive(Clone, Copy, Debug, Default)]
pub struct CortexMMve;

/// Positions that share two rows' weights.
const POSITIONS: usize = 4;

/// Rows whose sums are under way together.
const BLOCK: usize = 32;

impl Kernel for CortexMMve {
    fn quantize_i16(&self, words: &mut [u32], scales: &mut [f32], x: &[f32], packing: Packing, n_in: usize) {
        let layout = Layout::i16(packing, n_in);
        let positions = words.chunks_exact_mut(i16_words(n_in)).zip(x.chunks_exact(n_in));
        for ((words, x), scale) in positions.zip(scales) {
            *scale = quantize_i16(words, x);
            layout.arrange(words);
        }
    }

    fn quantize_i8(&self, words: &mut [u32], scales: &mut [f32], x: &[f32], packing: Packing, n_in: usize) {
        let layout = Layout::i8(packing, n_in);
        let positions = words.chunks_exact_mut(i16_words(n_in)).zip(x.chunks_exact(n_in));
        for ((words, x), scale) in positions.zip(scales) {
            *scale = quantize_i8(&mut words[..i8_words(n_in)], x);
            layout.arrange(words);
        }
    }

    fn matmul_i16(&self, out: &mut [f32], out_stride: usize, inputs: I16Inputs<'_>, rows: Rows<'_>) {
        let Some(packing) = rows.format.packing() else { return };
        let layout = Layout::i16(packing, rows.n_in);
        Product::new(inputs.words, inputs.scales, rows, packing, layout).run(out, out_stride);
    }

    fn matmul_i8(&self, out: &mut [f32], out_stride: usize, inputs: I8Inputs<'_>, rows: Rows<'_>) {
        let Some(packing) = rows.format.packing() else { return };
        let layout = Layout::i8(packing, rows.n_in);
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
    fn new(packing: Packing, is_i8: bool) -> Self {
        let (rows, positions): ([(usize, Run); 2], Option<Run>) = match (packing.bits, is_i8) {
            (8, true) => {
                ([(6, loops::bytes_i8_by_six), (4, loops::bytes_i8_by_four)], Some(loops::bytes_i8_by_positions))
            }
            (8, false) => {
                ([(6, loops::bytes_i16_by_six), (4, loops::bytes_i16_by_four)], Some(loops::bytes_i16_by_positions))
            }
            (4, true) => {
                ([(6, loops::nibbles_i8_by_six), (4, loops::nibbles_i8_by_four)], Some(loops::nibbles_i8_by_positions))
            }
            (4, false) => (
                [(6, loops::nibbles_i16_by_six), (4, loops::nibbles_i16_by_four)],
                Some(loops::nibbles_i16_by_positions),
            ),
            (6, true) => ([(2, loops::six_bits_i8); 2], None),
            (6, false) => ([(2, loops::six_bits_i16); 2], None),
            (5, true) => ([(2, loops::five_bits_i8); 2], None),
            (5, false) => ([(2, loops::five_bits_i16); 2], None),
            (_, true) => ([(2, loops::three_bits_i8); 2], None),
            (_, false) => ([(2, loops::three_bits_i16); 2], None),
        };
        Self { rows, positions }
    }

    /// The tile to take of `left` rows; `None` where there are too few for any.
    #[inline(always)]
    fn tile(&self, left: usize) -> Option<(usize, Run)> {
        let [many, few] = self.rows;
        // Eight rows are twice four, not six and two.
        if left >= many.0 && left != 2 * few.0 {
            Some(many)
        } else if left >= few.0 {
            Some(few)
        } else {
            None
        }
    }
}

/// One product's parts, and what follows from their shape.
struct Product<'a> {
    words: &'a [u32],
    input_scales: &'a [f32],
    rows: Rows<'a>,
    packing: Packing,
    layout: Layout,
    loops: Loops,
    scaling: Scaling,
    /// Bytes from row to row, and words from position to position.
    stride: usize,
    len: usize,
    /// Full groups of a row.
    full: usize,
}

type Sums = [i64; BLOCK * POSITIONS];

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
        let mut sums: Sums = [0; _];
        let mut t = 0;
        while t < n {
            let positions = if n - t >= POSITIONS && self.loops.positions.is_some() { POSITIONS } else { 1 };
            for start in (0..n_rows).step_by(BLOCK) {
                let rows = BLOCK.min(n_rows - start);
                self.block(&mut sums, start, rows, t, positions);
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

    /// The sums of rows from `start` on with positions from `t` on, and the half that rounding adds: of each two rows
    /// for each position.
    fn block(&self, sums: &mut Sums, start: usize, rows: usize, t: usize, positions: usize) {
        sums[..rows.next_multiple_of(2) * positions].fill(self.scaling.half);
        let most = MAX_GROUPS * 32 / self.packing.group;
        for first in (0..self.full).step_by(most) {
            let column = first * self.packing.group;
            let x = &self.words[t * self.len..][..positions * self.len];
            let mut tile = Tile {
                weights: core::ptr::null(),
                stride: self.stride,
                x: x[self.layout.word(column)..].as_ptr(),
                x_stride: 4 * self.len,
                groups: most.min(self.full - first),
                scales: core::ptr::null(),
                x_scales: x[self.layout.scales + column / 32..].as_ptr(),
                corrections: x[self.layout.corrections + column / 32..].as_ptr().cast(),
                sums: core::ptr::null_mut(),
            };
            let integers = first * self.packing.group_bytes(self.packing.group);
            let scales = self.packing.row_bytes(self.rows.n_in) + first;
            let mut take = |run: Run, sums: &mut [i64], r: usize, n: usize| {
                let row = &self.rows.bytes[(start + r) * self.stride..][..n * self.stride];
                tile.weights = row[integers..].as_ptr();
                tile.scales = row[scales..].as_ptr();
                tile.stride = if n == 1 { 0 } else { self.stride };
                tile.sums = sums.as_mut_ptr();
                // SAFETY: rows, activations, scales and corrections of these groups are there, and a place for each sum.
                unsafe { run(&tile) };
            };
            let mut r = 0;
            while r < rows {
                if let (Some(run), true) = (self.loops.positions, positions > 1) {
                    take(run, &mut sums[POSITIONS * r..][..2 * POSITIONS], r, 2.min(rows - r));
                    r += 2;
                } else if let Some((n, run)) = self.loops.tile(rows - r) {
                    take(run, &mut sums[r..][..n], r, n);
                    r += n;
                } else {
                    // One row takes the place of all.
                    let mut same = [0; 4];
                    take(self.loops.rows[1].1, &mut same, r, 1);
                    sums[r] += same[0];
                    r += 1;
                }
            }
        }
        if self.full * self.packing.group != self.rows.n_in {
            self.add_rest(sums, start, rows, t, positions);
        }
    }

    /// Adds the ragged end.
    #[cold]
    #[inline(never)]
    fn add_rest(&self, sums: &mut Sums, start: usize, rows: usize, t: usize, positions: usize) {
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
