//! Products for cores without vectors: 32 or 64 columns of several rows by several positions at a time, so that a weight or an
//! activation that is in a register is used more than once.
//!
//! | | weights | rows by positions | instructions a column, or pair of columns | a multiplication |
//! |---|---|---|---|---|
//! | RISC-V | bytes | 4 by 1 | 5 loads, 4 multiplications, 4 additions | 3.25 |
//! | | bytes | 4 by 2 | 6 loads, 8 multiplications, 8 additions | 2.75 |
//! | | nibbles | 4 by 1 | 6 loads, 6 to take them apart, 8 multiplications, 8 additions | 3.5 |
//! | | nibbles | 4 by 2 | 8 loads, 8 to take them apart, 16 multiplications, 16 additions | 3 |
//!
//! | Cortex-M3 | bytes | 4 by 1 | 5 loads, 4 multiplications with additions | 2.25, in 3.75 cycles |
//! | | bytes | 2 by 2 | 4 loads, 4 multiplications with additions | 2, in 3.25 cycles |
//! | | nibbles | 4 by 1 | 6 loads, 5 to take them apart, 8 multiplications with additions | 2.375, in 4 cycles |
//! | | nibbles | 2 by 2 | 6 loads, 4 to take them apart, 8 multiplications with additions | 2.25, in 3.6 cycles |
//!
//! | Cortex-M0+ | bytes | 4 by 1 | 5 loads, 2 for their offsets, 4 multiplications, 4 additions | 3.75, in 5 cycles |
//! | | nibbles | 4 by 1 | 6 loads, 9 to take them apart, 8 multiplications, 8 additions | 3.875, in 4.625 cycles |
//!
//! What a group's end takes comes on top. On RISC-V, what these take depends on the core: one that takes one cycle for
//! each of them takes as many cycles. Weights of two planes are unpacked to bytes first.
#![allow(unsafe_code)]

mod attention;
#[cfg(all(target_arch = "arm", not(target_has_atomic = "32")))]
mod cortex_m0;
#[cfg(all(target_arch = "arm", feature = "cortex-m3"))]
mod cortex_m3;
mod finish;
mod position;
#[cfg(target_arch = "riscv32")]
mod riscv;
mod tile;
mod unpack;

use super::{
    F32Matmul, Kernel, Matmul, PackedRow, Parts, Portable, Rounding, RoundingParts, Rows, Scaling, input_words,
    row_scale, signed_bytes,
};
use crate::features::{Q4, Q8};
use crate::format::{MIN_GROUP, Packing};
use crate::ops::attention::HeadRows;
use crate::ops::lanes::{Lanes, Plain};
use crate::ops::quantize::quantize_i16;
use crate::ops::vector::Update;
use crate::part::{self, missing, part, put, rows_mut, split_mut};
use core::cfg_select;
use finish::finish;
use position::{Columns, Integer, Tiled};
use unpack::unpack;

cfg_select! {
    target_arch = "riscv32" => {
        use riscv::{bytes, nibbles};
        /// Rows that share two positions' activations.
        const ROWS_BY_TWO: usize = 4;
    }
    all(target_arch = "arm", feature = "cortex-m3") => {
        use cortex_m3::{bytes, nibbles};
        /// Rows that share two positions' activations.
        const ROWS_BY_TWO: usize = 2;
    }
    all(target_arch = "arm", not(target_has_atomic = "32")) => {
        use cortex_m0::{bytes, nibbles};
        /// Rows that share two positions' activations.
        const ROWS_BY_TWO: usize = 4;
    }
    _ => {
        use tile::{bytes, nibbles};
        /// Rows that share two positions' activations.
        const ROWS_BY_TWO: usize = 2;
    }
}

/// Rows that share one position's activations.
const ROWS_BY_ONE: usize = 4;

/// Runs everywhere; made for cores that have a multiplier and nothing more.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scalar;

impl Kernel for Scalar {
    type Lanes = Self;

    #[inline(always)]
    fn lanes(&self) -> &Self {
        self
    }

