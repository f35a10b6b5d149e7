//! What can end a verb early.

use std::io;
use std::path::{Path, PathBuf};

use emberlm_core::generate::GenerateError;

use crate::checkpoint::CheckpointError;
use crate::checkpoint::init::InitError;
use crate::convert::ConvertError;
use crate::convert::finder::FormatsError;
use crate::convert::quantized::QuantizeError;
use crate::device::DeviceError;
use crate::engine::BlobError;
use crate::engine::bench::BenchError;
use crate::engine::generation::WriteError;
use crate::ground::files::{FileError, OutputError};
use crate::ground::memory::MemoryError;
use crate::ground::shown;
use crate::pack::PackError;
use crate::report::Fault;
use crate::score::comparison::ComparisonError;
use crate::score::records::RecordsError;
use crate::score::{EvaluateError, NoLoss};
use crate::text::input::InputError;
use crate::text::tokenizer::TokenizerError;

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
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The wanted formats are none.
    #[error(transparent)]
    Formats(#[from] FormatsError),
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
    /// Records are not taken, or not written.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// No token follows.
    #[error("{}{}", .0, advice(.0))]
    Generate(#[from] GenerateError),
    /// A file is not packed for a board.
    #[error(transparent)]
    Pack(#[from] PackError),
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

impl From<BenchError> for Error {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::Memory(error) => Self::Memory(error),
            BenchError::Blob(error) => Self::Blob(error),
            BenchError::Forward(error) => Self::Generate(error.into()),
            error @ BenchError::TooLong { .. } => Self::Usage(error.to_string()),
        }
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

    /// A stable name for the kind of error, the `kind` of JSON's `error`.
    pub fn kind(&self) -> &str {
        match self {
            Self::Usage(_) | Self::Formats(_) => "usage",
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
            Self::Blob(error) => error.kind(),
            Self::Reported(fault) => &fault.kind,
            Self::NoLoss(_) => "no_loss",
            Self::Records(error) => error.kind(),
            Self::Generate(_) => "generate",
            Self::Pack(error) => error.kind(),
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

impl From<WriteError> for Error {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Tokenizer(error) => error.into(),
            WriteError::Input(error) => error.into(),
            WriteError::Settings(error) => Self::Usage(error.to_string()),
            WriteError::Blob(error) => error.into(),
            WriteError::Memory(error) => error.into(),
            WriteError::Generate(error) => error.into(),
        }
    }
}

impl From<EvaluateError> for Error {
    fn from(error: EvaluateError) -> Self {
        match error {
            EvaluateError::NoLoss(error) => error.into(),
            EvaluateError::Memory(error) => error.into(),
            EvaluateError::Blob(error) => error.into(),
        }
    }
}

impl From<ComparisonError> for Error {
    fn from(error: ComparisonError) -> Self {
        match error {
            ComparisonError::Convert { path, source } => Self::of_convert(&path, source),
            ComparisonError::Output(error) => error.into(),
            ComparisonError::Blob(error) => error.into(),
        }
    }
}

/// How a verb ends whose report may lack its number.
///
/// # Errors
/// The fault, told to people on standard error; the report holds it for machines.
pub fn check(fault: Option<&Fault>) -> Result<(), Error> {
    fault.map_or(Ok(()), |fault| Err(Error::Reported(fault.clone())))
}
