//! `emberlm plan`: does a model fit a board?

use std::fmt::Write;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, Args};
use emberlm_core::blob::PrunedVocabulary;
use emberlm_core::config::Config;
use emberlm_core::format::Format;
use emberlm_core::planner::{Order, Run};
use serde::Serialize;

use super::console::Console;
use super::convert::{find_formats, measuring};
use super::error::Error;
use super::options::board::board_names;
use super::options::calibration::RawCalibration;
use super::options::kv::RawKv;
use super::options::model::{ModelFile, RawCheckpoint};
use super::options::prune::RawPrune;
use super::outcome::Outcome;
use super::vocabulary::{Vocabulary, tokenizer_for_blob};
use crate::convert::blob_bytes;
use crate::convert::budget::Budget as Bytes;
use crate::convert::finder::Finder;
use crate::convert::formats::{Choice, Weights};
use crate::ground::named;
use crate::ground::shown;
use crate::plan::boards::{BOARDS, Board, USUAL_CORE};
use crate::plan::cores::Core;
use crate::plan::firmware::{Firmware, Optimized};
use crate::plan::fit::{Wish, choices, fit_flash, fit_ram};
use crate::plan::{Budget, Plan};
use crate::report::Report;
use crate::report::table::aligned;
use crate::text::tokenizer::select::Search;
use crate::text::tokenizer::{Tokenizer, section};

/// The words after `plan`.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("memories").args(["board", "flash"]).required(true)))]
pub struct RawArgs {
    /// A blob, or a checkpoint as for `convert`
    model: PathBuf,
    /// The board, or `all` for a line for each whose core was measured
    #[arg(long, value_name = "NAME", value_parser = board_names(&[ALL]), ignore_case = true)]
    board: Option<String>,
    /// Bytes of flash, as 1000000, 512K or 2M
    #[arg(long, value_name = "N", value_parser = bytes, requires = "ram")]
    flash: Option<u64>,
    /// Bytes of RAM; pieces that are not contiguous as 128K+64K
    #[arg(long, value_name = "N", value_parser = ram_pieces, requires = "flash")]
    ram: Option<Pieces>,
    /// The core behind --flash and --ram
    #[arg(long, value_name = "CORE", requires = "flash", value_parser = PossibleValuesParser::new(Core::names()))]
    core: Option<String>,
    /// Look for what fits among what is not given: weights, KV cache, order, batch, build and context
    #[arg(long)]
    fit: bool,
    /// How a checkpoint's weights are stored, as `convert --weights` takes it: q8, q4+head=q8, auto:512K [default: q8]
    #[arg(long, value_name = "FORMATS")]
    weights: Option<Choice>,
    #[command(flatten)]
    calibration: RawCalibration,
    #[command(flatten)]
    kv: RawKv,
    /// Positions of a window [default: the model's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    n_ctx: Option<u32>,
    /// Positions that go through a layer together [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// layer-major: one layer's KV cache, to score; token-major: every layer's, to continue [default: layer-major]
    #[arg(long, value_name = "ORDER", value_parser = order)]
    order: Option<Order>,
    /// What the firmware is optimised for: speed or size [default: speed where that was measured]
    #[arg(long, value_name = "AIM", value_parser = optimized)]
    optimized: Option<Optimized>,
    #[command(flatten)]
    layout: RawCheckpoint,
    /// The tokenizer of the checkpoint's blob, as for `convert`
    #[arg(long, value_name = "PATH", conflicts_with = "no_tokenizer")]
    tokenizer: Option<String>,
    /// Leave the tokenizer out of the checkpoint's blob
    #[arg(long)]
    no_tokenizer: bool,
    #[command(flatten)]
    prune: RawPrune,
}

/// Every board.
const ALL: &str = "all";

/// Pieces of RAM, at least one.
#[derive(Clone, Debug)]
struct Pieces(Vec<u64>);

fn bytes(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(Bytes::Bytes(bytes)) => Ok(bytes),
        _ => Err(format!("`{}` is no number of bytes: write 1000000, 512K or 2M", shown::value(text))),
    }
}

fn ram_pieces(text: &str) -> Result<Pieces, String> {
    let pieces = text.split('+').map(bytes).collect::<Result<Vec<_>, _>>()?;
    match pieces.iter().try_fold(0, |sum: u64, &piece| sum.checked_add(piece)) {
        Some(_) => Ok(Pieces(pieces)),
        None => Err(format!("`{}` comes to more than 2^64 bytes", shown::value(text))),
    }
}

fn order(name: &str) -> Result<Order, String> {
    named::find(&Order::ALL, Order::name, name)
}

fn optimized(name: &str) -> Result<Optimized, String> {
    named::find(&Optimized::ALL, Optimized::name, name)
}

/// A model, in a blob or to be.
struct Model {
    config: Config,
    /// What its vocabulary is cut from.
    pruned: Option<PrunedVocabulary>,
    /// Of a checkpoint, formats that may be taken and what the blob would come to; of a blob, its length.
    blobs: Vec<(Option<Choice>, u64)>,
}

