//! What attention and MLP give, where it is not added as it comes: norms behind them take whole rows, and in a parallel
//! block attention's waits for the MLP's.

use super::forward::{Forward, Stage};
use super::norms::Rows;
use super::product::Tiles;
use crate::blob::slot::{LayerSlot, Slot};
use crate::features::{AFTER_NORMS, PARALLEL_BLOCKS};
use crate::kernel::Kernel;
use crate::ops::fixed::add;
use crate::part::{self, copy, part, part_mut, rows_mut};
use crate::scratch::aside;
use crate::source::{ReadError, Source};
use crate::team::Team;

impl<S: Source, K: Kernel, T: Team> Forward<'_, '_, S, K, T> {
    const fn has_after_norms(&self) -> bool {
        AFTER_NORMS && self.session.config().norms.after
    }

    const fn is_parallel(&self) -> bool {
        PARALLEL_BLOCKS && self.session.config().parallel
    }

    /// Whether a projection's rows wait, instead of being added.
    #[inline(always)]
    pub(super) const fn waits(&self) -> bool {
        self.has_after_norms() || self.is_parallel()
    }

    /// Puts rows of a projection where they wait: memory that none of its inputs lies in.
    #[inline(never)]
    pub(super) fn keep(&mut self, tiles: Tiles) {
        let (is_mlp, has_norms) = (self.stage() == Stage::MlpProj, self.has_after_norms());
        let session = &mut *self.session;
        let (config, scratch) = (session.model.config(), &mut session.scratch);
        let (n_embd, aside) = (scratch.n_embd, aside(config, scratch.size.batch));
        let waiting = match (is_mlp, has_norms) {
            (true, _) => &mut *scratch.normed,
            (false, true) => &mut *scratch.hidden,
            (false, false) => part_mut(scratch.beside, aside),
        };
        tiles.each::<T>(scratch.block, |rows, tile| {
            for (waiting, outputs) in rows_mut(waiting, n_embd).zip(part::rows(tile, rows.len())) {
                copy(part_mut(waiting, rows.clone()), outputs);
            }
        });
    }

    /// Once a projection is whole: normalises it, and adds what both gave where both are there.
    #[inline(never)]
    pub(super) fn settle(&mut self, layer: u32, first: usize, n: usize) -> Result<(), ReadError> {
        use LayerSlot::{LnAttnBias, LnAttnWeight, LnMlpBias, LnMlpWeight};
        let (is_mlp, has_norms, is_parallel) =
            (self.stage() == Stage::MlpProj, self.has_after_norms(), self.is_parallel());
        if has_norms {
            let (rows, weight, bias) = match is_mlp {
                true => (Rows::Mlp, LnMlpWeight, LnMlpBias),
                false => (Rows::Attention, LnAttnWeight, LnAttnBias),
            };
            let [weight, bias] = [weight, bias].map(|slot| Slot::Layer(layer, slot));
            self.session.normalize(rows, n, weight, bias)?;
        }
        let session = &mut *self.session;
        let (config, scratch) = (session.model.config(), &mut session.scratch);
        let len = n * scratch.n_embd;
        let aside = part_mut(scratch.beside, aside(config, scratch.size.batch));
        if !is_mlp && is_parallel {
            if has_norms {
                copy(part_mut(aside, ..len), part(scratch.normed, ..len));
            }
            return Ok(());
        }
        let given = part_mut(if is_mlp && has_norms { scratch.hidden } else { scratch.normed }, ..len);
        if is_parallel {
            add_all(given, part(aside, ..len));
        }
        add_all(part_mut(scratch.residual, first * scratch.n_embd..), given);
        Ok(())
    }
}

/// `x += y`, of as many elements as `y` has.
#[inline(never)] // Sums of floats are long where there is no unit for them.
fn add_all(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, &y)| *x = add(*x, y));
}
