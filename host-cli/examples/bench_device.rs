//! Prints what products and forward passes take on every emulated board, as tables for a page of Markdown.
//!
//! usage: `bench_device BOARDS BLOB…`, with the boards' names separated by commas, or `all`. `scripts/bench-device` makes
//! the blobs.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::iter;
use std::path::{Path, PathBuf};
use std::time::Duration;

use emberlm::device::{BOARDS, Board, emulator, firmware};
use emberlm_request::report::{self, key};

/// Far beyond what any run takes on a busy machine.
const PATIENT: Duration = Duration::from_secs(3600);

/// The package of boards that are too small for the two programs.
const WITHOUT_HEAP: &str = "small";

/// The square matrices, and the positions that are multiplied together.
const SIZES: [usize; 2] = [256, 768];
const POSITIONS: [usize; 3] = [1, 2, 4];

/// The formats and activations of the short table of products.
const PRODUCTS: [&str; 4] = ["q8_i16", "q4_i16", "q8_i8", "q4_i8"];

/// The parts of a forward pass, and the positions taken together.
const PARTS: [&str; 7] = [key::PRODUCTS, key::NORMS, key::GELU, key::ATTENTION, key::REST, key::HEAD_LOSS, key::TOTAL];
const BATCHES: [usize; 2] = [1, 4];

/// Columns of the short table of forward passes, and the figures that they show.
const PASS: [(&str, Pass); 12] = [
    ("products, T = 1", ("i8", 1, key::PRODUCTS)),
    ("T = 4", ("i8", 4, key::PRODUCTS)),
    ("norms", ("i8", 1, key::NORMS)),
    ("GELU", ("i8", 1, key::GELU)),
    ("attention, f32 KV", ("f32", 1, key::ATTENTION)),
    ("i8 KV", ("i8", 1, key::ATTENTION)),
    ("rest", ("i8", 1, key::REST)),
    ("head, loss", ("i8", 1, key::HEAD_LOSS)),
    ("all, f32 KV, T = 1", ("f32", 1, key::TOTAL)),
    ("T = 4", ("f32", 4, key::TOTAL)),
    ("i8 KV, T = 1", ("i8", 1, key::TOTAL)),
    ("T = 4", ("i8", 4, key::TOTAL)),
];

/// A part of a forward pass: the KV cache's type, positions together, the part.
type Pass = (&'static str, usize, &'static str);

/// Columns of the table of floats without a unit for them, with an 8-bit KV cache: figures, or differences of two.
const FLOATS: [(&str, &str, Option<&str>); 9] = [
    ("weights' products", key::INTEGER_PRODUCTS, None),
    ("q.k and p.v", key::INTEGER_DOTS, None),
    ("floats", key::FLOATS, None),
    ("of these: sums to floats", key::CONVERSION, None),
    ("norms and rounding", key::NORMS, None),
    ("GELU and its bias", key::GELU, None),
    ("softmax", key::ATTENTION, Some(key::INTEGER_DOTS)),
    ("other biases, residuals, cache", key::REST, None),
    ("head's norm, loss", key::HEAD_NORM_LOSS, None),
];

/// What a board's program printed, by name.
type Figures = BTreeMap<String, u64>;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let names = args.next().ok_or("which boards?")?;
    let blobs: Vec<PathBuf> = args.map(PathBuf::from).collect();
    let chosen = |board: &&Board| match &*names {
        "all" => board.family.package != WITHOUT_HEAP,
        names => names.split(',').any(|name| name == board.name),
    };
    let boards: Vec<&Board> = BOARDS.iter().filter(chosen).collect();

    let products = boards.iter().map(|board| Ok((*board, run(board, "kernels", &[])?)));
    let products: Vec<(&Board, Figures)> = products.collect::<Result<_, Box<dyn Error>>>()?;
    print_products(&products);
    let mut all_passes = Vec::new();
    for blob in &blobs {
        let passes = boards.iter().map(|board| Ok((*board, run(board, "profile", &[(blob, board.model.address)])?)));
        let passes: Vec<(&Board, Figures)> = passes.collect::<Result<_, Box<dyn Error>>>()?;
        let name = blob.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        print_passes(&name, &passes);
        print_floats(&name, &passes);
        all_passes.push((name, passes));
    }
    print_all_products(&products);
    for (name, passes) in &all_passes {
        print_all_passes(name, passes);
    }
    Ok(())
}

fn print_head<'a>(names: impl IntoIterator<Item = &'a str>) {
    let names: Vec<&str> = names.into_iter().collect();
    println!("| {} |\n|{}", names.join(" | "), "---|".repeat(names.len()));
}