    /// Leaves the activations where they are. Under nibbles, each full group's sum goes to the group's spare word.
    fn quantize_i16(&self, rounding: Rounding<'_>) {
        let RoundingParts { words, scales, x, packing } = rounding.into_parts();
        let n_in = x.n_in();
        for ((words, x), scale) in rows_mut(words, input_words(n_in)).zip(x.iter()).zip(scales) {
            *scale = quantize_i16(words, x);
            if packing.is_nibbles() {
                let (words, spare) = split_mut(words, n_in.div_ceil(4) * 2);
                for (spare, words) in spare.iter_mut().zip(words.as_chunks::<{ MIN_GROUP / 2 }>().0) {
                    let sum: i32 = words.iter().map(|&word| i32::from(word as i16) + ((word as i32) >> 16)).sum();
                    *spare = sum as u32;
                }
            }
        }
    }

    #[inline(always)]
    fn quantize_i8(&self, rounding: Rounding<'_>) {
        Portable.quantize_i8(rounding);
    }

    #[inline(always)]
    fn matmul_f32(&self, matmul: F32Matmul<'_>) {
        Portable.matmul_f32(matmul);
    }

    fn matmul_i16(&self, matmul: Matmul<'_>) {
        let parts = matmul.into_parts();
        multiply(parts.inputs.i16(), parts);
    }

    fn matmul_i8(&self, matmul: Matmul<'_>) {
        let parts = matmul.into_parts();
        multiply(parts.inputs.i8(), parts);
    }
}

/// In integers; floats as [`Plain`].
impl Lanes for Scalar {
    fn dots_i8(&self, sums: &mut [i32], query: &[u32], keys: HeadRows<'_>) {
        attention::dots_i8(sums, query, keys);
    }

    fn weigh_i8(&self, values: &[u32], stride: usize, weights: &[i32]) -> [i32; 4] {
        attention::weigh_i8(values, stride, weights)
    }

    #[inline(always)]
    fn dots_f32(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
        Plain.dots_f32(scores, query, keys);
    }

    #[inline(always)]
    fn add_weighted_f32(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
        Plain.add_weighted_f32(out, weights, values);
    }

    #[inline(always)]
    fn dots_f16(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
        Plain.dots_f16(scores, query, keys);
    }

    #[inline(always)]
    fn add_weighted_f16(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
        Plain.add_weighted_f16(out, weights, values);
    }

    #[inline(always)]
    fn exp_terms(&self, x: &mut [f32], exponents: &mut [i32]) -> i32 {
        Plain.exp_terms(x, exponents)
    }

    #[inline(always)]
    fn weigh_terms(&self, factors: &mut [f32], exponents: &[i32], reference: i32, sum: f32) -> f32 {
        Plain.weigh_terms(factors, exponents, reference, sum)
    }

    #[inline(always)]
    fn less_bump<const N: usize>(&self, out: &mut [f32], x: &[f32], cubics: &[[i32; 4]; N], far: f32, spacing: i32) {
        Plain.less_bump(out, x, cubics, far, spacing);
    }

    #[inline(always)]
    fn update(&self, x: &mut [f32], floats: &[[u8; 4]], update: Update) {
        Plain.update(x, floats, update);
    }

    #[inline(always)]
    fn scale(&self, x: &mut [f32], by: f32) {
        Plain.scale(x, by);
    }

    #[inline(always)]
    fn sqrt(&self, x: f32) -> f32 {
        Plain.sqrt(x)
    }
}

/// Two positions at a time, and the last one alone where their number is odd.
#[inline(always)]
fn multiply<X: Tiled>(mut positions: impl Iterator<Item = X>, parts: Parts<'_>) {
    let Parts { out, inputs, rows, packing } = parts;
    let product = Product {
        packing,
        full: rows.n_in().checked_div(packing.group).unwrap_or_default(),
        scales: packing.row_bytes(rows.n_in()),
        stride: rows.stride(),
        rows,
    };
    let scales = inputs.scales();
    let (pairs, last) = scales.as_chunks::<2>();
    let mut out = out.chunks_mut((2 * rows.n()).max(1));
    for (&scales, out) in pairs.iter().zip(&mut out) {
        let (Some(x), Some(y)) = (positions.next(), positions.next()) else { return missing() };
        product.by_positions::<_, ROWS_BY_TWO, _>(out, [x, y], scales);
    }
    if let (&[scale], Some(out), Some(x)) = (last, out.next(), positions.next()) {
        product.by_positions::<_, ROWS_BY_ONE, _>(out, [x], [scale]);
    }
}

/// Where `P` positions' products go.
struct Outputs<'a, const P: usize> {
    out: &'a mut [f32],
    stride: usize,
    /// What one of a shifted sum stands for, but for its row's scale.
    units: [f32; P],
    scaling: Scaling,
}

