//! `emberlm generate`: what follows a prompt.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use emberlm_core::config::TokenId;
use emberlm_core::generate::WhenFull;
use emberlm_core::sample::Settings;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use serde::Serialize;

use super::console::Console;
use super::error::Error;
use super::options::bos::{ModelBos, RawBos};
use super::options::kv::RawKv;
use super::options::windowing::n_ctx_of;
use super::outcome::Outcome;
use crate::checkpoint::EndTokens;
use crate::engine::Blob;
use crate::engine::generation::{Generated, Request, Stopped, Writer};
use crate::ground::shown;
use crate::ground::signals;
use crate::report::Report;
use crate::score::Bos;
use crate::text::input::{read_line, read_text};
use crate::text::tokenizer::select::{Found, Search};

/// The words after `generate`.
#[derive(Args, Debug)]
pub struct RawArgs {
    /// A blob
    model: PathBuf,
    #[command(flatten)]
    prompt: RawPrompt,
    /// The most tokens to generate
    #[arg(short = 'n', long, value_name = "N", default_value_t = 256)]
    max_tokens: usize,
    /// Divides the logits: 0 takes the most likely token, 1 leaves the model's probabilities
    #[arg(long, value_name = "T", default_value_t = Settings::DEFAULT.temperature)]
    temperature: f32,
    /// Draw among the K most likely tokens, 1 to 128
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// Draw among the most likely tokens that come to a probability of P, 128 tokens at most [default: 1, no limit]
    #[arg(long, value_name = "P", default_value_t = Settings::DEFAULT.top_p, hide_default_value = true)]
    top_p: f32,
    /// Draw among tokens with at least P times the probability of the most likely one, 128 tokens at most
    /// [default: 0, no limit]
    #[arg(long, value_name = "P", default_value_t = Settings::DEFAULT.min_p, hide_default_value = true)]
    min_p: f32,
    /// Divides the positive logits of the last 64 tokens, multiplies negative ones [default: 1, none]
    #[arg(long, value_name = "R", default_value_t = Settings::DEFAULT.repeat_penalty, hide_default_value = true)]
    repeat_penalty: f32,
    /// Where the random numbers start: the same seed gives the same text, on every board too
    #[arg(short, long, value_name = "N", default_value_t = Settings::DEFAULT.seed)]
    seed: u64,
    /// End before this text comes; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Context to write in [default: all that the model has]
    #[arg(long, value_name = "TOKENS")]
    n_ctx: Option<usize>,
    /// What to do when the context is full: end, or go on with its last tokens
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = RawWhenFull::Stop)]
    when_full: RawWhenFull,
    /// Tokens that go on where the context slides [default: half of it]
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
    /// Tell tokens per second and bits per token on standard error
    #[arg(long)]
    stats: bool,
    /// `gpt2`, a tokenizer.json, vocab.json, chars.json, or a folder with one of them [default: the blob's own]. The
    /// text ends at the eos_token_id of the folder's generation_config.json or config.json
    #[arg(long, value_name = "PATH")]
    tokenizer: Option<String>,
    #[command(flatten)]
    bos: RawBos,
    #[command(flatten)]
    kv: RawKv,
}

/// The words that name the prompt.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct RawPrompt {
    /// The text to go on with
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    prompt: Option<String>,
    /// Read the text to go on with from standard input
    #[arg(long)]
    stdin: bool,
    /// Ask for one prompt after another, each the start of a text of its own
    #[arg(long)]
    interactive: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RawWhenFull {
    Stop,
    Slide,
}

#[derive(Serialize)]
struct Document<'a> {
    prompt: &'a str,
    text: &'a str,
    prompt_tokens: usize,
    tokens: &'a [TokenId],
    /// The surprisal of each token.
    bits: Vec<f64>,
    bits_per_token: Option<f64>,
    stopped: Stopped,
    bos: &'static str,
    seed: u64,
    temperature: f32,
    top_k: Option<usize>,
    top_p: f32,
    min_p: f32,
    repeat_penalty: f32,
    kv: &'static str,
    arithmetic: u16,
    model_crc32: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<Stats>,
}

