//! `emberlm merge`: the loss of a run whose shards were evaluated apart.

use std::path::{Path, PathBuf};

use clap::Args;

use super::console::Console;
use super::error::{self, Error};
use super::outcome::Outcome;
use crate::report::{Canonical, Evaluation, LossReport};
use crate::score::merge::{Merged, merge};
use crate::score::records::{RecordsError, RecordsFault};

/// The words after `merge`.
#[derive(Args, Debug)]
pub struct RawArgs {
    /// The records of every shard of one run, in any order, as `emberlm eval --shard I/N --records FILE` wrote them
    #[arg(required = true, value_name = "FILE")]
    records: Vec<PathBuf>,
}

/// Runs the verb.
///
/// # Errors
/// A file holds no whole records, or they are not all the shards of one run, each once.
pub fn run(args: &RawArgs, console: Console) -> Result<Outcome, Error> {
    let merged = merge(&args.records)?;
    let evaluation = report(&merged).map_err(|why| fault(&args.records[0], why))?;
    console.print(&evaluation)?;
    error::check(evaluation.loss.error.as_ref())?;
    Ok(Outcome::Passed)
}

fn fault(path: &Path, why: String) -> RecordsError {
    RecordsError::new(path, RecordsFault::Header(why))
}

/// What `eval` reports of the whole run.
fn report(merged: &Merged) -> Result<Evaluation, String> {
    let Merged { run, score, texts, bytes } = merged;
    let canonical = Canonical {
        kv: run.kv_type()?.name(),
        activations: run.activations()?.name(),
        arithmetic: run.arithmetic,
        model_crc32: run.model_crc32.clone(),
        pruned: run.pruned,
    };
    let loss = LossReport::new(score, &run.windowing()?, run.tokens_skipped, *bytes, Some(canonical));
    Ok(Evaluation::new(loss, run.texts.iter().map(|text| text.files.clone()), texts, None))
}
