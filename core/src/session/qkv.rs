//! Queries, keys and values: a projection's rows, to heads that are normalised and turned, to the cache.

use super::angles::Angles;
use super::forward::Forward;
use super::norms::normalize_head;
use crate::blob::slot::LayerSlot;
use crate::config::{Config, Norms};
use crate::features::{HEAD_NORMS, ROTARY};
use crate::kernel::Kernel;
use crate::kv_cache::Part;
use crate::ops::fixed::multiply;
use crate::ops::lanes::Lanes;
use crate::part::{self, copy, part, part_mut, rows_mut, split, split_mut};
use crate::scratch::head_norms;
use crate::source::{ReadError, Source};
use crate::team::Team;
use core::ops::Range;

/// The norm of each head of a layer's queries, or of its keys.
struct HeadNorm<'a> {
    norms: Norms,
    /// `[head_dim]`
    scales: &'a [f32],
    /// Room for a head.
    head: &'a mut [f32],
}

impl<'a> HeadNorm<'a> {
    /// The layer's, whose scales are in the scratch memory `beside` others; none where the model has none, and of values.
    /// `room` is for a head of each position, and then for one more: the former are left over.
    #[inline(always)]
    fn of(
        config: &Config,
        kv_part: Option<Part>,
        beside: &'a [f32],
        batch: usize,
        room: &'a mut [f32],
        n: usize,
    ) -> (Option<Self>, &'a mut [f32]) {
        if !HEAD_NORMS || !config.norms.heads || kv_part == Some(Part::Values) {
            return (None, room);
        }
        let head_dim = config.head_dim as usize;
        let (queries, keys) = split(part(beside, head_norms(config, batch)), head_dim);
        let (heads, rest) = split_mut(room, n * head_dim);
        let scales = if kv_part.is_some() { keys } else { queries };
        (Some(Self { norms: config.norms, scales, head: part_mut(rest, ..head_dim) }), heads)
    }

    /// Replaces a head by its norm, times `by`.
    #[inline(never)]
    fn apply(&mut self, lanes: &impl Lanes, head: &mut [f32], by: f32) {
        copy(self.head, head);
        normalize_head(lanes, &self.norms, head, self.head, self.scales, by);
    }
}

impl<S: Source, K: Kernel, T: Team> Forward<'_, '_, S, K, T> {
    /// Takes rows of the projection.
    #[inline(never)] // What the stages take of the stack lies in one place.
    pub(super) fn qkv(&mut self, rows: Range<usize>) -> Result<(), ReadError> {
        let matrix = self.matrix(LayerSlot::AttnQkvWeight, LayerSlot::AttnQkvBias)?;
        let config = self.session.config();
        let (queries, kv_width) = (config.query_width(), config.kv_width());
        let head_dim = config.head_dim as usize;
        let query_scale = 1.0 / self.session.kernel.lanes().sqrt(head_dim as f32);
        let mut rows = rows;
        while !rows.is_empty() {
            // Queries, keys and values follow one another.
            let (kv_part, start, end) = match rows.start {
                row if row < queries => (None, 0, queries),
                row if row < queries + kv_width => (Some(Part::Keys), queries, queries + kv_width),
                _ => (Some(Part::Values), queries + kv_width, queries + 2 * kv_width),
            };
            let tiles = self.product(matrix, &mut rows, end)?;
            let n = self.n();
            let session = &mut *self.session;
            let batch = session.scratch.batch();
            let angles = Angles::of_layer(session.scratch.beside, batch, session.model.config(), self.layer);
            let (q, heads) = split_mut(session.scratch.hidden, n * queries);
            let elementwise = session.kernel.lanes();
            let (mut norm, heads) =
                HeadNorm::of(session.model.config(), kv_part, session.scratch.beside, batch, heads, n);
            let mut layer = session.kv.layer(session.model.config(), self.layer);
            tiles.each::<T>(session.scratch.block, |rows, tile| {
                let outputs = part::rows(tile, rows.len());
                let within = rows.start - start..rows.end - start;
                let Some(kv_part) = kv_part else {
                    for (position, (q, outputs)) in rows_mut(q, queries).zip(outputs).enumerate() {
                        let new = part_mut(q, within.clone()).iter_mut();
                        let first = if norm.is_some() { 1.0 } else { query_scale };
                        new.zip(outputs).for_each(|(query, out)| *query = multiply(*out, first));
                        // The heads that end here.
                        let whole = within.start / head_dim.max(1)..within.end / head_dim.max(1);
                        let whole = whole.start * head_dim..whole.end * head_dim;
                        if let Some(norm) = &mut norm {
                            rows_mut(part_mut(q, whole.clone()), head_dim)
                                .for_each(|q| norm.apply(elementwise, q, query_scale));
                        }
                        if ROTARY && let Some(angles) = angles {
                            rows_mut(part_mut(q, whole), head_dim).for_each(|q| angles.turn(position, q));
                        }
                    }
                    return;
                };
                let heads = rows_mut(heads, head_dim).take(n);
                let positions = session.n_past + self.first..;
                for (i, (position, (x, outputs))) in positions.zip(heads.zip(outputs)).enumerate() {
                    // A head that a tile begins or ends in waits in `x` until it is whole.
                    let (mut head, mut at) = (within.start / head_dim.max(1), within.start % head_dim.max(1));
                    let mut outputs = outputs;
                    while !outputs.is_empty() {
                        let (lanes, rest) = outputs.split_at(outputs.len().min(head_dim - at));
                        part_mut(x, at..).iter_mut().zip(lanes).for_each(|(x, &out)| *x = out);
                        if at + lanes.len() == head_dim {
                            if let Some(norm) = &mut norm {
                                norm.apply(elementwise, x, 1.0);
                            }
                            if ROTARY
                                && kv_part == Part::Keys
                                && let Some(angles) = angles
                            {
                                angles.turn(i, x);
                            }
                            layer.write(kv_part, position, head, x);
                        }
                        (head, at, outputs) = (head + 1, 0, rest);
                    }
                }
            });
        }
        Ok(())
    }
}