#[derive(Serialize)]
struct Stats {
    prompt_tokens_per_second: Option<f64>,
    tokens_per_second: Option<f64>,
}

impl Report for Document<'_> {
    /// The text was told already.
    fn text(&self) -> String {
        "\n".into()
    }
}

/// Runs the verb.
///
/// # Errors
/// Model, tokenizer or prompt cannot be had, a setting is out of its range, or the model fails.
pub fn run(args: RawArgs, console: Console) -> Result<Outcome, Error> {
    if args.prompt.interactive && console.json {
        return Err(Error::Usage("--json gives one object: it does not go with --interactive".into()));
    }
    let blob = Blob::open(&args.model)?;
    let config = *blob.model()?.config();
    let n_ctx = n_ctx_of(args.n_ctx, config.n_ctx)?;
    if let (RawWhenFull::Stop, Some(_)) = (args.when_full, args.keep) {
        return Err(Error::Usage("--keep is for --when-full slide".into()));
    }
    let request = request(&args, n_ctx);
    request.settings.validate().map_err(|error| Error::Usage(error.to_string()))?;
    let search = Search {
        named: args.tokenizer.as_deref(),
        checkpoint: None,
        section: blob.section()?,
        n_vocab: Some(config.n_vocab),
    };
    let Found { tokenizer, notes, folder, .. } = search.find()?;
    let ends = folder.map(|folder| EndTokens::read(&folder, None, config.n_vocab)).transpose()?.unwrap_or_default();
    notes.iter().chain(&ends.notes).for_each(|note| console.note(note));
    let (bos, begin) = args.bos.resolve(ModelBos::of_blob(&blob)?, Some(&tokenizer), true)?;
    if bos == Bos::Window {
        return Err(Error::Usage("--bos window is for windows that are scored: a text begins once, --bos text".into()));
    }
    let begin = (bos == Bos::Text).then_some(begin);
    let mut writer = Writer::new(&blob, &tokenizer, (begin, &ends.ids), args.kv.resolve(), n_ctx)?;
    signals::watch_interrupt().map_err(|error| Error::Usage(format!("Ctrl-C cannot be watched: {error}")))?;
    if args.prompt.interactive {
        return interactive(&mut writer, request, n_ctx, args.stats, console);
    }
    let prompt = match args.prompt.prompt {
        Some(prompt) => prompt,
        None => read_text(Path::new("-"), console.max_input)?,
    };
    let made = writer.write(&prompt, &request, |text| console.stream(text))?;
    let Settings { temperature, top_k, top_p, min_p, repeat_penalty, seed } = request.settings;
    console.print(&Document {
        prompt: &prompt,
        text: &made.text,
        prompt_tokens: made.prompt_tokens,
        tokens: &made.tokens,
        bits: made.nlls.iter().map(|&nll| f64::from(nll) / std::f64::consts::LN_2).collect(),
        bits_per_token: made.bits_per_token(),
        stopped: made.stopped,
        bos: bos.name(),
        seed,
        temperature,
        top_k,
        top_p,
        min_p,
        repeat_penalty,
        kv: args.kv.resolve().name(),
        arithmetic: blob.model()?.head().arithmetic,
        model_crc32: blob.crc32()?,
        stats: args.stats.then(|| stats(&made)),
    })?;
    tell_if_full(&made, &request, n_ctx, console);
    if args.stats {
        tell_stats(&made, console);
    }
    Ok(Outcome::Passed)
}

/// A context that ends a text is easily taken for the model's own end.
fn tell_if_full(made: &Generated, request: &Request, n_ctx: usize, console: Console) {
    if made.stopped == Stopped::ContextFull {
        let (have, need) = (made.tokens.len(), request.max_tokens);
        console.note(format!(
            "the context of {n_ctx} tokens is full after {have} of {need} tokens: --when-full slide goes on with its last ones"
        ));
    }
}

