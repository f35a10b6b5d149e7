//! `emberlm convert`: a checkpoint to a blob.

use std::collections::HashSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use emberlm_core::blob::{ARITHMETIC, NO_TOKEN, SelfTest, TextTokens};
use emberlm_core::config::{Activations, KvType, TokenId};
use serde::Serialize;

use super::console::{Console, Progress};
use super::error::Error;
use super::options::calibration::RawCalibration;
use super::options::model::RawCheckpoint;
use super::options::replacing::RawReplacing;
use super::options::threads::RawThreads;
use super::outcome::Outcome;
use crate::checkpoint::Checkpoint;
use crate::convert::auto::parts;
use crate::convert::finder::{Finder, FormatsError, have_integers};
use crate::convert::formats::{Choice, Formats};
use crate::convert::quantized::{n_weights, n_weights_of};
use crate::convert::writer::WrittenTensor;
use crate::convert::{Beside, Conversion, Options, convert};
use crate::engine::Blob;
use crate::engine::generation::END_OF_TEXT;
use crate::ground::files::output::{self, is_blob};
use crate::ground::files::{Inputs, Output};
use crate::ground::named;
use crate::ground::shown;
use crate::report::Report;
use crate::text::tokenizer::select::Search;
use crate::text::tokenizer::{BlobTokenizer, Tokenizer, TokenizerError, section};

/// The words after `convert`.
#[derive(Args, Debug)]
pub struct RawArgs {
    /// The checkpoint: a folder, a .safetensors file, or an index of shards
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
    threads: RawThreads,
    /// Have the blob know the loss of a window that goes round every ring of its KV cache, for `device score` to check
    #[arg(long)]
    long_self_test: bool,
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
    tensors: Vec<ConvertedTensor>,
    self_test: SelfTestRecord,
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
    fn new(args: &RawArgs, checkpoint: &Checkpoint, conversion: &Conversion, model_crc32: String) -> Self {
        let tensor = |tensor: &WrittenTensor| ConvertedTensor {
            name: tensor.slot.to_string(),
            format: tensor.format.name(),
            rows: tensor.shape.0,
            cols: tensor.shape.1,
            bytes: tensor.bytes,
            relative_error: tensor.error.relative(),
            rms_error: tensor.error.rms(),
            max_error: tensor.error.max(),
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
            tensors: conversion.tensors.iter().map(tensor).collect(),
            self_test: SelfTestRecord {
                tokens: tokens.to_vec(),
                nll_bits: known.iter().map(|known| bits(known.kv_type, known.nll_bits)).collect(),
                long_tokens: long.n_tokens,
                long_nll_bits: if long.n_tokens > 0 { long_bits.collect() } else { Vec::new() },
            },
        }
    }
}

impl Report for Converted {
    fn text(&self) -> String {
        let mut text = String::from(
            "tensor                     format         shape      bytes  rms error  of weights   largest\n",
        );
        for tensor in &self.tensors {
            let shape = format!("{}x{}", tensor.rows, tensor.cols);
            let _ = writeln!(
                text,
                "{:<26} {:<6} {shape:>13} {:>10} {:>10.2e} {:>10.3}% {:>9.2e}",
                tensor.name,
                tensor.format,
                tensor.bytes,
                tensor.rms_error,
                100.0 * tensor.relative_error,
                tensor.max_error
            );
        }
        let _ = writeln!(
            text,
            "Errors are those of weights against the checkpoint's.\n{}: {} bytes, {:.2} bits a weight in matrices and embeddings, tokenizer {} bytes, crc32 {}",
            shown::message(&self.blob),
            self.bytes,
            self.bits_per_weight,
            self.tokenizer_bytes,
            self.model_crc32
        );
        text
    }
}

/// Runs the verb.
///
/// # Errors
/// The checkpoint is refused, its tokenizer cannot live in a blob, or the blob cannot be written.
pub fn run(args: &RawArgs, console: Console) -> Result<Outcome, Error> {
    args.threads.settle();
    let permit = args.replacing.permit(args.inputs());
    output::check(&args.output, &permit, is_blob)?;
    let checkpoint = args.layout.open(&args.checkpoint, console)?;
    let output = Output::begin(&args.output, &permit, is_blob)?;
    let tokenizer = if args.no_tokenizer { None } else { tokenizer_for_blob(args.search(&checkpoint), console)? };
    let text = text_tokens(args, &checkpoint, tokenizer.as_ref(), console)?;
    let tokenizer = tokenizer.map(|tokenizer| tokenizer.parts);
    let config = checkpoint.config();
    let windows = if have_integers(args.weights, &checkpoint)? {
        args.calibration.resolve().windows(&checkpoint, || args.find_tokenizer(&checkpoint), console)?
    } else {
        None
    };
    let tokenizer_bytes = tokenizer.as_ref().map_or(0, |parts| section::encode(parts).len());
    let mut finder = Finder::new(&checkpoint, windows.as_ref(), tokenizer_bytes);
    let formats = find_formats(&mut finder, args.weights, &measuring(&checkpoint, console))?;
    let options = Options {
        formats,
        windows,
        beside: Beside { activations: args.activations, text, tokenizer, long_self_test: args.long_self_test },
    };
    let bar = console.progress(n_weights(&checkpoint), "rounding");
    let converted = convert(&checkpoint, &options, output, |slot| {
        bar.name(format!("rounded {slot}"));
        bar.advance(n_weights_of(slot, config));
    });
    drop(bar);
    let conversion = converted.map_err(|source| Error::of_convert(&args.output, source))?;
    let crc32 = Blob::open(&args.output)?.crc32()?;
    console.print(&Converted::new(args, &checkpoint, &conversion, crc32))?;
    Ok(Outcome::Passed)
}

