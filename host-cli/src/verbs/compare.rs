//! `emberlm compare`: what each way of storing a checkpoint costs.

use std::path::PathBuf;

use clap::Args;
use emberlm_core::blob::PrunedVocabulary;
use emberlm_core::config::Activations;
use emberlm_core::format::Format;
use emberlm_core::kv_cache::KvType;
use serde::Serialize;

use super::console::Console;
use super::convert::{find_formats, measuring};
use super::error::{self, Error};
use super::options::bos::ModelBos;
use super::options::calibration::{Calibration, RawCalibration};
use super::options::kv;
use super::options::model::{Limits, RawCheckpoint};
use super::options::prune::RawPrune;
use super::options::replacing::RawReplacing;
use super::options::task::{RawTask, note_tokenizer};
use super::options::threads::RawThreads;
use super::outcome::Outcome;
use super::vocabulary::{Vocabulary, tokenizer_for_blob};
use crate::convert::finder::{Finder, have_integers};
use crate::convert::formats::Choice;
use crate::convert::quantized::{n_weights, n_weights_of};
use crate::ground::files::{Inputs, Output};
use crate::ground::named;
use crate::ground::shown;
use crate::reference::Reference;
use crate::report;
use crate::report::Fault;
use crate::report::Report;
use crate::report::html;
use crate::report::html::comparison::comparison;
use crate::report::html::scatter::Point;
use crate::report::table;
use crate::score::Job;
use crate::score::Windowing;
use crate::score::comparison::{Blobs, Choices, Cost};
use crate::text::tokenizer::section;
use crate::text::tokenizer::select::Search;

/// The words after `compare`.
#[derive(Args, Debug)]
pub struct RawArgs {
    /// The checkpoint: a folder, a .safetensors file, what PyTorch saved, an index of shards, or a file of llama2.c
    checkpoint: PathBuf,
    /// Formats of the weights, separated by commas, each as `convert --weights` takes them: q8, q4+head=q8,
    /// auto:4.5bpw, auto:512K [default: every format]
    #[arg(long, value_name = "FORMATS", value_delimiter = ',')]
    weights: Vec<Choice>,
    /// What matrix products round their inputs to, separated by commas: i16, i8, f32
    #[arg(long, value_name = "TYPES", value_delimiter = ',', default_value = "i16", value_parser = parse_activations)]
    activations: Vec<Activations>,
    /// Types of the KV cache, separated by commas: f32, f16, i8
    #[arg(long, value_name = "TYPES", value_delimiter = ',', default_value = "f32", value_parser = kv::parse)]
    kv: Vec<KvType>,
    #[command(flatten)]
    calibration: RawCalibration,
    #[command(flatten)]
    task: RawTask,
    /// Leave the tokenizer out of the blobs
    #[arg(long)]
    no_tokenizer: bool,
    #[command(flatten)]
    prune: RawPrune,
    #[command(flatten)]
    layout: RawCheckpoint,
    #[command(flatten)]
    threads: RawThreads,
    /// Print the table as CSV, with the keys of --json
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Write table and chart to this file too, a page of HTML that needs neither network nor scripts
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    replacing: RawReplacing,
}

fn parse_activations(name: &str) -> Result<Activations, String> {
    named::find(&Activations::ALL, Activations::name, name)
}

impl RawArgs {
    /// Begins the page, if there is to be one.
    ///
    /// # Errors
    /// It may not be written, or there is none to be forced.
    fn page(&self) -> Result<Option<Output>, Error> {
        let files = [self.layout.files(), self.calibration.files(), self.prune.files()].concat().into_iter();
        let inputs = files.fold(self.task.inputs().with_model(&self.checkpoint), Inputs::with_file);
        match &self.html {
            Some(path) => Ok(Some(Output::begin(path, &self.replacing.permit(inputs), html::is_page)?)),
            None if self.replacing.is_forced() => Err(Error::Usage("--force is for the file of --html".into())),
            None => Ok(None),
        }
    }

    /// What is to be compared.
    ///
    /// # Errors
    /// Something is named twice.
    fn choices(&self) -> Result<Choices, Error> {
        let all = || Format::ALL.into_iter().map(Choice::uniform).collect();
        let weights = if self.weights.is_empty() { all() } else { self.weights.clone() };
        check_distinct("--weights", &weights, Choice::to_string)?;
        check_distinct("--activations", &self.activations, |activations| activations.name().into())?;
        check_distinct("--kv", &self.kv, |kv_type| kv_type.name().into())?;
        Ok(Choices { weights, activations: self.activations.clone(), kv_types: self.kv.clone() })
    }
}

