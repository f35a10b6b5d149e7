//! What each way of storing a checkpoint costs: a blob for each in a temporary folder, and one cross-check over them all.

use std::path::Path;

use emberlm_core::blob::Slot;
use emberlm_core::config::{Activations, Config};
use emberlm_core::kv_cache::KvType;

use crate::checkpoint::Checkpoint;
use crate::console::{Console, Progress};
use crate::convert::calibrate::Windows;
use crate::convert::formats::{Choice, Formats};
use crate::convert::quantized::{QuantizedModel, quantize};
use crate::convert::{ConvertError, write};
use crate::crosscheck::{Candidate, Summary, crosscheck};
use crate::error::Error;
use crate::files::output::is_blob;
use crate::files::temporary::TemporaryFolder;
use crate::files::{Output, Permit};
use crate::jobs::Job;
use crate::model_file::Blob;
use crate::reference::Reference;
use crate::tokenizer::{SectionParts, section};
use crate::weights::Finder;

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

/// A blob, and what it was made with.
struct Made {
    weights: Choice,
    activations: Activations,
    bits_per_weight: f64,
    blob: Blob,
}

/// Scores `jobs` with the checkpoint's reference and with every combination of `choices`, the weights rounded by what
/// `windows` of text make of them, in blobs that hold `tokenizer`; the weights vary slowest, the KV cache fastest.
///
/// # Errors
/// A blob cannot be made, or a window has no loss.
pub fn compare(
    checkpoint: &Checkpoint,
    choices: &Choices,
    windows: Option<&Windows>,
    tokenizer: Option<&SectionParts>,
    jobs: &[Job<'_>],
    threads: Option<usize>,
    console: Console,
) -> Result<Vec<Cost>, Error> {
    let failed = |source: ConvertError| Error::Convert { path: std::env::temp_dir(), source };
    let folder = TemporaryFolder::new().map_err(|error| failed(error.into()))?;
    let tokenizer_bytes = tokenizer.map_or(0, |parts| section::encode(parts).len());
    let mut finder = Finder::new(checkpoint, windows, tokenizer_bytes, console);
    let formats = choices.weights.iter().map(|&weights| finder.find(weights)).collect::<Result<Vec<_>, _>>()?;
    let bar = console.progress(n_weights(checkpoint) * choices.weights.len() as u64, "rounding");
    let mut made = Vec::new();
    for (&weights, formats) in choices.weights.iter().zip(formats) {
        let model = round(checkpoint, weights, &formats, windows, &bar).map_err(failed)?;
        for &activations in &choices.activations {
            made.push(make(&model, weights, activations, tokenizer, folder.path())?);
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

fn round<'c>(
    checkpoint: &'c Checkpoint,
    weights: Choice,
    formats: &Formats,
    windows: Option<&Windows>,
    bar: &Progress,
) -> Result<QuantizedModel<'c>, ConvertError> {
    let config = checkpoint.config();
    let name = weights.to_string();
    bar.name(format!("{name}: rounding"));
    let done = |slot: Slot| {
        bar.name(format!("{name}: rounded {slot}"));
        bar.advance(n_weights_of(slot, config));
    };
    Ok(quantize(checkpoint, formats, windows, done)?)
}

fn make(
    model: &QuantizedModel<'_>,
    weights: Choice,
    activations: Activations,
    tokenizer: Option<&SectionParts>,
    folder: &Path,
) -> Result<Made, Error> {
    let path = folder.join(format!("{weights}-{}.blob", activations.name()).replace(':', "-"));
    let output = Output::begin(&path, &Permit::default(), is_blob)?;
    let written = write(model, activations, tokenizer, output);
    let conversion = written.map_err(|source| Error::of_convert(&path, source))?;
    Ok(Made { weights, activations, bits_per_weight: conversion.bits_per_weight(), blob: Blob::open(&path)? })
}

/// Weights of all matrices.
fn n_weights(checkpoint: &Checkpoint) -> u64 {
    let config = checkpoint.config();
    let matrices = Slot::all(config).filter(|&slot| slot.is_matrix() && checkpoint.has(slot));
    matrices.map(|slot| n_weights_of(slot, config)).sum()
}

fn n_weights_of(slot: Slot, config: &Config) -> u64 {
    let (rows, cols) = slot.shape(config);
    u64::from(rows) * u64::from(cols)
}
