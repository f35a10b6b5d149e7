//! Products with the DSP extension of Cortex-M4, M7 and M33: two 16-bit products an instruction.
//!
//! Whole groups of bytes and of nibbles go through [`loops`] written by hand: three rows share one position's
//! activations, or four positions one row's weights. What is left, a row's ragged end and the formats of two planes,
//! goes group by group through the same instructions.
#![allow(unsafe_code)]

mod loops;

use super::{I16Inputs, Kernel, PackedRow, Rows, Unpacked, finish, row_scale, signed_bytes};
use crate::format::Packing;
use crate::ops::quantize::i16_words;
use loops::{ScaleDistance, smlad, sxtb16, sxtb16_rotated};

/// For processors with the DSP extension: running it elsewhere is an undefined instruction.
#[derive(Clone, Copy, Debug, Default)]
pub struct CortexMDsp;

/// Rows that share one position's activations, and positions that share one row's weights.
const ROWS: usize = 3;
const POSITIONS: usize = 4;

/// Words of a full group's activations: of bytes, and of nibbles with their correction.
const BYTES_WORDS: usize = 32;
const NIBBLES_WORDS: usize = 17;

impl Kernel for CortexMDsp {
    /// Each four activations `a b | c d` become `a c | b d`; full groups under nibbles are then taken apart by
    /// [`arrange_for_nibbles`].
    fn arrange_i16(&self, words: &mut [u32], packing: Packing, n_in: usize) {
        for [low, high] in words.as_chunks_mut::<2>().0 {
            (*low, *high) = (*low & 0xFFFF | *high << 16, *low >> 16 | *high & 0xFFFF_0000);
        }
        if packing.bits == 4 {
            arrange_for_nibbles(words, n_in);
        }
    }

    fn matmul_i16(&self, out: &mut [f32], out_stride: usize, inputs: I16Inputs<'_>, rows: Rows<'_>) {
        let Some(product) = Product::new(inputs, rows) else { return };
        let (n_rows, n) = (rows.bytes.len() / product.stride, inputs.scales.len());
        let mut put = |r: usize, t: usize, sum: i64| {
            let row_end = &rows.bytes[..(r + 1) * product.stride];
            out[t * out_stride + r] = finish(sum, product.packing, rows.n_in, row_scale(row_end), inputs.scales[t]);
        };
        let mut t = 0;
        while product.packing.bits == 8 && t + POSITIONS <= n {
            for r in 0..n_rows {
                (t..).zip(product.by_positions(r, t)).for_each(|(t, sum)| put(r, t, sum));
            }
            t += POSITIONS;
        }
        for t in t..n {
            if n_rows < ROWS {
                (0..n_rows).for_each(|r| put(r, t, product.by_rows(r, 0, t)[0]));
                continue;
            }
            let mut next = 0;
            while next < n_rows {
                // The last three may overlap those before them.
                let first = next.min(n_rows - ROWS);
                (first..).zip(product.by_rows(first, 1, t)).for_each(|(r, sum)| put(r, t, sum));
                next = first + ROWS;
            }
        }
    }
}

/// Reorders full groups of 32 activations, back to front since they grow: a word of nibbles meets four words in the
/// order in which they are unpacked, and the first four are followed by the group's correction, -8 times the sum of the
/// activations, which makes up for the nibbles' being unsigned.
fn arrange_for_nibbles(words: &mut [u32], n_in: usize) {
    let (full, rest) = (n_in / 32, n_in % 32);
    words.copy_within(16 * full..16 * full + rest.div_ceil(4) * 2, NIBBLES_WORDS * full);
    for g in (0..full).rev() {
        let group: [u32; 16] = core::array::from_fn(|i| words[16 * g + i]);
        let sum: i32 = group.iter().map(|&pair| i32::from(pair as i16) + (pair as i32 >> 16)).sum();
        let (low, high) = group.split_at(8);
        let out = &mut words[NIBBLES_WORDS * g..][..NIBBLES_WORDS];
        let quads = low.as_chunks::<2>().0.iter().zip(high.as_chunks::<2>().0);
        let arranged = quads.flat_map(|(&[a, b], &[c, d])| [a, b, c, d]);
        let places = (0..NIBBLES_WORDS).filter(|&place| place != 4);
        places.zip(arranged).for_each(|(place, word)| out[place] = word);
        out[4] = (-8 * sum) as u32;
    }
}

