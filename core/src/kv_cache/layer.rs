//! One layer's keys and values: rows of heads, written a head at a time and attended where they lie.

use super::shape::Shape;
use crate::config::KvType;
use crate::features::FLOAT_KV;
use crate::ops::attention::{HeadOps, HeadRows, I8Head, Seen, attend, attend_i8, row};
use crate::ops::lanes::Lanes;
use crate::ops::pack::{pack_f16, pack_f32, pack_i8};
use crate::ops::quantize::{i16_words, quantize_i16};
use crate::part::{part, part_mut};
use core::ops::Range;

/// Half of a layer's cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Keys,
    Values,
}

/// One layer's cache: a ring, whose row `p % slots` holds position `p`.
#[derive(Debug)]
pub(crate) struct Layer<'a> {
    shape: Shape,
    slots: usize,
    /// `[slots][row_words]`
    keys: &'a mut [u32],
    /// `[slots][row_words]`
    values: &'a mut [u32],
}

impl<'a> Layer<'a> {
    /// In `words`, keys in the first half, values in the second. `slots` is a multiple of 32, or no position reaches it.
    pub(super) fn new(shape: Shape, slots: usize, words: &'a mut [u32]) -> Self {
        let (keys, values) = words.split_at_mut(words.len() / 2);
        Self { shape, slots, keys, values }
    }

    /// Stores one head of a position's keys or values, `x` `[head_dim]`, where position `position - slots` was.
    pub fn write(&mut self, part: Part, position: usize, head: usize, x: &[f32]) {
        let rows = match part {
            Part::Keys => &mut *self.keys,
            Part::Values => &mut *self.values,
        };
        let stride = self.shape.row_words();
        let row = row(position, self.slots);
        let row = part_mut(rows, row * stride..(row + 1) * stride);
        let words = part_mut(row, self.shape.words(head));
        match self.shape.kv_type {
            KvType::F32 if FLOAT_KV => pack_f32(words, x),
            KvType::F16 if FLOAT_KV => pack_f16(words, x),
            _ => {
                let bits = u32::from(pack_i8(words, x).to_bits());
                let (place, shift) = (self.shape.scale(head) / 2, 16 * (head % 2));
                for word in part_mut(row, place..=place) {
                    *word = *word & !(0xFFFF << shift) | bits << shift;
                }
            }
        }
    }

    /// One head's attention over the positions `seen`, of which the ring holds all: `out` and `query`, scaled by `1 / sqrt(head_dim)`, are
    /// `[head_dim]`; `integers` has room for a query's.
    pub fn attend(
        &self,
        lanes: &impl Lanes,
        out: &mut [f32],
        query: &[f32],
        head: usize,
        seen: Range<usize>,
        integers: &mut [u32],
    ) {
        let Shape { kv_type, head_dim, .. } = self.shape;
        let (stride, words) = (self.shape.row_words(), self.shape.words(head));
        let seen = Seen::new(seen, self.slots);
        let n_words = seen.n_rows() * stride;
        let (keys, values) = (part(self.keys, ..n_words), part(self.values, ..n_words));
        let rows = |rows| HeadRows::new(part(rows, words.start..), stride);
        match kv_type {
            KvType::F32 if FLOAT_KV => attend_f32(lanes, out, query, seen, rows(keys), rows(values)),
            KvType::F16 if FLOAT_KV => attend_f16(lanes, out, query, seen, rows(keys), rows(values)),
            _ => {
                let integers = part_mut(integers, ..i16_words(head_dim));
                let query_scale = quantize_i16(integers, query);
                let head = |rows| I8Head { rows, stride, integers: words.start, scale: self.shape.scale(head) };
                attend_i8(lanes, out, integers, query_scale, seen, head(keys), head(values));
            }
        }
    }
}

#[inline(never)] // The types of cache need stacks of different depths.
fn attend_f32(
    lanes: &impl Lanes,
    out: &mut [f32],
    query: &[f32],
    seen: Seen,
    keys: HeadRows<'_>,
    values: HeadRows<'_>,
) {
    attend(out, query, seen, keys, values, &F32Ops(lanes));
}

#[inline(never)]
fn attend_f16(
    lanes: &impl Lanes,
    out: &mut [f32],
    query: &[f32],
    seen: Seen,
    keys: HeadRows<'_>,
    values: HeadRows<'_>,
) {
    attend(out, query, seen, keys, values, &F16Ops(lanes));
}

struct F32Ops<'a, L>(&'a L);

impl<L: Lanes> HeadOps for F32Ops<'_, L> {
    #[inline(always)]
    fn dots(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
        self.0.dots_f32(scores, query, keys);
    }

    #[inline(always)]
    fn add_weighted(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
        self.0.add_weighted_f32(out, weights, values);
    }

    #[inline(always)]
    fn scale(&self, out: &mut [f32], by: f32) {
        self.0.scale(out, by);
    }
}

struct F16Ops<'a, L>(&'a L);

impl<L: Lanes> HeadOps for F16Ops<'_, L> {
    #[inline(always)]
    fn dots(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
        self.0.dots_f16(scores, query, keys);
    }

    #[inline(always)]
    fn add_weighted(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
        self.0.add_weighted_f16(out, weights, values);
    }

    #[inline(always)]
    fn scale(&self, out: &mut [f32], by: f32) {
        self.0.scale(out, by);
    }
}