impl<const P: usize> Outputs<'_, P> {
    /// What the sums of row `r` stand for.
    #[inline(always)]
    fn put(&mut self, r: usize, row: &[u8], sums: [i64; P]) {
        let row_scale = row_scale(row);
        for (t, (sum, unit)) in sums.into_iter().zip(self.units).enumerate() {
            put(self.out, t * self.stride + r, finish(self.scaling, sum, row_scale, unit));
        }
    }
}

/// The rows of a product.
#[derive(Clone, Copy)]
struct Product<'a> {
    packing: Packing,
    /// Full groups a row.
    full: usize,
    /// Where a row's group scales start.
    scales: usize,
    /// Bytes a row.
    stride: usize,
    rows: Rows<'a>,
}

impl Product<'_> {
    /// All rows by `P` positions, `R` rows at a time as long as there are so many.
    #[inline(never)]
    fn by_positions<X: Tiled, const R: usize, const P: usize>(&self, out: &mut [f32], x: [X; P], scales: [f32; P]) {
        if !x.iter().all(|x| x.covers(self.rows.n_in())) {
            return missing();
        }
        let scaling = Scaling::new(self.packing, self.rows.n_in());
        let units = scales.map(|scale| scaling.unit(scale));
        let mut outputs = Outputs { out, stride: self.rows.n(), units, scaling };
        for (first, bytes) in (0..).step_by(R).zip(self.rows.bytes().chunks((R * self.stride).max(1))) {
            if bytes.len() == R * self.stride {
                self.tile::<_, R, P>(&mut outputs, first, bytes, &x);
            } else {
                self.left_over(&mut outputs, first, bytes, &x);
            }
        }
    }

    /// `R` rows, from `first` on.
    #[inline(always)]
    fn tile<X: Tiled, const R: usize, const P: usize>(
        &self,
        outputs: &mut Outputs<'_, P>,
        first: usize,
        bytes: &[u8],
        x: &[X; P],
    ) {
        let rows: [_; R] = core::array::from_fn(|r| part(bytes, r * self.stride..(r + 1) * self.stride));
        let sums = self.sums(rows, x);
        for ((r, row), sums) in (first..).zip(rows).zip(sums) {
            outputs.put(r, row, sums);
        }
    }

    /// The last rows, fewer than a tile has.
    #[cold]
    #[inline(never)]
    fn left_over<X: Tiled, const P: usize>(
        &self,
        outputs: &mut Outputs<'_, P>,
        first: usize,
        bytes: &[u8],
        x: &[X; P],
    ) {
        for (r, row) in (first..).zip(part::rows(bytes, self.stride)) {
            self.tile::<_, 1, P>(outputs, r, row, x);
        }
    }

    /// The integer sums of `R` rows by `P` positions, which cover them.
    #[inline(always)]
    fn sums<X: Tiled, const R: usize, const P: usize>(&self, rows: [&[u8]; R], x: &[X; P]) -> [[i64; P]; R] {
        let mut sums = [[0; P]; R];
        if rows.iter().any(|row| row.len() < self.scales + self.full) {
            return sums;
        }
        match self.packing.bits {
            8 if Q8 && !X::Integer::HAS_SCALES => self.each_group(&mut sums, rows, |dots, g| {
                // SAFETY: the full groups are there.
                let (weights, x) = unsafe { (chunks(rows, g), columns::<64, _, _>(x, g)) };
                bytes(dots, weights, x.map(|x| x.integers));
            }),
            8 if Q8 => self.each_group(&mut sums, rows, |dots, g| {
                for i in [2 * g, 2 * g + 1] {
                    // SAFETY: the full groups are there, two pieces each.
                    let (weights, x) = unsafe { (chunks(rows, i), columns::<32, _, _>(x, i)) };
                    add_scaled(dots, x, |dots, x| bytes(dots, weights, x));
                }
            }),
            4 if Q4 => self.each_group(&mut sums, rows, |dots, g| {
                // SAFETY: the full groups are there.
                let (weights, columns) = unsafe { (chunks(rows, g), columns::<32, _, _>(x, g)) };
                let offsets = x.each_ref().map(|x| -8 * x.sum(g, self.rows.n_in()));
                add_scaled(dots, columns, |dots, x| {
                    dots.iter_mut().for_each(|dots| *dots = offsets);
                    nibbles(dots, weights, x);
                });
            }),
            _ => self.each_group(&mut sums, rows, |dots, g| {
                let n = self.packing.group_bytes(32);
                let mut words = [[0; 8]; R];
                for (words, row) in words.iter_mut().zip(rows) {
                    unpack(words, self.packing, part(row, g * n..(g + 1) * n));
                }
                // SAFETY: eight words are 32 bytes.
                let weights = words.each_ref().map(|words| unsafe { &*core::ptr::from_ref(words).cast() });
                // SAFETY: the full groups are there.
                let x = unsafe { columns::<32, _, _>(x, g) };
                add_scaled(dots, x, |dots, x| bytes(dots, weights, x));
            }),
        }
        if self.full * self.packing.group < self.rows.n_in() {
            for (sums, row) in sums.iter_mut().zip(rows) {
                sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += self.rest(row, *x));
            }
        }
        sums
    }

    /// Adds what `dots` makes of each full group, times the group's scale.
    ///
    /// A dot product is below `2^7 * 2^15 * 64`, and with the scales of 8-bit activations below `2^7 * 2^15 * 64` too.
    #[inline(always)]
    fn each_group<const R: usize, const P: usize>(
        &self,
        sums: &mut [[i64; P]; R],
        rows: [&[u8]; R],
        mut dots: impl FnMut(&mut [[i32; P]; R], usize),
    ) {
        for g in 0..self.full {
            let mut group = [[0; P]; R];
            dots(&mut group, g);
            for ((sums, dots), row) in sums.iter_mut().zip(group).zip(rows) {
                // SAFETY: `sums` made sure of the row's scales.
                let scale = self.packing.scale(unsafe { *row.get_unchecked(self.scales + g) });
                sums.iter_mut().zip(dots).for_each(|(sum, dot)| *sum += wide_product(dot, scale));
            }
        }
    }

    /// What a row's last group, which is not full, adds to a sum.
    #[cold]
    #[inline(never)]
    fn rest<X: Tiled>(&self, row: &[u8], x: X) -> i64 {
        let row = PackedRow::new(row, self.packing, self.rows.n_in());
        let first = self.full * self.packing.group;
        let Some((bytes, scale)) = row.groups(self.packing).nth(self.full) else {
            missing();
            return 0;
        };
        let mut buffer = [0; 32];
        x.from(first).dot(signed_bytes(self.packing, bytes, self.rows.n_in() - first, &mut buffer)) * i64::from(scale)
    }
}