fn check_distinct<T: PartialEq>(option: &str, items: &[T], name: impl Fn(&T) -> String) -> Result<(), Error> {
    match items.iter().enumerate().find(|&(i, item)| items[..i].contains(item)) {
        Some((_, twice)) => Err(Error::Usage(format!("{option} names {} twice", name(twice)))),
        None => Ok(()),
    }
}

#[derive(Serialize)]
struct Comparison {
    checkpoint: String,
    tokens_scored: u64,
    /// Where the token that texts begin with was put.
    bos: &'static str,
    /// What the vocabulary of blobs and checkpoint was cut from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pruned: Option<PrunedVocabulary>,
    results: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Fault>,
    #[serde(skip)]
    windowing: Windowing,
    #[serde(skip)]
    tokens_skipped: u64,
    #[serde(skip)]
    csv: bool,
}

/// What one combination costs.
#[derive(Serialize)]
struct Row {
    weights: String,
    activations: &'static str,
    kv: &'static str,
    bits_per_weight: f64,
    bytes: u64,
    delta_nll: Option<f64>,
    delta_nll_stderr: Option<f64>,
    kl_mean: Option<f64>,
    kl_p99: Option<f64>,
    kl_max: Option<f64>,
    top1_agreement: Option<f64>,
    target_probability_rms: Option<f64>,
}

impl From<Cost> for Row {
    fn from(cost: Cost) -> Self {
        let Cost { weights, activations, kv_type, bits_per_weight, bytes, summary } = cost;
        Self {
            weights: weights.to_string(),
            activations: activations.name(),
            kv: kv_type.name(),
            bits_per_weight,
            bytes,
            delta_nll: summary.delta_nll,
            delta_nll_stderr: summary.delta_nll_stderr,
            kl_mean: summary.kl_mean,
            kl_p99: summary.kl_p99,
            kl_max: summary.kl_max,
            top1_agreement: summary.top1_agreement,
            target_probability_rms: summary.target_probability_rms,
        }
    }
}

/// The columns for people, and how many of them are words.
const COLUMNS: [&str; 12] = [
    "weights",
    "activations",
    "kv cache",
    "bits/weight",
    "bytes",
    "delta nll",
    "± stderr",
    "kl mean",
    "kl 99 %",
    "kl largest",
    "top-1",
    "target p rms",
];
const WORDS: usize = 3;

impl Row {
    /// Where it lies among `all`, by as many words as tell it from the others.
    fn point(&self, all: &[Self]) -> Point {
        let mut name = self.weights.clone();
        for (word, same) in [
            (self.activations, all.iter().all(|row| row.activations == self.activations)),
            (self.kv, all.iter().all(|row| row.kv == self.kv)),
        ] {
            if !same {
                name = format!("{name} {word}");
            }
        }
        Point { name, bits_per_weight: self.bits_per_weight, kl_mean: self.kl_mean }
    }

    fn cells(&self) -> [String; COLUMNS.len()] {
        let scientific = |value: Option<f64>| value.map_or_else(|| "unknown".into(), |value| format!("{value:.2e}"));
        [
            self.weights.clone(),
            self.activations.into(),
            self.kv.into(),
            format!("{:.2}", self.bits_per_weight),
            self.bytes.to_string(),
            self.delta_nll.map_or_else(|| "unknown".into(), |delta| format!("{delta:+.2e}")),
            scientific(self.delta_nll_stderr),
            scientific(self.kl_mean),
            scientific(self.kl_p99),
            scientific(self.kl_max),
            self.top1_agreement.map_or_else(|| "unknown".into(), |share| format!("{share:.4}")),
            scientific(self.target_probability_rms),
        ]
    }
}

impl Comparison {
    fn tokens(&self) -> String {
        format!("{} tokens scored, {} skipped", self.tokens_scored, self.tokens_skipped)
    }

    fn windows(&self) -> String {
        let Windowing { convention, n_ctx, bos } = self.windowing;
        format!("{}, n_ctx {n_ctx}, stride {}{}", convention.name(), self.windowing.stride(), bos.clause())
    }

    /// The same as a page.
    fn page(&self) -> String {
        let mut about =
            vec![("checkpoint", self.checkpoint.clone()), ("tokens", self.tokens()), ("windows", self.windows())];
        about.extend(self.pruned.map(|pruned| ("vocabulary", pruned.to_string())));
        let points: Vec<Point> = self.results.iter().map(|row| row.point(&self.results)).collect();
        let rows = self.results.iter().map(|row| row.cells().to_vec());
        comparison("What formats cost", &about, &points, (&COLUMNS, WORDS), rows)
    }
}

