//! One product: which loop runs over which rows and positions, and what the loops leave.

use super::finish::Outputs;
use super::layout::{FOUR, Group, TWO, tiles};
use super::loops::{self, Loop, MAX_GROUPS, Run};
#[cfg(target_abi = "eabihf")]
use super::single;
use super::{rest, unpack};
use crate::format::Packing;
use crate::kernel::{Inputs, Parts, Rows, Scaling, Unpacked, input_words, signed_bytes};
use crate::part::{missing, part, part_mut};
use core::mem::{self, MaybeUninit};
use core::ptr;

/// Rows that share one position's activations.
const ROWS: usize = 3;

/// Whether short rows have loops of their own: those of a GPT-2 that a small build is for are longer.
#[cfg(target_abi = "eabihf")]
const NARROW: bool = !crate::features::GPT2_ONLY;

/// Sums that become floats together, a multiple of 3 and 4.
const SUMS: usize = 48;

/// One product's parts, and what follows from their shape.
pub struct Product<'a> {
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
    /// Whether a loop takes all of these at once.
    plain: bool,
    /// Columns behind them.
    rest: usize,
}

/// Every position with every row. The loops are handed addresses; what they rest on is that the parts fit each other.
pub fn multiply(parts: Parts<'_>) {
    let Parts { out, inputs, rows, packing } = parts;
    let product = Product::new(inputs, rows, packing);
    let scales = inputs.scales();
    for (first, size) in tiles(scales.len()) {
        let (out, scales) = (part_mut(out, first * product.n_rows..), part(scales, first..));
        #[cfg(target_abi = "eabihf")]
        if NARROW && single::fits(packing, rows.n_in()) && product.single_groups(out, first, size, scales) {
            continue;
        }
        match (size, scales) {
            (FOUR, &[a, b, c, d, ..]) => product.by_positions(out, first, [a, b, c, d]),
            (TWO, &[a, b, ..]) => product.by_positions(out, first, [a, b]),
            (_, &[scale, ..]) => product.by_rows(out, first, scale),
            _ => missing(),
        }
    }
}

impl<'a> Product<'a> {
    fn new(inputs: Inputs<'a>, rows: Rows<'a>, packing: Packing) -> Self {
        let n_in = rows.n_in();
        let full = n_in.checked_div(packing.group).unwrap_or_default();
        let plain = !packing.has_two_planes() && full > 0 && full <= MAX_GROUPS;
        Self {
            rows,
            n_rows: rows.n(),
            words: inputs.words(),
            packing,
            group: Group::new(packing),
            scaling: Scaling::new(packing, n_in),
            stride: rows.stride(),
            len: input_words(n_in),
            full,
            scales: packing.row_bytes(n_in),
            plain,
            rest: n_in - full * packing.group,
        }
    }

    /// Every row with a tile of positions where a row is a single group; says whether it could.
    #[cfg(target_abi = "eabihf")]
    #[inline(never)] // Longer rows come past.
    fn single_groups(&self, out: &mut [f32], t: usize, size: usize, scales: &[f32]) -> bool {
        debug_assert!(size * self.n_rows <= out.len() && (t + size) * self.len <= self.words.len());
        let (out, weights, x) =
            (out.as_mut_ptr(), self.rows.bytes().as_ptr(), part(self.words, t * self.len..).as_ptr());
        match (size, scales) {
            // SAFETY: the rows and positions are those of the product, and each has a place.
            (1, &[scale, ..]) if self.n_rows >= ROWS => unsafe {
                single::by_rows(out, weights, self.n_rows, x, self.scaling, scale);
            },
            // SAFETY: as above.
            (FOUR, &[a, b, c, d, ..]) if self.n_rows > 0 => unsafe {
                single::by_four(out, weights, self.n_rows, x, self.scaling, [a, b, c, d]);
            },
            _ => return false,
        }
        true
    }

    /// Every row with one position, to `out` `[n_rows]`.
    #[inline(never)]
    fn by_rows(&self, out: &mut [f32], t: usize, scale: f32) {
        let mut sums = [const { MaybeUninit::uninit() }; SUMS];
        // Blocks of whole threes, the last of which may overlap the one before it; where there is no three, each row takes the
        // place of one.
        let (most, step) = match self.n_rows / ROWS {
            0 => (1, 0),
            threes => (SUMS.min(ROWS * threes), 1),
        };
        let mut run = self.run::<1>((step, t));
        let mut outputs = self.outputs(out, [scale]);
        let mut next = 0;
        while next < self.n_rows {
            let n = most.min((self.n_rows - next).next_multiple_of(ROWS));
            let start = next.min(self.n_rows - n);
            self.sums::<ROWS, 1>(&mut run, &mut sums, n.div_ceil(ROWS), start, (step, t));
            // SAFETY: there are outputs of all rows, and as many sums are written.
            unsafe { outputs.finish(start, n, sums.as_ptr().cast()) };
            next = start + n;
        }
    }