/// Runs a program of the board and returns its figures by name.
fn run(board: &Board, program: &str, loads: &[(&Path, u64)]) -> Result<Figures, Box<dyn Error>> {
    eprintln!("{}: {program}", board.name);
    let elf = firmware::build(board, program)?;
    let run = emulator::run(emulator::command(board, &elf, loads)?, PATIENT, |_| {})?;
    if !run.status.success() {
        return Err(format!("{}: {program} failed: {:?} {}", board.name, run.lines.last(), run.stderr).into());
    }
    let figures = run.lines.iter().filter_map(|line| report::parse(line));
    Ok(figures.filter_map(|(name, figure)| Some((name.to_owned(), figure.parse().ok()?))).collect())
}

/// Instructions a multiply-accumulate of a product such as `q8_i16`.
fn product(figures: &Figures, kind: &str, n: usize, t: usize) -> String {
    let figure = figures.get(&report::of_product(kind, n, t).to_string());
    figure.map_or("-".into(), |&figure| format!("{:.2}", figure as f64 / (n * n * t) as f64))
}

/// Instructions of a part of a forward pass.
fn figure(figures: &Figures, (kv, batch, part): Pass) -> Option<u64> {
    figures.get(&report::of_part(kv, batch, part).to_string()).copied()
}

/// A figure in thousands.
fn thousands(figure: Option<u64>) -> String {
    figure.map_or("-".into(), |figure| format!("{:.0}", figure as f64 / 1000.0))
}

fn print_products(boards: &[(&Board, Figures)]) {
    println!("Instructions a multiply-accumulate of a 768x768 product, everything included that it needs:\n");
    let columns = PRODUCTS.iter().flat_map(|kind| [format!("{}: T = 1", kind.replace('_', " x ")), "T = 4".into()]);
    let columns: Vec<String> = columns.collect();
    print_head(iter::once("board").chain(columns.iter().map(String::as_str)));
    for (board, figures) in boards {
        let cells = PRODUCTS.iter().flat_map(|kind| BATCHES.map(|t| product(figures, kind, 768, t)));
        println!("| {} | {} |", board.name, cells.collect::<Vec<_>>().join(" | "));
    }
}

fn print_passes(name: &str, boards: &[(&Board, Figures)]) {
    println!(
        "\nThousands of instructions a token, `{name}`, a mean over a full context; what says nothing else, with an"
    );
    println!("8-bit KV cache and one position at a time:\n");
    print_head(iter::once("board").chain(PASS.map(|(column, _)| column)));
    for (board, figures) in boards {
        let cells = PASS.map(|(_, pass)| thousands(figure(figures, pass)));
        println!("| {} | {} |", board.name, cells.join(" | "));
    }
}

fn print_floats(name: &str, boards: &[(&Board, Figures)]) {
    let mut boards = boards.iter().filter(|(board, _)| !has_fpu(board)).peekable();
    if boards.peek().is_none() {
        return;
    }
    println!(
        "\nWhat floats take on cores without a unit for them, `{name}`, 8-bit KV cache, thousands of instructions:\n"
    );
    print_head(["board", "T"].into_iter().chain(FLOATS.map(|(column, ..)| column)));
    for (board, figures) in boards {
        for t in BATCHES {
            let figure = |part| figure(figures, ("i8", t, part));
            let cells = FLOATS.map(|(_, name, less)| {
                let less = less.map_or(Some(0), figure);
                thousands(figure(name).zip(less).map(|(figure, less)| figure.saturating_sub(less)))
            });
            println!("| {} | {t} | {} |", board.name, cells.join(" | "));
        }
    }
}

fn has_fpu(board: &Board) -> bool {
    board.target.ends_with("hf") || board.target.starts_with("riscv32imafc")
}

fn print_all_products(boards: &[(&Board, Figures)]) {
    println!("\nAll products, as above:\n");
    let columns: Vec<String> = SIZES.iter().flat_map(|n| POSITIONS.map(|t| format!("{n}, T = {t}"))).collect();
    print_head(["board", "weights x activations"].into_iter().chain(columns.iter().map(String::as_str)));
    for (board, figures) in boards {
        for activations in ["i16", "i8"] {
            for format in ["q8", "q6", "q5", "q4", "q3"] {
                let kind = format!("{format}_{activations}");
                let cells = SIZES.iter().flat_map(|&n| POSITIONS.map(|t| product(figures, &kind, n, t)));
                let cells: Vec<String> = cells.collect();
                println!("| {} | {format} x {activations} | {} |", board.name, cells.join(" | "));
            }
        }
    }
}

fn print_all_passes(name: &str, boards: &[(&Board, Figures)]) {
    println!("\nAll forward passes, `{name}`, thousands of instructions a token:\n");
    let parts = PARTS.map(|part| part.replace('_', ", "));
    print_head(["board", "KV cache", "T"].into_iter().chain(parts.iter().map(String::as_str)));
    for (board, figures) in boards {
        for kv in ["f32", "f16", "i8"] {
            for t in BATCHES {
                let cells = PARTS.map(|part| thousands(figure(figures, (kv, t, part))));
                println!("| {} | {kv} | {t} | {} |", board.name, cells.join(" | "));
            }
        }
    }
}
