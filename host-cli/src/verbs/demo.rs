//! `emberlm demo`: the whole story on a bundled model.
//!
//! A checkpoint becomes a blob, and the loss of a text is measured by the float reference, by the blob on this machine,
//! and by firmware on an emulated board. The last two are equal to the bit.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use emberlm_core::blob::{NO_TOKEN, TextTokens};
use emberlm_core::config::Activations;
use emberlm_core::format::Format;
use emberlm_core::generate::WhenFull;
use emberlm_core::kv_cache::KvType;
use emberlm_core::sample::Settings;
use emberlm_core::window::Convention;
use serde::Serialize;

use super::console::Console;
use super::device::{Run, score_on_board};
use super::error::Error;
use super::eval::canonical;
use super::outcome::Outcome;
use super::verify::{BlobResult, Tolerances};
use crate::checkpoint::{self, Checkpoint};
use crate::convert::formats::Formats;
use crate::convert::{self, Beside, convert};
use crate::device::{Board, DeviceReport, Emulated, Link, Medium, emulator, firmware};
use crate::engine::Blob;
use crate::engine::generation::{Request, Writer};
use crate::ground::files::output::is_blob;
use crate::ground::files::temporary::TemporaryFolder;
use crate::ground::files::{Output, Permit};
use crate::ground::shown;
use crate::ground::{bundled, checkout};
use crate::reference::Reference;
use crate::report::LossReport;
use crate::report::Report;
use crate::score::crosscheck::{Candidate, crosscheck};
use crate::score::evaluate::{Pass, score_blob, score_reference};
use crate::score::{Bos, Job, Task, Windowing};
use crate::text::input::{Source, read_text};
use crate::text::tokenizer::Tokenizer;
use crate::text::tokenizer::select::Search;

/// A bundled model, and a text that it never saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Model {
    /// A GPT-2 of characters, on a play
    #[value(name = "shakespeare-char")]
    ShakespeareChar,
    /// A Llama of llama2.c's, on a story; then it tells one of its own
    #[value(name = "stories260K")]
    Stories260K,
}

impl Model {
    const fn name(self) -> &'static str {
        match self {
            Self::ShakespeareChar => "shakespeare-char",
            Self::Stories260K => "stories260K",
        }
    }

    /// The checkpoint, its tokenizer and the text, in the folder of the bundled models.
    fn files(self, models: &Path) -> [PathBuf; 3] {
        let folder = models.join(self.name());
        match self {
            Self::ShakespeareChar => [folder.clone(), folder, models.join("as-you-like-it.txt")],
            Self::Stories260K => ["stories260K.bin", "tok512.bin", "story.txt"].map(|name| folder.join(name)),
        }
    }

    /// What the text is counted in.
    const fn unit(self) -> &'static str {
        match self {
            Self::ShakespeareChar => "characters",
            Self::Stories260K => "tokens",
        }
    }

    /// What is told, where it tells a story.
    const fn prompt(self) -> Option<&'static str> {
        match self {
            Self::ShakespeareChar => None,
            Self::Stories260K => Some("Once upon a time"),
        }
    }
}

/// The longest story.
const STORY_TOKENS: usize = 150;

const BOARD: &str = "mps2-an386";
const KV_TYPE: KvType = KvType::F32;

/// More than the bundled play has.
const MOST_OF_TEXT: u64 = 1 << 20;

/// The words after `demo`.
#[derive(Args, Debug)]
pub struct RawArgs {
    /// Which of the bundled models
    #[arg(long, value_enum, value_name = "NAME", default_value_t = Model::ShakespeareChar)]
    model: Model,
    /// The folder of the bundled models [default: that of this checkout, and outside of one those in this program]
    #[arg(long, value_name = "FOLDER")]
    models: Option<PathBuf>,
    /// Characters of the text to score
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u16).range(2..))]
    tokens: u16,
    /// Leave the board out
    #[arg(long)]
    no_board: bool,
    /// The board's program [default: built from the source of this checkout, and outside of one that in this program]
    #[arg(long, value_name = "ELF")]
    firmware: Option<PathBuf>,
    /// How long the board may take
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
}

/// The story, for machines.
#[derive(Serialize)]
struct Story {
    checkpoint: String,
    text: String,
    reference: LossReport,
    blob: LossReport,
    verify: BlobResult,
    /// `None` where the board was left out.
    device: Option<OnBoard>,
    /// What the board told, where it was asked for a story.
    story: Option<String>,
    /// Whether the board gave this machine's bits, and told its story.
    equals_host: Option<bool>,
    passed: bool,
}

#[derive(Serialize)]
struct OnBoard {
    #[serde(flatten)]
    loss: LossReport,
    #[serde(flatten)]
    device: DeviceReport,
}

