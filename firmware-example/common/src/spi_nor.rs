//! The program that scores as if weights lay behind SPI, and counts what goes over the bus.

use emberlm_core::kernel::Kernel;
use emberlm_core::kv_cache::KvType;
use emberlm_core::loss::Score;
use emberlm_core::model::Model;
use emberlm_core::planner::{Need, Order, Run};
use emberlm_core::score::score_window;
use emberlm_core::session::Session;
use emberlm_core::source::{Copying, Mapped, Nor, Source};
use emberlm_request::report::{Report, key};

use crate::report::print_end;
use crate::{Board, Buffers, ProgramError, SimulatedNor};

/// How keys and values are stored.
const KV: KvType = KvType::I8;

/// Positions that go through a layer together. Each pass over the weights serves so many: twice the batch is half the
/// traffic on the bus.
const BATCHES: [usize; 2] = [1, 8];

/// The most positions of the window.
const MAX_WINDOW: usize = 32;

/// Scores a window of the model in `blob` twice: in place, and as if the blob were in a NOR flash behind SPI, whose bytes
/// come through `buffer`. Says whether the bits are the same.
///
/// It prints what goes over the bus. A second buffer, filled while the first is multiplied, would hide the lesser of bus
/// and arithmetic: see the README of the examples.
pub fn spi_nor<B: Board>(board: &mut B, blob: &[u8], buffers: Buffers<'_>, buffer: &mut [u8]) -> bool {
    let result = run(board, blob, buffers, buffer);
    print_end(board, result)
}

fn run<B: Board>(board: &mut B, blob: &[u8], mut buffers: Buffers<'_>, buffer: &mut [u8]) -> Result<(), ProgramError> {
    board.line(key::BOARD, B::NAME)?;
    let other_bytes = board.static_bytes() - buffers.bytes() - buffer.len();
    let config = *Model::open(Mapped::new(blob)?)?.config();
    let n_ctx = MAX_WINDOW.min(config.n_ctx as usize);
    board.line(key::N_CTX, n_ctx)?;
    board.line(key::KV, KV.name())?;
    board.line(key::BUFFER_BYTES, buffer.len())?;
    for batch in BATCHES {
        let run = Run { batch, staging: buffer.len(), ..Run::new(Order::LayerMajor, KV, n_ctx) };
        let need = Need::new(&config, run);
        let start = board.ticks();
        let mapped = score::<_, B::Kernel>(Model::open(Mapped::new(blob)?)?, run, buffers.reborrow())?;
        let in_place = board.ticks() - start;

        let mut flash = SimulatedNor::new(blob);
        let model = Model::open(Copying::new(Nor::new(&mut flash), buffer)?)?;
        let start = board.ticks();
        let copied = score::<_, B::Kernel>(model, run, buffers.reborrow())?;
        let through_buffer = board.ticks() - start;

        board.line(key::BATCH, batch)?;
        board.line(key::NLL_BITS, format_args!("{copied:016x}"))?;
        board.line(key::SPI_READS, flash.n_reads)?;
        board.line(key::SPI_BYTES, flash.n_bytes)?;
        board.line(key::INSTRUCTIONS_IN_PLACE, B::instructions(in_place))?;
        board.line(key::INSTRUCTIONS_THROUGH_BUFFER, B::instructions(through_buffer))?;
        board.line(key::KV_BYTES, need.kv_bytes())?;
        board.line(key::RAM_BYTES, other_bytes + need.bytes())?;
        if mapped != copied {
            return Err(ProgramError::Bits { need: mapped, have: copied });
        }
    }
    board.line(key::STACK_BYTES, board.stack_bytes())?;
    Ok(())
}

/// The bits of the summed nll of a window of tokens spread over the vocabulary, layer by layer.
fn score<S: Source, K: Kernel + Default>(model: Model<S>, run: Run, buffers: Buffers<'_>) -> Result<u64, ProgramError> {
    let config = *model.config();
    let kv = run.kv_cache(&config, buffers.kv)?;
    let scratch = run.scratch(&config, buffers.floats, buffers.words)?;
    let mut session = Session::new(model, K::default(), kv, scratch)?;
    let have = buffers.tokens.len();
    let tokens = buffers.tokens.get_mut(..=run.n_ctx);
    let tokens = tokens.ok_or(ProgramError::Tokens { need: run.n_ctx + 1, have })?;
    crate::tokens::spread(tokens, config.n_vocab);
    let sinks = buffers.sinks.get_mut(..run.batch).unwrap_or_default();
    let mut sum = Score::new();
    score_window(&mut session, tokens, 0, sinks, |nll| sum.push(nll)).map_err(|error| ProgramError::Score {
        row: 0,
        start: 0,
        error,
    })?;
    Ok(sum.sum().to_bits())
}
