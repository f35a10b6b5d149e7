//! Products with the DSP extension of Cortex-M4, M7 and M33: two 16-bit products an instruction.
//!
//! Whole groups of bytes and of nibbles go through [`loops`] written by hand: three rows share one position's
//! activations, or four positions one row's weights. What is left, a row's ragged end and the formats of two planes,
//! goes group by group through the same instructions.
#![allow(unsafe_code)]

mod loops;

use super::{I16Inputs, Kernel, PackedRow, Rows, Unpacked, finish, signed_bytes};
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
        let Some(packing) = rows.format.packing() else { return };
        let product = Product { packing, rows, inputs };
        let (n_rows, n) = (rows.iter().len(), inputs.scales.len());
        let mut put = |r: usize, t: usize, sum: i64| out[t * out_stride + r] = product.finish(sum, r, t);
        let mut t = 0;
        while packing.bits == 8 && t + POSITIONS <= n {
            for r in 0..n_rows {
                (t..).zip(product.by_positions(r, t)).for_each(|(t, sum)| put(r, t, sum));
            }
            t += POSITIONS;
        }
        for t in t..n {
            if n_rows < ROWS {
                (0..n_rows).for_each(|r| put(r, t, product.by_rows([r; ROWS], t)[0]));
                continue;
            }
            for first in (0..n_rows).step_by(ROWS) {
                // The last three may overlap those before them.
                let first = first.min(n_rows - ROWS);
                let rows = [first, first + 1, first + 2];
                rows.into_iter().zip(product.by_rows(rows, t)).for_each(|(r, sum)| put(r, t, sum));
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

/// One product's parts.
struct Product<'a> {
    packing: Packing,
    rows: Rows<'a>,
    inputs: I16Inputs<'a>,
}

impl<'a> Product<'a> {
    fn row(&self, r: usize) -> PackedRow<'a> {
        let stride = self.rows.format.row_stride(self.rows.n_in);
        PackedRow::new(&self.rows.bytes[r * stride..][..stride], self.packing, self.rows.n_in)
    }

    fn position(&self, t: usize) -> &'a [u32] {
        let words = i16_words(self.rows.n_in);
        &self.inputs.words[t * words..][..words]
    }

    fn finish(&self, sum: i64, r: usize, t: usize) -> f32 {
        finish(sum, self.packing, self.rows.n_in, self.row(r).row_scale, self.inputs.scales[t])
    }

    /// How many full groups a row has, and where the loops find their scales.
    fn full_groups(&self) -> (usize, ScaleDistance) {
        let n = self.rows.n_in / self.packing.group;
        let bytes = self.packing.group_bytes(self.packing.group) as isize;
        let first = self.packing.row_bytes(self.rows.n_in) as isize - bytes;
        (n, ScaleDistance { first, end: first - n as isize * (bytes - 1) })
    }

    /// The sums of three rows, `rows[0] + i` or all the same, with one position.
    fn by_rows(&self, rows: [usize; ROWS], t: usize) -> [i64; ROWS] {
        let x = self.position(t);
        let (full, scales) = self.full_groups();
        let (run, words): (loops::ByRows, _) = match self.packing.bits {
            8 => (loops::bytes_by_rows, BYTES_WORDS),
            4 => (loops::nibbles_by_rows, NIBBLES_WORDS),
            _ => return rows.map(|r| self.from_group(0, r, x)),
        };
        let mut sums = [0; ROWS];
        if full > 0 {
            let stride = self.rows.format.row_stride(self.rows.n_in);
            let first = self.row(rows[0]).integers.as_ptr();
            // SAFETY: rows and activations lie at multiples of 4, and `full` groups of both are there.
            unsafe { run(sums.as_mut_ptr(), first, stride * (rows[1] - rows[0]), x.as_ptr(), scales) };
        }
        if !self.rows.n_in.is_multiple_of(self.packing.group) {
            let rest = &x[full * words..];
            sums.iter_mut().zip(rows).for_each(|(sum, r)| *sum += self.from_group(full, r, rest));
        }
        sums
    }

    /// The sums of one row of bytes with positions `t`, `t + 1`, …
    fn by_positions(&self, r: usize, t: usize) -> [i64; POSITIONS] {
        let (full, scales) = self.full_groups();
        let mut sums = [0; POSITIONS];
        if full > 0 {
            let (row, x) = (self.row(r).integers.as_ptr(), self.inputs.words[t * i16_words(self.rows.n_in)..].as_ptr());
            // SAFETY: row and activations lie at multiples of 4, and `full` groups of both are there.
            unsafe { loops::bytes_by_positions(sums.as_mut_ptr(), row, 4 * i16_words(self.rows.n_in), x, scales) };
        }
        if !self.rows.n_in.is_multiple_of(self.packing.group) {
            for (t, sum) in (t..).zip(&mut sums) {
                *sum += self.from_group(full, r, &self.position(t)[full * BYTES_WORDS..]);
            }
        }
        sums
    }

    /// The sum of a row's groups from `first` on with the activations `x` under them.
    #[inline(never)]
    fn from_group(&self, first: usize, r: usize, x: &[u32]) -> i64 {
        let Packing { group, .. } = self.packing;
        let mut buffer: Unpacked = [0; 32];
        let groups = self.row(r).groups(self.packing).skip(first);
        let dot = |((bytes, scale), (x, start)): ((&[u8], i32), (&[u32], usize))| {
            let integers = signed_bytes(self.packing, bytes, group.min(self.rows.n_in - start), &mut buffer);
            i64::from(dot(integers, x)) * i64::from(scale)
        };
        groups.zip(x.chunks(group / 2).zip((first * group..self.rows.n_in).step_by(group))).map(dot).sum()
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