/// One product's parts, and what follows from their shape.
struct Product<'a> {
    rows: Rows<'a>,
    inputs: I16Inputs<'a>,
    packing: Packing,
    /// Bytes from row to row, and words from position to position.
    stride: usize,
    words: usize,
    /// Full groups of a row, where the loops find their scales, and the words of activations under them.
    full: usize,
    scales: ScaleDistance,
    full_words: usize,
}

impl<'a> Product<'a> {
    #[inline(never)]
    fn new(inputs: I16Inputs<'a>, rows: Rows<'a>) -> Option<Self> {
        let (packing, n_in) = (rows.format.packing()?, rows.n_in);
        let (full, full_words) = match packing.bits {
            8 => (n_in / 64, n_in / 64 * BYTES_WORDS),
            4 => (n_in / 32, n_in / 32 * NIBBLES_WORDS),
            _ => (0, 0),
        };
        let bytes = packing.group_bytes(packing.group) as isize;
        let first = packing.row_bytes(n_in) as isize - bytes;
        let scales = ScaleDistance { first, end: first - full as isize * (bytes - 1) };
        let (stride, words) = (rows.format.row_stride(n_in), i16_words(n_in));
        Some(Self { rows, inputs, packing, stride, words, full, scales, full_words })
    }

    /// Whether full groups are not all there is.
    #[inline(always)]
    const fn is_ragged(&self) -> bool {
        self.full * self.packing.group != self.rows.n_in
    }

    /// The sums of rows `first`, `first + step` and `first + 2 step` with one position.
    #[inline(always)]
    fn by_rows(&self, first: usize, step: usize, t: usize) -> [i64; ROWS] {
        let mut sums = [0; ROWS];
        let x = &self.inputs.words[t * self.words..][..self.words];
        let rows = &self.rows.bytes[first * self.stride..(first + 2 * step + 1) * self.stride];
        if self.full > 0 {
            let run = if self.packing.bits == 8 { loops::bytes_by_rows } else { loops::nibbles_by_rows };
            // SAFETY: rows and activations lie at multiples of 4, and `full` groups of both are there.
            unsafe { run(sums.as_mut_ptr(), rows.as_ptr(), step * self.stride, x.as_ptr(), self.scales) };
        }
        if self.is_ragged() {
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum += self.rest(&rows[i * step * self.stride..], x);
            }
        }
        sums
    }

    /// The sums of one row of bytes with positions `t`, `t + 1`, …
    #[inline(always)]
    fn by_positions(&self, r: usize, t: usize) -> [i64; POSITIONS] {
        let mut sums = [0; POSITIONS];
        let x = &self.inputs.words[t * self.words..][..POSITIONS * self.words];
        let row = &self.rows.bytes[r * self.stride..][..self.stride];
        if self.full > 0 {
            // SAFETY: row and activations lie at multiples of 4, and `full` groups of both are there.
            unsafe {
                loops::bytes_by_positions(sums.as_mut_ptr(), row.as_ptr(), 4 * self.words, x.as_ptr(), self.scales)
            };
        }
        if self.is_ragged() {
            sums.iter_mut().zip(x.chunks_exact(self.words)).for_each(|(sum, x)| *sum += self.rest(row, x));
        }
        sums
    }

    /// The sum of what the loops leave of the row at the front of `rows` with one position's activations.
    #[inline(never)]
    fn rest(&self, rows: &[u8], x: &[u32]) -> i64 {
        let (group, n_in) = (self.packing.group, self.rows.n_in);
        let row = PackedRow::new(&rows[..self.stride], self.packing, n_in);
        let mut buffer: Unpacked = [0; 32];
        let groups = row.groups(self.packing).skip(self.full);
        let starts = (self.full * group..n_in).step_by(group);
        let dot = |(((bytes, scale), x), start): (((&[u8], i32), &[u32]), usize)| {
            let integers = signed_bytes(self.packing, bytes, group.min(n_in - start), &mut buffer);
            i64::from(dot(integers, x)) * i64::from(scale)
        };
        groups.zip(x[self.full_words..].chunks(group / 2)).zip(starts).map(dot).sum()
    }
}

/// The dot product of a group's signed bytes and its arranged activations.
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
