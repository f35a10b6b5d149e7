//! From what a user asks for to the formats of a checkpoint's matrices.

use crate::checkpoint::Checkpoint;
use crate::console::Console;
use crate::convert::auto::{Sensitivities, matrices};
use crate::convert::calibrate::Windows;
use crate::convert::formats::{Choice, Formats, Weights};
use crate::error::Error;

/// Finds formats; what that takes to measure is measured once.
#[derive(Debug)]
pub struct Finder<'f> {
    checkpoint: &'f Checkpoint,
    windows: Option<&'f Windows>,
    console: Console,
    sensitivities: Option<Sensitivities>,
}

/// Whether weights are rounded, by a calibration text where there is one.
///
/// # Errors
/// One matrix is given two formats.
pub fn have_integers(weights: Weights, checkpoint: &Checkpoint) -> Result<bool, Error> {
    match weights {
        Weights::Chosen(choice) => Ok(chosen(choice, checkpoint)?.has_integers()),
        Weights::Auto(_) => Ok(true),
    }
}

/// The formats that a user names.
fn chosen(choice: Choice, checkpoint: &Checkpoint) -> Result<Formats, Error> {
    let formats = choice.formats(checkpoint.config(), checkpoint.is_tied());
    formats.map_err(|conflict| Error::Usage(format!("{choice}: {conflict}")))
}

impl<'f> Finder<'f> {
    /// For `checkpoint`, calibrated on `windows`.
    pub const fn new(checkpoint: &'f Checkpoint, windows: Option<&'f Windows>, console: Console) -> Self {
        Self { checkpoint, windows, console, sensitivities: None }
    }

    /// The formats of a blob with a tokeniser section of so many bytes.
    ///
    /// # Errors
    /// One matrix is given two formats; a budget cannot be met, or there is no text to measure on.
    pub fn find(&mut self, weights: Weights, tokenizer_bytes: usize) -> Result<Formats, Error> {
        let budget = match weights {
            Weights::Chosen(choice) => return chosen(choice, self.checkpoint),
            Weights::Auto(budget) => budget,
        };
        let measured = match self.sensitivities.take() {
            Some(measured) => measured,
            None => self.measure()?,
        };
        let formats = measured.formats(self.checkpoint, budget, tokenizer_bytes);
        self.sensitivities = Some(measured);
        formats.map_err(|error| Error::Usage(error.to_string()))
    }

    fn measure(&self) -> Result<Sensitivities, Error> {
        let none = || Error::Usage("formats by budget are measured on a text: `--calibrate none` leaves none".into());
        let windows = self.windows.ok_or_else(none)?;
        let bar = self.console.progress(matrices(self.checkpoint).count() as u64, "measuring");
        let measured = Sensitivities::measure(self.checkpoint, windows, |slot| {
            bar.name(format!("measured {slot}"));
            bar.advance(1);
        });
        measured.map_err(|error| Error::Usage(error.to_string()))
    }
}
