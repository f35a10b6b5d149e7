//! The command line: words to a verb, a verb's end to an exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{Command, CommandFactory, Parser, Subcommand};

use super::console::Console;
use super::error::Error;
use super::outcome::Outcome;
use super::{
    bench, compare, convert, demo, device, eval, generate, init, inspect, merge, pack, plan, report, surprisal,
    tokenize, verify,
};
use crate::ground::shown;

/// GPT language models on microcontrollers, measured.
#[derive(Parser)]
#[command(
    name = "emberlm",
    version,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 all is well, 1 a check failed (a tolerance, a budget, unequal bits), 2 an error."
)]
struct Cli {
    /// Print one JSON object with stable keys
    #[arg(long, global = true, display_order = 100)]
    json: bool,
    /// Print details
    #[arg(short, long, global = true, display_order = 101)]
    verbose: bool,
    /// The most bytes that are read of a text or of token ids, as 500000, 512K, 2M or 4G
    #[arg(long, global = true, display_order = 102, value_name = "BYTES", default_value = "1G", value_parser = bytes)]
    max_input: u64,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Turn a checkpoint into a blob for the device
    Convert(convert::RawArgs),
    /// Measure the loss and perplexity of a model on a text
    Eval(eval::RawArgs),
    /// Join the records of shards that were evaluated apart
    Merge(merge::RawArgs),
    /// Show how much each token of a text surprised a model
    Surprisal(surprisal::RawArgs),
    /// Write what follows a prompt
    Generate(generate::RawArgs),
    /// Compare blobs with the checkpoint that they were made from
    Verify(verify::RawArgs),
    /// Measure what formats of weights, activations and KV cache cost
    Compare(compare::RawArgs),
    /// Draw how blobs differ from their checkpoint and why, as one page of HTML
    Report(report::RawArgs),
    /// Time a blob's passes on this machine
    Bench(bench::RawArgs),
    /// Run firmware on a board
    Device(device::RawArgs),
    /// Show what is in a blob or a checkpoint
    Inspect(inspect::RawArgs),
    /// See whether a model fits a board, to the byte
    Plan(Box<plan::RawArgs>),
    /// Pack a blob or firmware for a board that is flashed by copying a file
    Pack(pack::RawArgs),
    /// Tell the whole story on a bundled model, in under a minute
    Demo(demo::RawArgs),
    /// Write a randomly initialised checkpoint
    Init(init::RawArgs),
    /// Turn text into token ids, or ids into text
    Tokenize(tokenize::RawArgs),
}

/// What the program understands: verbs, options, and what each takes.
pub fn command() -> Command {
    Cli::command()
}

const OK: u8 = 0;
const CHECK_FAILED: u8 = 1;
const ERROR: u8 = 2;

/// Runs the command that `args` spell, program name first.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return usage(harmless(error), args.iter().any(|arg| arg == "--json")),
    };
    let console = Console { json: cli.json, verbose: cli.verbose, max_input: cli.max_input };
    let ended = match cli.verb {
        Verb::Convert(args) => convert::run(&args, console),
        Verb::Eval(args) => eval::run(args, console),
        Verb::Merge(args) => merge::run(&args, console),
        Verb::Surprisal(args) => surprisal::run(args, console),
        Verb::Generate(args) => generate::run(args, console),
        Verb::Verify(args) => verify::run(args, console),
        Verb::Compare(args) => compare::run(args, console),
        Verb::Report(args) => report::run(&args, console),
        Verb::Bench(args) => bench::run(&args, console),
        Verb::Inspect(args) => inspect::run(&args, console),
        Verb::Plan(args) => plan::run(&args, console),
        Verb::Pack(args) => pack::run(&args, console),
        Verb::Device(args) => device::run(args, console),
        Verb::Demo(args) => demo::run(&args, console),
        Verb::Init(args) => init::run(args, console),
        Verb::Tokenize(args) => tokenize::run(args, console),
    };
    ExitCode::from(match ended {
        Ok(Outcome::Passed) => OK,
        Ok(Outcome::Failed) => CHECK_FAILED,
        Err(error) if error.is_broken_pipe() => OK,
        Err(Error::Reported(_)) if console.json => ERROR,
        Err(error) => say(console, &error),
    })
}

/// A number of bytes.
fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{}` is no number of bytes: write 500000, 512K, 2M or 4G", shown::value(text));
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 1 << 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 1 << 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1u64),
    };
    digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).filter(|&n| n > 0).ok_or_else(wrong)
}

/// Help and version end well; everything else that clap says is an error.
fn usage(error: clap::Error, json: bool) -> ExitCode {
    if json && error.use_stderr() {
        return ExitCode::from(say(Console { json, verbose: false, max_input: 0 }, &Error::Usage(one_line(&error))));
    }
    if error.use_stderr() {
        let _ = error.print();
        return ExitCode::from(ERROR);
    }
    let console = Console { json: false, verbose: false, max_input: 0 };
    let printed = error.print().map_err(Error::Output);
    ExitCode::from(printed.map_or_else(|error| if error.is_broken_pipe() { OK } else { say(console, &error) }, |()| OK))
}

/// The same error, with the words of the user's that it repeats as they may be shown.
fn harmless(mut error: clap::Error) -> clap::Error {
    let shown = |value: &ContextValue| match value {
        ContextValue::String(word) => ContextValue::String(shown::value(word).to_string()),
        ContextValue::Strings(words) => {
            ContextValue::Strings(words.iter().map(|word| shown::value(word).to_string()).collect())
        }
        ContextValue::StyledStrs(tips) => {
            ContextValue::StyledStrs(tips.iter().map(|tip| shown::message(tip).to_string().into()).collect())
        }
        other => other.clone(),
    };
    let values: Vec<(ContextKind, ContextValue)> = error.context().map(|(kind, value)| (kind, shown(value))).collect();
    for (kind, value) in values {
        error.insert(kind, value);
    }
    error
}

/// What clap says, without its advice on usage.
fn one_line(error: &clap::Error) -> String {
    let rendered = error.render().to_string();
    let said = rendered.split("\n\nUsage:").next().unwrap_or_default();
    said.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Says what went wrong, and returns the exit code.
fn say(console: Console, error: &Error) -> u8 {
    // Where standard output is what went wrong, standard error is left.
    let people = Console { json: false, ..console };
    let console = if matches!(error, Error::Output(_)) { people } else { console };
    match console.print_error(error.kind(), &error.to_string()).map_err(Error::Output) {
        Err(error) if error.is_broken_pipe() => OK,
        Err(unwritable) => {
            let _ = people.print_error(error.kind(), &error.to_string());
            let _ = people.print_error(unwritable.kind(), &unwritable.to_string());
            ERROR
        }
        Ok(()) if error.is_failed_check() => CHECK_FAILED,
        Ok(()) => ERROR,
    }
}
