use emberlm_core::blob::ARITHMETIC;
use emberlm_core::model::Model;
use emberlm_core::source::Mapped;
use emberlm_request::Request;

use crate::buffers::{HeapBuffers, Need, Order};
use crate::report::{print_end, print_score};
use crate::run::Run;
use crate::self_test::tested_model;
use crate::{Board, Buffers, ProgramError};

/// The memory that the host fills: each is read from its first byte on.
#[derive(Clone, Copy, Debug)]
pub struct Partitions<'a> {
    /// A blob, at a multiple of 16 bytes.
    pub model: &'a [u8],
    /// A request.
    pub request: &'a [u8],
}

/// Scores the request with the model: layer by layer in static buffers, then batch by batch in buffers from the heap.
/// Says whether both came to the same bits and everything before it was well.
pub fn score<B: Board>(board: &mut B, partitions: Partitions<'_>, buffers: Buffers<'_>) -> bool {
    let result = run(board, partitions, buffers);
    print_end(board, result)
}

fn run<B: Board>(board: &mut B, partitions: Partitions<'_>, mut buffers: Buffers<'_>) -> Result<(), ProgramError> {
    writeln!(board, "board: {}", B::NAME)?;
    let other_bytes = board.static_bytes() - buffers.bytes();
    let request = Request::decode(partitions.request)?;
    let header = *request.header();
    let (n_ctx, kv_type) = (header.n_ctx, header.kv_type);
    let model = tested_model(board, partitions.model, &[kv_type], buffers.reborrow())?;
    let config = *model.config();
    writeln!(board, "arithmetic: {ARITHMETIC}")?;
    writeln!(board, "activations: {}", model.activations().name())?;
    writeln!(board, "kv: {}", kv_type.name())?;

    let have = config.n_ctx as usize;
    if n_ctx > have {
        return Err(ProgramError::Context { need: n_ctx, have });
    }
    writeln!(board, "convention: {}", header.convention.name())?;
    writeln!(board, "n_ctx: {n_ctx}")?;
    writeln!(board, "stride: {}", header.convention.stride(n_ctx))?;

    let n_to_score = |n_tokens| header.convention.windows(n_tokens, n_ctx).n_scored() as u64;
    let in_both_runs = 2 * request.rows().map(|row| n_to_score(row.len())).sum::<u64>();
    let start = board.ticks();
    let score = Run::<_, B::Kernel>::new(model, n_ctx, kv_type, Order::LayerMajor, buffers)?
        .score(&request, |n| Ok(writeln!(board, "progress: {n} of {in_both_runs}")?))?;
    let ticks = board.ticks() - start;
    let stack_bytes = board.stack_bytes();

    let on_heap = Need::new(&config, n_ctx, kv_type, Order::TokenMajor);
    let mut heap = HeapBuffers::new(&on_heap, board.heap_free())?;
    let model = Model::open(Mapped::new(partitions.model)?)?;
    let before = score.n();
    let again = Run::<_, B::Kernel>::new(model, n_ctx, kv_type, Order::TokenMajor, heap.buffers())?
        .score(&request, |n| Ok(writeln!(board, "progress: {} of {in_both_runs}", before + n)?))?;
    let (fixed, heap) = (score.sum().to_bits(), again.sum().to_bits());
    if fixed != heap {
        return Err(ProgramError::Unequal { fixed, heap });
    }

    let n_tokens = request.rows().map(|row| row.len() as u64).sum();
    print_score(board, &score, n_tokens, header.n_bytes)?;
    let in_statics = Need::new(&config, n_ctx, kv_type, Order::LayerMajor);
    writeln!(board, "kv_bytes: {}", in_statics.kv_bytes())?;
    writeln!(board, "scratch_bytes: {}", in_statics.scratch.bytes())?;
    writeln!(board, "ram_bytes: {}", other_bytes + in_statics.bytes())?;
    writeln!(board, "heap_bytes: {}", on_heap.bytes())?;
    writeln!(board, "stack_bytes: {stack_bytes}")?;
    writeln!(board, "ticks: {ticks}")?;
    writeln!(board, "instructions: {}", B::instructions(ticks))?;
    Ok(())
}
