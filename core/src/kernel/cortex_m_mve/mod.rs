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

use super::{
    F32Matmul, I8Position, I16Position, Kernel, Matmul, PackedRow, Parts, Portable, Position, Rounding, RoundingParts,
    Scaling, input_words, sum,
};
use crate::format::{Format, Packing};
use crate::ops::lanes::Plain;
use crate::ops::quantize::{i8_words, quantize_i8, quantize_i16};
use crate::part::{part, part_mut, rows_mut};
use finish::{RowSums, clear_eights};
use layout::Layout;
use loops::*;

/// For processors with the vector extension, of integers at least: running it elsewhere is an undefined instruction.
#[derive(Clone, Copy, Debug, Default)]
pub struct CortexMMve;

/// Positions that share two rows' weights.
const POSITIONS: usize = 4;

/// Rows whose sums are under way together: a multiple of six and of eight.
const BLOCK: usize = 48;

impl Kernel for CortexMMve {
    type Lanes = Plain;

    #[inline(always)]
    fn lanes(&self) -> &Plain {
        &Plain
    }

    fn quantize_i16(&self, rounding: Rounding<'_>) {
        let RoundingParts { words, scales, x, packing } = rounding.into_parts();
        let layout = Layout::i16(x.n_in());
        for ((words, row), scale) in rows_mut(words, input_words(x.n_in())).zip(x.iter()).zip(scales) {
            *scale = match row.as_chunks() {
                (groups, []) => round::quantize_i16(words, groups),
                _ => quantize_i16(words, row),
            };
            layout.arrange(words, packing, x.n_in());
        }
    }

    fn quantize_i8(&self, rounding: Rounding<'_>) {
        let RoundingParts { words, scales, x, packing } = rounding.into_parts();
        let layout = Layout::i8(x.n_in());
        for ((words, row), scale) in rows_mut(words, input_words(x.n_in())).zip(x.iter()).zip(scales) {
            *scale = match row.as_chunks() {
                (groups, []) => round::quantize_i8(words, groups),
                _ => quantize_i8(part_mut(words, ..i8_words(row.len())), row),
            };
            layout.arrange(words, packing, x.n_in());
        }
    }

    #[inline(always)]
    fn matmul_f32(&self, matmul: F32Matmul<'_>) {
        Portable.matmul_f32(matmul);
    }

    fn matmul_i16(&self, matmul: Matmul<'_>) {
        multiply(matmul.into_parts(), false);
    }

    fn matmul_i8(&self, matmul: Matmul<'_>) {
        multiply(matmul.into_parts(), true);
    }
}

/// The product of rows with positions. What follows from a format is known at compile time: a block of rows is so soon
/// multiplied that it counts.
#[inline(always)]
fn multiply(parts: Parts<'_>, is_i8: bool) {
    macro_rules! formats {
        ($($format:ident)*) => {
            match parts.rows.format() {
                $(Format::$format => {
                    if let Some(packing) = const { Format::$format.packing() } {
                        multiply_packed(Parts { packing, ..parts }, Format::$format, is_i8);
                    }
                })*
                Format::F32 | Format::F16 => {}
            }
        };
    }
    formats!(Q8 Q6 Q5 Q4 Q3);
}

/// The loops of a format with activations of a width.
struct Loops {
    /// For one position: most rows first, and then four.
    rows: [(usize, Run); 2],
    /// For [`POSITIONS`] positions.
    positions: Option<Run>,
}

impl Loops {
    #[inline(always)]
    const fn new(packing: Packing, is_i8: bool) -> Self {
        const fn whole(n: usize, many: Run, four: Run, positions: Run) -> Loops {
            Loops { rows: [(n, many), (4, four)], positions: Some(positions) }
        }
        const fn planes(four: Run) -> Loops {
            Loops { rows: [(4, four); 2], positions: None }
        }
        match (packing.bits, is_i8) {
            (8, true) => whole(8, bytes_i8_by_eight, bytes_i8_by_four, bytes_i8_by_positions),
            (8, false) => whole(6, bytes_i16_by_six, bytes_i16_by_four, bytes_i16_by_positions),
            (4, true) => whole(8, nibbles_i8_by_eight, nibbles_i8_by_four, nibbles_i8_by_positions),
            (4, false) => whole(6, nibbles_i16_by_six, nibbles_i16_by_four, nibbles_i16_by_positions),
            (6, true) => planes(six_bits_i8),
            (6, false) => planes(six_bits_i16),
            (5, true) => planes(five_bits_i8),
            (5, false) => planes(five_bits_i16),
            (_, true) => planes(three_bits_i8),
            (_, false) => planes(three_bits_i16),
        }
    }
}

