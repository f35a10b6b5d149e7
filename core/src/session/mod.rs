//! A session: a model, a kernel, a KV cache and scratch memory, through which tokens pass. The only module that sees
//! them all.
//!
//! [`Session::forward`] takes tokens to hidden states, [`Session::head`] hidden states to logits, pushed into sinks and
//! forgotten. Both loop over bounded steps, which a caller with other work can take itself. No bit depends on the step
//! size, on how tokens are grouped into calls and batches, on the source or on the kernel.

mod forward;
mod head;
mod product;
mod weights;

pub use forward::{Forward, Stage};
pub use head::Head;

use crate::blob::slot::Slot;
use crate::blob::{OpenError, SelfTest};
use crate::config::{Config, TokenId};
use crate::error::{Buffer, MemoryError};
use crate::kernel::Kernel;
use crate::kv_cache::{KvCache, KvType};
use crate::model::Model;
use crate::ops::layer_norm;
use crate::ops::vector::Update;
use crate::part::{self, part, part_mut, rows_mut};
use crate::scratch::{Batch, Scratch};
use crate::sink::LogitSink;
use crate::source::{ReadError, Source};
use core::fmt;

/// Whether work is left after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Progress {
    /// Call again.
    More,
    /// The pass is complete.
    Done,
}

/// Why a pass cannot be made or went no further.
///
/// It has taken no position: [`Session::n_past`] is as it was, keys and values of the positions before are untouched,
/// and the same tokens or others may follow, with or without a [`Session::reset`], to the bits that they always have.
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
        /// [`Batch::window`].
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
    /// A KV cache of one layer cannot continue after an earlier call: [`Session::reset`] first.
    CacheNotKept,
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
        /// [`Batch::batch`].
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

/// A model at work.
#[derive(Debug)]
pub struct Session<'b, S, K> {
    model: Model<S>,
    kernel: K,
    kv: KvCache<'b>,
    scratch: Scratch<'b>,
    n_past: usize,
    /// Positions whose residuals the scratch memory holds: those of the last forward pass.
    n_window: usize,
}

impl<'b, S: Source, K: Kernel> Session<'b, S, K> {
    /// Brings the parts together.
    ///
    /// # Errors
    /// The KV cache or the scratch memory was shared out for a model of another shape, or the KV cache is of a type that
    /// this build leaves out.
    pub fn new(model: Model<S>, kernel: K, kv: KvCache<'b>, scratch: Scratch<'b>) -> Result<Self, MemoryError> {
        if !kv.fits(model.config()) {
            return Err(MemoryError::OtherModel(Buffer::KvCache));
        }
        if !scratch.fits(model.config()) {
            return Err(MemoryError::OtherModel(Buffer::ScratchFloats));
        }
        if !kv.kv_type().is_built() {
            return Err(MemoryError::LeftOut(kv.kv_type()));
        }
        Ok(Self { model, kernel, kv, scratch, n_past: 0, n_window: 0 })
    }

    /// The model's shape.
    pub const fn config(&self) -> &Config {
        self.model.config()
    }

    /// The model. It cannot be exchanged for another, which cache and scratch memory might not fit:
    ///
    /// ```compile_fail
    /// # use emberlm_core::{kernel::Portable, model::Model, session::Session, source::Mapped};
    /// fn exchange<'m>(session: &mut Session<'_, Mapped<'m>, Portable>, other: &mut Model<Mapped<'m>>) {
    ///     core::mem::swap(session.model(), other);
    /// }
    /// ```
    pub const fn model(&self) -> &Model<S> {
        &self.model
    }

    /// [`Model::crc32`], between passes.
    ///
    /// # Errors
    /// The medium failed.
    pub fn model_crc32(&mut self) -> Result<u32, ReadError> {
        self.model.crc32()
    }

    /// [`Model::verify_sections`], between passes.
    ///
    /// # Errors
    /// [`OpenError::Checksum`], or the medium failed.
    pub fn verify_sections(&mut self) -> Result<(), OpenError> {
        self.model.verify_sections()
    }

    /// [`Model::self_test`], between passes.
    ///
    /// # Errors
    /// The medium failed.
    pub fn self_test(&mut self) -> Result<SelfTest, OpenError> {
        self.model.self_test()
    }

    /// Positions taken since the last reset.
    pub const fn n_past(&self) -> usize {
        self.n_past
    }

    /// How many positions a call takes at most.
    pub const fn batch(&self) -> Batch {
        self.scratch.size
    }

    /// Positions that fit in all: the lesser of the model's and the KV cache's `n_ctx`.
    pub fn n_ctx(&self) -> usize {
        self.kv.n_ctx().min(self.config().n_ctx as usize)
    }

