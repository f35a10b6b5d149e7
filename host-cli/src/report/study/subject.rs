//! What a study is of: what was scored, and what was found out about each blob.

use std::path::Path;

use emberlm_core::blob::PrunedVocabulary;

use crate::convert::unpack::TensorError;
use crate::engine::Blob;
use crate::report::loss::Canonical;
use crate::report::spelling::Spelling;
use crate::score::crosscheck::Scored;
use crate::score::stages::Stages;
use crate::score::{Job, Task};

/// What was scored, and by which models.
#[derive(Clone, Copy)]
pub struct Subject<'s> {
    /// The checkpoint's path.
    pub checkpoint: &'s Path,
    /// What it computes, in words.
    pub architecture: &'s str,
    /// What was scored, and how.
    pub task: &'s Task,
    /// Its windows.
    pub jobs: &'s [Job<'s>],
    /// What tokens spell.
    pub spelling: Spelling<'s>,
    /// How the blobs' keys and values were stored.
    pub kv: &'static str,
    /// What the blobs' vocabulary was cut from.
    pub pruned: Option<PrunedVocabulary>,
    /// Tokens of the text that are shown one by one.
    pub passage: usize,
}

/// What was found out about one blob.
#[derive(Clone, Debug)]
pub struct Findings<'s> {
    /// The blob.
    pub blob: &'s Blob,
    /// What its arithmetic depends on.
    pub canonical: Canonical,
    /// Its targets, in scored order.
    pub scored: Vec<Scored>,
    /// What the weights of its parts cost.
    pub stages: Option<Stages>,
    /// Its tensors beside the checkpoint's.
    pub tensors: Vec<TensorError>,
}
