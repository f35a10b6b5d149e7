//! Prints what products and forward passes take on every emulated board, as tables for a page of Markdown.
//!
//! usage: `bench_device BOARDS BLOB…`, with the boards' names separated by commas, or `all`. `scripts/bench-device` makes
//! the blobs.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use emberlm::device::{BOARDS, Board, emulator, firmware};

/// Far beyond what any run takes on a busy machine.
const PATIENT: Duration = Duration::from_secs(3600);

/// Packages of boards that are too small for the two programs.
const WITHOUT_HEAP: [&str; 2] = ["microbit", "stm32f4"];

/// The square matrices, and the positions that are multiplied together.
const SIZES: [usize; 2] = [256, 768];
const POSITIONS: [usize; 3] = [1, 2, 4];

/// The parts of a forward pass, as the firmware's program `profile` names them, and the positions taken together.
const PARTS: [&str; 7] = ["products", "norms", "gelu", "attention", "rest", "head_loss", "total"];
const BATCHES: [usize; 2] = [1, 4];

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let names = args.next().ok_or("which boards?")?;
    let blobs: Vec<PathBuf> = args.map(PathBuf::from).collect();
    let chosen = |board: &&Board| match &*names {
        "all" => !WITHOUT_HEAP.contains(&board.family.package),
        names => names.split(',').any(|name| name == board.name),
    };
    let boards: Vec<&Board> = BOARDS.iter().filter(chosen).collect();

    println!("Instructions a multiply-accumulate, everything included that a product needs:\n");
    print_head(
        &["board", "weights x activations"],
        SIZES.iter().flat_map(|n| POSITIONS.map(|t| format!("{n}, T = {t}"))),
    );
    for board in &boards {
        print_products(board)?;
    }
    for blob in &blobs {
        let name = blob.file_stem().unwrap_or_default().to_string_lossy();
        println!("\nThousands of instructions a token, `{name}`, a mean over a full context:\n");
        print_head(&["board", "KV cache", "T"], PARTS.map(|part| part.replace('_', ", ")).into_iter());
        for board in &boards {
            print_passes(board, blob)?;
        }
    }
    Ok(())
}

fn print_head(rows: &[&str], columns: impl Iterator<Item = String>) {
    let names: Vec<String> = rows.iter().map(|&row| row.into()).chain(columns).collect();
    println!("| {} |\n|{}", names.join(" | "), "---|".repeat(names.len()));
}

/// Runs a program of the board and returns its figures by name.
fn run(board: &Board, program: &str, loads: &[(&Path, u64)]) -> Result<BTreeMap<String, u64>, Box<dyn Error>> {
    eprintln!("{}: {program}", board.name);
    let elf = firmware::build(board, program)?;
    let run = emulator::run(emulator::command(board, &elf, loads)?, PATIENT, |_| {})?;
    if !run.status.success() {
        return Err(format!("{}: {program} failed: {:?} {}", board.name, run.lines.last(), run.stderr).into());
    }
    let figures = run.lines.iter().filter_map(|line| line.split_once(": "));
    Ok(figures.filter_map(|(name, figure)| Some((name.to_owned(), figure.parse().ok()?))).collect())
}

fn print_products(board: &Board) -> Result<(), Box<dyn Error>> {
    let figures = run(board, "kernels", &[])?;
    for activations in ["i16", "i8"] {
        for format in ["q8", "q6", "q5", "q4", "q3"] {
            let cell = |n: usize, t: usize| {
                let figure = figures.get(&format!("instructions_{format}_{activations}_{n}x{n}_t{t}"));
                figure.map_or("-".into(), |&figure| format!("{:.2}", figure as f64 / (n * n * t) as f64))
            };
            let cells: Vec<String> = SIZES.iter().flat_map(|&n| POSITIONS.map(|t| cell(n, t))).collect();
            println!("| {} | {format} x {activations} | {} |", board.name, cells.join(" | "));
        }
    }
    Ok(())
}

fn print_passes(board: &Board, blob: &Path) -> Result<(), Box<dyn Error>> {
    let figures = run(board, "profile", &[(blob, board.model.address)])?;
    for kv in ["f32", "f16", "i8"] {
        for t in BATCHES {
            let cell = |part: &str| {
                let figure = figures.get(&format!("{kv}_t{t}_{part}"));
                figure.map_or("-".into(), |&figure| format!("{:.0}", figure as f64 / 1000.0))
            };
            println!("| {} | {kv} | {t} | {} |", board.name, PARTS.map(cell).join(" | "));
        }
    }
    Ok(())
}
