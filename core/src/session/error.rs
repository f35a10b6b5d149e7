//! Why a session cannot be made, and a pass cannot or went no further.

use crate::config::{KvType, TokenId};
use crate::error::Buffer;
use crate::source::ReadError;
use core::fmt;

/// Why memory is of no use to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum MemoryError {
    /// It was shared out for a model of another shape.
    OtherModel(Buffer),
    /// A KV cache of a type that this build leaves out, see [`features`](crate::features).
    LeftOut(KvType),
    /// More positions go through a layer together than the KV cache's rings have room for.
    KvBatch {
        /// [`Batch::batch`](crate::scratch::Batch::batch).
        need: usize,
        /// [`KvSize::batch`](crate::kv_cache::KvSize::batch).
        have: usize,
    },
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherModel(buffer) => write!(f, "the {} was shared out for a model of another shape", buffer.name()),
            Self::LeftOut(kv_type) => write!(f, "the kv cache is of {}, which this build leaves out", kv_type.name()),
            Self::KvBatch { need, have } => {
                write!(f, "the kv cache is for smaller batches: need {need} positions together, have {have}")
            }
        }
    }
}

impl core::error::Error for MemoryError {}

/// Why a pass cannot be made or went no further.
///
/// It has taken no position: [`Session::n_past`](super::Session::n_past) is as it was, keys and values of the positions before are untouched,
/// and the same tokens or others may follow, with or without a [`Session::reset`](super::Session::reset), to the bits that they always have.
/// Only where it has gone round the ring of a layer whose queries see a window, it has written over positions that others
/// see: every pass is then refused as [`ForwardError::Overwritten`] until a reset.
/// A forward pass that has begun takes the head's positions away, and only one that is done gives new ones. A walk over
/// the head changes nothing that is kept: after a failed one it can be walked again, into new sinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ForwardError {
    /// No tokens, or no sinks.
    Empty,
    /// More tokens than the scratch memory has residuals for.
    WindowTooLong {
        /// Tokens handed in.
        need: usize,
        /// [`Batch::window`](crate::scratch::Batch::window).
        have: usize,
    },
    /// The tokens reach beyond the last position of model or KV cache.
    ContextFull {
        /// Positions with them.
        need: usize,
        /// Positions there are.
        have: usize,
    },
    /// No such token.
    TokenOutOfRange {
        /// The id.
        token: TokenId,
        /// Ids there are.
        n_vocab: u32,
    },
    /// A KV cache of one layer cannot continue after an earlier call: [`Session::reset`](super::Session::reset) first.
    CacheNotKept,
    /// A pass that came to no end has written over positions that this one would see:
    /// [`Session::reset`](super::Session::reset) first.
    Overwritten,
    /// The head was asked for positions that the last forward call did not take.
    NotForwarded {
        /// One past the last position asked for.
        need: usize,
        /// Positions of the last forward call.
        have: usize,
    },
    /// More sinks than positions go through the head together.
    TooManySinks {
        /// Sinks handed in.
        need: usize,
        /// [`Batch::batch`](crate::scratch::Batch::batch).
        have: usize,
    },
    /// The medium failed in the middle of a pass.
    Read(ReadError),
}

impl From<ReadError> for ForwardError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl fmt::Display for ForwardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => f.write_str("nothing to do: no tokens or no sinks"),
            Self::WindowTooLong { need, have } => write!(f, "too many tokens at once: need {need}, have {have}"),
            Self::ContextFull { need, have } => write!(f, "the context is full: need {need} positions, have {have}"),
            Self::TokenOutOfRange { token, n_vocab } => write!(f, "token {token} is not below n_vocab {n_vocab}"),
            Self::CacheNotKept => f.write_str("a kv cache of one layer cannot continue an earlier call"),
            Self::Overwritten => f.write_str("an unfinished pass has written over positions that this one would see"),
            Self::NotForwarded { need, have } => {
                write!(f, "the last call took too few tokens: need {need}, have {have}")
            }
            Self::TooManySinks { need, have } => write!(f, "too many sinks at once: need {need}, have {have}"),
            Self::Read(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ForwardError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Read(error) => Some(error),
            _ => None,
        }
    }
}
