//! What can end a verb early.

use std::io;
use std::path::{Path, PathBuf};

use emberlm_core::generate::GenerateError;
use serde::Serialize;

use crate::checkpoint::CheckpointError;
use crate::convert::ConvertError;
use crate::convert::quantized::QuantizeError;
use crate::device::DeviceError;
use crate::engine::BlobError;
use crate::evaluate::NoLoss;
use crate::files::{FileError, OutputError};
use crate::init::InitError;
use crate::input::InputError;
use crate::memory::MemoryError;
use crate::shown;
use crate::tokenizer::TokenizerError;

/// An error as machines read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// A stable name for the kind of error.
    pub kind: String,
    /// One line for people.
    pub message: String,
}

impl Fault {
    /// An error of that kind.
    pub fn new(kind: &str, message: impl Into<String>) -> Self {
        Self { kind: kind.into(), message: message.into() }
    }
}

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
    /// A checkpoint is refused.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A file is refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file may not be written.
    #[error(transparent)]
    Target(#[from] OutputError),
    /// A blob is refused.
    #[error("{}: {}", shown::path(path), shown::message(source))]
    Blob {
        /// The blob's file.
        path: PathBuf,
        /// Why.
        source: BlobError,
    },
    /// No blob was written.
    #[error("{}: {}", shown::path(path), shown::message(source))]
    Convert {
        /// The blob's file.
        path: PathBuf,
        /// Why.
        source: ConvertError,
    },
    /// No checkpoint was written.
    #[error(transparent)]
    Init(#[from] InitError),
    /// A model, a text or an option asks for more memory than there is.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// A window has no loss.
    #[error(transparent)]
    NoLoss(#[from] NoLoss),
    /// No token follows.
    #[error("{}{}", .0, advice(.0))]
    Generate(#[from] GenerateError),
    /// A board has no score.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A report was printed that holds this in place of its number.
    #[error("{}", .0.message)]
    Reported(Fault),
    /// Standard output could not be written.
    #[error("cannot write the output: {0}")]
    Output(#[source] io::Error),
}

/// What to do about it, for people who run the command.
const fn advice(error: &GenerateError) -> &'static str {
    match error {
        GenerateError::PromptTooLong { .. } => "; --when-full slide goes on with its last tokens",
        _ => "",
    }
}

impl Error {
    /// Why the blob at `path` was not written.
    pub fn of_convert(path: &Path, source: ConvertError) -> Self {
        match source {
            ConvertError::Output(error) => Self::Target(error),
            source => Self::Convert { path: path.to_owned(), source },
        }
    }

    /// Why the blob at `path` is refused.
    pub fn of_blob(path: &Path, source: BlobError) -> Self {
        match source {
            BlobError::File(error) => Self::File(error),
            source => Self::Blob { path: path.to_owned(), source },
        }
    }

    /// A stable name for the kind of error, the `kind` of JSON's `error`.
    pub fn kind(&self) -> &str {
        match self {
            Self::Usage(_) => "usage",
            Self::Tokenizer(error) => error.kind(),
            Self::Input(error) => error.kind(),
            Self::Checkpoint(error) => error.kind(),
            Self::File(error) => error.kind(),
            Self::Target(error) => error.kind(),
            Self::Convert { source: ConvertError::Io(_), .. } => "io",
            Self::Memory(_)
            | Self::Convert {
                source: ConvertError::Memory(_) | ConvertError::Quantize(QuantizeError::Memory(_)),
                ..
            } => "memory",
            Self::Convert { .. } => "convert",
            Self::Init(InitError::Config(error)) => error.kind(),
            Self::Init(InitError::Io { .. }) => "io",
            Self::Init(InitError::Output(error)) => error.kind(),
            Self::Init(_) => "init",
            Self::Blob { .. } => "blob",
            Self::Reported(fault) => &fault.kind,
            Self::NoLoss(_) => "no_loss",
            Self::Generate(_) => "generate",
            Self::Device(error) => error.kind(),
            Self::Output(_) => "output",
        }
    }

    /// Whether this is the outcome of a check, exit code 1: a board that ran and failed.
    pub fn is_failed_check(&self) -> bool {
        matches!(self, Self::Device(error) if error.is_failed_run())
    }

    /// Whether the reader of standard output went away, as `head` does: no error at all.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
