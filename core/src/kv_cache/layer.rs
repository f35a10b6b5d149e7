//! One layer's keys and values: rows of heads, written a head at a time and attended where they lie.

use super::shape::Shape;
use crate::config::KvType;
use crate::features::FLOAT_KV;
use crate::ops::attention::{HeadOps, HeadRows, I8Head, Query, Ring, Seen, attend, attend_i8, attend_together};
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
    ring: Ring,
    /// `[slots][row_words]`
    keys: &'a mut [u32],
    /// `[slots][row_words]`
    values: &'a mut [u32],
}

impl<'a> Layer<'a> {
    /// In `words`, keys in the first half, values in the second. `slots` is a multiple of 32, or no position reaches it.
    pub(super) fn new(shape: Shape, slots: usize, words: &'a mut [u32]) -> Self {
        let (keys, values) = words.split_at_mut(words.len() / 2);
        Self { shape, ring: Ring::new(slots), keys, values }
    }

    /// Stores one head of a position's keys or values, `x` `[head_dim]`, where position `position - slots` was.
    pub fn write(&mut self, part: Part, position: usize, head: usize, x: &[f32]) {
        let rows = match part {
            Part::Keys => &mut *self.keys,
            Part::Values => &mut *self.values,
        };
        let stride = self.shape.row_words();
        let row = self.ring.row(position);
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
        let n_words = self.ring.n_rows(seen.end) * stride;
        let seen = Seen::new(seen, self.ring);
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

    /// [`Self::attend`] of up to [`TOGETHER`](crate::ops::attention::TOGETHER) queries of a head.
    pub fn attend_together(&self, lanes: &impl Lanes, queries: &mut [Query<'_>], head: usize, integers: &mut [u32]) {
        let end = queries.iter().map(|query| query.seen.end).max().unwrap_or(0);
        let stride = self.shape.row_words();
        let rows = |rows| {
            let rows = part(rows, ..self.ring.n_rows(end) * stride);
            HeadRows::new(part(rows, self.shape.words(head).start..), stride)
        };
        match self.shape.kv_type {
            KvType::F32 if FLOAT_KV => {
                attend_together(queries, self.ring, rows(self.keys), rows(self.values), &F32Ops(lanes));
            }
            KvType::F16 if FLOAT_KV => {
                attend_together(queries, self.ring, rows(self.keys), rows(self.values), &F16Ops(lanes));
            }
            _ => {
                for Query { out, query, seen } in queries {
                    self.attend(lanes, out, query, head, seen.clone(), integers);
                }
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
    fn lanes(&self) -> &impl Lanes {
        self.0
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
    fn lanes(&self) -> &impl Lanes {
        self.0
    }
}

#[cfg(test)]
#[cfg(feature = "windows")]
mod tests {
    use super::*;
    use crate::ops::exp::exp_parts;
    use crate::ops::fixed::pow2;
    use crate::ops::lanes::Plain;
    use crate::ops::reduce::{STRIPES, fold};
    use half::f16;
    use std::vec::Vec;

    const N_HEAD: usize = 3;
    const HEAD_DIM: usize = 10;
    const N: usize = if cfg!(miri) { 70 } else { 230 };

    /// Keys, values or queries: numbers up to 3, each position's its own.
    fn row(seed: usize, position: usize, head: usize) -> [f32; HEAD_DIM] {
        let wave = |i: usize| ((i * 7919 % 1009) as f32 / 504.0 - 1.0) * 3.0;
        core::array::from_fn(|i| wave(seed + (position * N_HEAD + head) * HEAD_DIM + i))
    }

    fn shape(kv_type: KvType) -> Shape {
        Shape { kv_type, n_head: N_HEAD, head_dim: HEAD_DIM }
    }

    fn write(layer: &mut Layer<'_>, position: usize) {
        for head in 0..N_HEAD {
            layer.write(Part::Keys, position, head, &row(100, position, head));
            layer.write(Part::Values, position, head, &row(40_000, position, head));
        }
    }

    fn attend(layer: &Layer<'_>, head: usize, seen: Range<usize>) -> Vec<u32> {
        let mut out = [f32::NAN; HEAD_DIM];
        layer.attend(&Plain, &mut out, &row(7, 0, head), head, seen, &mut [0; i16_words(HEAD_DIM)]);
        out.iter().map(|v| v.to_bits()).collect()
    }

    /// With rows for every position, all of them written.
    fn plain(kv_type: KvType, words: &mut Vec<u32>) -> Layer<'_> {
        words.resize(2 * N * shape(kv_type).row_words(), 0);
        let mut layer = Layer::new(shape(kv_type), N, words);
        (0..N).for_each(|position| write(&mut layer, position));
        layer
    }

    #[test]
    fn rings_give_the_bits_of_rows_for_every_position() {
        for kv_type in [KvType::F32, KvType::F16, KvType::I8] {
            let mut all = Vec::new();
            let all = plain(kv_type, &mut all);
            // An interpreter takes minutes over each.
            for slots in [32, 64, 96, 128].into_iter().take(if cfg!(miri) { 1 } else { 4 }) {
                let mut words = std::vec![0; 2 * slots * shape(kv_type).row_words()];
                let mut ring = Layer::new(shape(kv_type), slots, &mut words);
                for last in 0..N {
                    write(&mut ring, last);
                    if cfg!(miri) && last % 23 != 0 {
                        continue;
                    }
                    for window in [1, 5, 31, 32, 33, 64, 90].into_iter().filter(|&window| window <= slots) {
                        let seen = (last + 1).saturating_sub(window)..last + 1;
                        let head = last % N_HEAD;
                        assert_eq!(
                            attend(&ring, head, seen.clone()),
                            attend(&all, head, seen.clone()),
                            "{kv_type:?} {slots} {seen:?}"
                        );
                    }
                }
            }
        }
    }

    /// Attention over floats as `FORMAT.md` has it.
    fn attended(query: &[f32], rows: &[([f32; HEAD_DIM], [f32; HEAD_DIM])], seen: Range<usize>) -> Vec<u32> {
        let (mut reference, mut sum, mut out) = (-(1 << 30), 0.0, [0.0; HEAD_DIM]);
        for block in 0..N.div_ceil(32) {
            let rows = (32 * block..32 * (block + 1)).filter(|position| seen.contains(position)).map(|i| rows[i]);
            let terms = rows.map(|(key, value)| {
                let mut stripes = [0.0; STRIPES];
                key.iter().zip(query).enumerate().for_each(|(i, (key, query))| stripes[i % STRIPES] += key * query);
                (exp_parts(fold(stripes)), value)
            });
            let terms: Vec<_> = terms.collect();
            if let Some(most) = terms.iter().map(|term| term.0.0).max().filter(|&most| most >= reference) {
                sum *= pow2(reference - most - 1);
                out.iter_mut().for_each(|out| *out *= pow2(reference - most - 1));
                reference = most + 1;
            }
            for ((exponent, factor), value) in terms {
                let weight = factor * pow2(exponent - reference);
                sum += weight;
                out.iter_mut().zip(value).for_each(|(out, value)| *out += weight * value);
            }
        }
        out.iter().map(|out| (out * (1.0 / sum)).to_bits()).collect()
    }

    #[test]
    fn what_is_outside_the_range_is_not_there() {
        let round = |row: [f32; HEAD_DIM]| row.map(|v| f16::from_f32(v).to_f32());
        for kv_type in [KvType::F32, KvType::F16] {
            let mut all = Vec::new();
            let all = plain(kv_type, &mut all);
            for head in 0..N_HEAD {
                let stored = |seed| {
                    let rows = (0..N).map(move |position| row(seed, position, head));
                    rows.map(|row| if kv_type == KvType::F16 { round(row) } else { row })
                };
                let rows: Vec<_> = stored(100).zip(stored(40_000)).collect();
                for start in (0..66).step_by(if cfg!(miri) { 31 } else { 1 }) {
                    for n in [1, 2, 30, 33, 64, 160].into_iter().filter(|n| start + n <= N) {
                        let (query, seen) = (row(7, 0, head), start..start + n);
                        assert_eq!(
                            attend(&all, head, seen.clone()),
                            attended(&query, &rows, seen.clone()),
                            "{kv_type:?} {seen:?}"
                        );
                    }
                }
            }
        }
    }
}
