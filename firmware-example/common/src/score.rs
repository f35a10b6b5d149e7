//! The program that serves a request.

use core::cell::Cell;

use emberlm_core::blob::{ARITHMETIC, OpenError};
use emberlm_core::loss::Score;
use emberlm_core::planner::{Need, Order, Run};
use emberlm_core::source::{Copying, Mapped, ReadAt, Source};
use emberlm_request::Request;
use emberlm_request::report::{Report, key, progress};

use crate::medium::Counted;
use crate::report::{print_end, print_score};
use crate::scoring::Scoring;
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

/// Scores the request with the model: layer by layer in static buffers, then, where there is a heap, batch by batch in
/// buffers from it.
/// Says whether both came to the same bits and everything before it was well.
pub fn score<B: Board>(board: &mut B, partitions: Partitions<'_>, buffers: Buffers<'_>) -> bool {
    let result = run(board, partitions, buffers);
    print_end(board, result)
}

/// Scores the request with a model that the processor cannot address: layer by layer, every weight read once a window,
/// through `buffer`, which is static memory too. Prints how many bytes the windows took out of the medium, and says
/// whether everything was well.
pub fn score_copied<B: Board>(
    board: &mut B,
    medium: impl ReadAt,
    buffer: &mut [u8],
    request: &[u8],
    buffers: Buffers<'_>,
) -> bool {
    let result = run_copied(board, medium, buffer, request, buffers);
    print_end(board, result)
}

fn run<B: Board>(board: &mut B, partitions: Partitions<'_>, buffers: Buffers<'_>) -> Result<(), ProgramError> {
    board.line(key::BOARD, B::NAME)?;
    let request = Request::decode(partitions.request)?;
    let source = Mapped::new(partitions.model)?;
    let fixed = in_static_buffers(board, source, &request, buffers, RUNS, || ())?;

    #[cfg(feature = "heap")]
    let heap_bytes = crate::heap::score_again(board, partitions.model, &request, &fixed.score)?;
    #[cfg(not(feature = "heap"))]
    let heap_bytes = 0;
    fixed.print(board, &request)?;
    Ok(board.line(key::HEAP_BYTES, heap_bytes)?)
}

/// How often every token is scored.
const RUNS: u64 = if cfg!(feature = "heap") { 2 } else { 1 };

fn run_copied<B: Board>(
    board: &mut B,
    medium: impl ReadAt,
    buffer: &mut [u8],
    request: &[u8],
    buffers: Buffers<'_>,
) -> Result<(), ProgramError> {
    board.line(key::BOARD, B::NAME)?;
    let request = Request::decode(request)?;
    let bytes = Cell::new(0);
    let source = Copying::new(Counted::new(medium, &bytes), buffer)?;
    let fixed = in_static_buffers(board, source, &request, buffers, 1, || bytes.set(0))?;
    fixed.print(board, &request)?;
    Ok(board.line(key::BYTES_READ, bytes.get())?)
}

/// What a run in static buffers came to.
struct Fixed {
    score: Score,
    need: Need,
    /// Bytes of other variables.
    other_bytes: usize,
    stack_bytes: usize,
    ticks: u64,
}

/// Tests the model behind `source`, then scores the request with it layer by layer; `start` hears when scoring starts.
/// The run is one of `n_runs` over the same tokens.
fn in_static_buffers<B: Board, S: Source>(
    board: &mut B,
    source: S,
    request: &Request<'_>,
    mut buffers: Buffers<'_>,
    n_runs: u64,
    start: impl FnOnce(),
) -> Result<Fixed, ProgramError> {
    let other_bytes = board.static_bytes() - buffers.bytes();
    let header = request.header();
    let (n_ctx, kv_type) = (header.n_ctx, header.kv_type);
    let mut model = tested_model(board, source, &[kv_type], buffers.reborrow())?;
    board.line(key::ARITHMETIC, ARITHMETIC)?;
    board.line(key::ACTIVATIONS, model.activations().name())?;
    board.line(key::KV, kv_type.name())?;
    let text = model.text_tokens().map_err(OpenError::from)?;
    if let Some(pruned) = text.pruned(model.config().n_vocab) {
        board.line(key::VOCABULARY, pruned)?;
    }

    let have = model.config().n_ctx as usize;
    if n_ctx > have {
        return Err(ProgramError::Context { need: n_ctx, have });
    }
    board.line(key::CONVENTION, header.convention.name())?;
    board.line(key::N_CTX, n_ctx)?;
    board.line(key::STRIDE, header.convention.stride(n_ctx))?;

    let n_to_score = |n_tokens| header.convention.windows(n_tokens, n_ctx).n_scored() as u64;
    let total = n_runs * request.rows().map(|row| n_to_score(row.len())).sum::<u64>();
    let run = Run { batch: buffers.sinks.len(), ..Run::new(Order::LayerMajor, kv_type, n_ctx) };
    let need = Need::new(model.config(), run);
    start();
    let before = board.ticks();
    let score = Scoring::<_, B::Kernel>::new(model, run, buffers)?
        .score(request, |n| Ok(board.line(key::PROGRESS, progress(n, total))?))?;
    let ticks = board.ticks() - before;
    Ok(Fixed { score, need, other_bytes, stack_bytes: board.stack_bytes(), ticks })
}

impl Fixed {
    fn print<B: Board>(&self, board: &mut B, request: &Request<'_>) -> Result<(), ProgramError> {
        let n_tokens = request.rows().map(|row| row.len() as u64).sum();
        print_score(board, &self.score, n_tokens, request.header().n_bytes)?;
        board.line(key::KV_BYTES, self.need.kv_bytes())?;
        board.line(key::SCRATCH_BYTES, self.need.scratch.bytes())?;
        board.line(key::RAM_BYTES, self.other_bytes + self.need.bytes())?;
        board.line(key::STACK_BYTES, self.stack_bytes)?;
        board.line(key::TICKS, self.ticks)?;
        Ok(board.line(key::INSTRUCTIONS, B::instructions(self.ticks))?)
    }
}
