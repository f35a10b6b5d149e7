//! What each way of storing a checkpoint costs: a blob for each in a temporary folder, and one cross-check over them all.

use std::path::Path;

use emberlm_core::blob::Slot;
use emberlm_core::config::{Activations, Config};
use emberlm_core::kv_cache::KvType;

use crate::checkpoint::Checkpoint;
use crate::console::{Console, Progress};
use crate::convert::formats::Choice;
use crate::convert::{self, convert};
use crate::crosscheck::{Candidate, Summary, crosscheck};
use crate::error::Error;
use crate::jobs::Job;
use crate::model_file::Blob;
use crate::reference::Reference;

/// What is to be compared: every combination of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    /// Formats of the weights.
    pub weights: Vec<Choice>,
    /// What matrix products round their inputs to.
    pub activations: Vec<Activations>,
    /// Types of the KV cache.
    pub kv_types: Vec<KvType>,
}

/// One combination, and what it costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// Formats of the weights.
    pub weights: Choice,
    /// What matrix products round their inputs to.
    pub activations: Activations,
    /// Type of the KV cache.
    pub kv_type: KvType,
    /// Stored bits a weight over all matrices and embeddings, scales and padding included.
    pub bits_per_weight: f64,
    /// Length of the blob without a tokenizer.
    pub bytes: u64,
    /// How it compares with the checkpoint.
    pub summary: Summary,
}

/// A blob, and what it was made with.
struct Made {
    weights: Choice,
    activations: Activations,
    bits_per_weight: f64,
    blob: Blob,
}

/// Scores `jobs` with the checkpoint's reference and with every combination of `choices`; the weights vary slowest, the
/// KV cache fastest.
///
/// # Errors
/// A blob cannot be made, or a window has no loss.
pub fn compare(
    checkpoint: &Checkpoint,
    choices: &Choices,
    jobs: &[Job<'_>],
    threads: Option<usize>,
    console: Console,
) -> Result<Vec<Cost>, Error> {
    let no_folder = |error: std::io::Error| Error::Convert { path: std::env::temp_dir(), source: error.into() };
    let folder = tempfile::tempdir().map_err(no_folder)?;
    let n_blobs = choices.weights.len() * choices.activations.len();
    let config = checkpoint.config();
    let n_weights: u64 =
        Slot::all(config).filter(|&slot| checkpoint.has(slot)).map(|slot| n_weights(slot, config)).sum();
    let bar = console.progress(n_weights * n_blobs as u64, "converting");
    let mut made = Vec::with_capacity(n_blobs);
    for &weights in &choices.weights {
        for &activations in &choices.activations {
            made.push(make(checkpoint, weights, activations, folder.path(), &bar)?);
        }
    }
    drop(bar);

    let with_caches = |made| choices.kv_types.iter().map(move |&kv_type| (made, kv_type));
    let combinations: Vec<(&Made, KvType)> = made.iter().flat_map(with_caches).collect();
    let candidates: Vec<_> =
        combinations.iter().map(|&(made, kv_type)| Candidate { blob: &made.blob, kv_type }).collect();
    let bar = console.progress(Job::n_scored(jobs) * candidates.len() as u64, "comparing");
    let summaries = crosscheck(&Reference::new(checkpoint), &candidates, jobs, threads, &bar)?;
    let cost = |((made, kv_type), summary): ((&Made, KvType), Summary)| Cost {
        weights: made.weights,
        activations: made.activations,
        kv_type,
        bits_per_weight: made.bits_per_weight,
        bytes: made.blob.file.bytes().len() as u64,
        summary,
    };
    Ok(combinations.into_iter().zip(summaries).map(cost).collect())
}

fn make(
    checkpoint: &Checkpoint,
    weights: Choice,
    activations: Activations,
    folder: &Path,
    bar: &Progress,
) -> Result<Made, Error> {
    let path = folder.join(format!("{}-{}.blob", weights.spelling(), activations.name()));
    let options = convert::Options { weights: weights.weights, activations, tokenizer: None };
    let advance = |slot: Slot| bar.advance(n_weights(slot, checkpoint.config()));
    let conversion = convert(checkpoint, &options, &path, advance)
        .map_err(|source| Error::Convert { path: path.clone(), source })?;
    Ok(Made { weights, activations, bits_per_weight: conversion.bits_per_weight(), blob: Blob::open(&path)? })
}

fn n_weights(slot: Slot, config: &Config) -> u64 {
    let (rows, cols) = slot.shape(config);
    u64::from(rows) * u64::from(cols)
}
