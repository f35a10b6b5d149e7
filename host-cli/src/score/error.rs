//! Why windows have no losses.

use emberlm_core::score::ScoreError;

use super::jobs::Job;
use crate::engine::BlobError;
use crate::ground::memory::MemoryError;
use crate::reference::ReferenceError;

/// A window that has no loss.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct NoLoss {
    /// Which window.
    pub place: String,
    /// What went wrong.
    pub why: String,
}

impl NoLoss {
    fn new(job: &Job<'_>, why: impl ToString) -> Self {
        Self { place: job.to_string(), why: why.to_string() }
    }

    /// Of the core.
    pub fn of_core(job: &Job<'_>, error: ScoreError) -> Self {
        Self::new(job, error)
    }

    /// Of the reference.
    pub fn of_reference(job: &Job<'_>, error: ReferenceError) -> Self {
        Self::new(job, error)
    }
}

/// Why windows are not scored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// A window has no loss.
    #[error(transparent)]
    NoLoss(#[from] NoLoss),
    /// A window needs more memory than there is.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// A blob is refused.
    #[error(transparent)]
    Blob(#[from] BlobError),
}
