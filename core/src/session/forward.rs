//! Tokens to hidden states: the transformer blocks, as a machine of bounded steps.

use super::norms::Rows;
use super::product::{Matrix, Product, Tiles};
use super::state::{ELEMENTWISE, Progress, Session};
use super::weights::read_row;
use crate::blob::slot::{LayerSlot, Slot};
use crate::config::{Positions, TokenId};
use crate::features::{ABSENT_NORMS, EMBEDDING_NORM, EMBEDDING_SCALE, HEAD_NORMS, LEARNED_POSITIONS, ROTARY};
use crate::kernel::Kernel;
use crate::model::Tensor;
use crate::ops::attention::{Query, TOGETHER};
use crate::ops::fixed::add;
use crate::ops::lanes::Lanes;
use crate::ops::mlp::{hide, rows_of, whole_runs};
use crate::ops::quantize::i16_words;
use crate::ops::vector::Update;
use crate::part::{self, part, part_mut, rows_mut};
use crate::source::{ReadError, Source};
use crate::team::{PerRange, PerUnit, Ranges, Solo, Team};
use core::ops::Range;
use heapless::Vec;

/// The part of a forward pass under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Stage {
    /// Token and position embeddings; counts positions.
    Embed,
    /// Queries, keys and values; counts rows.
    Qkv,
    /// Counts heads of positions.
    Attend,
    /// Attention's output projection; counts rows.
    AttnProj,
    /// MLP's hidden layer; counts its values.
    Fc,
    /// MLP's output projection; counts rows.
    MlpProj,
    /// Nothing is left.
    Done,
}

/// A forward pass under way. Dropped before it is done, it has taken no position: see [`ForwardError`](super::ForwardError).
#[derive(Debug)]
pub struct Forward<'p, 'b, S, K, T = Solo> {
    pub(super) session: &'p mut Session<'b, S, K, T>,
    tokens: &'p [TokenId],
    stage: Stage,
    pub(super) layer: u32,
    /// The first token of the batch under way.
    pub(super) first: usize,
    /// What the stage counts.
    at: usize,
    failed: Option<ReadError>,
}

impl<'p, 'b, S: Source, K: Kernel, T: Team> Forward<'p, 'b, S, K, T> {
    pub(super) const fn new(session: &'p mut Session<'b, S, K, T>, tokens: &'p [TokenId]) -> Self {
        Self { session, tokens, stage: Stage::Embed, layer: 0, first: 0, at: 0, failed: None }
    }

