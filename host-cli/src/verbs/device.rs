//! `emberlm device`: firmware on a board, which scores with a blob or talks.

use std::fmt::Write;
use std::io::{self, BufRead, IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;
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
use crate::device::cable::{self, Port};
use crate::device::{
    self, BOARDS, Board, DeviceError, DeviceReport, Emulated, Link, Medium, Progress, emulator, firmware,
};
use crate::engine::Blob;
use crate::ground::shown;
use crate::report::Report;
use crate::report::{self, LossReport};
use crate::score::Job;
use crate::score::Task;
use crate::score::Windowing;
use crate::score::evaluate::{Pass, score_blob};
use crate::text::stream::TextStream;

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
    /// The blob; with --port, the one that the board is to hold
    #[arg(required_unless_present = "port")]
    blob: Option<PathBuf>,
    #[command(flatten)]
    link: RawLink,
}

/// How a board is reached.
#[derive(Args, Debug)]
struct RawLink {
    /// The board to emulate
    #[arg(long, value_name = "NAME", required_unless_present = "port", conflicts_with = "port",
        value_parser = PossibleValuesParser::new(BOARDS.iter().map(|board| board.name)))]
    board: Option<String>,
    /// The board's program [default: built from the source of this checkout]
    #[arg(long, value_name = "ELF", conflicts_with = "port")]
    firmware: Option<PathBuf>,
    /// The serial port of a board that has the program `cable` and the blob in its flash
    #[arg(long, value_name = "PATH")]
    port: Option<PathBuf>,
    /// Bits a second over the port
    #[arg(long, value_name = "N", default_value_t = 115_200, value_parser = clap::value_parser!(u32).range(1..))]
    baud: u32,
}

/// The words after `device score`.
#[derive(Args, Debug)]
struct ScoreArgs {
    /// The blob
    blob: PathBuf,
    #[command(flatten)]
    link: RawLink,
    #[command(flatten)]
    task: RawTask,
    #[command(flatten)]
    kv: RawKv,
    /// Let the board read the model in blocks from a file, as from a card, instead of finding it in its memory
    #[arg(long, conflicts_with = "port")]
    card: bool,
    /// Compare with the host's bits
    #[arg(long)]
    check: bool,
    /// How long the board may take
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
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

impl RawLink {
    /// The emulated board, where it is one.
    fn emulated<'a>(&'a self, blob: &'a Path, medium: Medium) -> Result<Option<Emulated<'a>>, Error> {
        let Some(name) = &self.board else { return Ok(None) };
        let board = Board::named(name).ok_or_else(|| Error::Usage(format!("no board {name}")))?;
        let firmware = self.firmware.as_deref();
        if let Some(program) = firmware {
            firmware::check(program, board)?;
        }
        if medium == Medium::Memory {
            board.check_blob(blob)?;
        }
        Ok(Some(Emulated { board, blob, medium, firmware }))
    }

    /// The port of a board that is to hold the model of that CRC-32.
    fn port<'a>(&'a self, model_crc32: Option<&'a str>) -> Result<Port<'a>, Error> {
        let path = self.port.as_ref().ok_or_else(|| Error::Usage("neither --board nor --port".into()))?;
        Ok(Port { path, baud: self.baud, model_crc32 })
    }
}

/// The board's console becomes this program's.
fn talk(args: &ConsoleArgs, console: Console) -> Result<Outcome, Error> {
    if console.json {
        return Err(Error::Usage("--json gives one object: it does not go with a console".into()));
    }
    let (out, err) = (io::stdout(), io::stderr());
    let is_well = if let Some(path) = &args.blob
        && let Some(Emulated { board, blob, firmware, .. }) = args.link.emulated(path, Medium::Memory)?
    {
        Blob::open(blob)?;
        let found;
        let program = match firmware {
            Some(program) => program,
            None => {
                if firmware::has_source(board) {
                    console.note("building the firmware");
                }
                found = firmware::find(board, firmware::CONSOLE)?;
                found.path()
            }
        };
        let command = emulator::command(board, program, &[(blob, board.model.address)])?;
        let (out, err) = (out.is_terminal().then_some(out), err.is_terminal().then_some(err));
        emulator::run_attached(command, out, err)?.success()
    } else {
        let model_crc32 = args.blob.as_deref().map(|blob| Blob::open(blob)?.crc32()).transpose()?;
        let port = args.link.port(model_crc32.as_deref())?;
        let (is_terminal, mut stream) = (out.is_terminal(), TextStream::default());
        let show = |bytes: &[u8]| {
            let mut out = out.lock();
            match is_terminal {
                true => out.write_all(shown::lines(&stream.push(bytes)).as_bytes())?,
                false => out.write_all(bytes)?,
            }
            out.flush()
        };
        let talk = cable::talk(&port, &typed_lines(), show);
        talk.map_err(|source| DeviceError::Cable { port: port.path.into(), source })?
    };
    Ok(Outcome::from_check(is_well))
}

/// What comes on standard input, line by line.
fn typed_lines() -> Receiver<Vec<u8>> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let mut line = Vec::new();
        // An error, or nobody who listens, is the end.
        while io::stdin().lock().read_until(b'\n', &mut line).is_ok_and(|n| n > 0)
            && sender.send(std::mem::take(&mut line)).is_ok()
        {}
    });
    lines
}

fn score(args: ScoreArgs, console: Console) -> Result<Outcome, Error> {
    let medium = if args.card { Medium::Card } else { Medium::Memory };
    let emulated = args.link.emulated(&args.blob, medium)?;
    let blob = Blob::open(&args.blob)?;
    let model_crc32 = blob.crc32()?;
    let link = match emulated {
        Some(emulated) => Link::Emulator(emulated),
        None => Link::Port(args.link.port(Some(&model_crc32))?),
    };
    let task = args.task.resolve(Limits::of_blob(&blob)?, None, blob.section()?, console)?;
    let kv_type = args.kv.resolve();
    let run = Run { link, timeout: Duration::from_secs(args.timeout) };
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
    pub link: Link<'a>,
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
    let &Run { link, timeout } = run;
    let job = device::Job { link, header, rows: &rows, timeout };
    let name = match link {
        Link::Emulator(emulated) => emulated.board.name.to_owned(),
        Link::Port(port) => shown::path(port.path).to_string(),
    };
    let mut bar: Option<(Bar, u64)> = None;
    let report = device::score(&job, |progress| match progress {
        Progress::Building => console.detail(|| format!("building the firmware of {name}")),
        Progress::Running => console.detail(|| format!("running on {name}")),
        Progress::Scored { done, total } => {
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
        line("board", shown::value(&device.board).to_string());
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
