//! `emberlm convert`: a checkpoint to a blob.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use emberlm_core::blob::{ARITHMETIC, SelfTest};
use emberlm_core::config::{Activations, KvType, TokenId};
use serde::Serialize;

use super::console::{Console, Progress};
use super::error::Error;
use super::layout_template;
use super::options::calibration::RawCalibration;
use super::options::model::RawCheckpoint;
use super::options::prune::RawPrune;
use super::options::replacing::RawReplacing;
use super::options::threads::RawThreads;
use super::outcome::Outcome;
use super::vocabulary::{Cut, Vocabulary, tokenizer_for_blob};
use crate::checkpoint::Checkpoint;
use crate::convert::auto::parts;
use crate::convert::change::Change;
use crate::convert::finder::{Finder, FormatsError, have_integers};
use crate::convert::formats::{Choice, Formats};
use crate::convert::quantized::{n_weights, n_weights_of};
use crate::convert::writer::WrittenTensor;
use crate::convert::{Beside, Conversion, Options, convert};
use crate::engine::Blob;
use crate::ground::files::output::{self, is_blob};
use crate::ground::files::{Inputs, Output};
use crate::ground::named;
use crate::ground::shown;
use crate::report::Report;
use crate::report::figures::count;
use crate::text::tokenizer::section;
use crate::text::tokenizer::select::Search;

/// The words after `convert`.
#[derive(Args, Debug)]
pub struct RawArgs {
    /// The checkpoint: a folder, a .safetensors file, what PyTorch saved, an index of shards, or a file of llama2.c
    checkpoint: PathBuf,
    /// The blob to write
    #[arg(short, long, value_name = "BLOB")]
    output: PathBuf,
    #[command(flatten)]
    replacing: RawReplacing,
    /// How weights are stored: f32, f16, q8, q6, q5, q4 or q3; with other formats for parts of the model
    /// q4+head=q8+embeddings=q6+vectors=f16, where vectors (biases and norms) are f32 or f16 and a tied head is the token
    /// embedding; or each matrix as it costs least within a budget, auto:512K for bytes of the whole blob (300000, 512K,
    /// 2M), auto:4.5bpw for bits a weight
    #[arg(long, value_name = "FORMATS", default_value = "q8")]
    weights: Choice,
    /// What matrix products round their inputs to: i16, i8 or f32
    #[arg(long, value_name = "TYPE", default_value = "i16", value_parser = parse_activations)]
    activations: Activations,
    #[command(flatten)]
    calibration: RawCalibration,
    #[command(flatten)]
    layout: RawCheckpoint,
    /// `gpt2`, a tokenizer.json, vocab.json, chars.json, or a folder with one of them [default: the checkpoint's own]
    #[arg(long, value_name = "PATH", conflicts_with = "no_tokenizer")]
    tokenizer: Option<String>,
    /// Leave the tokenizer out of the blob
    #[arg(long)]
    no_tokenizer: bool,
    #[command(flatten)]
    prune: RawPrune,
    #[command(flatten)]
    threads: RawThreads,
    /// Have the blob know the loss of a window that goes round every ring of its KV cache, for `device score` to check
    #[arg(long)]
    long_self_test: bool,
    /// Write no blob, but a name map to --output, for --layout: the checkpoint's names, put where their words and shapes say
    #[arg(long, conflicts_with = "layout")]
    layout_template: bool,
}

fn parse_activations(name: &str) -> Result<Activations, String> {
    named::find(&Activations::ALL, Activations::name, name)
}

#[derive(Serialize)]
struct Converted {
    checkpoint: String,
    layout: String,
    blob: String,
    bytes: u64,
    bits_per_weight: f64,
    weights: String,
    activations: &'static str,
    arithmetic: u16,
    model_crc32: String,
    /// Bytes of the tokeniser section.
    tokenizer_bytes: u64,
    /// What was cut of the vocabulary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pruned: Option<Cut>,
    tensors: Vec<ConvertedTensor>,
    self_test: SelfTestRecord,
    /// Whether people want a line a tensor.
    #[serde(skip)]
    verbose: bool,
    #[serde(skip)]
    took: Duration,
}

#[derive(Serialize)]
struct ConvertedTensor {
    name: String,
    format: &'static str,
    rows: u32,
    cols: u32,
    bytes: u64,
    /// Root mean square of the errors, against the checkpoint's weights, over that of the weights. Calibration trades
    /// larger errors of weights for smaller ones of outputs.
    relative_error: f64,
    /// Root mean square of the errors.
    rms_error: f64,
    /// The largest error.
    max_error: f64,
    /// `kept`, `rounded`, or `adjusted`: a vector that calibration moved to make up for what rounded matrices lack.
    change: &'static str,
}