/// A plan, and what it is for.
#[derive(Serialize)]
struct Planned {
    model: String,
    /// What its vocabulary is cut from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pruned: Option<PrunedVocabulary>,
    board: &'static str,
    core: &'static str,
    /// What the firmware is optimised for.
    optimized: &'static str,
    /// The formats of a checkpoint's matrices.
    #[serde(skip_serializing_if = "Option::is_none")]
    weights: Option<String>,
    kv: &'static str,
    n_ctx: usize,
    batch: usize,
    order: &'static str,
    flash: Budget,
    ram: Budget,
    max_n_ctx: usize,
    fits: bool,
    #[serde(skip)]
    about: &'static str,
    #[serde(skip)]
    measured_on: String,
}

/// One plan a board.
#[derive(Serialize)]
struct Overview {
    boards: Vec<Planned>,
}

/// Runs the verb.
///
/// # Errors
/// The model cannot be read, or options contradict each other.
pub fn run(args: &RawArgs, console: Console) -> Result<Outcome, Error> {
    let model = args.model(console)?;
    if let Some(n_ctx) = args.n_ctx.filter(|&n_ctx| n_ctx > model.config.n_ctx) {
        return Err(Error::Usage(format!("--n-ctx {n_ctx} is beyond the model's {}", model.config.n_ctx)));
    }
    if args.board.as_deref().is_some_and(|board| board.eq_ignore_ascii_case(ALL)) {
        let boards = BOARDS.iter().map(|board| args.plan(&model, board)).collect::<Result<_, _>>()?;
        console.print(&Overview { boards })?;
        return Ok(Outcome::Passed);
    }
    let planned = args.plan(&model, &args.board()?)?;
    console.print(&planned)?;
    Ok(Outcome::from_check(planned.fits))
}

impl RawArgs {
    fn board(&self) -> Result<Board, Error> {
        if let Some(board) = self.board.as_deref().and_then(Board::named) {
            return Ok(board.clone());
        }
        let (Some(flash), Some(ram)) = (self.flash, &self.ram) else {
            return Err(Error::Usage("--flash and --ram go together".into()));
        };
        let core = self.core.as_deref().and_then(Core::named).map_or(USUAL_CORE, |core| core.name);
        Ok(Board::custom(core, flash, &ram.0))
    }

    fn model(&self, console: Console) -> Result<Model, Error> {
        let file = ModelFile::open(&self.model, &self.layout, console)?;
        let checkpoint = match file {
            ModelFile::Blob(_) if self.weights.is_some() || self.calibration.is_named() => {
                return Err(Error::Usage(
                    "a blob has its formats: --weights and --calibrate are for a checkpoint".into(),
                ));
            }
            ModelFile::Blob(_) if self.tokenizer.is_some() || self.no_tokenizer => {
                let why = "a blob has its tokenizer or none: --tokenizer and --no-tokenizer are for a checkpoint";
                return Err(Error::Usage(why.into()));
            }
            ModelFile::Blob(_) if self.prune.wish().is_some() => {
                return Err(Error::Usage("a blob has its vocabulary: --prune-vocab is for a checkpoint".into()));
            }
            ModelFile::Blob(blob) => {
                let (config, pruned) = (*blob.model()?.config(), blob.pruned()?);
                return Ok(Model { config, pruned, blobs: vec![(None, blob.file.bytes().len() as u64)] });
            }
            ModelFile::Checkpoint(checkpoint) => *checkpoint,
        };
        let (named, n_vocab) = (self.tokenizer.as_deref(), Some(checkpoint.config().n_vocab));
        let search = || Search { named, checkpoint: Some(&self.model), section: None, n_vocab };
        let tokenizer = if self.no_tokenizer { None } else { tokenizer_for_blob(search(), console)? };
        let vocabulary = Vocabulary::whole(checkpoint, self.layout.options().config.as_deref(), tokenizer, console)?;
        let vocabulary = vocabulary.cut(&self.prune, console)?;
        let chosen = self.weights.or((!self.fit).then_some(Choice::uniform(Format::Q8)));
        let of_text = || vocabulary.tokenizer_of(|| Ok(search().find()?.tokenizer));
        let blobs = self.blobs(&vocabulary, of_text, &choices(chosen), console)?;
        let (config, pruned) = (*vocabulary.checkpoint.config(), vocabulary.pruned());
        Ok(Model { config, pruned, blobs })
    }

    /// The lengths of the blobs that `convert` would write; `of_text` is the tokenizer of a text to round weights by.
    fn blobs(
        &self,
        vocabulary: &Vocabulary,
        of_text: impl FnOnce() -> Result<Tokenizer, Error>,
        choices: &[Choice],
        console: Console,
    ) -> Result<Vec<(Option<Choice>, u64)>, Error> {
        let checkpoint = &vocabulary.checkpoint;
        let tokenizer_bytes = vocabulary.tokenizer.as_ref().map_or(0, |parts| section::encode(parts).len());
        let by_budget = choices.iter().any(|choice| matches!(choice.weights, Weights::Auto(_)));
        let windows = if by_budget { self.calibration.resolve().windows(checkpoint, of_text, console)? } else { None };
        let (mut finder, bar) =
            (Finder::new(checkpoint, windows.as_ref(), tokenizer_bytes), measuring(checkpoint, console));
        let sized = |&choice: &Choice| -> Result<_, Error> {
            let formats = find_formats(&mut finder, choice, &bar)?;
            Ok((Some(choice), blob_bytes(checkpoint, formats, tokenizer_bytes)))
        };
        choices.iter().map(sized).collect()
    }

