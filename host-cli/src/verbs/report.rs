//! `emberlm report`: how blobs differ from their checkpoint, and why, as one page.

use std::path::PathBuf;

use clap::Args;
use emberlm_core::config::Config;
use serde::Serialize;

use super::against::{Against, RawAgainst};
use super::console::Console;
use super::error::{self, Error};
use super::eval::canonical;
use super::options::kv::RawKv;
use super::options::replacing::RawReplacing;
use super::options::threads::RawThreads;
use super::outcome::Outcome;
use crate::convert::unpack::compare_tensors;
use crate::engine::Blob;
use crate::ground::files::Output;
use crate::ground::shown;
use crate::plan::boards::BOARDS;
use crate::plan::firmware::Firmware;
use crate::plan::fit::Wish;
use crate::plan::{Budget, Plan};
use crate::reference::Reference;
use crate::report::Report;
use crate::report::figures::{count, figure};
use crate::report::html;
use crate::report::spelling::Spelling;
use crate::report::study::{BoardFit, Findings, Room, Study, Subject};
use crate::report::table::aligned;
use crate::score::Job;
use crate::score::crosscheck::{Candidate, score_beside};
use crate::score::stages::{n_steps, sample, stages};

/// The words after `report`.
#[derive(Args, Debug)]
pub struct RawArgs {
    #[command(flatten)]
    against: RawAgainst,
    /// The page to write: one file, which needs neither network nor scripts
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    replacing: RawReplacing,
    /// Tokens of the text that are shown one by one
    #[arg(long, value_name = "N", default_value_t = 384, value_parser = clap::value_parser!(u32).range(1..))]
    passage: u32,
    #[command(flatten)]
    kv: RawKv,
    #[command(flatten)]
    threads: RawThreads,
}

/// What was found out, and where the page is.
#[derive(Serialize)]
struct Reported {
    /// The page's path.
    report: String,
    #[serde(flatten)]
    study: Study,
}

impl Report for Reported {
    fn text(&self) -> String {
        let study = &self.study;
        let reference = &study.reference;
        let unknown = || "-".to_owned();
        let checkpoint = [
            "checkpoint".into(),
            unknown(),
            unknown(),
            figure(reference.loss),
            figure(reference.bits_per_byte),
            unknown(),
            unknown(),
        ];
        let blobs = study.blobs.iter().map(|blob| {
            [
                shown::value(&blob.name).to_string(),
                figure(blob.bits_per_weight),
                count(blob.bytes),
                figure(blob.evaluation.loss),
                figure(blob.evaluation.bits_per_byte),
                figure(blob.divergence.kl_mean),
                figure(blob.divergence.top1_agreement),
            ]
        });
        let headings = ["", "bits/weight", "bytes", "loss", "bits/byte", "kl mean", "top-1"];
        let rows: Vec<_> = std::iter::once(checkpoint).chain(blobs).collect();
        let scored = format!("{} tokens scored, {} skipped", count(study.tokens_scored), count(study.tokens_skipped));
        let windows =
            format!("{}, n_ctx {}, stride {}, bos {}", study.convention, study.n_ctx, study.stride, study.bos);
        let pruned = study.pruned.map_or_else(String::new, |pruned| format!("; {pruned}"));
        let table = aligned(&headings, 1, rows.into_iter());
        format!(
            "{scored}; {windows}; kv cache {}{pruned}\n{table}the page is {}\n",
            study.kv,
            shown::message(&self.report)
        )
    }
}

/// Runs the verb.
///
/// # Errors
/// Models, tokenizer or input cannot be had, or do not belong together, there is nothing to compare, or the page may not be
/// written.
pub fn run(args: &RawArgs, console: Console) -> Result<Outcome, Error> {
    let threads = args.threads.settle();
    let output = Output::begin(&args.output, &args.replacing.permit(args.against.inputs()), html::is_page)?;
    let Against { checkpoint, blobs, pruned, task, tokenizer } = args.against.open(console)?;
    let (jobs, kv_type) = (task.jobs(), args.kv.resolve());
    let reference = Reference::new(&checkpoint);
    let bar = console.progress(Job::n_scored(&jobs) * blobs.len() as u64, "comparing");
    let candidates: Vec<_> = blobs.iter().map(|blob| Candidate { blob, kv_type }).collect();
    let scored = score_beside(&reference, &candidates, &jobs, threads, &|n| bar.advance(n))?;
    drop(bar);
    let windows = sample(&jobs);
    let bar = console.progress(n_steps(&checkpoint, windows.len()) * blobs.len() as u64, "looking at parts");
    let find = |(blob, scored)| -> Result<Findings<'_>, Error> {
        Ok(Findings {
            blob,
            canonical: canonical(blob, kv_type)?,
            scored,
            stages: stages(&checkpoint, &reference, blob, &windows, &|n| bar.advance(n))?,
            tensors: compare_tensors(&checkpoint, blob)?,
        })
    };
    let findings = blobs.iter().zip(scored).map(find).collect::<Result<Vec<_>, _>>()?;
    drop(bar);
    let subject = Subject {
        checkpoint: &args.against.checkpoint,
        architecture: &checkpoint.architecture().to_string(),
        task: &task,
        jobs: &jobs,
        spelling: Spelling::new(tokenizer.as_ref()),
        kv: kv_type.name(),
        pruned,
        passage: args.passage as usize,
    };
    let wish = Wish { n_ctx: Some(task.windowing.n_ctx), kv_type: Some(kv_type), ..Wish::default() };
    let study = Study::new(&subject, &findings, fits(checkpoint.config(), &blobs, &wish))?;
    let reported = Reported { report: args.output.display().to_string(), study };
    // A page without a number is none.
    if reported.study.error.is_none() {
        html::write(output, &html::study::study(&reported.study))?;
    }
    console.print(&reported)?;
    error::check(reported.study.error.as_ref())?;
    Ok(Outcome::Passed)
}

/// What the blobs take of each board.
fn fits(config: &Config, blobs: &[Blob], wish: &Wish) -> Vec<BoardFit> {
    let room = |budget: &Budget| Room { need: budget.need, have: budget.have, fits: budget.fits() };
    let run = wish.run(config);
    let of_board = |board| {
        let firmware = Firmware::of(board).into_iter().next()?;
        let plan = |blob: &Blob| Plan::new(board, &firmware, config, blob.file.bytes().len() as u64, &run);
        let plans: Vec<Plan> = blobs.iter().map(plan).collect();
        let first = plans.first()?;
        Some(BoardFit {
            board: board.name,
            about: board.about,
            core: board.core,
            optimized: firmware.optimized.name(),
            ram: room(&first.ram),
            flash: plans.iter().map(|plan| room(&plan.flash)).collect(),
            max_n_ctx: first.max_n_ctx,
        })
    };
    BOARDS.iter().filter_map(of_board).collect()
}
