//! The board's kernel beside the portable one: whether the bits are the same, and what a product takes.

use alloc::vec;

use emberlm_core::format::Format;
use emberlm_core::kernel::conformance::{self, Product, Random, Width};
use emberlm_core::scratch::Batch;
use emberlm_request::report::{self, Report, key};

use crate::report::print_end;
use crate::{Board, ProgramError, misfits};

/// Runs the board's kernel through the conformance suite and prints how many products, heads and vectors that were, makes
/// calls whose parts do not fit, then counts the instructions of whole products; says whether every bit was the same.
pub fn kernels<B: Board>(board: &mut B) -> bool {
    let result = run(board);
    print_end(board, result)
}

fn run<B: Board>(board: &mut B) -> Result<(), ProgramError> {
    board.line(key::BOARD, B::NAME)?;
    let counts = conformance::check(&B::Kernel::default(), &mut Random::default())?;
    board.line(key::SAME_PRODUCTS, counts.products)?;
    board.line(key::SAME_HEADS, counts.heads)?;
    board.line(key::SAME_VECTORS, counts.vectors)?;
    board.line(key::MISFITS, misfits::call(&B::Kernel::default())?)?;
    for format in Format::ALL.into_iter().filter(|format| format.packing().is_some()) {
        for width in [Width::I16, Width::I8] {
            for n_in in [256, 768] {
                for n in [1, 2, 4] {
                    print_instructions(board, format, width, n_in, n)?;
                }
            }
        }
    }
    Ok(())
}

/// Those of a square product, its inputs rounded.
fn print_instructions<B: Board>(
    board: &mut B,
    format: Format,
    width: Width,
    n_in: usize,
    n: usize,
) -> Result<(), ProgramError> {
    let kernel = B::Kernel::default();
    // A block of rows, over and over, is a matrix that takes little memory.
    let product = Product::new(format, n_in, Batch::ROWS, n, &mut Random::default());
    let mut out = vec![0.0; n * Batch::ROWS];
    let start = board.ticks();
    let inputs = product.inputs(&kernel, width);
    for first in (0..n_in).step_by(Batch::ROWS) {
        let n_rows = Batch::ROWS.min(n_in - first);
        product.multiply(&mut out[..n * n_rows], &kernel, &inputs, width, n_rows);
    }
    let instructions = B::instructions(board.ticks() - start);
    let kind = format_args!("{}_{}", format.name(), width.name());
    Ok(board.line(report::of_product(kind, n_in, n), instructions)?)
}
