//! `emberlm eval`: the loss of a model on a text.

use std::path::{Path, PathBuf};

use clap::Args;
use emberlm_core::kv_cache::KvType;

use super::console::Console;
use super::error::{self, Error};
use super::options::kernel::RawKernel;
use super::options::kv::RawKv;
use super::options::model::{ModelFile, RawCheckpoint};
use super::options::shard::RawShard;
use super::options::task::RawTask;
use super::outcome::Outcome;
use super::running::RunningLoss;
use crate::engine::Blob;
use crate::ground::{peak, shown};
use crate::reference::Reference;
use crate::report::{Canonical, Evaluation, LossReport, PartReport};
use crate::score::evaluate::{Pass, nlls_of_blob, nlls_of_reference, sum};
use crate::score::records::{self, Arithmetic, Header, Part};
use crate::score::{Job, Shard};

/// The words after `eval`.
#[derive(Args, Debug)]
pub struct RawArgs {
    /// A blob, or a checkpoint: a folder, a .safetensors file, what PyTorch saved, an index of shards, or a file of llama2.c
    model: PathBuf,
    #[command(flatten)]
    task: RawTask,
    #[command(flatten)]
    checkpoint: RawCheckpoint,
    #[command(flatten)]
    kv: RawKv,
    #[command(flatten)]
    shard: RawShard,
    /// Threads that score a blob's windows [default: as many as processors and memory allow]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    #[command(flatten)]
    kernel: RawKernel,
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
    if let (ModelFile::Checkpoint(_), Some(_)) = (&model, args.kernel.named()) {
        return Err(Error::Usage("--kernel is for blobs: a checkpoint's float reference has none".into()));
    }
    if let (ModelFile::Checkpoint(_), true) = (&model, args.shard.has_records()) {
        let why =
            "--records is for blobs: the losses of a checkpoint's float reference are not the same on every machine";
        return Err(Error::Usage(why.into()));
    }
    let output = args.shard.begin(args.task.inputs().with_file(&args.model))?;
    let limits = model.limits()?;
    let beside = matches!(model, ModelFile::Checkpoint(_)).then_some(args.model.as_path());
    let task = args.task.resolve(limits, beside, model.section()?, console)?;
    let (all, shard) = (task.jobs(), args.shard.shard());
    let jobs = &all[shard.windows(all.len())];
    console.detail(|| {
        format!("logits (windows, inputs, n_vocab): ({}, {}, {})", jobs.len(), Job::longest(jobs), limits.n_vocab)
    });
    let running = RunningLoss::new(jobs, console);
    let (nlls, canonical) = match &model {
        ModelFile::Blob(blob) => {
            let kv_type = args.kv.resolve();
            let pass = Pass { kernel: args.kernel.resolve(), kv_type, threads: args.threads.map(usize::from) };
            (nlls_of_blob(blob, pass, jobs, &|nlls| running.push(nlls))?, Some(canonical(blob, kv_type)?))
        }
        ModelFile::Checkpoint(checkpoint) => {
            (nlls_of_reference(&Reference::new(checkpoint), jobs, &|nlls| running.push(nlls))?, None)
        }
    };
    drop(running);
    let score = sum(&nlls);
    let mut loss = LossReport::of_task(&score, &task, canonical.clone());
    let mut part = None;
    if let (Some(output), Some(canonical), true) = (output, canonical, Job::n_scored(&all) > 0) {
        let header = Header::new(&task, shard, arithmetic(&canonical));
        note_records(&header, output.path(), console);
        records::write(output, &header, &nlls)?;
        if shard != Shard::WHOLE {
            loss =
                LossReport::new(&score, &task.windowing, header.run.tokens_skipped, header.part.bytes, Some(canonical));
            part = Some(PartReport::from(&header));
        }
    }
    let scores = task.scores_of_texts(jobs, &nlls);
    let evaluation = Evaluation::new(loss, task.input.files().iter().cloned(), &scores, part);
    console.print(&evaluation)?;
    if let Some(bytes) = peak::resident_bytes() {
        console.detail(|| format!("peak memory: {:.1} MiB", bytes as f64 / f64::from(1 << 20)));
    }
    error::check(evaluation.loss.error.as_ref())?;
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
        pruned: blob.pruned()?,
    })
}

/// Says where the losses are, and where there are none.
fn note_records(header: &Header, path: &Path, console: Console) {
    let (Part { shard, windows, tokens_scored, .. }, of) = (header.part, header.run.shards);
    let none = match windows {
        0 => format!(": shard {shard}/{of} has none of the {} windows", header.run.windows),
        _ => String::new(),
    };
    console.note(format!("records of {tokens_scored} losses go to {}{none}", shown::path(path)));
}

/// The same, as records have it.
fn arithmetic(canonical: &Canonical) -> Arithmetic<'_> {
    let &Canonical { kv, activations, arithmetic: version, ref model_crc32, pruned } = canonical;
    Arithmetic { model_crc32, version, activations, kv, pruned }
}