impl Report for Story {
    /// The story's end: its chapters are told as they happen.
    fn text(&self) -> String {
        let mut text = format!("{:<34} {:<9} bits of the summed losses\n", "loss, nats a token (disjoint)", "mean");
        let mut line = |name: &str, loss: &LossReport| {
            let nats = loss.loss.map_or_else(|| "unknown".into(), |loss| format!("{loss:.6}"));
            let _ = writeln!(text, "{name:<34} {nats:<9} {}", loss.nll_bits.as_deref().unwrap_or("-"));
        };
        line("checkpoint, f32, float reference", &self.reference);
        line("blob, q8, this machine", &self.blob);
        if let Some(board) = &self.device {
            line("blob, q8, emulated Cortex-M4F", &board.loss);
        }
        text += match self.equals_host {
            Some(true) => "The board gives this machine's number, bit for bit.\n",
            Some(false) => "FAILED: the board gives another number than this machine.\n",
            None => "The board was left out.\n",
        };
        text
    }
}

/// Runs the verb.
///
/// # Errors
/// The bundled model cannot be read, or the board cannot be started.
pub fn run(args: &RawArgs, console: Console) -> Result<Outcome, Error> {
    let no_folder = |error: std::io::Error| Error::Convert { path: std::env::temp_dir(), source: error.into() };
    let in_checkout = || Some(checkout::find(Path::new("models").join(args.model.name()))?.parent()?.to_owned());
    let (models, _unpacked) = match args.models.clone().or_else(in_checkout) {
        Some(models) => (models, None),
        None => {
            let unpacked = bundled::unpack().map_err(no_folder)?;
            (unpacked.path().to_owned(), Some(unpacked))
        }
    };
    let [checkpoint_path, tokenizer_path, text_path] = args.model.files(&models);
    let checkpoint = Checkpoint::open(&checkpoint_path, &checkpoint::Options::default())?;
    let search = Search { checkpoint: Some(&tokenizer_path), ..Search::default() };
    let tokenizer = search.find()?.tokenizer;
    let task = task(args, &checkpoint, &tokenizer, &text_path)?;
    let folder = TemporaryFolder::new().map_err(no_folder)?;

    let blob = make_blob(&checkpoint, &tokenizer, &folder.path().join(format!("{}.blob", args.model.name())))?;
    let (name, bytes) = (shown::path(&checkpoint_path), blob.file.bytes().len());
    console.tell(format!("1. convert: {name} becomes a blob of {bytes} bytes, q8, rounded to the nearest\n"))?;

    let (jobs, name) = (task.jobs(), shown::path(&text_path));
    let n = Job::n_scored(&jobs);
    console.tell(format!("2. evaluate: {n} {} of {name}, which the model never saw", args.model.unit()))?;
    let bar = console.progress(3 * n, "scoring on this machine");
    let reference = Reference::new(&checkpoint);
    let of_reference =
        LossReport::of_task(&score_reference(&reference, &jobs, &|nlls| bar.advance(nlls.len() as u64))?, &task, None);
    console.tell(format!("the checkpoint's float reference:\n{}", indented(&of_reference.text())))?;
    let score = score_blob(&blob, Pass::new(KV_TYPE), &jobs, &|nlls| bar.advance(nlls.len() as u64))?;
    let of_blob = LossReport::of_task(&score, &task, Some(canonical(&blob, KV_TYPE)?));
    console.tell(format!("the blob in canonical arithmetic:\n{}", indented(&of_blob.text())))?;

    let candidate = Candidate { blob: &blob, kv_type: KV_TYPE };
    let summaries = crosscheck(&reference, &[candidate], &jobs, None, &|n| bar.advance(n))?;
    drop(bar);
    let summary = summaries.into_iter().next().unwrap_or_default();
    let verify = BlobResult::new(&blob, summary, &Tolerances::DEFAULT)?;
    console.tell(format!("3. verify: the blob against its checkpoint, position by position\n{}", verify.text()))?;

    let device = if args.no_board { None } else { Some(score_by_firmware(args, &blob, &task, console)?) };
    let story = match args.model.prompt() {
        Some(prompt) if !args.no_board => Some(tell(&blob, &tokenizer, prompt, folder.path(), args, console)?),
        _ => None,
    };
    let tells_the_hosts = story.as_ref().is_none_or(|(_, equals_host)| *equals_host);
    let equals_host = device.as_ref().map(|board| board.loss.nll_bits == of_blob.nll_bits && tells_the_hosts);
    let passed = verify.passed && equals_host != Some(false);
    let (checkpoint, text) = (checkpoint_path.display().to_string(), text_path.display().to_string());
    console.print(&Story {
        checkpoint,
        text,
        reference: of_reference,
        blob: of_blob,
        verify,
        device,
        story: story.map(|(told, _)| told),
        equals_host,
        passed,
    })?;
    Ok(Outcome::from_check(passed))
}

