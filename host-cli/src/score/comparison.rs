//! What each way of storing a checkpoint costs: a blob for each in a temporary folder, and one cross-check over them all.

use std::path::{Path, PathBuf};

use emberlm_core::blob::Slot;
use emberlm_core::config::Activations;
use emberlm_core::kv_cache::KvType;

use super::crosscheck::{Candidate, Summary, crosscheck};
use super::error::EvaluateError;
use super::jobs::Job;
use crate::checkpoint::Checkpoint;
use crate::convert::calibrate::Windows;
use crate::convert::formats::{Choice, Formats};
use crate::convert::quantize::quantize_all;
use crate::convert::quantized::QuantizedModel;
use crate::convert::{Beside, ConvertError, write};
use crate::engine::{Blob, BlobError};
use crate::ground::files::output::is_blob;
use crate::ground::files::temporary::TemporaryFolder;
use crate::ground::files::{Output, OutputError, Permit};
use crate::ground::shown;
use crate::reference::Reference;
use crate::text::tokenizer::SectionParts;

/// What is to be compared: every combination of these.
#[derive(Clone, Debug, PartialEq)]
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
    /// Length of the blob.
    pub bytes: u64,
    /// How it compares with the checkpoint.
    pub summary: Summary,
}

/// Why nothing is compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComparisonError {
    /// A blob cannot be made.
    #[error("{}: {source}", shown::path(path))]
    Convert {
        /// The blob's file, or the folder of all.
        path: PathBuf,
        /// Why.
        source: ConvertError,
    },
    /// A blob may not be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A blob that was made does not open.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// A blob, and what it was made with.
#[derive(Debug)]
struct Made {
    weights: Choice,
    activations: Activations,
    bits_per_weight: f64,
    blob: Blob,
}

/// Blobs of one checkpoint in a temporary folder.
#[derive(Debug)]
pub struct Blobs {
    made: Vec<Made>,
    kv_types: Vec<KvType>,
    // Goes after the blobs that are mapped from it.
    _folder: TemporaryFolder,
}

impl Blobs {
    /// A blob that holds `tokenizer` for every combination of `choices`, whose weights come to `formats`, rounded by what
    /// `windows` of text make of them; the weights vary slowest, the KV cache fastest. `progress` is told of each matrix that
    /// is rounded, and to whose formats.
    ///
    /// # Errors
    /// A blob cannot be made.
    pub fn make(
        checkpoint: &Checkpoint,
        choices: &Choices,
        formats: &[Formats],
        windows: Option<&Windows>,
        tokenizer: Option<&SectionParts>,
        mut progress: impl FnMut(Choice, Slot),
    ) -> Result<Self, ComparisonError> {
        let failed = |source: ConvertError| ComparisonError::Convert { path: std::env::temp_dir(), source };
        let folder = TemporaryFolder::new().map_err(|error| failed(error.into()))?;
        let mut made = Vec::new();
        let all: Vec<&Formats> = formats.iter().collect();
        let models = quantize_all(checkpoint, &all, windows, |choice, slot| progress(choices.weights[choice], slot));
        for (&weights, model) in choices.weights.iter().zip(models.map_err(|error| failed(error.into()))?) {
            for &activations in &choices.activations {
                made.push(make(&model, weights, activations, tokenizer, folder.path())?);
            }
        }
        Ok(Self { made, kv_types: choices.kv_types.clone(), _folder: folder })
    }

    /// How many combinations there are.
    pub fn n_combinations(&self) -> usize {
        self.made.len() * self.kv_types.len()
    }

    /// Scores `jobs` with the checkpoint's reference and with every combination. `progress` hears of targets that are
    /// scored, from any thread.
    ///
    /// # Errors
    /// A window has no loss.
    pub fn compare(
        &self,
        reference: &Reference<'_>,
        jobs: &[Job<'_>],
        threads: Option<usize>,
        progress: &(impl Fn(u64) + Sync),
    ) -> Result<Vec<Cost>, EvaluateError> {
        let with_caches = |made| self.kv_types.iter().map(move |&kv_type| (made, kv_type));
        let combinations: Vec<(&Made, KvType)> = self.made.iter().flat_map(with_caches).collect();
        let candidates: Vec<_> =
            combinations.iter().map(|&(made, kv_type)| Candidate { blob: &made.blob, kv_type }).collect();
        let summaries = crosscheck(reference, &candidates, jobs, threads, progress)?;
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
}

fn make(
    model: &QuantizedModel<'_>,
    weights: Choice,
    activations: Activations,
    tokenizer: Option<&SectionParts>,
    folder: &Path,
) -> Result<Made, ComparisonError> {
    let path = folder.join(format!("{weights}-{}.blob", activations.name()).replace(':', "-"));
    let output = Output::begin(&path, &Permit::default(), is_blob)?;
    let beside = Beside { tokenizer: tokenizer.cloned(), ..Beside::nothing(activations) };
    let written = write(model, &beside, output);
    let conversion = written.map_err(|source| ComparisonError::Convert { path: path.clone(), source })?;
    Ok(Made { weights, activations, bits_per_weight: conversion.bits_per_weight(), blob: Blob::open(&path)? })
}
