//! Hidden states to logits: one walk over the output head's rows, into sinks.

use super::product::{Matrix, Product};
use super::state::{Progress, Session};
use crate::blob::slot::Slot;
use crate::config::TokenId;
use crate::kernel::Kernel;
use crate::part::{part, rows};
use crate::sink::LogitSink;
use crate::source::{ReadError, Source};
use crate::team::{Solo, Team};

/// A walk over the output head under way.
#[derive(Debug)]
pub struct Head<'p, 'b, S, K, L, T = Solo> {
    session: &'p mut Session<'b, S, K, T>,
    /// The first position, within the last forward call.
    first: usize,
    /// One a position.
    sinks: &'p mut [L],
    /// The next row.
    at: usize,
    failed: Option<ReadError>,
}

impl<'p, 'b, S: Source, K: Kernel, L: LogitSink, T: Team> Head<'p, 'b, S, K, L, T> {
    pub(super) const fn new(session: &'p mut Session<'b, S, K, T>, first: usize, sinks: &'p mut [L]) -> Self {
        Self { session, first, sinks, at: 0, failed: None }
    }

    /// Pushes the logits of up to `max` tokens, 0 counting as 1. The first step also applies the final layer norm.
    ///
    /// # Errors
    /// The medium failed. The walk cannot go on: every further call gives the same error, and no sink gets another logit.
    pub fn step(&mut self, max: usize) -> Result<Progress, ReadError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let taken = self.take(max);
        self.failed = taken.err();
        taken
    }

    fn take(&mut self, max: usize) -> Result<Progress, ReadError> {
        let (n, n_vocab) = (self.sinks.len(), self.session.config().n_vocab as usize);
        if self.at == n_vocab {
            return Ok(Progress::Done);
        }
        let matrix = self.matrix()?;
        let session = &mut *self.session;
        if self.at == 0 {
            session.normalize(self.first, n, Slot::LnFWeight, Slot::LnFBias)?;
            let scratch = &mut session.scratch;
            let hidden = part(scratch.normed, ..n * matrix.tensor.cols);
            matrix.prepare(&session.kernel, session.model.source(), hidden, scratch.inputs, scratch.scales);
        }
        let bias = session.model.tensor(Slot::LmHeadBias)?;
        let end = n_vocab.min(self.at.saturating_add(max.max(1)));
        let block = matrix.rows_at_once(session.model.source(), session.scratch.size.rows);
        while self.at < end {
            let block = self.at..end.min(self.at + block);
            self.at = block.end;
            let scratch = &mut session.scratch;
            let product = Product::new(matrix, bias, scratch.normed, (scratch.inputs, scratch.scales), n);
            let by = (&session.kernel, &session.team);
            let tiles = product.rows(scratch.block, session.model.source(), by, &mut scratch.partial, block)?;
            tiles.each::<T>(scratch.block, |tokens, tile| {
                for (sink, logits) in self.sinks.iter_mut().zip(rows(tile, tokens.len())) {
                    sink.push(tokens.start as TokenId, logits);
                }
            });
        }
        Ok(if self.at == n_vocab { Progress::Done } else { Progress::More })
    }

    /// The output head's matrix: its own, or the token embedding that it is tied to.
    fn matrix(&mut self) -> Result<Matrix, ReadError> {
        let model = &mut self.session.model;
        let slot = if model.tensor(Slot::LmHead)?.is_some() { Slot::LmHead } else { Slot::Wte };
        Matrix::find(model, slot)
    }
}
