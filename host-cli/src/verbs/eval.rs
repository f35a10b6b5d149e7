//! `emberlm eval`: the loss of a model on a text.

use std::path::PathBuf;

use clap::Args;
use emberlm_core::kv_cache::KvType;

use super::console::Console;
use super::error::{self, Error};
use super::options::kv::RawKv;
use super::options::model::{ModelFile, RawCheckpoint};
use super::options::task::RawTask;
use super::outcome::Outcome;
use crate::engine::Blob;
use crate::ground::peak;
use crate::reference::Reference;
use crate::report::{Canonical, LossReport};
use crate::score::Job;
use crate::score::evaluate::{score_blob, score_reference};

/// The words after `eval`.
#[derive(Args, Debug)]
pub struct RawArgs {
    /// A blob, or a checkpoint: a folder, a .safetensors file, an index of shards, or a file of llama2.c
    model: PathBuf,
    #[command(flatten)]
    task: RawTask,
    #[command(flatten)]
    checkpoint: RawCheckpoint,
    #[command(flatten)]
    kv: RawKv,
    /// Threads that score a blob's windows [default: as many as processors and memory allow]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

/// Runs the verb.
///
/// # Errors
/// Model, tokenizer or input cannot be had, or there is no loss.
pub fn run(args: RawArgs, console: Console) -> Result<Outcome, Error> {
    let model = ModelFile::open(&args.model, &args.checkpoint, console)?;
    if let (ModelFile::Checkpoint(_), Some(_)) = (&model, args.kv.named()) {
        let why = "--kv is for blobs: a checkpoint's float reference keeps no cache";
        return Err(Error::Usage(why.into()));
    }
    if let (ModelFile::Checkpoint(_), Some(_)) = (&model, args.threads) {
        return Err(Error::Usage(
            "--threads is for blobs: a checkpoint's float reference takes every processor".into(),
        ));
    }
    let limits = model.limits()?;
    let beside = matches!(model, ModelFile::Checkpoint(_)).then_some(args.model.as_path());
    let task = args.task.resolve(limits, beside, model.section()?, console)?;
    let jobs = task.jobs();
    console.detail(|| {
        format!("logits (windows, inputs, n_vocab): ({}, {}, {})", jobs.len(), Job::longest(&jobs), limits.n_vocab)
    });
    let bar = console.progress(Job::n_scored(&jobs), "scoring");
    let (score, canonical) = match &model {
        ModelFile::Blob(blob) => {
            let kv_type = args.kv.resolve();
            let score = score_blob(blob, kv_type, &jobs, args.threads.map(usize::from), &|n| bar.advance(n))?;
            (score, Some(canonical(blob, kv_type)?))
        }
        ModelFile::Checkpoint(checkpoint) => {
            (score_reference(&Reference::new(checkpoint), &jobs, &|n| bar.advance(n))?, None)
        }
    };
    drop(bar);
    let loss = LossReport::new(&score, &task, canonical);
    console.print(&loss)?;
    if let Some(bytes) = peak::resident_bytes() {
        console.detail(|| format!("peak memory: {:.1} MiB", bytes as f64 / f64::from(1 << 20)));
    }
    error::check(loss.error.as_ref())?;
    Ok(Outcome::Passed)
}

/// What a blob's arithmetic depends on.
pub(super) fn canonical(blob: &Blob, kv_type: KvType) -> Result<Canonical, Error> {
    let model = blob.model()?;
    Ok(Canonical {
        kv: kv_type.name(),
        activations: model.activations().name(),
        arithmetic: model.head().arithmetic,
        model_crc32: blob.crc32()?,
    })
}