#[derive(Serialize)]
struct SelfTestRecord {
    tokens: Vec<TokenId>,
    /// By KV cache type, 16 hex digits each.
    nll_bits: Vec<(&'static str, String)>,
    /// Tokens of the long self-test; 0 where there is none.
    long_tokens: u32,
    long_nll_bits: Vec<(&'static str, String)>,
}

impl Converted {
    fn new(
        args: &RawArgs,
        vocabulary: &Vocabulary,
        conversion: &Conversion,
        model_crc32: String,
        (verbose, took): (bool, Duration),
    ) -> Self {
        let Vocabulary { checkpoint, cut, .. } = vocabulary;
        let tensor = |tensor: &WrittenTensor| ConvertedTensor {
            name: tensor.slot.to_string(),
            format: tensor.format.name(),
            rows: tensor.shape.0,
            cols: tensor.shape.1,
            bytes: tensor.bytes,
            relative_error: tensor.error.relative(),
            rms_error: tensor.error.rms(),
            max_error: tensor.error.max(),
            change: tensor.change.name(),
        };
        let (SelfTest { tokens, known }, long) = (&conversion.self_test, conversion.long_self_test);
        let bits = |kv_type: KvType, bits: u64| (kv_type.name(), format!("{bits:016x}"));
        let long_bits = KvType::ALL.into_iter().zip(long.nll_bits).map(|(kv_type, known)| bits(kv_type, known));
        Self {
            checkpoint: args.checkpoint.display().to_string(),
            layout: checkpoint.layout().layout.to_string(),
            blob: args.output.display().to_string(),
            bytes: conversion.blob_bytes,
            bits_per_weight: conversion.bits_per_weight(),
            weights: args.weights.to_string(),
            activations: args.activations.name(),
            arithmetic: ARITHMETIC,
            model_crc32,
            tokenizer_bytes: conversion.tokenizer_bytes,
            pruned: *cut,
            tensors: conversion.tensors.iter().map(tensor).collect(),
            self_test: SelfTestRecord {
                tokens: tokens.to_vec(),
                nll_bits: known.iter().map(|known| bits(known.kv_type, known.nll_bits)).collect(),
                long_tokens: long.n_tokens,
                long_nll_bits: if long.n_tokens > 0 { long_bits.collect() } else { Vec::new() },
            },
            verbose,
            took,
        }
    }

    /// A line a tensor.
    fn table(&self) -> String {
        let mut text = String::from(
            "tensor                     format         shape      bytes  what became of it     rms  of weights   largest\n",
        );
        for tensor in &self.tensors {
            let shape = format!("{}x{}", tensor.rows, tensor.cols);
            // What was moved on purpose is no share of an error.
            let share = if tensor.change == Change::Rounded.name() {
                format!("{:.3}%", 100.0 * tensor.relative_error)
            } else {
                "-".into()
            };
            let _ = writeln!(
                text,
                "{:<26} {:<6} {shape:>13} {:>10}  {:<15} {:>10.2e} {share:>11} {:>9.2e}",
                tensor.name, tensor.format, tensor.bytes, tensor.change, tensor.rms_error, tensor.max_error
            );
        }
        text + "Differences are those of stored numbers from the checkpoint's.\n\n"
    }

    /// The matrices that lost most, and what calibration moved.
    fn changes(&self, text: &mut String) {
        const MOST: usize = 3;
        let of = |change: Change| self.tensors.iter().filter(move |tensor| tensor.change == change.name());
        let mut rounded: Vec<&ConvertedTensor> = of(Change::Rounded).collect();
        rounded.sort_by(|a, b| b.relative_error.total_cmp(&a.relative_error));
        for (index, tensor) in rounded.iter().take(MOST).enumerate() {
            let name = if index == 0 { "errors" } else { "" };
            let share = format!("{:.3} %", 100.0 * tensor.relative_error);
            let _ = writeln!(
                text,
                "{name:<10} {share:>9} of the weights' root mean square in {} ({})",
                tensor.name, tensor.format
            );
        }
        if rounded.len() > MOST {
            let _ =
                writeln!(text, "{:<10} and less in {} more tensors; -v has a line for each", "", rounded.len() - MOST);
        }
        let adjusted = of(Change::Adjusted).count();
        if adjusted > 0 {
            let _ = writeln!(
                text,
                "{:<10} {adjusted} biases, to make up for what rounded matrices lack; calibration trades errors of weights for \
                 smaller ones of outputs",
                "adjusted"
            );
        }
    }
}

impl Report for Converted {
    fn text(&self) -> String {
        let mut text = if self.verbose { self.table() } else { String::new() };
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<10} {value}");
        };
        let blob = shown::message(&self.blob);
        line("blob", format!("{blob}: {} bytes, of them tokenizer {}", count(self.bytes), count(self.tokenizer_bytes)));
        let bits = format!("{:.2} bits a weight in matrices and embeddings", self.bits_per_weight);
        line("weights", format!("{}, {bits}, activations {}", self.weights, self.activations));
        if let Some(cut) = &self.pruned {
            line("vocabulary", cut.text());
        }
        line("crc32", self.model_crc32.clone());
        self.changes(&mut text);
        let checkpoint = shown::message(&self.checkpoint);
        let _ = writeln!(text, "{:<10} {:.1} s", "took", self.took.as_secs_f64());
        let _ = writeln!(text, "{:<10} emberlm verify {checkpoint} {blob} --text TEXT", "next");
        let _ = writeln!(text, "{:<10} emberlm plan {blob} --board all", "");
        text
    }
}