    /// Every row with `P` positions.
    #[inline(never)]
    fn by_positions<const P: usize>(&self, out: &mut [f32], t: usize, scales: [f32; P]) {
        let mut sums = [const { MaybeUninit::uninit() }; SUMS];
        let mut run = self.run::<P>((1, t));
        let mut outputs = self.outputs(out, scales);
        for start in (0..self.n_rows).step_by(SUMS / P) {
            let n = (self.n_rows - start).min(SUMS / P);
            self.sums::<1, P>(&mut run, &mut sums, n, start, (1, t));
            // SAFETY: there are outputs of all rows at `P` positions, and as many sums are written.
            unsafe { outputs.finish(start, n, sums.as_ptr().cast()) };
        }
    }

    /// Where the sums of all rows at `P` positions become floats.
    #[inline(always)]
    fn outputs<const P: usize>(&self, out: &mut [f32], scales: [f32; P]) -> Outputs<P> {
        debug_assert!(P * self.n_rows <= out.len());
        let row_scales = self.rows.bytes().as_ptr().wrapping_add(self.stride).wrapping_sub(2);
        Outputs::new((out.as_mut_ptr(), self.n_rows), (row_scales, self.stride), self.scaling, scales)
    }

    /// What the loop for a tile of `P` positions that starts with `t` runs over, from the first row on, rows being `step`
    /// apart.
    #[inline(always)]
    fn run<const P: usize>(&self, (step, t): (usize, usize)) -> Run {
        Run {
            weights: self.rows.bytes().as_ptr(),
            x: part(self.words, t * self.len..(t + P) * self.len).as_ptr(),
            stride: step * self.stride,
            minus_groups: -(self.full as isize),
            last_scale: ptr::null(),
            sums: ptr::null_mut(),
            times: 0,
        }
    }

    /// Writes the sums `[times][R][P]` of `times` times `R` rows, from row `first` on and `step` apart, with a tile of
    /// positions that starts with `t`. `run` is that tile's.
    #[inline(always)]
    fn sums<const R: usize, const P: usize>(
        &self,
        run: &mut Run,
        sums: &mut [MaybeUninit<i64>; SUMS],
        times: usize,
        first: usize,
        (step, t): (usize, usize),
    ) {
        debug_assert!(times * R * P <= SUMS && first < self.n_rows);
        let row = self.rows.bytes().as_ptr().wrapping_add(first * self.stride);
        (run.weights, run.sums, run.times) = (row, sums.as_mut_ptr().cast(), times);
        if self.plain {
            run.last_scale = row.wrapping_add(self.scales + self.full - 1);
            // SAFETY: the rows and positions are those of the product, whose shapes are checked, and the sums no more than
            // there are; there are groups.
            unsafe { self.loop_over::<P>()(run) };
        } else {
            let sums = part_mut(sums, ..times * R * P);
            self.sums_in_pieces(self.loop_over::<P>(), sums, (R, P), first, step, t);
        }
        if self.rest > 0 {
            self.add_rests::<R, P>(part_mut(sums, ..times * R * P), first, step, t);
        }
    }

    /// As [`Product::sums`] of all full groups, where these are more than a loop takes at once.
    #[inline(never)] // The others' stack has no room for it.
    fn sums_in_pieces(
        &self,
        run: Loop,
        sums: &mut [MaybeUninit<i64>],
        (n_rows, p): (usize, usize),
        first: usize,
        step: usize,
        t: usize,
    ) {
        let mut unpacked = unpack::Unpacked([0; ROWS * unpack::ROW]);
        for (i, sums) in sums.chunks_exact_mut((n_rows * p).max(1)).enumerate() {
            let mut pieces = [0; MOST_SUMS];
            self.pieces(run, &mut pieces, &mut unpacked, (n_rows, p), first + i * n_rows * step, step, t);
            sums.iter_mut().zip(pieces).for_each(|(sum, piece)| _ = sum.write(piece));
        }
    }