impl RawArgs {
    /// What is read, and never replaced.
    fn inputs(&self) -> Inputs {
        let inputs = [self.layout.files(), self.calibration.files()].concat().into_iter();
        let inputs = inputs.fold(Inputs::default().with_model(&self.checkpoint), Inputs::with_file);
        self.tokenizer.iter().fold(inputs, |inputs, tokenizer| inputs.with_model(Path::new(tokenizer)))
    }

    fn search(&self, checkpoint: &Checkpoint) -> Search<'_> {
        let n_vocab = Some(checkpoint.config().n_vocab);
        Search { named: self.tokenizer.as_deref(), checkpoint: Some(&self.checkpoint), section: None, n_vocab }
    }

    fn find_tokenizer(&self, checkpoint: &Checkpoint) -> Result<Tokenizer, Error> {
        Ok(self.search(checkpoint).find()?.tokenizer)
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

/// What the blob's tokeniser section is to hold.
pub(super) fn tokenizer_for_blob(search: Search<'_>, console: Console) -> Result<Option<BlobTokenizer>, Error> {
    let (is_named, n_vocab) = (search.named.is_some(), search.n_vocab.unwrap_or(u32::MAX));
    let found = match search.find() {
        Err(TokenizerError::Missing(_)) if !is_named => {
            console.note("no tokenizer beside the checkpoint: the blob has none");
            return Ok(None);
        }
        Ok(found) if found.assumed => {
            console.note("no tokenizer beside the checkpoint: the blob has none (`--tokenizer gpt2` adds GPT-2's)");
            return Ok(None);
        }
        found => found?,
    };
    let tokenizer = found.tokenizer;
    found.notes.iter().for_each(|note| console.note(note));
    match tokenizer.section_parts_of_model(n_vocab) {
        Ok((parts, left_out)) => {
            console.note(format!("tokenizer {}", tokenizer.origin()));
            if let Some(note) = note_left_out(&tokenizer, &left_out, n_vocab) {
                console.note(note);
            }
            if let Some(form) = tokenizer.normal_form() {
                let who = "what gives it text brings it there";
                console.note(format!("the device takes text that is in the normal form {form} already: {who}"));
            }
            let first = tokenizer.bos().filter(|&bos| tokenizer.asks_for_bos() && bos < n_vocab);
            Ok(Some(BlobTokenizer { parts, first }))
        }
        Err(error) => Err(Error::Usage(format!("{error}; --no-tokenizer leaves it out of the blob"))),
    }
}

/// The tokens that begin and end a text: what the checkpoint's files say, and the `<|endoftext|>` of the blob's tokenizer.
fn text_tokens(
    args: &RawArgs,
    checkpoint: &Checkpoint,
    tokenizer: Option<&BlobTokenizer>,
    console: Console,
) -> Result<TextTokens, Error> {
    let said = checkpoint.ends(args.layout.options().config.as_deref())?;
    said.notes.iter().for_each(|note| console.note(note));
    let n_vocab = checkpoint.config().n_vocab;
    let of_tokenizer = tokenizer.and_then(|tokenizer| {
        (0..n_vocab).rev().find(|&id| tokenizer.parts.token_bytes(id).as_deref() == Some(END_OF_TEXT))
    });
    let mut ids = said.ids;
    ids.extend(of_tokenizer);
    let mut seen = HashSet::new();
    ids.retain(|&id| seen.insert(id));
    if ids.len() > TextTokens::MAX_ENDS {
        let (most, n) = (TextTokens::MAX_ENDS, ids.len());
        let why = format!("a blob keeps {most} tokens that end a text, and eos_token_id names {n}");
        return Err(Error::Usage(why));
    }
    let mut ends = [NO_TOKEN; TextTokens::MAX_ENDS];
    ends.iter_mut().zip(ids).for_each(|(end, id)| *end = id);
    let first = tokenizer.and_then(|tokenizer| tokenizer.first);
    let bos = first.or_else(|| checkpoint.bos()).unwrap_or(NO_TOKEN);
    Ok(TextTokens { bos, adds_bos: first.is_some(), ends, pruned_from: 0 })
}

/// What is said of tokens that a blob's tokenizer does not have because the model lacks them.
fn note_left_out(tokenizer: &Tokenizer, ids: &[TokenId], n_vocab: u32) -> Option<String> {
    /// Tokens that are named, at most.
    const NAMED: usize = 5;
    let named = |&id: &TokenId| format!("{} ({id})", shown::quoted(&tokenizer.token_text(id).unwrap_or_default()));
    let named: Vec<String> = ids.iter().take(NAMED).map(named).collect();
    let more = if ids.len() > NAMED { format!(" and {} more", ids.len() - NAMED) } else { String::new() };
    let why = format!("the model's n_vocab is {n_vocab}: a text with them is read as ordinary text");
    (!ids.is_empty()).then(|| format!("left out of the blob's tokenizer: {}{more}; {why}", named.join(", ")))
}
