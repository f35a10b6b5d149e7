//! `emberlm inspect`: what is in a blob or a checkpoint.

use std::fmt::Write;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, Args};
use emberlm_core::planner::{Order, Run};
use serde::Serialize;

use super::console::Console;
use super::error::Error;
use super::options::board::board_names;
use super::options::kv::RawKv;
use super::options::model::{ModelFile, RawCheckpoint};
use super::outcome::Outcome;
use crate::ground::shown;
use crate::plan::boards::Board;
use crate::plan::cores::Core;
use crate::plan::program::Program;
use crate::report::Report;
use crate::report::architecture::ArchitectureContents;
use crate::report::checkpoint::{CheckpointContents, checkpoint};
use crate::report::contents::{Contents, contents};

/// The words after `inspect`.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("processor").args(["board", "core"])))]
pub struct RawArgs {
    /// A blob, or a checkpoint: a folder, a .safetensors file, what PyTorch saved, an index of shards, or a file of llama2.c
    model: PathBuf,
    /// Print what a program of your own for the blob needs, as Rust: its constants, and how to build it
    #[arg(long, requires = "processor")]
    rust: bool,
    /// The board that the program is for
    #[arg(long, value_name = "NAME", requires = "rust", value_parser = board_names(&[]), ignore_case = true)]
    board: Option<String>,
    /// The core that it is for
    #[arg(long, value_name = "CORE", requires = "rust", value_parser = PossibleValuesParser::new(Core::names()))]
    core: Option<String>,
    /// Positions that the program takes [default: the model's]
    #[arg(long, value_name = "N", requires = "rust", value_parser = clap::value_parser!(u32).range(1..))]
    n_ctx: Option<u32>,
    #[command(flatten)]
    kv: RawKv,
    #[command(flatten)]
    checkpoint: RawCheckpoint,
}

/// What a program of one's own needs.
#[derive(Serialize)]
struct OwnProgram {
    blob: String,
    model_crc32: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    board: Option<&'static str>,
    core: &'static str,
    target: &'static str,
    rustflags: &'static [&'static str],
    features: Vec<&'static str>,
    dependency: String,
    kernel: &'static str,
    kv: &'static str,
    n_ctx: usize,
    kv_words: usize,
    scratch_floats: usize,
    scratch_words: usize,
    ram_bytes: usize,
    source: String,
}

impl Report for OwnProgram {
    fn text(&self) -> String {
        self.source.clone()
    }
}

/// The lines that say what a model computes.
fn architecture(a: &ArchitectureContents, mut line: impl FnMut(&str, String)) {
    line("vocabulary", format!("{} tokens, context {}", a.n_vocab, a.n_ctx));
    line("shape", format!("{} layers, n_embd {}, n_ff {}", a.n_layer, a.n_embd, a.n_ff));
    line("heads", format!("{} of {}, {} of keys and values", a.n_head, a.head_dim, a.n_kv_head));
    let positions = match a.rotary_dim {
        0 => "learned".to_owned(),
        rotary => format!("rotary, {rotary} of {} elements", a.head_dim),
    };
    line("positions", positions);
    let mut spans: Vec<Option<u32>> = a.windows.clone();
    spans.dedup();
    let span = |window: &Option<u32>| window.map_or_else(|| "all".to_owned(), |window| window.to_string());
    let seen = match spans.as_slice() {
        [one] => format!("{} in every layer", span(one)),
        _ => a.windows.iter().map(span).collect::<Vec<_>>().join(" "),
    };
    line("seen", seen);
    let (gated, kind) = (if a.gated { "gated " } else { "" }, a.norm);
    line("function", format!("{gated}{}, {kind} norm epsilon {:e}", a.activation, a.norm_epsilon));
    if a.norm_places != ["before", "last"] {
        line("norms", a.norm_places.join(", "));
    }
    if a.parallel {
        line("block", "attention beside the MLP".to_owned());
    }
    if a.embedding_scale != 1.0 {
        line("embedding", format!("times {}", a.embedding_scale));
    }
    line("head", if a.tied_head { "tied to wte" } else { "its own" }.to_owned());
}

impl Report for CheckpointContents {
    fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<12} {value}");
        };
        line("checkpoint", format!("{}, layout {}", shown::message(&self.checkpoint), self.layout));
        architecture(&self.architecture, &mut line);
        line("weights", format!("{} parameters", self.parameters));
        text += "\n        shape  tensor\n";
        for tensor in &self.tensors {
            let shape = format!("{}x{}", tensor.rows, tensor.cols);
            let _ = writeln!(text, "{shape:>13}  {}", tensor.name);
        }
        text
    }
}

