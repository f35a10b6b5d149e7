//! Losses from hidden states: the head's rows in blocks, a running log-sum-exp for each position.

use super::lanes::{largest, masses};
use super::{Reference, ReferenceError, ops::ROWS};
use emberlm_core::config::TokenId;
use rayon::prelude::*;

/// Rows of the head in one block.
const BLOCK: usize = 512;

/// A running `ln(sum(exp(logit)))` in f64, and the target's logit.
#[derive(Clone, Copy)]
struct Running {
    max: f64,
    sum: f64,
    target: f64,
}

impl Running {
    const EMPTY: Self = Self { max: f64::NEG_INFINITY, sum: 0.0, target: f64::NAN };

    fn push(&mut self, logits: &[f32]) {
        let block = f64::from(largest(logits));
        if block > self.max {
            self.sum *= (self.max - block).exp();
            self.max = block;
        }
        self.sum += masses(logits, self.max).0;
    }

    fn nll(&self) -> f64 {
        (self.max - self.target) + self.sum.ln()
    }
}

impl Reference<'_> {
    /// The losses of one window in nats, in order: `tokens` are its inputs and the last one's target, and inputs
    /// `first_scored..` are scored.
    ///
    /// # Errors
    /// As [`Reference::hidden`], a target outside the vocabulary, or a loss that is not finite.
    pub fn nll(&self, tokens: &[TokenId], first_scored: usize, each: impl FnMut(f64)) -> Result<(), ReferenceError> {
        let Some((last, inputs)) = tokens.split_last() else { return Err(ReferenceError::Empty) };
        self.check_tokens(&[*last])?;
        let n_embd = self.architecture.n_embd as usize;
        let hidden = self.hidden(inputs)?;
        let first = first_scored.min(inputs.len());
        let nlls = self.nll_of_hidden(&hidden[first * n_embd..], &tokens[first + 1..]);
        if let Some(bad) = nlls.iter().position(|nll| !nll.is_finite()) {
            return Err(ReferenceError::NotFinite { position: first + bad });
        }
        nlls.into_iter().for_each(each);
        Ok(())
    }

    /// The loss of each row of `hidden` `[t, n_embd]` against its target; NaN where a logit is NaN.
    fn nll_of_hidden(&self, hidden: &[f32], targets: &[TokenId]) -> Vec<f64> {
        let (n_vocab, n_embd) = (self.architecture.n_vocab as usize, self.architecture.n_embd as usize);
        let tasks = hidden.par_chunks(ROWS * n_embd).zip(targets.par_chunks(ROWS));
        let score = |(hidden, targets): (&[f32], &[TokenId])| {
            let mut running = vec![Running::EMPTY; targets.len()];
            let mut logits = vec![0.0; targets.len() * BLOCK.min(n_vocab)];
            for first in (0..n_vocab).step_by(BLOCK) {
                let n = BLOCK.min(n_vocab - first);
                let logits = &mut logits[..targets.len() * n];
                self.head_rows(hidden, first as TokenId, logits);
                for ((running, row), target) in running.iter_mut().zip(logits.chunks_exact(n)).zip(targets) {
                    running.push(row);
                    if let Some(logit) = (*target as usize).checked_sub(first).and_then(|at| row.get(at)) {
                        running.target = f64::from(*logit);
                    }
                }
            }
            running.iter().map(Running::nll).collect::<Vec<_>>()
        };
        tasks.map(score).collect::<Vec<_>>().concat()
    }
}