impl Report for Comparison {
    fn text(&self) -> String {
        if self.csv {
            return table::csv(&self.results);
        }
        let vocabulary = self.pruned.map_or_else(String::new, |pruned| format!("; {pruned}"));
        let heading = format!(
            "{}: {}; {}{vocabulary}; delta nll and kl divergence in nats a token\n",
            shown::message(&self.checkpoint),
            self.tokens(),
            self.windows()
        );
        heading + &table::aligned(&COLUMNS, WORDS, self.results.iter().map(Row::cells))
    }
}

/// Runs the verb.
///
/// # Errors
/// Checkpoint, tokenizer or input cannot be had, a blob cannot be made of the checkpoint, or there is nothing to compare.
pub fn run(args: RawArgs, console: Console) -> Result<Outcome, Error> {
    let (choices, threads) = (args.choices()?, args.threads.settle());
    let page = args.page()?;
    let checkpoint = args.layout.open(&args.checkpoint, console)?;
    let limits = Limits::of_checkpoint(&checkpoint);
    let section =
        if args.no_tokenizer { None } else { tokenizer_for_blob(args.task.search(limits, &args.checkpoint), console)? };
    let config = args.layout.options().config;
    let vocabulary = Vocabulary::whole(checkpoint, config.as_deref(), section, console)?.cut(&args.prune, console)?;
    let Vocabulary { checkpoint, tokenizer: section, .. } = &vocabulary;
    let (config, own_limits) = (checkpoint.config(), limits);
    let limits = match vocabulary.cut {
        Some(_) => {
            let bos = ModelBos::of_text(&vocabulary.text, config.n_vocab);
            Limits { bos, ..Limits::of_checkpoint(checkpoint) }
        }
        None => limits,
    };
    let mut has_integers = false;
    for &weights in &choices.weights {
        has_integers |= have_integers(weights, checkpoint)?;
    }
    let tokenizer = || vocabulary.tokenizer_of(|| args.task.tokenizer(own_limits, &args.checkpoint));
    let calibration = if has_integers { args.calibration.resolve() } else { Calibration::None };
    let windows = calibration.windows(checkpoint, tokenizer, console)?;
    let found = match vocabulary.cut {
        Some(_) => Some(Search { section: section.clone(), ..Search::default() }.find()?),
        None => args.task.find_tokenizer(limits, Some(&args.checkpoint), None)?,
    };
    // That of the blobs is named already.
    found.iter().filter(|_| section.is_none()).for_each(|found| note_tokenizer(found, console));
    let task = args.task.read(limits, found.as_ref().map(|found| &found.tokenizer), console)?;
    let jobs = task.jobs();
    let tokens_scored = Job::n_scored(&jobs);
    let tokenizer_bytes = section.as_ref().map_or(0, |parts| section::encode(parts).len());
    let mut finder = Finder::new(checkpoint, windows.as_ref(), tokenizer_bytes);
    let bar = measuring(checkpoint, console);
    let found = choices.weights.iter().map(|&weights| find_formats(&mut finder, weights, &bar));
    let formats = found.collect::<Result<Vec<_>, _>>()?;
    drop(bar);
    let bar = console.progress(n_weights(checkpoint) * formats.len() as u64, "rounding");
    let rounded = |weights: Choice, slot| {
        bar.name(format!("{weights}: rounded {slot}"));
        bar.advance(n_weights_of(slot, config));
    };
    let blobs = Blobs::make(checkpoint, &choices, &formats, windows.as_ref(), section.as_ref(), rounded)?;
    drop(bar);
    let bar = console.progress(tokens_scored * blobs.n_combinations() as u64, "comparing");
    let reference = Reference::new(checkpoint);
    let costs = blobs.compare(&reference, &jobs, threads, &|n| bar.advance(n))?;
    drop(bar);
    let comparison = Comparison {
        checkpoint: args.checkpoint.display().to_string(),
        tokens_scored,
        bos: task.windowing.bos.name(),
        pruned: vocabulary.pruned(),
        results: costs.into_iter().map(Row::from).collect(),
        error: (tokens_scored == 0).then(|| report::nothing_to_score(&task)),
        windowing: task.windowing,
        tokens_skipped: task.input.n_tokens() as u64 - tokens_scored,
        csv: args.csv,
    };
    if let (Some(output), None) = (page, &comparison.error) {
        html::write(output, &comparison.page())?;
    }
    console.print(&comparison)?;
    error::check(comparison.error.as_ref())?;
    Ok(Outcome::Passed)
}
