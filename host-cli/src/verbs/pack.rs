//! `emberlm pack`: a blob or a program as a file that a board takes by itself.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::error::Error;
use super::options::board::board_names;
use super::options::replacing::RawReplacing;
use super::outcome::Outcome;
use crate::ground::files::output::{self, OutputError, OutputFault};
use crate::ground::files::{Inputs, Kind, Output};
use crate::ground::shown;
use crate::pack::uf2::{self, BLOCK};
use crate::pack::{Packed, pack};
use crate::plan::boards::Board;
use crate::report::Report;

/// The words after `pack`.
#[derive(Args, Debug)]
pub struct RawArgs {
    /// A blob, for the partition that the board's firmware reads, or a program, an ELF file
    file: PathBuf,
    /// The board
    #[arg(long, value_name = "NAME", value_parser = board_names(&[]), ignore_case = true)]
    board: String,
    /// The UF2 file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    replacing: RawReplacing,
}

/// What was written.
#[derive(Serialize)]
struct Written {
    file: String,
    what: &'static str,
    board: &'static str,
    /// In 8 hex digits.
    family: String,
    address: u32,
    bytes: u64,
    blocks: usize,
    output: String,
    output_bytes: u64,
}

impl Report for Written {
    fn text(&self) -> String {
        format!(
            "{}: {} of {} bytes for {} at {:#010x}, in {} blocks of family {}: copy it to the board's drive\n",
            shown::message(&self.output),
            self.what,
            self.bytes,
            self.board,
            self.address,
            self.blocks,
            self.family
        )
    }
}

/// Whether a file is a blob that this tool packed. A program might be anybody's.
fn is_ours(path: &Path) -> bool {
    matches!(Kind::of(path), Ok(Kind::Uf2 { of_blob: true }))
}

/// Runs the verb.
///
/// # Errors
/// The file is of no use to the board, or the output cannot be written.
pub fn run(args: &RawArgs, console: Console) -> Result<Outcome, Error> {
    let board = Board::named(&args.board).ok_or_else(|| Error::Usage(format!("no board {}", args.board)))?;
    let permit = args.replacing.permit(Inputs::default().with_file(&args.file));
    output::check(&args.output, &permit, is_ours)?;
    let Packed { what, family, address, bytes, image } = pack(&args.file, board)?;
    let mut output = Output::begin(&args.output, &permit, is_ours)?;
    let mut buffered = BufWriter::new(output.file());
    let written = uf2::write(&mut buffered, &image, family).and_then(|()| buffered.flush());
    drop(buffered);
    written.map_err(|error| OutputError { path: args.output.clone(), fault: OutputFault::Io(error) })?;
    output.finish()?;
    console.print(&Written {
        file: args.file.display().to_string(),
        what: what.name(),
        board: board.name,
        family: format!("{family:08x}"),
        address,
        bytes,
        blocks: image.n_pages(),
        output: args.output.display().to_string(),
        output_bytes: (BLOCK * image.n_pages()) as u64,
    })?;
    Ok(Outcome::Passed)
}
