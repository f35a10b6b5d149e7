//! `emberlm verify`: blobs against the checkpoint that they were made from.

use std::fmt::Write;
use std::ops::RangeInclusive;

use clap::Args;
use emberlm_core::blob::PrunedVocabulary;
use serde::Serialize;

use super::against::{Against, RawAgainst};
use super::console::Console;
use super::error::{self, Error};
use super::options::kv::RawKv;
use super::options::threads::RawThreads;
use super::outcome::Outcome;
use crate::engine::Blob;
use crate::ground::shown;
use crate::reference::Reference;
use crate::report;
use crate::report::Fault;
use crate::report::Report;
use crate::report::contents;
use crate::report::figures::figure;
use crate::score::Job;
use crate::score::Windowing;
use crate::score::crosscheck::{Candidate, Summary, crosscheck};

/// The words after `verify`.
#[derive(Args, Debug)]
pub struct RawArgs {
    #[command(flatten)]
    against: RawAgainst,
    #[command(flatten)]
    kv: RawKv,
    #[command(flatten)]
    tolerances: Tolerances,
    #[command(flatten)]
    threads: RawThreads,
}

/// What a blob may differ by.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Tolerances {
    /// Most nats by which the mean loss may differ, either way
    #[arg(long, value_name = "NATS", default_value_t = Self::DEFAULT.max_delta_nll, value_parser = nats)]
    max_delta_nll: f64,
    /// Most nats of mean Kullback-Leibler divergence
    #[arg(long, value_name = "NATS", default_value_t = Self::DEFAULT.max_kl, value_parser = nats)]
    max_kl: f64,
    /// Least share of targets where both find the same token most likely
    #[arg(long, value_name = "SHARE", default_value_t = Self::DEFAULT.min_top1, value_parser = share)]
    min_top1: f64,
}

fn nats(text: &str) -> Result<f64, String> {
    within(text, 0.0..=f64::MAX, "no number of nats from 0 up")
}

fn share(text: &str) -> Result<f64, String> {
    within(text, 0.0..=1.0, "no share from 0 to 1")
}

/// A number in a range, which nothing that is not finite is in.
fn within(text: &str, range: RangeInclusive<f64>, what: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("`{}` is {what}", shown::value(text)))
}

impl Tolerances {
    pub(super) const DEFAULT: Self = Self { max_delta_nll: 0.01, max_kl: 0.005, min_top1: 0.98 };

    /// Whether a blob is within them. What was not measured is not.
    fn allow(&self, summary: &Summary) -> bool {
        summary.delta_nll.is_some_and(|delta| delta.abs() <= self.max_delta_nll)
            && summary.kl_mean.is_some_and(|kl| kl <= self.max_kl)
            && summary.top1_agreement.is_some_and(|share| share >= self.min_top1)
    }
}

#[derive(Serialize)]
struct Verification {
    checkpoint: String,
    tokens_scored: u64,
    /// Where the token that texts begin with was put.
    bos: &'static str,
    /// How the blobs' keys and values were stored.
    kv: &'static str,
    /// What the blobs' vocabulary was cut from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pruned: Option<PrunedVocabulary>,
    /// What the checkpoint's softmax is over, where that is not all of its vocabulary.
    #[serde(skip_serializing_if = "Option::is_none")]
    softmax: Option<&'static str>,
    results: Vec<BlobResult>,
    passed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Fault>,
    #[serde(skip)]
    windowing: Windowing,
    #[serde(skip)]
    tokens_skipped: u64,
    #[serde(skip)]
    tolerances: Tolerances,
}

/// How a blob compares with its checkpoint.
#[derive(Serialize)]
pub(super) struct BlobResult {
    blob: String,
    bits_per_weight: f64,
    bytes: u64,
    #[serde(flatten)]
    summary: Summary,
    pub passed: bool,
}

impl BlobResult {
    pub fn new(blob: &Blob, summary: Summary, tolerances: &Tolerances) -> Result<Self, Error> {
        Ok(Self {
            blob: blob.path.display().to_string(),
            bits_per_weight: contents::bits_per_weight(&contents::tensors(blob)?),
            bytes: blob.file.bytes().len() as u64,
            passed: tolerances.allow(&summary),
            summary,
        })
    }

