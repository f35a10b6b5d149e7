//! From what a user asks for to the formats of a checkpoint's matrices.

use emberlm_core::format::Format;

use crate::checkpoint::Checkpoint;
use crate::console::Console;
use crate::convert::auto::{Sensitivities, parts};
use crate::convert::calibrate::Windows;
use crate::convert::formats::{Choice, Formats, Settled, Weights};
use crate::convert::room::{FORMATS, Room};
use crate::convert::trial::Trial;
use crate::error::Error;

/// Finds formats; what that takes to measure is measured once.
#[derive(Debug)]
pub struct Finder<'f> {
    checkpoint: &'f Checkpoint,
    windows: Option<&'f Windows>,
    tokenizer_bytes: usize,
    console: Console,
    sensitivities: Option<Sensitivities<'f>>,
}

/// Whether weights are rounded, by a calibration text where there is one.
///
/// # Errors
/// One matrix is given two formats.
pub fn have_integers(choice: Choice, checkpoint: &Checkpoint) -> Result<bool, Error> {
    Ok(settled(choice, checkpoint)?.or(Format::Q8).has_integers())
}

fn settled(choice: Choice, checkpoint: &Checkpoint) -> Result<Settled, Error> {
    let settled = choice.settled(checkpoint.config(), checkpoint.is_tied());
    settled.map_err(|conflict| Error::Usage(format!("{choice}: {conflict}")))
}

impl<'f> Finder<'f> {
    /// For `checkpoint`, calibrated on `windows`, and blobs with a tokeniser section of so many bytes.
    pub const fn new(
        checkpoint: &'f Checkpoint,
        windows: Option<&'f Windows>,
        tokenizer_bytes: usize,
        console: Console,
    ) -> Self {
        Self { checkpoint, windows, tokenizer_bytes, console, sensitivities: None }
    }

    /// The formats of a blob.
    ///
    /// # Errors
    /// One matrix is given two formats; a budget cannot be met, or there is no text to measure on.
    pub fn find(&mut self, choice: Choice) -> Result<Formats, Error> {
        let settled = settled(choice, self.checkpoint)?;
        let budget = match choice.weights {
            Weights::Format(format) => return Ok(settled.or(format)),
            Weights::Auto(budget) => budget,
        };
        // A text is called for before a budget that is too small: both are said before anything is measured.
        let windows = self.windows.ok_or_else(no_text)?;
        let room = Room::new(self.checkpoint, &settled, budget, self.tokenizer_bytes);
        let room = room.map_err(|error| Error::Usage(error.to_string()))?;
        if room.fits(FORMATS[0]) {
            return Ok(settled.or(FORMATS[0]));
        }
        let measured = match self.sensitivities.take() {
            Some(measured) => measured,
            None => self.measure(windows)?,
        };
        let formats = measured.formats(&room);
        self.sensitivities = Some(measured);
        formats.map_err(|error| Error::Usage(error.to_string()))
    }

    fn measure(&self, windows: &Windows) -> Result<Sensitivities<'f>, Error> {
        let parts = parts(self.checkpoint).len() as u64;
        let bar = self.console.progress(parts, "measuring");
        let trial = Trial::of_text(self.checkpoint, windows);
        let measured = Sensitivities::measure(trial, |part| {
            bar.name(format!("measured {}", part[0]));
            bar.advance(1);
        });
        measured.map_err(|error| Error::Usage(error.to_string()))
    }
}

fn no_text() -> Error {
    Error::Usage("formats by budget are measured on a text: `--calibrate none` leaves none".into())
}
