//! Trying formats out: the model is rounded by one text and compared with its checkpoint on another.

use emberlm_core::blob::Slot;
use emberlm_core::config::TokenId;
use rayon::prelude::*;

use super::calibrate::{OwnText, Windows};
use super::formats::Formats;
use super::quantize::quantize_all;
use super::quantized::{QuantizeError, QuantizedModel};
use crate::checkpoint::Checkpoint;
use crate::engine::divergence::Divergence;
use crate::reference::Reference;

/// Tokens that a model is rounded by, and as many that it is measured on.
const TOKENS: usize = 2048;

/// A checkpoint, and the texts that its formats are tried out on.
#[derive(Debug)]
pub struct Trial<'t> {
    checkpoint: &'t Checkpoint,
    reference: Reference<'t>,
    /// What weights are rounded by.
    rounding: Windows,
    /// What the rounded model is compared on.
    measuring: Windows,
    /// The checkpoint's hidden states on each window of that.
    hidden: Vec<Vec<f32>>,
}

impl<'t> Trial<'t> {
    /// Rounds by the beginning of `text` and measures on what comes next, or on a text that the model writes itself where
    /// that is not enough.
    pub fn of_text(checkpoint: &'t Checkpoint, text: &Windows) -> Self {
        let rounding = text.first(TOKENS);
        let next = text.after(rounding.iter().len()).first(TOKENS);
        let measuring = if next.n_tokens() >= TOKENS / 2 {
            next
        } else {
            let own = OwnText::to_measure_on(checkpoint.bos());
            Windows::own_text(&Reference::new(checkpoint), &own, |_| ())
        };
        Self::new(checkpoint, rounding, measuring)
    }

    /// Passes the text through the checkpoint once.
    pub fn new(checkpoint: &'t Checkpoint, rounding: Windows, measuring: Windows) -> Self {
        let reference = Reference::new(checkpoint);
        let hidden = hidden(&reference, &measuring);
        Self { checkpoint, reference, rounding, measuring, hidden }
    }

    /// The checkpoint.
    pub const fn checkpoint(&self) -> &'t Checkpoint {
        self.checkpoint
    }

    /// The mean Kullback-Leibler divergences of the model in each of `formats` from the checkpoint, in nats a position.
    ///
    /// Each of the models is in memory, but what they share only once.
    ///
    /// # Errors
    /// The activations of either text are not finite.
    pub fn divergences(&self, formats: &[&Formats]) -> Result<Vec<f64>, QuantizeError> {
        let models = quantize_all(self.checkpoint, formats, Some(&self.rounding), |_, _| ())?;
        models.iter().map(|model| self.divergence(model)).collect()
    }

    fn divergence(&self, model: &QuantizedModel<'_>) -> Result<f64, QuantizeError> {
        let rounded = Reference::of(self.checkpoint, |slot| model.stored(slot));
        let others = hidden(&rounded, &self.measuring);
        let pairs: Vec<_> = self.hidden.iter().zip(&others).collect();
        let sums: Vec<Option<f64>> =
            pairs.into_par_iter().map(|(exact, other)| self.of_window(&rounded, exact, other)).collect();
        let sum: Option<f64> = sums.into_iter().sum();
        let slot = if self.checkpoint.is_tied() { Slot::Wte } else { Slot::LmHead };
        Ok(sum.ok_or(QuantizeError::NotFinite { slot })? / self.measuring.n_tokens() as f64)
    }

    /// The sum over one window's positions.
    fn of_window(&self, rounded: &Reference<'_>, exact: &[f32], other: &[f32]) -> Option<f64> {
        let n_vocab = self.reference.architecture().n_vocab as usize;
        let n = exact.len() / self.reference.architecture().n_embd as usize;
        let logits = |reference: &Reference<'_>, hidden: &[f32]| {
            let mut logits = vec![0.0; n * n_vocab];
            reference.head_rows(hidden, 0, &mut logits);
            logits
        };
        let (exact, other) = (logits(&self.reference, exact), logits(rounded, other));
        let rows = exact.chunks(n_vocab).zip(other.chunks(n_vocab));
        let kl = |(exact, other)| {
            let mut divergence = Divergence::new(0);
            divergence.push(0, exact, other);
            divergence.finish().map(|difference| difference.kl)
        };
        rows.map(kl).sum()
    }
}

fn hidden(reference: &Reference<'_>, windows: &Windows) -> Vec<Vec<f32>> {
    let windows: Vec<&[TokenId]> = windows.iter().collect();
    windows.par_iter().map(|window| reference.hidden(window).expect("windows fit the model")).collect()
}
