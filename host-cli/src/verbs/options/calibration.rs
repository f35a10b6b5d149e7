//! What a model is calibrated on: the options that every verb which rounds weights shares.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::checkpoint::Checkpoint;
use crate::convert::calibrate::{OwnText, Windows};
use crate::ground::memory;
use crate::ground::shown;
use crate::reference::Reference;
use crate::text::input::{Row, Source};
use crate::text::tokenizer::Tokenizer;
use crate::verbs::console::Console;
use crate::verbs::error::Error;

/// The words that say what a model is calibrated on.
#[derive(Args, Clone, Debug)]
pub struct RawCalibration {
    /// Round weights by what a text makes of them: TEXT is a file, `own` is text that the model writes itself, `none`
    /// rounds each weight to the nearest [default: own]
    #[arg(long, value_name = "TEXT")]
    calibrate: Option<PathBuf>,
}

const OWN: &str = "own";
const NONE: &str = "none";

/// What a model is calibrated on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Calibration {
    /// Nothing: each weight goes to the nearest.
    None,
    /// Text that the model writes itself.
    OwnText,
    /// A text file.
    Text(PathBuf),
}

impl RawCalibration {
    /// The files that are read.
    pub fn files(&self) -> Vec<&Path> {
        match self.resolve() {
            Calibration::Text(_) => self.calibrate.as_deref().into_iter().collect(),
            Calibration::None | Calibration::OwnText => Vec::new(),
        }
    }

    /// What the words name.
    pub fn resolve(&self) -> Calibration {
        match &self.calibrate {
            None => Calibration::OwnText,
            Some(path) if path.as_os_str() == OWN => Calibration::OwnText,
            Some(path) if path.as_os_str() == NONE => Calibration::None,
            Some(path) => Calibration::Text(path.clone()),
        }
    }

    /// Whether the user said anything.
    pub const fn is_named(&self) -> bool {
        self.calibrate.is_some()
    }
}

impl Calibration {
    /// Reads the text, or has `checkpoint` write it. A text that says little is warned of.
    ///
    /// # Errors
    /// The text cannot be read, `tokenizer` cannot represent it, or is called for and fails.
    pub fn windows(
        &self,
        checkpoint: &Checkpoint,
        tokenizer: impl FnOnce() -> Result<Tokenizer, Error>,
        console: Console,
    ) -> Result<Option<Windows>, Error> {
        let architecture = checkpoint.architecture();
        let path = match self {
            Self::None => return Ok(None),
            Self::OwnText => {
                let text = OwnText::to_round_by(checkpoint.bos());
                let enough = memory::check("text of the model's own", Windows::own_bytes(architecture));
                enough.map_err(|error| error.or("; --calibrate none needs none"))?;
                let bar = console.progress(text.n_tokens(architecture) as u64, "writing a text");
                let advance = |tokens| bar.advance(tokens as u64);
                return Ok(Some(Windows::own_text(&Reference::new(checkpoint), &text, advance)));
            }
            Self::Text(path) => path,
        };
        let input =
            Source::Text(vec![path.clone()]).read(Some(&tokenizer()?), architecture.n_vocab, console.max_input)?;
        input.notes().iter().for_each(|note| console.note(note));
        let windows = Windows::of_rows(input.rows().iter().map(|Row { tokens, .. }| tokens.as_slice()), architecture);
        if let Some(enough) = windows.lacks(architecture) {
            console.note(format!(
                "warning: {} has {} tokens, which say little of matrices with {enough} inputs: {enough} or more would",
                shown::path(path),
                windows.n_tokens()
            ));
        }
        Ok(Some(windows))
    }
}
