//! Norms: of what goes into matrices, of the embedding, of what attention and MLP give, and of heads.

use super::state::{ELEMENTWISE, Session};
use super::weights::read_vector;
use crate::blob::slot::{LayerSlot, Slot};
use crate::config::{NormKind, Norms};
use crate::features::{AFTER_NORMS, LAYER_NORM, RMS_NORM};
use crate::kernel::Kernel;
use crate::ops::fixed::multiply;
use crate::ops::lanes::Lanes;
use crate::ops::vector::Update;
use crate::ops::{layer_norm, rms_norm};
use crate::part::{self, copy, missing, part, part_mut, rows_mut};
use crate::scratch::head_norms;
use crate::source::{ReadError, Source};
use crate::team::{PerUnit, Ranges, Team};
use core::ops::Range;

/// What is normalised, and where that goes.
#[derive(Clone, Copy)]
pub(super) enum Rows {
    /// Residuals from this one on, into `normed`.
    Residual(usize),
    /// What attention gave, from `hidden` into `normed`.
    Attention,
    /// What the MLP gave, from `normed` into `hidden`.
    Mlp,
}

impl<S: Source, K: Kernel, T: Team> Session<'_, S, K, T> {
    /// Normalises `n` rows, scales and shifts them.
    ///
    /// # Errors
    /// The medium failed.
    #[inline(never)] // Several stages have it.
    pub(super) fn normalize(&mut self, rows: Rows, n: usize, weight: Slot, bias: Slot) -> Result<(), ReadError> {
        let Session { model, kernel, team, scratch, .. } = self;
        let (n_embd, norms, lanes) = (scratch.n_embd, model.config().norms, kernel.lanes());
        let (out, x) = match rows {
            Rows::Attention if AFTER_NORMS => (&mut *scratch.normed, &*scratch.hidden),
            Rows::Mlp if AFTER_NORMS => (&mut *scratch.hidden, &*scratch.normed),
            Rows::Residual(first) => (&mut *scratch.normed, part(scratch.residual, first * n_embd..)),
            _ => {
                missing();
                return Ok(());
            }
        };
        let out = part_mut(out, ..n * n_embd);
        let positions = Ranges::new(team, n, ELEMENTWISE * n_embd);
        positions.share(team, PerUnit(&mut *out, n_embd), |positions, PerUnit(out, _)| {
            let x = part(x, positions.start * n_embd..);
            for (out, x) in rows_mut(out, n_embd).zip(part::rows(x, n_embd)) {
                normalize_row(lanes, &norms, out, x);
            }
        });
        for (slot, update) in [(weight, Update::Scale), (bias, Update::Add)] {
            let Some(vector) = model.tensor(slot)? else { continue };
            read_vector(model.source(), &vector, 0..n_embd, |range, floats| {
                for out in rows_mut(out, n_embd) {
                    floats.update(lanes, part_mut(out, range.clone()), update);
                }
            })?;
        }
        Ok(())
    }

    /// Residuals `first .. first + n` into `normed` as they are, where a model has no norm.
    pub(super) fn take_residuals(&mut self, first: usize, n: usize) {
        let n_embd = self.scratch.n_embd;
        let residual = part(self.scratch.residual, first * n_embd..(first + n) * n_embd);
        copy(part_mut(self.scratch.normed, ..n * n_embd), residual);
    }

    /// Normalises the embeddings of positions.
    pub(super) fn normalize_embeddings(&mut self, positions: Range<usize>) -> Result<(), ReadError> {
        let (n_embd, batch) = (self.scratch.n_embd, self.scratch.batch());
        for first in positions.clone().step_by(batch.max(1)) {
            let n = batch.min(positions.end - first);
            self.normalize(Rows::Residual(first), n, Slot::LnEWeight, Slot::LnEBias)?;
            let residual = part_mut(self.scratch.residual, first * n_embd..(first + n) * n_embd);
            copy(residual, part(self.scratch.normed, ..n * n_embd));
        }
        Ok(())
    }

    /// Reads the scales of a layer's queries and keys; 1 where there is none.
    pub(super) fn read_head_norms(&mut self, layer: u32) -> Result<(), ReadError> {
        let Session { model, kernel, scratch, .. } = self;
        let head_dim = model.config().head_dim as usize;
        let scales = part_mut(scratch.beside, head_norms(model.config(), scratch.size.batch));
        scales.fill(1.0);
        let slots = [LayerSlot::QNormWeight, LayerSlot::KNormWeight];
        for (slot, scales) in slots.into_iter().zip(rows_mut(scales, head_dim)) {
            let Some(vector) = model.tensor(Slot::Layer(layer, slot))? else { continue };
            read_vector(model.source(), &vector, 0..head_dim, |range, floats| {
                floats.update(kernel.lanes(), part_mut(scales, range), Update::Set);
            })?;
        }
        Ok(())
    }
}

/// `out` becomes the norm of `x`, neither scaled nor shifted.
#[inline(always)]
fn normalize_row(lanes: &impl Lanes, norms: &Norms, out: &mut [f32], x: &[f32]) {
    match norms.kind {
        NormKind::Rms if RMS_NORM => rms_norm::rms_normalize(lanes, out, x, norms.epsilon),
        _ if LAYER_NORM => layer_norm::normalize(lanes, out, x, norms.epsilon),
        _ => missing(),
    }
}

/// `out` becomes the norm of a head `x`, times the scales of all heads, times `by`.
#[inline(never)] // Queries have it as well as keys.
pub(super) fn normalize_head(lanes: &impl Lanes, norms: &Norms, out: &mut [f32], x: &[f32], scales: &[f32], by: f32) {
    normalize_row(lanes, norms, out, x);
    for (x, &scale) in out.iter_mut().zip(scales) {
        *x = multiply(multiply(*x, scale), by);
    }
}