    /// How they compare, for people, indented lines with line ends.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "  {name:<16} {value}");
        };
        let summary = &self.summary;
        let losses = (figure(summary.loss_checkpoint), figure(summary.loss_blob));
        line("loss", format!("{} checkpoint, {} blob", losses.0, losses.1));
        let delta = (figure(summary.delta_nll), figure(summary.delta_nll_stderr));
        line("delta nll", format!("{} ± {}", delta.0, delta.1));
        let kl = (figure(summary.kl_mean), figure(summary.kl_p99), figure(summary.kl_max));
        line("kl divergence", format!("{} mean, {} at 99 %, {} largest", kl.0, kl.1, kl.2));
        line("top-1 agreement", figure(summary.top1_agreement));
        line("max logit error", figure(summary.max_logit_error));
        line("", if self.passed { "passed" } else { "FAILED" }.into());
        text
    }
}

impl Report for Verification {
    fn text(&self) -> String {
        let Windowing { convention, n_ctx, bos } = self.windowing;
        let mut text = format!(
            "{}: {} tokens scored, {} skipped; {}, n_ctx {n_ctx}, stride {}{}; kv cache {}\n",
            shown::message(&self.checkpoint),
            self.tokens_scored,
            self.tokens_skipped,
            convention.name(),
            self.windowing.stride(),
            bos.clause(),
            self.kv
        );
        if let (Some(pruned), Some(softmax)) = (self.pruned, self.softmax) {
            let _ = writeln!(text, "  {:<16} {pruned}; the checkpoint's softmax is {softmax}", "vocabulary");
        }
        for result in &self.results {
            let _ = writeln!(
                text,
                "  {:<16} {}, {} bytes, {:.4} bits a weight",
                "blob",
                shown::message(&result.blob),
                result.bytes,
                result.bits_per_weight
            );
            text += &result.text();
        }
        let Tolerances { max_delta_nll, max_kl, min_top1 } = self.tolerances;
        let _ = writeln!(
            text,
            "tolerances: delta nll within ±{max_delta_nll}, mean kl divergence at most {max_kl}, top-1 agreement at \
             least {min_top1}"
        );
        text
    }
}

/// Runs the verb.
///
/// # Errors
/// Models, tokenizer or input cannot be had, or do not belong together, or there is nothing to compare.
pub fn run(args: RawArgs, console: Console) -> Result<Outcome, Error> {
    let threads = args.threads.settle();
    let Against { checkpoint, blobs, pruned, task, .. } = args.against.open(console)?;
    let jobs = task.jobs();
    let tokens_scored = Job::n_scored(&jobs);
    let bar = console.progress(tokens_scored * blobs.len() as u64, "comparing");
    let (reference, kv_type) = (Reference::new(&checkpoint), args.kv.resolve());
    let candidates: Vec<_> = blobs.iter().map(|blob| Candidate { blob, kv_type }).collect();
    let summaries = crosscheck(&reference, &candidates, &jobs, threads, &|n| bar.advance(n))?;
    drop(bar);
    let results = blobs.iter().zip(summaries).map(|(blob, summary)| BlobResult::new(blob, summary, &args.tolerances));
    let results = results.collect::<Result<Vec<_>, _>>()?;
    let passed = results.iter().all(|result| result.passed);
    let verification = Verification {
        checkpoint: args.against.checkpoint.display().to_string(),
        tokens_scored,
        bos: task.windowing.bos.name(),
        kv: kv_type.name(),
        pruned,
        softmax: pruned.map(|_| "renormalised over the kept tokens"),
        results,
        passed,
        error: (tokens_scored == 0).then(|| report::nothing_to_score(&task)),
        windowing: task.windowing,
        tokens_skipped: task.input.n_tokens() as u64 - tokens_scored,
        tolerances: args.tolerances,
    };
    console.print(&verification)?;
    error::check(verification.error.as_ref())?;
    Ok(Outcome::from_check(passed))
}