impl Report for Contents {
    fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<12} {value}");
        };
        line("blob", format!("{}, {} bytes, crc32 {}", shown::message(&self.blob), self.bytes, self.model_crc32));
        line("versions", format!("format {}, arithmetic {}", self.format_version, self.arithmetic));
        architecture(&self.config, &mut line);
        if let Some(pruned) = self.pruned {
            line("vocabulary", pruned.to_string());
        }
        let weights = format!("{} parameters, {:.4} bits a matrix weight", self.parameters, self.bits_per_weight);
        line("weights", format!("{weights}, activations {}", self.activations));
        line(
            "tokenizer",
            match &self.tokenizer {
                Some(t) => {
                    let form =
                        t.normal_form.map_or_else(String::new, |form| format!(", of text in the normal form {form}"));
                    format!("{}, {} tokens, {} merges{form}", t.kind, t.n_tokens, t.n_merges)
                }
                None => "none".into(),
            },
        );
        let bos = match (self.text.bos, self.text.adds_bos) {
            (None, _) => "no token".to_owned(),
            (Some(bos), true) => format!("token {bos}, before every text"),
            (Some(bos), false) => format!("token {bos}, where it is asked for"),
        };
        let ends: Vec<String> = self.text.ends.iter().map(u32::to_string).collect();
        line("begins with", bos);
        line("ends at", if ends.is_empty() { "no token".to_owned() } else { ends.join(" ") });
        let tokens: Vec<String> = self.self_test.tokens.iter().map(u32::to_string).collect();
        line("self-test", format!("tokens {}", tokens.join(" ")));
        for known in &self.self_test.known {
            line("", format!("nll bits {} with kv cache {}", known.nll_bits, known.kv));
        }
        if self.self_test.long_tokens > 0 {
            line("", format!("and another of {} tokens", self.self_test.long_tokens));
        }
        text += "\noffset         bytes  format         shape  tensor\n";
        for tensor in &self.tensors {
            let shape = format!("{}x{}", tensor.rows, tensor.cols);
            let _ = writeln!(
                text,
                "{:<10} {:>9}  {:<6} {shape:>13}  {}",
                tensor.offset, tensor.bytes, tensor.format, tensor.name
            );
        }
        let tokenizer = &self.sections.tokenizer;
        if tokenizer.bytes > 0 {
            let _ = writeln!(text, "{:<10} {:>9}  {:<20}  tokenizer", tokenizer.offset, tokenizer.bytes, "");
        }
        text
    }
}

/// Runs the verb.
///
/// # Errors
/// The file is no blob of this version and no checkpoint, or is damaged.
pub fn run(args: &RawArgs, console: Console) -> Result<Outcome, Error> {
    if args.rust {
        console.print(&own_program(args, console)?)?;
        return Ok(Outcome::Passed);
    }
    if args.kv.named().is_some() {
        return Err(Error::Usage("--kv goes with --rust".into()));
    }
    match ModelFile::open(&args.model, &args.checkpoint, console)? {
        ModelFile::Blob(blob) => console.print(&contents(&blob)?)?,
        ModelFile::Checkpoint(of) => console.print(&checkpoint(args.model.display().to_string(), &of))?,
    }
    Ok(Outcome::Passed)
}

/// What a program for the blob needs, on the board or core that was named.
fn own_program(args: &RawArgs, console: Console) -> Result<OwnProgram, Error> {
    let ModelFile::Blob(blob) = ModelFile::open(&args.model, &args.checkpoint, console)? else {
        return Err(Error::Usage("--rust takes a blob: `emberlm convert` makes one of a checkpoint".into()));
    };
    let board = args.board.as_deref().and_then(Board::named);
    let core = board.map(|board| board.core).or(args.core.as_deref());
    let core = core.and_then(Core::named).ok_or_else(|| Error::Usage("--rust takes --board or --core".into()))?;
    let config = *blob.model()?.config();
    let n_ctx = args.n_ctx.unwrap_or(config.n_ctx);
    if n_ctx > config.n_ctx {
        return Err(Error::Usage(format!("--n-ctx {n_ctx} is beyond the model's {}", config.n_ctx)));
    }
    let kv_type = args.kv.resolve();
    let program = Program::new(&blob, core, Run::new(Order::TokenMajor, kv_type, n_ctx as usize))?;
    let need = program.need;
    if let Some(board) = board {
        let have: u64 = board.ram.iter().map(|region| region.bytes).sum();
        if need.bytes() as u64 > have {
            let (name, need) = (board.name, need.bytes());
            console.note(format!(
                "{name} has {have} bytes of RAM, and the buffers take {need}: `emberlm plan --board {name} --fit` says \
                 what fits"
            ));
        }
    }
    let model_crc32 = blob.crc32()?;
    let file = args.model.file_name().unwrap_or_default().to_string_lossy();
    let of = format!("The model in {}, crc32 {model_crc32}", shown::value(&file));
    Ok(OwnProgram {
        blob: args.model.display().to_string(),
        model_crc32,
        board: board.map(|board| board.name),
        core: core.name,
        target: core.target,
        rustflags: core.rustflags,
        dependency: program.dependency(),
        kernel: core.kernel,
        kv: kv_type.name(),
        n_ctx: n_ctx as usize,
        kv_words: need.kv_words,
        scratch_floats: need.scratch.floats,
        scratch_words: need.scratch.words,
        ram_bytes: need.bytes(),
        source: program.source(&of),
        features: program.features,
    })
}
