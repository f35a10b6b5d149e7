//! `emberlm device`: firmware on a board, which scores with a blob or talks.

use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use emberlm_core::config::TokenId;
use emberlm_core::kv_cache::KvType;
use emberlm_request::Header;
use serde::Serialize;

use super::console::{Console, Progress as Bar};
use super::error::{self, Error};
use super::eval::canonical;
use super::options::kv::RawKv;
use super::options::model::Limits;
use super::options::task::RawTask;
use super::outcome::Outcome;
use crate::device::{self, BOARDS, Board, DeviceReport, Medium, Progress, emulator, firmware};
use crate::engine::Blob;
use crate::report::Report;
use crate::report::{self, LossReport};
use crate::score::Job;
use crate::score::Task;
use crate::score::Windowing;
use crate::score::evaluate::{Pass, score_blob};

/// The words after `device`.
#[derive(Args, Debug)]
pub struct RawArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Measure the loss and perplexity of a blob on a board
    Score(Box<ScoreArgs>),
    /// Type prompts, and read what a blob on a board makes of them
    Console(ConsoleArgs),
}

/// The words after `device console`.
#[derive(Args, Debug)]
struct ConsoleArgs {
    /// The blob
    blob: PathBuf,
    /// The board
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(BOARDS.iter().map(|board| board.name)))]
    board: String,
    /// The board's program [default: built from the source of this checkout]
    #[arg(long, value_name = "ELF")]
    firmware: Option<PathBuf>,
}

/// The words after `device score`.
#[derive(Args, Debug)]
struct ScoreArgs {
    /// The blob
    blob: PathBuf,
    /// The board
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(BOARDS.iter().map(|board| board.name)))]
    board: String,
    #[command(flatten)]
    task: RawTask,
    #[command(flatten)]
    kv: RawKv,
    /// Let the board read the model in blocks from a file, as from a card, instead of finding it in its memory
    #[arg(long)]
    card: bool,
    /// Compare with the host's bits
    #[arg(long)]
    check: bool,
    /// How long the board may take
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// The board's program [default: built from the source of this checkout]
    #[arg(long, value_name = "ELF")]
    firmware: Option<PathBuf>,
}

/// Runs the verb.
///
/// # Errors
/// Blob, tokenizer or input cannot be had, or the board cannot be started.
pub fn run(args: RawArgs, console: Console) -> Result<Outcome, Error> {
    match args.verb {
        Verb::Score(args) => score(*args, console),
        Verb::Console(args) => talk(&args, console),
    }
}

fn board_named(name: &str) -> Result<&'static Board, Error> {
    Board::named(name).ok_or_else(|| Error::Usage(format!("no board {name}")))
}

/// The board's console becomes this program's.
fn talk(args: &ConsoleArgs, console: Console) -> Result<Outcome, Error> {
    if console.json {
        return Err(Error::Usage("--json gives one object: it does not go with a console".into()));
    }
    let board = board_named(&args.board)?;
    if let Some(program) = &args.firmware {
        firmware::check(program, board)?;
    }
    board.check_blob(&args.blob)?;
    Blob::open(&args.blob)?;
    let program = match &args.firmware {
        Some(program) => program.clone(),
        None => {
            console.note("building the firmware");
            firmware::build(board, firmware::CONSOLE)?
        }
    };
    let command = emulator::command(board, &program, &[(&args.blob, board.model.address)])?;
    let (out, err) = (io::stdout(), io::stderr());
    let (out, err) = (out.is_terminal().then_some(out), err.is_terminal().then_some(err));
    Ok(Outcome::from_check(emulator::run_attached(command, out, err)?.success()))
}