    /// How the KV cache stores keys and values.
    pub const fn kv_type(&self) -> KvType {
        self.kv.kv_type()
    }

    /// The most inputs that one window can have: [`Session::n_ctx`], or less where the KV cache does not keep layers.
    pub fn longest_window(&self) -> usize {
        if self.kv.keeps_layers() { self.n_ctx() } else { self.n_ctx().min(self.scratch.window()) }
    }

    /// Forgets every position.
    pub const fn reset(&mut self) {
        self.n_past = 0;
        self.n_window = 0;
    }

    /// Takes `tokens`, 1 to [`Batch::window`] of them, after those already taken: layer by layer, in batches.
    ///
    /// # Errors
    /// See [`ForwardError`].
    pub fn forward(&mut self, tokens: &[TokenId]) -> Result<(), ForwardError> {
        let mut pass = self.begin_forward(tokens)?;
        while pass.step(usize::MAX)? == Progress::More {}
        Ok(())
    }

    /// As [`Session::forward`], to be taken step by step.
    ///
    /// # Errors
    /// See [`ForwardError`].
    pub fn begin_forward<'p>(&'p mut self, tokens: &'p [TokenId]) -> Result<Forward<'p, 'b, S, K>, ForwardError> {
        let (need, have) = (self.n_past.saturating_add(tokens.len()), self.n_ctx());
        if tokens.is_empty() {
            return Err(ForwardError::Empty);
        }
        if tokens.len() > self.scratch.window() {
            return Err(ForwardError::WindowTooLong { need: tokens.len(), have: self.scratch.window() });
        }
        if need > have {
            return Err(ForwardError::ContextFull { need, have });
        }
        if self.n_past > 0 && !self.kv.keeps_layers() {
            return Err(ForwardError::CacheNotKept);
        }
        let n_vocab = self.config().n_vocab;
        if let Some(&token) = tokens.iter().find(|&&token| token >= n_vocab) {
            return Err(ForwardError::TokenOutOfRange { token, n_vocab });
        }
        self.n_window = 0;
        Ok(Forward::new(self, tokens))
    }

    /// Walks the output head once for positions `first`, `first + 1`, … of the last forward call, one for each sink, at
    /// most [`Batch::batch`].
    ///
    /// # Errors
    /// See [`ForwardError`].
    pub fn head(&mut self, first: usize, sinks: &mut [impl LogitSink]) -> Result<(), ForwardError> {
        let mut pass = self.begin_head(first, sinks)?;
        while pass.step(usize::MAX)? == Progress::More {}
        Ok(())
    }

    /// As [`Session::head`], to be taken step by step.
    ///
    /// # Errors
    /// See [`ForwardError`].
    pub fn begin_head<'p, L: LogitSink>(
        &'p mut self,
        first: usize,
        sinks: &'p mut [L],
    ) -> Result<Head<'p, 'b, S, K, L>, ForwardError> {
        let (need, have) = (first.saturating_add(sinks.len()), self.n_window);
        if sinks.is_empty() {
            return Err(ForwardError::Empty);
        }
        if sinks.len() > self.scratch.batch() {
            return Err(ForwardError::TooManySinks { need: sinks.len(), have: self.scratch.batch() });
        }
        if need > have {
            return Err(ForwardError::NotForwarded { need, have });
        }
        Ok(Head::new(self, first, sinks))
    }

    /// Replaces `normed` by the layer norm of residuals `first .. first + n`.
    fn normalize(&mut self, first: usize, n: usize, weight: Slot, bias: Slot) -> Result<(), ReadError> {
        let n_embd = self.scratch.n_embd;
        let epsilon = self.model.config().layer_norm_epsilon;
        let normed = part_mut(self.scratch.normed, ..n * n_embd);
        let residual = part(self.scratch.residual, first * n_embd..);
        for (normed, residual) in rows_mut(normed, n_embd).zip(part::rows(residual, n_embd)) {
            layer_norm::normalize(&self.kernel, normed, residual, epsilon);
        }
        let weight = self.model.required(weight)?;
        weights::read_vector(self.model.source(), &weight, 0..n_embd, |range, weights| {
            for normed in rows_mut(normed, n_embd) {
                weights.update(&self.kernel, part_mut(normed, range.clone()), Update::Scale);
            }
        })?;
        if let Some(bias) = self.model.tensor(bias)? {
            weights::read_vector(self.model.source(), &bias, 0..n_embd, |range, bias| {
                for normed in rows_mut(normed, n_embd) {
                    bias.update(&self.kernel, part_mut(normed, range.clone()), Update::Add);
                }
            })?;
        }
        Ok(())
    }
}