/// `dot * scale`, of a scale of 9 bits, its sign among them.
#[inline(always)]
fn wide_product(dot: i32, scale: i32) -> i64 {
    if cfg!(all(target_arch = "arm", not(target_has_atomic = "32"))) {
        // Two products of 32 bits are less than a call.
        return (i64::from((dot >> 16) * scale) << 16) + i64::from((dot & 0xFFFF) * scale);
    }
    i64::from(dot) * i64::from(scale)
}

/// Adds the products of `N` columns, times the activations' own scales.
#[inline(always)]
fn add_scaled<'a, I: Integer, const N: usize, const R: usize, const P: usize>(
    dots: &mut [[i32; P]; R],
    x: [Columns<'a, I, N>; P],
    multiply: impl FnOnce(&mut [[i32; P]; R], [&'a [I; N]; P]),
) {
    if !I::HAS_SCALES {
        return multiply(dots, x.map(|x| x.integers));
    }
    let mut products = [[0; P]; R];
    multiply(&mut products, x.map(|x| x.integers));
    for (dots, products) in dots.iter_mut().zip(products) {
        for ((dot, product), x) in dots.iter_mut().zip(products).zip(x) {
            *dot += product * x.scale;
        }
    }
}

/// The `i`th `N` bytes of each row.
///
/// # Safety
/// They are there.
#[inline(always)]
unsafe fn chunks<const N: usize, const R: usize>(rows: [&[u8]; R], i: usize) -> [&[u8; N]; R] {
    // SAFETY: the caller's.
    rows.map(|row| unsafe { &*row.as_ptr().add(i * N).cast() })
}

/// The `i`th `N` activations of each position.
///
/// # Safety
/// They are there.
#[inline(always)]
unsafe fn columns<const N: usize, X: Tiled, const P: usize>(x: &[X; P], i: usize) -> [Columns<'_, X::Integer, N>; P] {
    // SAFETY: the caller's.
    x.each_ref().map(|x| unsafe { x.columns(i) })
}
