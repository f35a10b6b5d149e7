//! Why a program did not come to its end.

use core::fmt;

use emberlm_core::blob::OpenError;
use emberlm_core::error::BufferTooSmall;
#[cfg(feature = "heap")]
use emberlm_core::kernel::conformance::Mismatch;
use emberlm_core::score::{ScoreError, SelfTestOutcome};
use emberlm_core::session::MemoryError;
use emberlm_core::source::SourceError;
use emberlm_core::tokenizer::TokenizerError;
use emberlm_request::RequestError;

/// Why a program did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProgramError {
    /// The model's memory cannot be read in place.
    Source(SourceError),
    /// There is no usable model.
    Open(OpenError),
    /// The model's tokeniser is of no use.
    Tokenizer(TokenizerError),
    /// The model has no tokeniser.
    NoTokenizer,
    /// There is no usable request.
    Request(RequestError),
    /// The request's context is longer than the model's.
    Context {
        /// Positions that the request asks for.
        need: usize,
        /// Positions that the model knows.
        have: usize,
    },
    /// A static buffer is too small for this model and context.
    Buffer(BufferTooSmall),
    /// The buffer for a window's tokens is too small.
    Tokens {
        /// Ids of a window: its inputs and the last target.
        need: usize,
        /// Ids that fit.
        have: usize,
    },
    /// The heap is too small for this model and context.
    Heap {
        /// Bytes that the run takes.
        need: usize,
        /// Bytes that are free.
        have: usize,
    },
    /// Buffers are of no use to the model.
    Memory(MemoryError),
    /// The self-test did not pass, or the blob has none for this KV cache.
    SelfTest(SelfTestOutcome),
    /// The self-test could not be run.
    SelfTestScore(ScoreError),
    /// A window could not be scored.
    Score {
        /// The row, from 0.
        row: usize,
        /// The window's first token, counted from the row's.
        start: usize,
        /// Why.
        error: ScoreError,
    },
    /// The board's kernel does not compute the portable kernel's bits.
    #[cfg(feature = "heap")]
    Kernel(Mismatch),
    /// The board's kernel wrote where it was handed nothing.
    KernelWroteElsewhere,
    /// The board's kernel read where it was handed nothing.
    KernelReadElsewhere,
    /// Static buffers and buffers from the heap gave different bits.
    Unequal {
        /// The sum of nlls, in bits, with static buffers.
        fixed: u64,
        /// And with buffers from the heap.
        heap: u64,
    },
    /// Two ways to score the same tokens gave different bits.
    Bits {
        /// The sum of nlls, in bits, of the plain way.
        need: u64,
        /// And of the other.
        have: u64,
    },
    /// The console does not take what is printed.
    Console,
}

impl From<SourceError> for ProgramError {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<OpenError> for ProgramError {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

#[cfg(feature = "heap")]
impl From<Mismatch> for ProgramError {
    fn from(mismatch: Mismatch) -> Self {
        Self::Kernel(mismatch)
    }
}

impl From<TokenizerError> for ProgramError {
    fn from(error: TokenizerError) -> Self {
        Self::Tokenizer(error)
    }
}

impl From<RequestError> for ProgramError {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<BufferTooSmall> for ProgramError {
    fn from(error: BufferTooSmall) -> Self {
        Self::Buffer(error)
    }
}

impl From<MemoryError> for ProgramError {
    fn from(error: MemoryError) -> Self {
        Self::Memory(error)
    }
}

impl From<fmt::Error> for ProgramError {
    fn from(_: fmt::Error) -> Self {
        Self::Console
    }
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Source(error) => write!(f, "model: {error}"),
            Self::Open(error) => write!(f, "model: {error}"),
            Self::Tokenizer(error) => write!(f, "model: {error}"),
            Self::NoTokenizer => f.write_str("the model has no tokeniser: text means nothing to it"),
            Self::Request(error) => error.fmt(f),
            Self::Context { need, have } => write!(f, "the model's context is too short: need {need}, have {have}"),
            Self::Buffer(error) => error.fmt(f),
            Self::Tokens { need, have } => write!(f, "token buffer too small: need {need} ids, have {have}"),
            Self::Heap { need, have } => write!(f, "heap too small: need {need} bytes, have {have}"),
            Self::Memory(error) => error.fmt(f),
            Self::SelfTest(outcome) => outcome.fmt(f),
            Self::SelfTestScore(error) => write!(f, "self-test: {error}"),
            Self::Score { row, start, error } => write!(f, "row {row}, window at token {start}: {error}"),
            #[cfg(feature = "heap")]
            Self::Kernel(mismatch) => mismatch.fmt(f),
            Self::KernelWroteElsewhere => f.write_str("the kernel wrote beyond its outputs"),
            Self::KernelReadElsewhere => f.write_str("the kernel read activations that are not there"),
            Self::Unequal { fixed, heap } => {
                write!(f, "nll bits differ: {fixed:016x} with static buffers, {heap:016x} with the heap's")
            }
            Self::Bits { need, have } => write!(f, "nll bits differ: need {need:016x}, have {have:016x}"),
            Self::Console => f.write_str("the console failed"),
        }
    }
}

impl core::error::Error for ProgramError {}