    /// Takes up to `max` rows of a matrix, heads of positions in attention, or positions in the embedding, whichever the
    /// pass has come to; 0 counts as 1, and of a gated MLP's hidden values a step takes whole runs of
    /// [`GATE_RUN`](crate::config::GATE_RUN). A matrix's first step also normalises and quantises its inputs, and its last one
    /// normalises its outputs where a norm is behind it.
    ///
    /// # Errors
    /// The medium failed. The pass cannot go on: every further call gives the same error.
    pub fn step(&mut self, max: usize) -> Result<Progress, ReadError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let taken = self.take(max);
        self.failed = taken.err();
        taken
    }

    fn take(&mut self, max: usize) -> Result<Progress, ReadError> {
        let total = self.total();
        if self.at == 0 {
            self.enter()?;
        }
        let mut end = total.min(self.at.saturating_add(max.max(1)));
        if self.stage == Stage::Fc {
            end = whole_runs(end, total, self.session.config().mlp);
        }
        let units = self.at..end;
        match self.stage {
            Stage::Embed => self.embed(units)?,
            Stage::Qkv => self.qkv(units)?,
            Stage::Attend => self.attend(units),
            Stage::AttnProj => self.add_projection(units, LayerSlot::AttnProjWeight, LayerSlot::AttnProjBias)?,
            Stage::Fc => self.fc(units)?,
            Stage::MlpProj => self.add_projection(units, LayerSlot::MlpProjWeight, LayerSlot::MlpProjBias)?,
            Stage::Done => return Ok(Progress::Done),
        }
        self.at = end;
        if end == total {
            self.advance();
        }
        Ok(if self.stage == Stage::Done { Progress::Done } else { Progress::More })
    }

    /// What the next step is part of, or the step that failed was.
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// Tokens in the batch under way.
    pub(super) fn n(&self) -> usize {
        self.session.scratch.batch().min(self.tokens.len().saturating_sub(self.first))
    }

    /// Units of the stage under way.
    fn total(&self) -> usize {
        let config = self.session.config();
        let n_embd = config.n_embd as usize;
        match self.stage {
            Stage::Embed => self.tokens.len(),
            Stage::Qkv => config.query_width() + 2 * config.kv_width(),
            Stage::Attend => self.n() * config.n_head as usize,
            Stage::AttnProj | Stage::MlpProj => n_embd,
            Stage::Fc => config.n_ff as usize,
            Stage::Done => 0,
        }
    }

    fn advance(&mut self) {
        self.at = 0;
        self.stage = match self.stage {
            Stage::Embed => Stage::Qkv,
            Stage::Qkv => Stage::Attend,
            Stage::Attend => Stage::AttnProj,
            Stage::AttnProj => Stage::Fc,
            Stage::Fc => Stage::MlpProj,
            Stage::MlpProj => {
                self.first += self.n();
                if self.first == self.tokens.len() {
                    self.first = 0;
                    self.layer += 1;
                }
                if self.layer == self.session.config().n_layer { Stage::Done } else { Stage::Qkv }
            }
            Stage::Done => Stage::Done,
        };
        if self.stage == Stage::Done {
            self.session.n_past += self.tokens.len();
            self.session.n_window = self.tokens.len();
            self.session.overwritten = false;
        }
    }

    fn slot(&self, slot: LayerSlot) -> Slot {
        Slot::Layer(self.layer, slot)
    }

    /// Makes the inputs of a matrix's stage.
    #[inline(never)]
    fn enter(&mut self) -> Result<(), ReadError> {
        let (n, first) = (self.n(), self.first);
        use LayerSlot::{
            AttnProjWeight, AttnQkvWeight, FcWeight, Ln1Bias, Ln1Weight, Ln2Bias, Ln2Weight, MlpProjWeight,
        };
        let (norm, matrix) = match self.stage {
            Stage::Qkv => (Some((Ln1Weight, Ln1Bias)), AttnQkvWeight),
            Stage::AttnProj => (None, AttnProjWeight),
            Stage::Fc => (Some((Ln2Weight, Ln2Bias)), FcWeight),
            Stage::MlpProj => (None, MlpProjWeight),
            Stage::Embed | Stage::Attend | Stage::Done => return Ok(()),
        };
        if let Some((weight, bias)) = norm {
            let (weight, bias) = (self.slot(weight), self.slot(bias));
            if ABSENT_NORMS && !self.session.config().norms.before {
                self.session.take_residuals(first, n);
            } else {
                self.session.normalize(Rows::Residual(first), n, weight, bias)?;
            }
        }
        if self.stage == Stage::Qkv {
            self.session.begin_layer(self.layer, first, n)?;
            if HEAD_NORMS && self.session.config().norms.heads {
                self.session.read_head_norms(self.layer)?;
            }
        }
        let slot = self.slot(matrix);
        let session = &mut *self.session;
        let matrix = Matrix::find(&mut session.model, slot)?;
        let scratch = &mut session.scratch;
        let floats = if self.stage == Stage::MlpProj { &*scratch.hidden } else { &*scratch.normed };
        let floats = part(floats, ..n * matrix.tensor.cols);
        matrix.prepare(&session.kernel, session.model.source(), floats, scratch.inputs, scratch.scales);
        Ok(())
    }

    #[inline(never)]
    fn embed(&mut self, positions: Range<usize>) -> Result<(), ReadError> {
        let session = &mut *self.session;
        let n_embd = session.scratch.n_embd;
        let group_scales = &mut *session.scratch.partial.group_scales;
        let wte = session.model.required(Slot::Wte)?;
        let is_learned =
            LEARNED_POSITIONS && (!ROTARY || matches!(session.model.config().positions, Positions::Learned));
        let wpe = if is_learned { Some(session.model.required(Slot::Wpe)?) } else { None };
        let scale = session.model.config().embedding_scale;
        let residual = rows_mut(session.scratch.residual, n_embd).zip(self.tokens).enumerate();
        for (position, (x, &token)) in residual.take(positions.end).skip(positions.start) {
            let (token, place) = (token as usize, session.n_past + position);
            let (source, lanes) = (session.model.source(), session.kernel.lanes());
            read_row(source, lanes, &wte, token, group_scales, x, Update::Set)?;
            if EMBEDDING_SCALE && scale != 1.0 {
                scale_all(lanes, x, scale);
            }
            if let Some(wpe) = &wpe {
                read_row(source, lanes, wpe, place, group_scales, x, Update::Add)?;
            }
        }
        if EMBEDDING_NORM && session.model.config().norms.embedding {
            session.normalize_embeddings(positions)?;
        }
        Ok(())
    }

    /// Attends heads of positions, counted head by head within a position.
    #[inline(never)]
    fn attend(&mut self, units: Range<usize>) {
        let session = &mut *self.session;
        let config = session.model.config();
        let (n_head, head_dim) = (config.n_head as usize, config.head_dim as usize);
        let sharing = config.heads_a_kv_head();
        let window = config.windows.of(self.layer);
        let scratch = &mut session.scratch;
        let layer = session.kv.layer(config, self.layer);
        let (lanes, n_past) = (session.kernel.lanes(), session.n_past + self.first);
        // Queries and outputs of positions lie one after another, and so do heads within a position.
        let lie = units.start * head_dim..units.end * head_dim;
        let (out, queries) = (part_mut(scratch.normed, lie.clone()), part(scratch.hidden, lie));
        let query_words = i16_words(head_dim);
        let ranges = Ranges::new(&session.team, units.len(), 2 * head_dim * (n_past + 1))
            .at_most(scratch.inputs.len() / query_words.max(1));
        let out = (PerUnit(out, head_dim), PerRange(&mut *scratch.inputs, query_words));
        ranges.share(&session.team, out, |range, (PerUnit(out, _), PerRange(integers, _))| {
            let queries = part(queries, range.start * head_dim..);
            let first = units.start + range.start;
            let kv_head = |unit: usize| unit % n_head.max(1) / sharing.max(1);
            let seen = |unit: usize| {
                let end = n_past + unit / n_head.max(1) + 1;
                window.map_or(0, |window| end.saturating_sub(window as usize))..end
            };
            if T::MOST < usize::MAX {
                for i in 0..range.len() {
                    let lie = i * head_dim..(i + 1) * head_dim;
                    let (out, query) = (part_mut(out, lie.clone()), part(queries, lie));
                    layer.attend(lanes, out, query, kv_head(first + i), seen(first + i), integers);
                }
                return;
            }
            // A head's positions see the same keys and values, which their processor's cache then holds.
            let position = (n_head * head_dim).max(1);
            for head in 0..n_head.min(range.len()) {
                let outs = part_mut(out, head * head_dim..).chunks_mut(position);
                let queries = part(queries, head * head_dim..).chunks(position);
                let unit = first + head;
                let mut all = outs.zip(queries).enumerate().map(|(i, (out, query))| Query {
                    out: part_mut(out, ..head_dim),
                    query: part(query, ..head_dim),
                    seen: seen(unit + i * n_head),
                });
                loop {
                    let mut together = Vec::<_, TOGETHER>::new();
                    for query in all.by_ref().take(TOGETHER) {
                        // There is room for as many as are taken.
                        let _ = together.push(query);
                    }
                    if together.is_empty() {
                        break;
                    }
                    layer.attend_together(lanes, &mut together, kv_head(unit), integers);
                }
            }
        });
    }

    #[inline(never)]
    fn fc(&mut self, units: Range<usize>) -> Result<(), ReadError> {
        let matrix = self.matrix(LayerSlot::FcWeight, LayerSlot::FcBias)?;
        let config = self.session.config();
        let (n_ff, mlp) = (config.n_ff as usize, config.mlp);
        let mut rows = rows_of(units.start, mlp)..rows_of(units.end, mlp);
        while !rows.is_empty() {
            let end = rows.end;
            let tiles = self.product(matrix, &mut rows, end)?;
            let n = self.n();
            let Session { kernel, team, scratch, .. } = &mut *self.session;
            let (hidden, outputs) = (part_mut(scratch.hidden, ..n * n_ff), &*scratch.block);
            let positions = Ranges::new(team, n, ELEMENTWISE * tiles.n_rows());
            positions.share(team, PerUnit(hidden, n_ff), |positions, PerUnit(hidden, _)| {
                tiles.each::<T>(outputs, |rows, tile| {
                    let outputs = part::rows(tile, rows.len()).skip(positions.start);
                    for (outputs, hidden) in outputs.zip(rows_mut(hidden, n_ff)) {
                        hide(kernel.lanes(), hidden, outputs, rows.start, mlp);
                    }
                });
            });
        }
        Ok(())
    }

    /// Adds rows of a product to the residual stream.
    fn add_projection(&mut self, rows: Range<usize>, weight: LayerSlot, bias: LayerSlot) -> Result<(), ReadError> {
        let matrix = self.matrix(weight, bias)?;
        let n_embd = self.session.scratch.n_embd;
        let mut rows = rows;
        while !rows.is_empty() {
            let tiles = self.product(matrix, &mut rows, n_embd)?;
            if self.waits() {
                self.keep(tiles);
                continue;
            }
            let scratch = &mut self.session.scratch;
            let residual = part_mut(scratch.residual, self.first * n_embd..);
            tiles.each::<T>(scratch.block, |rows, tile| {
                for (residual, outputs) in rows_mut(residual, n_embd).zip(part::rows(tile, rows.len())) {
                    part_mut(residual, rows.clone()).iter_mut().zip(outputs).for_each(|(x, &out)| *x = add(*x, out));
                }
            });
        }
        if self.waits() && rows.end == n_embd {
            self.settle(self.layer, self.first, self.n())?;
        }
        Ok(())
    }

    /// A weight matrix of the layer under way, and its bias.
    pub(super) fn matrix(&mut self, weight: LayerSlot, bias: LayerSlot) -> Result<(Matrix, Option<Tensor>), ReadError> {
        let (weight, bias) = (self.slot(weight), self.slot(bias));
        let model = &mut self.session.model;
        Ok((Matrix::find(model, weight)?, model.tensor(bias)?))
    }

    /// Takes the next block off `rows`, which goes no further than row `until`, and multiplies it into the scratch memory's
    /// block.
    pub(super) fn product(
        &mut self,
        (matrix, bias): (Matrix, Option<Tensor>),
        rows: &mut Range<usize>,
        until: usize,
    ) -> Result<Tiles, ReadError> {
        let n = self.n();
        let session = &mut *self.session;
        let scratch = &mut session.scratch;
        let most = matrix.rows_at_once(session.model.source(), scratch.size.rows);
        let start = rows.start;
        rows.start = rows.end.min(until).min(start + most);
        let floats = if self.stage == Stage::MlpProj { &*scratch.hidden } else { &*scratch.normed };
        let product = Product::new(matrix, bias, floats, (scratch.inputs, scratch.scales), n);
        let by = (&session.kernel, &session.team);
        product.rows(scratch.block, session.model.source(), by, &mut scratch.partial, start..rows.start)
    }
}

/// Multiplies all of `x`.
#[inline(never)] // Products of floats are long where there is no unit for them.
fn scale_all(lanes: &impl Lanes, x: &mut [f32], by: f32) {
    lanes.scale(x, by);
}
