//! Measures what the scoring program itself takes on every emulated board, and prints the table of
//! `host-cli/src/plan/measured.csv`.
//!
//! usage: measure_firmware speed|size: a word for the table, where `CARGO_PROFILE_RELEASE_OPT_LEVEL` says so to the build.

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
use emberlm::convert::{Options, convert};
use emberlm::device::{self, BOARDS, Board, Job, Medium, firmware};
use emberlm::plan::boards;
use emberlm::plan::memory::{Buffers, Order, Run};
use emberlm_core::config::{Activations, TokenId};
use emberlm_core::format::Format;
use emberlm_core::kv_cache::KvType;
use emberlm_core::window::Convention;
use emberlm_request::Header;
use emberlm_tests::fixtures;

/// Three layers, ragged groups, a head of its own.
const FIXTURE: &str = "hf-untied-ragged";

/// Tokens of the one row that is scored: two batches, the second of one position.
const N_TOKENS: TokenId = 10;

/// What the scoring program of a board has as its batch.
const BATCH: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let aim = env::args().nth(1).unwrap_or_else(|| "speed".into());
    let folder = tempfile::tempdir()?;
    let blobs = write_blobs(folder.path())?;
    let mut cores = BTreeSet::new();
    for board in BOARDS {
        let Some(memories) = boards::Board::named(board.name) else { continue };
        // A board of few memories cannot score the fixture in all its forms.
        if memories.ram.iter().map(|region| region.bytes).sum::<u64>() < 1 << 20 || !cores.insert(memories.core) {
            continue;
        }
        let program = firmware::build(board, "score")?;
        let (statics, stack) = measure(board, &program, &blobs)?;
        println!("{},{},{aim},{},{statics},{stack}", memories.core, board.name, flash_bytes(&program)?);
    }
    Ok(())
}

fn write_blobs(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let checkpoint = Checkpoint::open(&fixtures::path(FIXTURE), &Opening::default())?;
    let mut blobs = Vec::new();
    for format in Format::ALL {
        for activations in Activations::ALL {
            let formats = Formats::uniform(checkpoint.config(), format);
            let options = Options { formats, windows: None, activations, tokenizer: None };
            let path = folder.join(format!("{}-{}.blob", format.name(), activations.name()));
            convert(&checkpoint, &options, &path, |_| {})?;
            blobs.push(path);
        }
    }
    Ok(blobs)
}

/// Bytes of variables that are no buffer, and the deepest stack.
fn measure(board: &'static Board, program: &Path, blobs: &[PathBuf]) -> Result<(u64, u64), Box<dyn Error>> {
    let checkpoint = Checkpoint::open(&fixtures::path(FIXTURE), &Opening::default())?;
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
            let job =
                Job { board, blob, medium: Medium::Memory, header, rows: &rows, firmware: Some(program), timeout };
            let report = device::score(&job, |_| {})?;
            let run = Run { n_ctx, kv_type, batch: BATCH, order: Order::LayerMajor };
            statics = report.ram_bytes - Buffers::new(config, &run).bytes();
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
