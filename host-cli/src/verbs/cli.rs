//! The command line: words to a verb, a verb's end to an exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{Command, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use super::console::Console;
use super::error::Error;
use super::outcome::Outcome;
use super::{
    bench, compare, completions, convert, demo, device, eval, examples, generate, init, inspect, man, merge, pack,
    page, plan, report, surprisal, tokenize, verify,
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
    /// Whether to colour what is printed
    #[arg(long, global = true, display_order = 103, value_name = "WHEN", value_enum, default_value_t = Colour::Auto)]
    color: Colour,
    #[command(subcommand)]
    verb: Verb,
}

/// When there are colours.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Colour {
    /// On a terminal that has them, unless NO_COLOR is set
    Auto,
    /// Also into files and pipes
    Always,
    /// Nowhere
    Never,
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
    /// Write a page for browsers with a model inside
    Page(page::RawArgs),
    /// Tell the whole story on a bundled model, in under a minute
    Demo(demo::RawArgs),
    /// Write a randomly initialised checkpoint
    Init(init::RawArgs),
    /// Turn text into token ids, or ids into text
    Tokenize(tokenize::RawArgs),
    /// Print a shell's script that completes words
    Completions(completions::RawArgs),
    /// Print a page of the manual
    Man(man::RawArgs),
}

/// What the program understands: verbs, options, what each takes, and examples of it.
pub fn command() -> Command {
    Cli::command().mut_subcommands(|verb| match examples::of(verb.get_name()) {
        Some(examples) => verb.after_help(examples),
        None => verb,
    })
}

/// The words as they were meant.
fn parse(args: &[OsString]) -> Result<Cli, clap::Error> {
    Cli::from_arg_matches(&command().try_get_matches_from(args)?).map_err(|error| error.format(&mut command()))
}

const OK: u8 = 0;
const CHECK_FAILED: u8 = 1;
const ERROR: u8 = 2;

/// Runs the command that `args` spell, program name first.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match parse(&args) {
        Ok(cli) => cli,
        Err(error) => return usage(harmless(error), args.iter().any(|arg| arg == "--json")),
    };
    if cli.color != Colour::Auto {
        console::set_colors_enabled(cli.color == Colour::Always);
    }
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
        Verb::Page(args) => page::run(&args, console),
        Verb::Device(args) => device::run(args, console),
        Verb::Demo(args) => demo::run(&args, console),
        Verb::Init(args) => init::run(args, console),
        Verb::Tokenize(args) => tokenize::run(args, console),
        Verb::Completions(args) => completions::run(&args, command(), console),
        Verb::Man(args) => man::run(&args, command(), console),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a line, as a shell takes them; none of what goes to a file or another program.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut quoted, mut word) = (Vec::new(), false, String::new());
        for c in line.chars() {
            match c {
                '"' => quoted = !quoted,
                '>' | '|' if !quoted => return words,
                ' ' if !quoted => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
                c => word.push(c),
            }
        }
        words.extend((!word.is_empty()).then_some(word));
        words
    }

    #[test]
    fn the_table_of_options_contradicts_itself_nowhere() {
        command().debug_assert();
    }

    #[test]
    fn every_verb_has_examples_that_it_understands() {
        for verb in command().get_subcommands().map(Command::get_name) {
            let examples = examples::of(verb).unwrap_or_else(|| panic!("{verb} has no examples"));
            for line in examples.lines().skip(1) {
                let parsed = command().try_get_matches_from(words(line));
                assert_eq!(parsed.unwrap_or_else(|error| panic!("{line}: {error}")).subcommand_name(), Some(verb));
            }
        }
        assert_eq!(examples::of("no such verb"), None);
    }
}
