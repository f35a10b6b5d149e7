//! What a session consists of.

use super::error::MemoryError;
use crate::blob::{LongSelfTest, OpenError, SelfTest, TextTokens};
use crate::config::{Config, KvType};
use crate::error::Buffer;
use crate::features::WINDOWS;
use crate::kernel::Kernel;
use crate::kv_cache::KvCache;
use crate::model::Model;
use crate::scratch::{Batch, Scratch};
use crate::source::{ReadError, Source};
use crate::team::{Solo, Team};

/// What an elementwise operation takes, in multiplications of a product.
pub(super) const ELEMENTWISE: usize = 16;

/// Whether work is left after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Progress {
    /// Call again.
    More,
    /// The pass is complete.
    Done,
}

/// A model at work.
#[derive(Debug)]
pub struct Session<'b, S, K, T = Solo> {
    pub(super) model: Model<S>,
    pub(super) kernel: K,
    pub(super) team: T,
    pub(super) kv: KvCache<'b>,
    pub(super) scratch: Scratch<'b>,
    pub(super) n_past: usize,
    /// Positions whose residuals the scratch memory holds: those of the last forward pass.
    pub(super) n_window: usize,
    /// Whether a pass that came to no end has written over positions that a window still sees.
    pub(super) overwritten: bool,
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
        if !kv.size().kv_type.is_built() {
            return Err(MemoryError::LeftOut(kv.size().kv_type));
        }
        let (need, have) = (scratch.batch(), kv.size().batch);
        if WINDOWS && model.config().windows.len != 0 && need > have {
            return Err(MemoryError::KvBatch { need, have });
        }
        Ok(Self { model, kernel, team: Solo, kv, scratch, n_past: 0, n_window: 0, overwritten: false })
    }
}

impl<'b, S, K, T> Session<'b, S, K, T> {
    /// The same session, its passes shared among `team`.
    pub fn with_team<U: Team>(self, team: U) -> Session<'b, S, K, U> {
        let Self { model, kernel, kv, scratch, n_past, n_window, overwritten, .. } = self;
        Session { model, kernel, team, kv, scratch, n_past, n_window, overwritten }
    }
}

impl<S: Source, K: Kernel, T: Team> Session<'_, S, K, T> {
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

    /// [`Model::long_self_test`], between passes.
    ///
    /// # Errors
    /// The medium failed.
    pub fn long_self_test(&mut self) -> Result<LongSelfTest, ReadError> {
        self.model.long_self_test()
    }

    /// [`Model::text_tokens`], between passes.
    ///
    /// # Errors
    /// The medium failed.
    pub fn text_tokens(&mut self) -> Result<TextTokens, ReadError> {
        self.model.text_tokens()
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
        self.kv.size().n_ctx.min(self.config().n_ctx as usize)
    }

    /// How the KV cache stores keys and values.
    pub const fn kv_type(&self) -> KvType {
        self.kv.size().kv_type
    }

    /// The most inputs that one window can have: [`Session::n_ctx`], or less where the KV cache does not keep layers.
    pub fn longest_window(&self) -> usize {
        if self.kv.keeps_layers() { self.n_ctx() } else { self.n_ctx().min(self.scratch.window()) }
    }

    /// Forgets every position.
    pub const fn reset(&mut self) {
        self.n_past = 0;
        self.n_window = 0;
        self.overwritten = false;
    }
}
