//! Sines and cosines of the positions under way, made once for all heads of a layer, and where a batch goes through all
//! layers for all of these.

use super::state::Session;
use super::weights::pieces;
use crate::config::{Config, Positions};
use crate::features::{ROTARY, WINDOWS};
use crate::kernel::Kernel;
use crate::ops::rotary;
use crate::part::{part, part_mut, rows_mut};
use crate::source::{ReadError, Source};
use crate::team::Team;

/// Bytes of a frequency.
const FREQUENCY_BYTES: usize = 8;

/// A layer's angles `[batch][dim]`.
#[derive(Clone, Copy)]
pub(super) struct Angles<'a> {
    floats: &'a [f32],
    dim: usize,
}

impl<'a> Angles<'a> {
    /// Those of a layer among all of the scratch memory's, which are for `batch` positions; none where positions are not
    /// rotary.
    #[inline(always)]
    pub fn of_layer(floats: &'a [f32], batch: usize, config: &Config, layer: u32) -> Option<Self> {
        let Positions::Rotary(rotary) = config.positions else { return None };
        if !ROTARY {
            return None;
        }
        let (dim, table) = (rotary.dim as usize, rotary.table(layer));
        Some(Self { floats: part(floats, table * batch * dim..(table + 1) * batch * dim), dim })
    }

    /// Turns one head of the batch's position `i`.
    #[inline(always)]
    pub fn turn(self, i: usize, head: &mut [f32]) {
        rotary::rotate(head, part(self.floats, i * self.dim..(i + 1) * self.dim));
    }
}

impl<S: Source, K: Kernel, T: Team> Session<'_, S, K, T> {
    /// Makes a layer's angles for positions `first .. first + n` of the forward call under way, unless they are there; and
    /// notes whether their keys and values go where others that are still seen lie.
    ///
    /// # Errors
    /// The medium failed.
    #[inline(never)]
    pub(super) fn begin_layer(&mut self, layer: u32, first: usize, n: usize) -> Result<(), ReadError> {
        let config = self.model.config();
        if let (true, Some(window)) = (WINDOWS, config.windows.of(layer)) {
            let slots = self.kv.size().slots(config, layer);
            let is_seen = first + n + window as usize > slots + 1;
            self.overwritten |= is_seen && self.n_past > 0 && self.n_past + first + n > slots;
        }
        let Positions::Rotary(rotary) = config.positions else { return Ok(()) };
        if !ROTARY {
            return Ok(());
        }
        let (dim, table, batch) = (rotary.dim as usize, rotary.table(layer), self.scratch.batch());
        let (start, whose) = (self.n_past + first, (self.n_past + first, n));
        let [one, two] = &mut self.scratch.angles_of;
        let of = if table == 0 { one } else { two };
        if *of == whose {
            return Ok(());
        }
        *of = (0, 0);
        let offset = self.model.head().frequencies.offset as usize + table * (dim / 2) * FREQUENCY_BYTES;
        let angles = part_mut(self.scratch.beside, table * batch * dim..(table + 1) * batch * dim);
        let source = self.model.source();
        for pairs in pieces(dim / 2, source.max_read() / FREQUENCY_BYTES, 1) {
            let bytes = source.read(offset + pairs.start * FREQUENCY_BYTES, pairs.len() * FREQUENCY_BYTES)?;
            for (position, angles) in (start..).zip(rows_mut(angles, dim).take(n)) {
                let angles = part_mut(angles, 2 * pairs.start..2 * pairs.end);
                rotary::angles(angles, bytes.as_chunks().0, position as u32);
            }
        }
        *of = whose;
        Ok(())
    }
}