/// The beginning of the text, in disjoint windows of the model's whole context.
fn task(args: &RawArgs, checkpoint: &Checkpoint, tokenizer: &Tokenizer, text: &Path) -> Result<Task, Error> {
    let beginning: String = read_text(text, MOST_OF_TEXT)?.chars().take(usize::from(args.tokens) + 1).collect();
    let config = checkpoint.config();
    let input = Source::Prompt(beginning).read(Some(tokenizer), config.n_vocab, MOST_OF_TEXT)?;
    let bos = if tokenizer.asks_for_bos() { Bos::Text } else { Bos::None };
    let windowing = Windowing { bos, ..Windowing::new(Convention::Disjoint, config.n_ctx as usize) };
    let mut input = input;
    if let Some(token) = checkpoint.bos().or_else(|| tokenizer.bos()) {
        windowing.begin(&mut input, token);
    }
    let window_bytes = windowing.scored_bytes(&input, tokenizer);
    Ok(Task { input, windowing, window_bytes })
}

/// Has the board tell a story, the most likely token always, and says whether it is the one that this machine tells.
fn tell(
    blob: &Blob,
    tokenizer: &Tokenizer,
    prompt: &str,
    folder: &Path,
    args: &RawArgs,
    console: Console,
) -> Result<(String, bool), Error> {
    let board = Board::named(BOARD).ok_or_else(|| Error::Usage(format!("no board {BOARD}")))?;
    console.tell(format!("5. generate: what {} tells, the most likely token always", board.about))?;
    let told = told_by_firmware(board, blob, prompt, folder, Duration::from_secs(args.timeout))?;
    let request = Request {
        settings: Settings { temperature: 0.0, ..Settings::DEFAULT },
        max_tokens: STORY_TOKENS,
        stops: Vec::new(),
        when_full: WhenFull::Stop,
    };
    let n_ctx = blob.model()?.config().n_ctx as usize;
    let mut writer = Writer::new(blob, tokenizer, (tokenizer.bos(), &[]), KV_TYPE, n_ctx)?;
    let hosts = writer.write(prompt, &request, |_| Ok::<(), Error>(()))?.text;
    console.tell(format!("{prompt}{told}\n"))?;
    Ok((format!("{prompt}{told}"), told == hosts))
}

/// What the console's firmware answers to a prompt.
fn told_by_firmware(
    board: &Board,
    blob: &Blob,
    prompt: &str,
    folder: &Path,
    patience: Duration,
) -> Result<String, Error> {
    let typed = folder.join("typed");
    let io = |error: std::io::Error| Error::Convert { path: typed.clone(), source: error.into() };
    std::fs::write(&typed, format!(":temperature 0\n:max-tokens {STORY_TOKENS}\n{prompt}\n")).map_err(io)?;
    let program = firmware::find(board, firmware::CONSOLE)?;
    let command = emulator::command(board, program.path(), &[(&blob.path, board.model.address)])?;
    let keys = std::fs::File::open(&typed).map_err(io)?;
    let run = emulator::run_typed(command, keys.into(), patience, |_| {})?;
    let shown = run.lines.join("\n");
    let answer = shown.split("> ").find_map(|answer| answer.rsplit_once("\n-- ").map(|(text, _)| text.to_owned()));
    answer.ok_or_else(|| Error::Usage(format!("the board's console told nothing: {}", shown::value(&shown))))
}

fn make_blob(checkpoint: &Checkpoint, tokenizer: &Tokenizer, path: &Path) -> Result<Blob, Error> {
    let bos = checkpoint.bos().or_else(|| tokenizer.bos()).unwrap_or(NO_TOKEN);
    let mut text = TextTokens { bos, adds_bos: tokenizer.asks_for_bos(), ..TextTokens::NONE };
    text.ends.iter_mut().zip(checkpoint.ends(None)?.ids).for_each(|(end, id)| *end = id);
    let tokenizer = Some(tokenizer.section_parts()?);
    let options = convert::Options {
        formats: Formats::uniform(checkpoint.config(), Format::Q8),
        windows: None,
        beside: Beside { tokenizer, text, ..Beside::nothing(Activations::I16) },
    };
    let output = Output::begin(path, &Permit::default(), is_blob)?;
    convert(checkpoint, &options, output, |_| {}).map_err(|source| Error::of_convert(path, source))?;
    Ok(Blob::open(path)?)
}

fn score_by_firmware(args: &RawArgs, blob: &Blob, task: &Task, console: Console) -> Result<OnBoard, Error> {
    let board = Board::named(BOARD).ok_or_else(|| Error::Usage(format!("no board {BOARD}")))?;
    console.tell(format!("4. device: firmware on {}, emulated by {}", board.about, board.family.emulator))?;
    let link = Link::Emulator(Emulated {
        board,
        blob: &blob.path,
        medium: Medium::Memory,
        firmware: args.firmware.as_deref(),
    });
    let run = Run { link, timeout: Duration::from_secs(args.timeout) };
    let (loss, device) = score_on_board(&run, blob, KV_TYPE, task, console)?;
    let per_token = device.instructions / loss.tokens_scored.max(1);
    let ram = device.ram_bytes + device.stack_bytes;
    console.tell(format!(
        "  {per_token} instructions a token, {ram} bytes of RAM and stack\n{}",
        indented(&loss.text())
    ))?;
    Ok(OnBoard { loss, device })
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