fn score(args: ScoreArgs, console: Console) -> Result<Outcome, Error> {
    let board = board_named(&args.board)?;
    if let Some(program) = &args.firmware {
        firmware::check(program, board)?;
    }
    let medium = if args.card { Medium::Card } else { Medium::Memory };
    if medium == Medium::Memory {
        board.check_blob(&args.blob)?;
    }
    let blob = Blob::open(&args.blob)?;
    let task = args.task.resolve(Limits::of_blob(&blob)?, None, blob.section()?, console)?;
    let kv_type = args.kv.resolve();
    let run = Run { board, medium, firmware: args.firmware.as_deref(), timeout: Duration::from_secs(args.timeout) };
    let (mut loss, device) = score_on_board(&run, &blob, kv_type, &task, console)?;
    if loss.tokens_scored == 0 {
        loss.error = Some(report::nothing_to_score(&task));
    }
    let host_nll_bits = args.check.then(|| host_nll_bits(&blob, kv_type, &task.jobs(), console)).transpose()?;
    let equals_host = host_nll_bits.as_ref().map(|bits| *bits == device.nll_bits);
    let report = Scored { loss, device, host_nll_bits, equals_host };
    console.print(&report)?;
    error::check(report.loss.error.as_ref())?;
    Ok(Outcome::from_check(equals_host != Some(false)))
}

/// Where a blob is to be scored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    pub board: &'static Board,
    /// Where it finds the model.
    pub medium: Medium,
    /// The board's program, where it is not to be built.
    pub firmware: Option<&'a Path>,
    pub timeout: Duration,
}

/// Scores `task` on a board.
pub(super) fn score_on_board(
    run: &Run<'_>,
    blob: &Blob,
    kv_type: KvType,
    task: &Task,
    console: Console,
) -> Result<(LossReport, DeviceReport), Error> {
    let Windowing { convention, n_ctx, .. } = task.windowing;
    let rows: Vec<&[TokenId]> = task.input.rows().iter().map(|row| row.tokens.as_slice()).collect();
    let header = Header { n_ctx, convention, kv_type, n_bytes: task.bytes() };
    let &Run { board, medium, firmware, timeout } = run;
    let job = device::Job { board, blob: &blob.path, medium, header, rows: &rows, firmware, timeout };
    let mut bar: Option<(Bar, u64)> = None;
    let report = device::score(&job, |progress| match progress {
        Progress::Building => console.detail(|| format!("building the firmware of {}", board.name)),
        Progress::Running => console.detail(|| format!("running {}", board.family.emulator)),
        Progress::Scored { done, total } => {
            let name = board.name;
            let (bar, shown) = bar.get_or_insert_with(|| (console.progress(total, format!("scoring on {name}")), 0));
            bar.advance(done.saturating_sub(*shown));
            *shown = done;
        }
    })?;
    let mut loss = report.loss(&task.windowing, canonical(blob, kv_type)?)?;
    loss.tokens_skipped += task.input.n_left_out() as u64;
    Ok((loss, report))
}

fn host_nll_bits(blob: &Blob, kv_type: KvType, jobs: &[Job<'_>], console: Console) -> Result<String, Error> {
    let bar = console.progress(Job::n_scored(jobs), "scoring on the host");
    Ok(format!(
        "{:016x}",
        score_blob(blob, Pass::new(kv_type), jobs, &|nlls| bar.advance(nlls.len() as u64))?.sum().to_bits()
    ))
}

/// A board's report, and what became of the check.
#[derive(Serialize)]
struct Scored {
    #[serde(flatten)]
    loss: LossReport,
    #[serde(flatten)]
    device: DeviceReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    host_nll_bits: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    equals_host: Option<bool>,
}

impl Report for Scored {
    fn text(&self) -> String {
        let mut text = self.loss.text();
        let mut line = |name: &str, value: String| {
            writeln!(text, "{name:<15} {value}").expect("a string can be written to");
        };
        let device = &self.device;
        line("board", device.board.clone());
        let per_token = device.instructions / self.loss.tokens_scored.max(1);
        line("instructions", format!("{} ({per_token} a token)", device.instructions));
        let (kv, scratch) = (device.kv_bytes, device.scratch_bytes);
        line("ram", format!("{} bytes, of which kv cache {kv}, scratch {scratch}", device.ram_bytes));
        line("stack", format!("{} bytes", device.stack_bytes));
        if let Some(bytes) = device.bytes_read {
            line("read", format!("{bytes} bytes of the model's file"));
        }
        match (self.equals_host, &self.host_nll_bits) {
            (Some(true), _) => line("check", "passed: the host's nll bits are the same".into()),
            (Some(false), Some(bits)) => line("check", format!("FAILED: the host's nll bits are {bits}")),
            _ => {}
        }
        text
    }
}