    /// What is asked for; without `--fit` with the fastest build.
    fn wish(&self, board: &Board) -> Wish {
        let fastest = || Firmware::of(board).first().map(|firmware| firmware.optimized);
        Wish {
            n_ctx: self.n_ctx.map(|n_ctx| n_ctx as usize),
            kv_type: self.kv.named(),
            batch: self.batch.map(|batch| batch as usize),
            order: self.order,
            optimized: self.optimized.or_else(|| if self.fit { None } else { fastest() }),
        }
    }

    fn plan(&self, model: &Model, board: &Board) -> Result<Planned, Error> {
        let wish = self.wish(board);
        let none = || Error::Usage(format!("no firmware of that kind was measured for {}", board.core));
        let (weights, firmware) = fit_flash(board, &wish, &model.blobs).ok_or_else(none)?;
        let run = if self.fit { fit_ram(board, &firmware, &model.config, &wish) } else { wish.run(&model.config) };
        let blob_bytes = model.blobs.iter().find(|(choice, _)| *choice == weights).map_or(0, |&(_, bytes)| bytes);
        let plan = Plan::new(board, &firmware, &model.config, blob_bytes, &run);
        Ok(Planned { pruned: model.pruned, ..self.planned(board, weights, firmware, &run, plan) })
    }

    fn planned(&self, board: &Board, weights: Option<Choice>, firmware: Firmware, run: &Run, plan: Plan) -> Planned {
        let fits = plan.fits();
        let Plan { flash, ram, max_n_ctx } = plan;
        Planned {
            model: self.model.display().to_string(),
            pruned: None,
            board: board.name,
            core: board.core,
            optimized: firmware.optimized.name(),
            weights: weights.map(|choice| choice.to_string()),
            kv: run.kv_type.name(),
            n_ctx: run.n_ctx,
            batch: run.batch,
            order: run.order.name(),
            flash,
            ram,
            max_n_ctx,
            fits,
            about: board.about,
            measured_on: firmware.board,
        }
    }
}

impl Report for Planned {
    fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<9} {value}");
        };
        line("board", format!("{}: {}, {}", self.board, self.about, self.core));
        line("firmware", format!("score, optimised for {}, as measured on {}", self.optimized, self.measured_on));
        let weights = self.weights.as_ref().map_or(String::new(), |weights| format!("weights {weights}, "));
        let Self { kv, n_ctx, order, batch, .. } = self;
        if let Some(pruned) = self.pruned {
            line("vocab", pruned.to_string());
        }
        line("run", format!("{weights}kv cache {kv}, n_ctx {n_ctx}, {order}, batch {batch}"));
        let rows = [("flash", &self.flash), ("ram", &self.ram)].into_iter().flat_map(|(memory, budget)| {
            let parts = budget.parts.iter().map(move |part| {
                let region = part.region.unwrap_or("NO ROOM");
                [memory.into(), part.name.into(), region.into(), part.bytes.to_string()]
            });
            let sums = [("need", budget.need), ("have", budget.have)];
            parts.chain(sums.map(|(name, bytes)| [memory.into(), name.into(), String::new(), bytes.to_string()]))
        });
        let rows: Vec<[String; 4]> = rows.collect();
        let table = aligned(&["memory", "part", "region", "bytes"], 3, rows.into_iter());
        let _ = write!(text, "\n{table}\n");
        let verdict = if self.fits { "fits" } else { "DOES NOT FIT" };
        let _ = match self.max_n_ctx {
            0 => writeln!(text, "{verdict}; the RAM holds no context"),
            n => writeln!(text, "{verdict}; the longest context that the RAM holds is {n}"),
        };
        text
    }
}

impl Report for Overview {
    fn text(&self) -> String {
        let headings = [
            "board",
            "core",
            "weights",
            "kv",
            "order",
            "fits",
            "batch",
            "n_ctx",
            "flash need",
            "have",
            "ram need",
            "have",
            "max n_ctx",
        ];
        let rows = self.boards.iter().map(|plan| {
            let words = [
                plan.board,
                plan.core,
                plan.weights.as_deref().unwrap_or("blob"),
                plan.kv,
                plan.order,
                if plan.fits { "yes" } else { "no" },
            ];
            let numbers = [
                plan.batch as u64,
                plan.n_ctx as u64,
                plan.flash.need,
                plan.flash.have,
                plan.ram.need,
                plan.ram.have,
                plan.max_n_ctx as u64,
            ];
            let mut cells = words.map(String::from).into_iter().chain(numbers.map(|number| number.to_string()));
            std::array::from_fn(|_| cells.next().unwrap_or_default())
        });
        aligned(&headings, 6, rows)
    }
}