fn request(args: &RawArgs, n_ctx: usize) -> Request {
    let &RawArgs { temperature, top_k, top_p, min_p, repeat_penalty, seed, max_tokens, .. } = args;
    let when_full = match args.when_full {
        RawWhenFull::Stop => WhenFull::Stop,
        RawWhenFull::Slide => WhenFull::Slide(args.keep.unwrap_or(n_ctx / 2)),
    };
    let settings = Settings { temperature, top_k, top_p, min_p, repeat_penalty, seed };
    Request { settings, max_tokens, stops: args.stop.clone(), when_full }
}

/// Lines of a person, or of a file, each a prompt or a command.
fn interactive(
    writer: &mut Writer<'_>,
    mut request: Request,
    n_ctx: usize,
    tells_stats: bool,
    console: Console,
) -> Result<Outcome, Error> {
    let mut lines = Lines::open(console)?;
    console.note("A line is a prompt; `:seed 1`, `:temperature 0.5` and so on change a setting; end with Ctrl-D.");
    while let Some(line) = lines.next()? {
        if let Some(command) = line.strip_prefix(':') {
            if let Err(error) = command_of(command, &mut request) {
                console.note(format!("error: {error}"));
            }
            continue;
        }
        signals::take();
        match writer.write(&line, &request, |text| console.stream(text)) {
            Ok(made) => {
                console.stream("\n")?;
                tell_if_full(&made, &request, n_ctx, console);
                if tells_stats {
                    tell_stats(&made, console);
                }
            }
            Err(error @ Error::Output(_)) => return Err(error),
            Err(error) => console.note(format!("error: {error}")),
        }
    }
    Ok(Outcome::Passed)
}

/// Where lines come from.
enum Lines {
    /// A person, who may edit them.
    Person(Box<DefaultEditor>),
    /// A file or a pipe.
    Pipe { most: u64 },
}

impl Lines {
    fn open(console: Console) -> Result<Self, Error> {
        if !io::stdin().is_terminal() {
            return Ok(Self::Pipe { most: console.max_input });
        }
        Ok(Self::Person(Box::new(DefaultEditor::new().map_err(unreadable)?)))
    }

    /// The next line, without its end; `None` after the last.
    fn next(&mut self) -> Result<Option<String>, Error> {
        let editor = match self {
            Self::Person(editor) => editor,
            Self::Pipe { most } => return Ok(read_line(*most)?),
        };
        match editor.readline("> ") {
            Ok(line) => {
                // A line that is too long for the history is not kept.
                let _ = editor.add_history_entry(&line);
                Ok(Some(line))
            }
            Err(ReadlineError::Eof | ReadlineError::Interrupted) => Ok(None),
            Err(error) => Err(unreadable(error)),
        }
    }
}

fn unreadable(error: ReadlineError) -> Error {
    Error::Usage(format!("cannot read a line: {error}"))
}

/// A setting's name and value.
fn command_of(command: &str, request: &mut Request) -> Result<(), String> {
    let (name, value) = command.trim().split_once(' ').unwrap_or((command.trim(), ""));
    if name == "max-tokens" {
        request.max_tokens =
            value.trim().parse().map_err(|_| format!("\"{}\" is no number of tokens", shown::value(value)))?;
        return Ok(());
    }
    request.settings.set(name, value.trim()).map_err(|error| error.to_string())
}

fn stats(made: &Generated) -> Stats {
    let rate = |n: usize, time: Duration| (n > 0 && !time.is_zero()).then(|| n as f64 / time.as_secs_f64());
    Stats {
        prompt_tokens_per_second: rate(made.prompt_tokens, made.first),
        tokens_per_second: rate(made.tokens.len().saturating_sub(1), made.rest),
    }
}

fn tell_stats(made: &Generated, console: Console) {
    let Stats { prompt_tokens_per_second: prompt, tokens_per_second: rest } = stats(made);
    let told = |rate: Option<f64>| rate.map_or_else(String::new, |rate| format!(", {rate:.1} tokens/s"));
    let bits = made.bits_per_token().map_or_else(String::new, |bits| format!(", {bits:.3} bits per token"));
    console.note(format!(
        "prompt: {} tokens{}; generated: {} tokens{}{bits}; ended by {}",
        made.prompt_tokens,
        told(prompt),
        made.tokens.len(),
        told(rest),
        made.stopped.name()
    ));
}
