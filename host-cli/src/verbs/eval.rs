//! `emberlm eval`: the loss of a model on a text.

use std::path::PathBuf;

use clap::Args;
use emberlm_core::kv_cache::KvType;

use crate::cli::Outcome;
use crate::console::Console;
use crate::convention::RawWindowing;
use crate::error::Error;
use crate::evaluate::{score_blob, score_reference};
use crate::input::RawInput;
use crate::jobs::Job;
use crate::model_file::{Blob, ModelFile, RawCheckpoint, find_tokenizer};
use crate::peak;
use crate::reference::Reference;
use crate::report::{self, Canonical, LossReport};
use crate::tokenizer::select::Search;

/// The words after `eval`.
#[derive(Args, Debug)]
pub struct RawArgs {
    /// A blob, or a checkpoint: a folder, a .safetensors file, or an index of shards
    model: PathBuf,
    #[command(flatten)]
    input: RawInput,
    /// `gpt2`, a tokenizer.json, vocab.json, chars.json, or a folder with one of them [default: the model's own]
    #[arg(long, value_name = "PATH")]
    tokenizer: Option<String>,
    #[command(flatten)]
    windowing: RawWindowing,
    #[command(flatten)]
    checkpoint: RawCheckpoint,
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
    let config = model.config()?;
    let windowing = args.windowing.resolve(config.n_ctx)?;
    let source = args.input.source();
    let search = Search {
        named: args.tokenizer.as_deref(),
        checkpoint: matches!(model, ModelFile::Checkpoint(_)).then_some(args.model.as_path()),
        section: model.section()?,
        n_vocab: Some(config.n_vocab),
    };
    let tokenizer = find_tokenizer(search, source.is_text(), console)?;
    let input = source.read(tokenizer.as_ref(), config.n_vocab)?;
    if !source.is_text() && !args.windowing.is_named() {
        input.check_one_window(windowing.n_ctx)?;
    }
    let bytes = tokenizer.and_then(|tokenizer| input.scored_bytes(&windowing, &tokenizer));
    let jobs = Job::all(&input, &windowing);
    console.detail(|| {
        format!("logits (windows, inputs, n_vocab): ({}, {}, {})", jobs.len(), Job::longest(&jobs), config.n_vocab)
    });
    let bar = console.progress(Job::n_scored(&jobs), "scoring");
    let (score, canonical) = match &model {
        ModelFile::Blob(blob) => {
            let score = score_blob(blob, &jobs, args.threads.map(usize::from), &bar)?;
            (score, Some(canonical(blob)?))
        }
        ModelFile::Checkpoint(checkpoint) => (score_reference(&Reference::new(checkpoint), &jobs, &bar)?, None),
    };
    drop(bar);
    let loss = LossReport::new(&score, &input, &windowing, bytes, canonical);
    console.print(&loss)?;
    if let Some(bytes) = peak::resident_bytes() {
        console.detail(|| format!("peak memory: {:.1} MiB", bytes as f64 / f64::from(1 << 20)));
    }
    report::check(loss.error.as_ref())?;
    Ok(Outcome::Passed)
}

/// What a blob's arithmetic depends on.
pub(super) fn canonical(blob: &Blob) -> Result<Canonical, Error> {
    let model = blob.model()?;
    Ok(Canonical {
        kv: KvType::F32.name(),
        activations: model.activations().name(),
        arithmetic: model.head().arithmetic,
        model_crc32: blob.crc32()?,
    })
}
