//! From what a user asks for to the formats of a checkpoint's matrices.

use emberlm_core::blob::Slot;
use emberlm_core::format::Format;

use super::auto::Sensitivities;
use super::calibrate::Windows;
use super::formats::{Choice, Formats, Settled, TiedConflict, Weights};
use super::quantized::QuantizeError;
use super::room::{BudgetTooSmall, FORMATS, Room};
use super::trial::Trial;
use crate::checkpoint::Checkpoint;

/// Why a choice comes to no formats.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatsError {
    /// One matrix is given two formats.
    #[error("{choice}: {conflict}")]
    Conflict {
        /// What was chosen.
        choice: Choice,
        /// The formats.
        conflict: TiedConflict,
    },
    /// The budget cannot be met.
    #[error(transparent)]
    Budget(#[from] BudgetTooSmall),
    /// What formats cost cannot be measured.
    #[error(transparent)]
    Measure(#[from] QuantizeError),
    /// There is nothing to measure on.
    #[error("formats by budget are measured on a text: `--calibrate none` leaves none")]
    NoText,
}

/// Finds formats; what that takes to measure is measured once.
#[derive(Debug)]
pub struct Finder<'f> {
    checkpoint: &'f Checkpoint,
    windows: Option<&'f Windows>,
    tokenizer_bytes: usize,
    sensitivities: Option<Sensitivities<'f>>,
}

/// Whether weights are rounded, by a calibration text where there is one.
///
/// # Errors
/// One matrix is given two formats.
pub fn have_integers(choice: Choice, checkpoint: &Checkpoint) -> Result<bool, FormatsError> {
    Ok(settled(choice, checkpoint)?.or(Format::Q8).has_integers())
}

fn settled(choice: Choice, checkpoint: &Checkpoint) -> Result<Settled, FormatsError> {
    let settled = choice.settled(checkpoint.config(), checkpoint.is_tied());
    settled.map_err(|conflict| FormatsError::Conflict { choice, conflict })
}

impl<'f> Finder<'f> {
    /// For `checkpoint`, calibrated on `windows`, and blobs with a tokeniser section of so many bytes.
    pub const fn new(checkpoint: &'f Checkpoint, windows: Option<&'f Windows>, tokenizer_bytes: usize) -> Self {
        Self { checkpoint, windows, tokenizer_bytes, sensitivities: None }
    }

    /// The formats of a blob. Tells `measured` of each of the checkpoint's [`parts`](super::auto::parts) whose formats
    /// were tried out, where that is called for.
    ///
    /// # Errors
    /// One matrix is given two formats; a budget cannot be met, or there is no text to measure on.
    pub fn find(&mut self, choice: Choice, measured: impl FnMut(&[Slot])) -> Result<Formats, FormatsError> {
        let settled = settled(choice, self.checkpoint)?;
        let budget = match choice.weights {
            Weights::Format(format) => return Ok(settled.or(format)),
            Weights::Auto(budget) => budget,
        };
        // A text is called for before a budget that is too small: both are said before anything is measured.
        let windows = self.windows.ok_or(FormatsError::NoText)?;
        let room = Room::new(self.checkpoint, &settled, budget, self.tokenizer_bytes)?;
        if room.fits(FORMATS[0]) {
            return Ok(settled.or(FORMATS[0]));
        }
        let sensitivities = match self.sensitivities.take() {
            Some(sensitivities) => sensitivities,
            None => Sensitivities::measure(Trial::of_text(self.checkpoint, windows), measured)?,
        };
        Ok(self.sensitivities.insert(sensitivities).formats(&room)?)
    }
}
