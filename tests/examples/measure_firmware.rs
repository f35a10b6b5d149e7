//! Measures what the scoring program itself takes on every emulated board, and prints the table of
//! `host-cli/src/plan/measured.csv`.
//!
//! usage: measure_firmware speed|size [BOARD…]: a word for the table, where `CARGO_PROFILE_RELEASE_OPT_LEVEL` says so to
//! the build; and the boards, all of them where none is named. The first with a core stands for it; the small boards stand
//! for themselves, and are optimised for size only.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use elf::ElfBytes;
use elf::abi::PT_LOAD;
use elf::endian::LittleEndian;
use emberlm::checkpoint::{Checkpoint, Options as Opening};
use emberlm::convert::formats::Formats;
use emberlm::convert::{Beside, Options, convert};
use emberlm::device::{self, BOARDS, Board, Emulated, Job, Link, Medium, firmware};
use emberlm::ground::files::output::is_blob;
use emberlm::ground::files::{Output, Permit};
use emberlm::plan::boards;
use emberlm_core::config::{Activations, TokenId};
use emberlm_core::format::Format;
use emberlm_core::kv_cache::KvType;
use emberlm_core::planner::{Need, Order, Run};
use emberlm_core::window::Convention;
use emberlm_request::Header;
use emberlm_tests::fixtures;

/// Tokens of the one row that is scored: two batches of eight, the second of one position.
const N_TOKENS: TokenId = 10;

/// What is measured of a board.
#[derive(Clone, Copy)]
struct Sample {
    /// Three layers, ragged groups, a head of its own; or what there is room for.
    fixture: &'static str,
    /// The batch of the board's scoring program.
    batch: usize,
    /// For itself, not for its core.
    is_small: bool,
}

impl Sample {
    fn of(board: &Board) -> Self {
        match board.name {
            "microbit" => Self { fixture: "hf-gelu-erf", batch: 1, is_small: true },
            "netduinoplus2" => Self { fixture: "hf-untied-ragged", batch: 4, is_small: true },
            _ => Self { fixture: "hf-untied-ragged", batch: 8, is_small: false },
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let aim = args.next().unwrap_or_else(|| "speed".into());
    let named: Vec<String> = args.collect();
    let mut cores = BTreeSet::new();
    let (small, large): (Vec<_>, Vec<_>) = BOARDS.iter().partition(|board| Sample::of(board).is_small);
    for board in large.into_iter().chain(small) {
        let sample = Sample::of(board);
        let Some(memories) = boards::Board::named(board.name) else { continue };
        let is_wanted = if sample.is_small { aim == "size" } else { cores.insert(memories.core) };
        if !is_wanted || !(named.is_empty() || named.iter().any(|name| name == board.name)) {
            continue;
        }
        let folder = tempfile::tempdir()?;
        let blobs = write_blobs(folder.path(), sample.fixture)?;
        let program = firmware::build(board, "score")?;
        let (statics, stack) = measure(board, sample, &program, &blobs)?;
        println!("{},{},{aim},{},{statics},{stack}", memories.core, board.name, flash_bytes(&program)?);
    }
    Ok(())
}

fn write_blobs(folder: &Path, fixture: &str) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let checkpoint = Checkpoint::open(&fixtures::path(fixture), &Opening::default())?;
    let mut blobs = Vec::new();
    for format in Format::ALL {
        for activations in Activations::ALL {
            let formats = Formats::uniform(checkpoint.config(), format);
            let options = Options { formats, windows: None, beside: Beside::nothing(activations) };
            let path = folder.join(format!("{}-{}.blob", format.name(), activations.name()));
            let output = Output::begin(&path, &Permit::default(), is_blob)?;
            convert(&checkpoint, &options, output, |_| {})?;
            blobs.push(path);
        }
    }
    Ok(blobs)
}

/// Bytes of variables that are no buffer, and the deepest stack.
fn measure(
    board: &'static Board,
    sample: Sample,
    program: &Path,
    blobs: &[PathBuf],
) -> Result<(u64, u64), Box<dyn Error>> {
    let checkpoint = Checkpoint::open(&fixtures::path(sample.fixture), &Opening::default())?;
    let config = checkpoint.config();
    let tokens: Vec<TokenId> = (1..=N_TOKENS).collect();
    let rows = [tokens.as_slice()];
    let n_ctx = config.n_ctx as usize;
    let (mut statics, mut stack) = (0, 0);
    for (index, blob) in blobs.iter().enumerate() {
        // Attention knows nothing of weights: one blob is enough for the types of KV cache.
        for kv_type in KvType::ALL.into_iter().filter(|&kv_type| index == 0 || kv_type == KvType::F32) {
            let header = Header { n_ctx, convention: Convention::Disjoint, kv_type, n_bytes: None };
            let timeout = Duration::from_secs(600);
            let emulated = Emulated { board, blob, medium: Medium::Memory, firmware: Some(program) };
            let job = Job { link: Link::Emulator(emulated), header, rows: &rows, timeout };
            let report = device::score(&job, |_| {})?;
            let run = Run { batch: sample.batch, ..Run::new(Order::LayerMajor, kv_type, n_ctx) };
            statics = report.ram_bytes - Need::new(config, run).bytes() as u64;
            stack = stack.max(report.stack_bytes);
        }
    }
    Ok((statics, stack))
}

/// Bytes of a program that lie in flash: code, constants and the first values of variables.
fn flash_bytes(program: &Path) -> Result<u64, Box<dyn Error>> {
    let bytes = fs::read(program)?;
    let file = ElfBytes::<LittleEndian>::minimal_parse(&bytes)?;
    let segments = file.segments().ok_or("the program has no segments")?;
    Ok(segments.iter().filter(|segment| segment.p_type == PT_LOAD).map(|segment| segment.p_filesz).sum())
}