/// [`multiply`] of a format.
#[inline(always)]
fn multiply_packed(parts: Parts<'_>, format: Format, is_i8: bool) {
    let Parts { out, inputs, rows, packing } = parts;
    let (words, scales, n_in, bytes) = (inputs.words(), inputs.scales(), rows.n_in(), rows.bytes());
    let layout = if is_i8 { Layout::i8(n_in) } else { Layout::i16(n_in) };
    let (stride, len) = (format.row_stride(n_in), input_words(n_in));
    let (n_rows, full) = (rows.n(), n_in / packing.group);
    let product = Product { words, bytes, n_in, packing, layout, stride, len, full };
    let loops = Loops::new(packing, is_i8);
    let scaling = Scaling::new(packing, n_in);
    let mut room = [const { MaybeUninit::<[i64; 8]>::uninit() }; BLOCK / 8 * POSITIONS];
    let mut t = 0;
    while t < scales.len() {
        let together = loops.positions.filter(|_| scales.len() - t >= POSITIONS);
        let positions = if together.is_some() { POSITIONS } else { 1 };
        let mut start = 0;
        while start < n_rows {
            let n = BLOCK.min(n_rows - start);
            // SAFETY: the parts fit: there are positions from `t` on, rows from `start` on and their outputs; two rows have
            // a pair of sums for each position.
            unsafe {
                clear_eights(room.as_mut_ptr(), n.div_ceil(8) * positions);
                let sums = room.as_mut_ptr().cast::<i64>();
                match together {
                    Some(run) => product.by_positions(run, sums, start, n, t),
                    None => product.by_rows(&loops, sums, start, n, t),
                }
                if full * packing.group != n_in {
                    product.add_rest(sums, start, n, t, positions);
                }
                for i in 0..positions {
                    let sums = RowSums {
                        sums: sums.add(2 * i),
                        pitch: 16 * positions,
                        scales: bytes.as_ptr().add((start + 1) * stride - 2).cast(),
                        stride,
                        rows: n,
                        shift: scaling.shift,
                        unit: scaling.unit(*scales.as_ptr().add(t + i)),
                    };
                    sums.finish(out.as_mut_ptr().add((t + i) * n_rows + start), scaling);
                }
            }
            start += n;
        }
        t += positions;
    }
}

/// One product's parts.
#[derive(Clone, Copy)]
struct Product<'a> {
    words: &'a [u32],
    /// `[rows][stride]`, each of `n_in` weights.
    bytes: &'a [u8],
    n_in: usize,
    packing: Packing,
    layout: Layout,
    /// Bytes from row to row, and words from position to position.
    stride: usize,
    len: usize,
    /// Full groups of a row.
    full: usize,
}

impl Product<'_> {
    /// Groups that a loop takes at once.
    #[inline(always)]
    const fn most(self) -> usize {
        MAX_GROUPS * 32 / self.packing.group
    }

    /// So many full groups as a loop takes, from one on, of rows from `start` on with positions from `t` on.
    ///
    /// # Safety
    /// They are there, and places for the sums.
    #[inline(always)]
    unsafe fn tile(self, sums: *mut i64, start: usize, t: usize, first: usize) -> Tile {
        // SAFETY: the caller's.
        unsafe {
            let row = self.bytes.as_ptr().add(start * self.stride);
            let x = self.words.as_ptr().add(t * self.len);
            Tile {
                scales: row.add(self.packing.row_bytes(self.n_in) + first),
                stride: self.stride,
                weights: row.add(first * self.packing.group_bytes(self.packing.group)),
                x: x.add(self.layout.word(first * self.packing.group)),
                x_stride: 4 * self.len,
                groups: self.most().min(self.full - first),
                blocks: x.add(self.layout.block(first)),
                sums,
                tiles: 0,
                stack: 0,
            }
        }
    }

    /// Adds to the sums of `n` rows with one position.
    ///
    /// # Safety
    /// Rows and position are there, and a place for each sum.
    #[inline(always)]
    unsafe fn by_rows(self, loops: &Loops, sums: *mut i64, start: usize, n: usize, t: usize) {
        let mut first = 0;
        while first < self.full {
            // SAFETY, here and below: the caller's.
            let mut tile = unsafe { self.tile(sums, start, t, first) };
            let [(many, run), (_, four)] = loops.rows;
            let tiles = if many == 8 { n / 8 } else { n / many - usize::from(n % many == 2 && n > many) };
            unsafe { tile.take(run, tiles) };
            let rest = n - many * tiles;
            unsafe { tile.take(four, rest / 4) };
            tile.stride = 0;
            for _ in 0..rest % 4 {
                // One row stands for four.
                let place = tile.sums;
                let mut same = [unsafe { *place }; 4];
                tile.sums = same.as_mut_ptr();
                unsafe {
                    tile.take(four, 1);
                    *place = same[0];
                    tile.sums = place.add(1);
                    tile.weights = tile.weights.add(self.stride);
                    tile.scales = tile.scales.add(self.stride);
                }
            }
            first += self.most();
        }
    }

    /// Adds to the sums of `n` rows with [`POSITIONS`] positions: of each two rows for each position.
    ///
    /// # Safety
    /// As for [`Product::by_rows`].
    #[inline(always)]
    unsafe fn by_positions(self, run: Run, sums: *mut i64, start: usize, n: usize, t: usize) {
        let mut first = 0;
        while first < self.full {
            // SAFETY, here and below: the caller's.
            let mut tile = unsafe { self.tile(sums, start, t, first) };
            unsafe { tile.take(run, n / 2) };
            // A last row stands for two.
            tile.stride = 0;
            unsafe { tile.take(run, n % 2) };
            first += self.most();
        }
    }

    /// Adds the ragged end.
    ///
    /// # Safety
    /// As for [`Product::by_rows`].
    #[cold]
    #[inline(never)]
    unsafe fn add_rest(self, sums: *mut i64, start: usize, n: usize, t: usize, positions: usize) {
        let n_in = self.n_in;
        let first = self.full * self.packing.group;
        for (r, row) in crate::part::rows(self.bytes, self.stride).skip(start).take(n).enumerate() {
            let groups = || PackedRow::new(row, self.packing, n_in).groups(self.packing).skip(self.full);
            for i in 0..positions {
                let words = part(self.words, (t + i) * self.len..);
                let rest = if self.layout.is_i8 {
                    let scales = part(words, n_in.div_ceil(4)..);
                    sum(self.packing, I8Position { words, scales }.from(first), n_in - first, groups())
                } else {
                    sum(self.packing, I16Position { words }.from(first), n_in - first, groups())
                };
                // SAFETY: the caller's.
                unsafe { *sums.add(r / 2 * 2 * positions + 2 * i + r % 2) += rest };
            }
        }
    }
}