/// Runs the verb.
///
/// # Errors
/// The checkpoint is refused, its tokenizer cannot live in a blob, or the blob cannot be written.
pub fn run(args: &RawArgs, console: Console) -> Result<Outcome, Error> {
    let started = Instant::now();
    args.threads.settle();
    let permit = args.replacing.permit(args.inputs());
    if args.layout_template {
        return layout_template::run(&args.checkpoint, &args.output, &permit, console);
    }
    output::check(&args.output, &permit, is_blob)?;
    let checkpoint = args.layout.open(&args.checkpoint, console)?;
    let output = Output::begin(&args.output, &permit, is_blob)?;
    let tokenizer = if args.no_tokenizer { None } else { tokenizer_for_blob(args.search(&checkpoint), console)? };
    let config = args.layout.options().config;
    let vocabulary = Vocabulary::whole(checkpoint, config.as_deref(), tokenizer, console)?.cut(&args.prune, console)?;
    let Vocabulary { checkpoint, tokenizer, text, .. } = &vocabulary;
    let config = checkpoint.config();
    let of_text = || vocabulary.tokenizer_of(|| Ok(args.search(checkpoint).find()?.tokenizer));
    let windows = if have_integers(args.weights, checkpoint)? {
        args.calibration.resolve().windows(checkpoint, of_text, console)?
    } else {
        None
    };
    let tokenizer_bytes = tokenizer.as_ref().map_or(0, |parts| section::encode(parts).len());
    let mut finder = Finder::new(checkpoint, windows.as_ref(), tokenizer_bytes);
    let formats = find_formats(&mut finder, args.weights, &measuring(checkpoint, console))?;
    let options = Options {
        formats,
        windows,
        beside: Beside {
            activations: args.activations,
            text: *text,
            tokenizer: tokenizer.clone(),
            long_self_test: args.long_self_test,
        },
    };
    let bar = console.progress(n_weights(checkpoint), "rounding");
    let converted = convert(checkpoint, &options, output, |slot| {
        bar.name(format!("rounded {slot}"));
        bar.advance(n_weights_of(slot, config));
    });
    drop(bar);
    let conversion = converted.map_err(|source| Error::of_convert(&args.output, source))?;
    let crc32 = Blob::open(&args.output)?.crc32()?;
    let how = (console.verbose, started.elapsed());
    console.print(&Converted::new(args, &vocabulary, &conversion, crc32, how))?;
    Ok(Outcome::Passed)
}

impl RawArgs {
    /// What is read, and never replaced.
    fn inputs(&self) -> Inputs {
        let inputs = [self.layout.files(), self.calibration.files(), self.prune.files()].concat().into_iter();
        let inputs = inputs.fold(Inputs::default().with_model(&self.checkpoint), Inputs::with_file);
        self.tokenizer.iter().fold(inputs, |inputs, tokenizer| inputs.with_model(Path::new(tokenizer)))
    }

    fn search(&self, checkpoint: &Checkpoint) -> Search<'_> {
        let n_vocab = Some(checkpoint.config().n_vocab);
        Search { named: self.tokenizer.as_deref(), checkpoint: Some(&self.checkpoint), section: None, n_vocab }
    }
}

/// A bar for what [`find_formats`] measures, where it has to.
pub(super) fn measuring(checkpoint: &Checkpoint, console: Console) -> Progress {
    console.progress(parts(checkpoint).len() as u64, "measuring")
}

/// The formats of a blob.
pub(super) fn find_formats(finder: &mut Finder<'_>, choice: Choice, bar: &Progress) -> Result<Formats, FormatsError> {
    finder.find(choice, |part| {
        bar.name(format!("measured {}", part[0]));
        bar.advance(1);
    })
}