    /// Adds what is behind the full groups to the sums that [`Product::sums`] wrote of these.
    #[inline(never)]
    fn add_rests<const R: usize, const P: usize>(
        &self,
        sums: &mut [MaybeUninit<i64>],
        first: usize,
        step: usize,
        t: usize,
    ) {
        // A row's bytes end with scales, more than it lacks to whole columns of the loop.
        let at = self.packing.row_bytes(self.full * self.group.columns);
        let mut run = Run {
            weights: ptr::null(),
            x: part(self.words, t * self.len + P * self.full * self.group.words..).as_ptr(),
            stride: step * self.stride,
            minus_groups: -(self.rest.div_ceil(rest::COLUMNS) as isize),
            last_scale: ptr::null(),
            sums: sums.as_mut_ptr().cast(),
            times: sums.len() / (R * P),
        };
        let bytes = part(self.rows.bytes(), first * self.stride..);
        if self.packing.is_bytes() {
            run.weights = bytes.as_ptr().wrapping_add(at);
            run.last_scale = bytes.as_ptr().wrapping_add(self.scales + self.full);
            // SAFETY: the rows, positions and sums are those of the product.
            return unsafe { rest::run::<P>(true)(&run) };
        }
        let mut ends = [End { integers: [0; 32], scale: 0 }; R];
        for (i, sums) in sums.chunks_exact_mut(R * P).enumerate() {
            for (j, end) in ends.iter_mut().enumerate() {
                let row = part(bytes, (i * R + j) * step * self.stride..);
                signed_bytes(self.packing, part(row, at..self.scales), self.rest, &mut end.integers);
                end.scale = row.get(self.scales + self.full).copied().unwrap_or_default();
            }
            let ends: *const End = ends.as_ptr();
            run.weights = ends.cast();
            run.last_scale = run.weights.wrapping_add(mem::offset_of!(End, scale));
            run.sums = sums.as_mut_ptr().cast();
            // SAFETY: as above, of one row, or three.
            unsafe { rest::run::<P>(false)(&Run { stride: size_of::<End>(), times: 1, ..run }) };
        }
    }

    /// The loop over rows, or `P` positions.
    fn loop_over<const P: usize>(&self) -> Loop {
        match P {
            1 if self.packing.is_nibbles() => loops::nibbles_by_rows,
            1 if self.packing.has_two_planes() => loops::unpacked_by_rows,
            1 => loops::bytes_by_rows,
            2 if self.packing.is_nibbles() => loops::nibbles_by_two,
            2 if self.packing.has_two_planes() => loops::unpacked_by_two,
            2 => loops::bytes_by_two,
            _ if self.packing.is_nibbles() => loops::nibbles_by_four,
            _ if self.packing.has_two_planes() => loops::unpacked_by_four,
            _ => loops::bytes_by_four,
        }
    }

    /// As a loop, piece by piece: `sums` `[n_rows][p]` of rows `first`, `first + step`, … with each of the `p` positions of a
    /// tile that starts with position `t`.
    #[inline(always)]
    fn pieces(
        &self,
        run: Loop,
        sums: &mut Sums,
        unpacked: &mut unpack::Unpacked,
        (n_rows, p): (usize, usize),
        first: usize,
        step: usize,
        t: usize,
    ) {
        let group_bytes = self.packing.group_bytes(self.packing.group);
        let two_planes = self.packing.has_two_planes();
        let most = if two_planes { unpack::GROUPS } else { MAX_GROUPS };
        let rows = part(self.rows.bytes(), first * self.stride..(first + (n_rows - 1) * step + 1) * self.stride);
        *sums = [0; MOST_SUMS];
        for start in (0..self.full).step_by(most) {
            let groups = (self.full - start).min(most);
            let (integers, scales) = (start * group_bytes, self.scales + start);
            if two_planes {
                for (i, out) in unpacked.0.chunks_exact_mut(unpack::ROW).take(n_rows).enumerate() {
                    let row = part(rows, i * step * self.stride..);
                    let planes = part(row, integers..integers + groups * group_bytes);
                    unpack::unpack(out, self.packing, planes, part(row, scales..scales + groups));
                }
            }
            let (mut piece, minus_groups): (Sums, _) = ([0; MOST_SUMS], -(groups as isize));
            // SAFETY: rows, scales and activations of these groups are there, and a place for each sum.
            unsafe {
                let (weights, last_scale, stride) = if two_planes {
                    let unpacked = unpacked.0.as_ptr();
                    (unpacked, unpacked.add(33 * groups - 1), unpack::ROW)
                } else {
                    let rows = rows.as_ptr();
                    (rows.add(integers), rows.add(scales + groups - 1), step * self.stride)
                };
                let x = self.words.as_ptr().add(t * self.len + p * start * self.group.words);
                run(&Run { weights, x, stride, minus_groups, last_scale, sums: piece.as_mut_ptr(), times: 1 });
            }
            sums.iter_mut().zip(piece).for_each(|(sum, piece)| *sum += piece);
        }
    }
}

/// A row's end as signed bytes.
#[repr(C)]
#[derive(Clone, Copy)]
struct End {
    integers: Unpacked,
    scale: u8,
}

/// The sums of one loop: of three rows with one position, or one row with up to four.
const MOST_SUMS: usize = 4;
type Sums = [i64; MOST_SUMS];
