//! `emberlm surprisal`: what surprised the model, token by token.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use console::{Style, colors_enabled};
use emberlm_core::config::TokenId;
use emberlm_core::loss::Score;
use serde::Serialize;

use super::console::Console;
use super::error::{self, Error};
use super::eval::canonical;
use super::options::kv::RawKv;
use super::options::model::{ModelFile, RawCheckpoint};
use super::options::task::RawTask;
use super::outcome::Outcome;
use super::running::RunningLoss;
use crate::ground::shown;
use crate::reference::Reference;
use crate::report::Report;
use crate::report::surprise::{LEVELS, level, range};
use crate::report::{self, LossReport};
use crate::score::Job;
use crate::score::Task;
use crate::score::evaluate::{Pass, nlls_of_blob, nlls_of_reference, sum};
use crate::text::input::Row;
use crate::text::stream::TextStream;
use crate::text::tokenizer::Tokenizer;

/// The words after `surprisal`.
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
}

/// Every token with its surprisal, and the loss that they come to.
#[derive(Serialize)]
struct Surprisals {
    rows: Vec<RowOfTokens>,
    #[serde(flatten)]
    loss: LossReport,
}

#[derive(Serialize)]
struct RowOfTokens {
    name: String,
    tokens: Vec<Token>,
}

#[derive(Serialize)]
struct Token {
    id: TokenId,
    /// Where there is a tokenizer.
    text: Option<String>,
    /// Minus the base-2 logarithm of its probability; none for a token that was not scored.
    bits: Option<f64>,
    #[serde(skip)]
    bytes: Vec<u8>,
}

/// Runs the verb.
///
/// # Errors
/// Model, tokenizer or input cannot be had, or there is no loss.
pub fn run(args: RawArgs, console: Console) -> Result<Outcome, Error> {
    let model = ModelFile::open(&args.model, &args.checkpoint, console)?;
    if let (ModelFile::Checkpoint(_), Some(_)) = (&model, args.kv.named()) {
        return Err(Error::Usage("--kv is for blobs: a checkpoint's float reference keeps no cache".into()));
    }
    let limits = model.limits()?;
    let beside = matches!(model, ModelFile::Checkpoint(_)).then_some(args.model.as_path());
    let tokenizer = args.task.any_tokenizer(limits, beside, model.section()?);
    let task = args.task.resolve(limits, beside, model.section()?, console)?;
    let jobs = task.jobs();
    let running = RunningLoss::new(&jobs, console);
    let (nlls, canonical) = match &model {
        ModelFile::Blob(blob) => {
            let kv_type = args.kv.resolve();
            let pass = Pass::new(kv_type);
            (nlls_of_blob(blob, pass, &jobs, &|nlls| running.push(nlls))?, Some(canonical(blob, kv_type)?))
        }
        ModelFile::Checkpoint(checkpoint) => {
            (nlls_of_reference(&Reference::new(checkpoint), &jobs, &|nlls| running.push(nlls))?, None)
        }
    };
    drop(running);
    let score: Score = sum(&nlls);
    let rows = rows(&task, &jobs, &nlls, tokenizer.as_ref());
    let surprisals = Surprisals { rows, loss: LossReport::of_task(&score, &task, canonical) };
    console.print(&surprisals)?;
    error::check(surprisals.loss.error.as_ref())?;
    Ok(Outcome::Passed)
}

fn rows(task: &Task, jobs: &[Job<'_>], nlls: &[Vec<f32>], tokenizer: Option<&Tokenizer>) -> Vec<RowOfTokens> {
    let token = |&id: &TokenId| Token {
        id,
        text: tokenizer.and_then(|tokenizer| tokenizer.token_text(id).ok()),
        bits: None,
        bytes: tokenizer.and_then(|tokenizer| Some(tokenizer.token_bytes(id)?.into_owned())).unwrap_or_default(),
    };
    let mut scored = jobs.iter().zip(nlls).peekable();
    let of_row = |row: &Row| {
        let mut tokens: Vec<Token> = row.tokens.iter().map(token).collect();
        while let Some((job, nlls)) = scored.next_if(|(job, _)| std::ptr::eq(job.row, row)) {
            let first = job.window.start + job.window.first_scored + 1;
            for (token, &nll) in tokens[first..].iter_mut().zip(nlls) {
                token.bits = report::finite(Some(f64::from(nll) / std::f64::consts::LN_2));
            }
        }
        RowOfTokens { name: row.name.clone(), tokens }
    };
    task.input.rows().iter().map(of_row).collect()
}

impl Report for Surprisals {
    fn text(&self) -> String {
        self.rows.iter().map(plain).collect()
    }

    fn coloured(&self) -> Option<String> {
        if !colors_enabled() {
            return None;
        }
        let body: String = self.rows.iter().map(coloured).collect();
        let bits = self.loss.bits_per_token.map_or_else(|| "unknown".into(), |bits| format!("{bits:.3}"));
        let scored = self.loss.tokens_scored;
        let vocabulary = self.loss.pruned.map_or_else(String::new, |pruned| format!("; {pruned}"));
        Some(format!("{body}{}\n{bits} bits per token, {scored} tokens scored{vocabulary}\n", legend()))
    }
}

/// A line a token: bits, a tab, the token as a string literal.
fn plain(row: &RowOfTokens) -> String {
    let mut lines = String::new();
    for token in &row.tokens {
        let bits = token.bits.map_or_else(|| "-".into(), |bits| format!("{bits:.3}"));
        let text = token.text.as_ref().map_or_else(|| token.id.to_string(), |text| format!("{text:?}"));
        writeln!(lines, "{bits}\t{text}").expect("a string can be written to");
    }
    lines
}

/// The text itself, in the colours of its tokens.
fn coloured(row: &RowOfTokens) -> String {
    let (mut stream, mut text) = (TextStream::default(), String::new());
    for token in &row.tokens {
        let piece = match (token.bytes.as_slice(), &token.text) {
            ([], text) => text.clone().unwrap_or_else(|| format!("{} ", token.id)),
            (bytes, _) => stream.push(bytes),
        };
        // A colour that goes on over a line's end paints the rest of the terminal.
        for (i, line) in shown::lines(&piece).split('\n').enumerate() {
            if i > 0 {
                text.push('\n');
            }
            write!(text, "{}", style(token.bits).apply_to(line)).expect("a string can be written to");
        }
    }
    text + &shown::lines(&stream.finish()) + "\n"
}

/// The colour of each level of surprise.
const COLOURS: [u8; LEVELS] = [28, 70, 178, 208, 160];

fn style(bits: Option<f64>) -> Style {
    bits.map_or_else(|| Style::new().dim(), |bits| Style::new().color256(COLOURS[level(bits)]))
}

fn legend() -> String {
    let mut text = String::from("bits:");
    for (level, colour) in COLOURS.into_iter().enumerate() {
        write!(text, " {}", Style::new().color256(colour).apply_to(range(level))).expect("a string can be written to");
    }
    text
}
