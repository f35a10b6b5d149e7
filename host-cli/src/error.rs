//! What can end a verb early.

use std::io;

use crate::input::InputError;
use crate::tokenizer::TokenizerError;

/// What ended a verb early: exit code 2, one line on stderr, or an object on stdout with `--json`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Options that contradict each other or lack something.
    #[error("{0}")]
    Usage(String),
    /// Text and tokenizer do not fit, or there is no tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The tokens to score cannot be had.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Standard output could not be written.
    #[error("cannot write the output: {0}")]
    Output(#[source] io::Error),
}

impl Error {
    /// A stable name for the kind of error, the `kind` of JSON's `error`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Usage(_) => "usage",
            Self::Tokenizer(error) => error.kind(),
            Self::Input(error) => error.kind(),
            Self::Output(_) => "output",
        }
    }

    /// Whether the reader of standard output went away, as `head` does: no error at all.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
