//! Hidden states to logits: one walk over the output head's rows, into sinks.

use super::norms::Rows;
use super::product::{Matrix, Product};
use super::state::{Progress, Session};
use crate::blob::slot::Slot;
use crate::config::TokenId;
use crate::features::ABSENT_NORMS;
use crate::kernel::Kernel;
use crate::part::{is_broken, part, rows};
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

    /// Pushes the logits of up to `max` tokens, 0 counting as 1. The first step also applies the final norm.
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
            if ABSENT_NORMS && !session.config().norms.last {
                session.take_residuals(self.first, n);
            } else {
                session.normalize(Rows::Residual(self.first), n, Slot::LnFWeight, Slot::LnFBias)?;
            }
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
            if is_broken() {
                scratch.block.fill(f32::NAN);
            }
            let lanes = session.kernel.lanes();
            tiles.each::<T>(scratch.block, |tokens, tile| {
                for (sink, logits) in self.sinks.iter_mut().zip(rows(tile, tokens.len())) {
                    sink.push_by(lanes, tokens.start as TokenId, logits);
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

#[cfg(test)]
mod tests {
    use crate::kernel::Portable;
    use crate::kv_cache::KvType;
    use crate::loss::CrossEntropy;
    use crate::model::Model;
    use crate::part::missing;
    use crate::planner::{Need, Order, Run};
    use crate::session::Session;
    use crate::sink::LogitError;
    use crate::source::{Aligned, Mapped};
    use std::vec;

    #[test]
    fn what_was_missing_in_a_pass_leaves_no_loss() {
        let blob = Aligned(*include_bytes!("../../examples/letters.blob"));
        let model = Model::open(Mapped::new(&blob.0).unwrap()).unwrap();
        let (config, run) = (*model.config(), Run::new(Order::TokenMajor, KvType::F32, 2));
        let need = Need::new(&config, run);
        let (mut kv, mut floats, mut words) =
            (vec![0; need.kv_words], vec![0.0; need.scratch.floats], vec![0; need.scratch.words]);
        let kv = run.kv_cache(&config, &mut kv).unwrap();
        let scratch = run.scratch(&config, &mut floats, &mut words).unwrap();
        let mut session = Session::new(model, Portable, kv, scratch).unwrap();
        let mut nll = |token| {
            session.forward(&[token]).unwrap();
            let mut sink = [CrossEntropy::new(3)];
            session.head(0, &mut sink).unwrap();
            sink[0].nll()
        };
        assert!(nll(1).unwrap().is_some_and(f32::is_finite));
        missing();
        assert_eq!(nll(2), Err(LogitError::NotANumber));
    }
}
