//! The program that needs no request: a model tests itself.

use emberlm_core::blob::OpenError;
use emberlm_core::kv_cache::KvType;
use emberlm_core::model::Model;
use emberlm_core::planner::{Order, Run};
use emberlm_core::source::{Copying, Mapped, ReadAt, Source, SourceError};
use emberlm_request::report::{Report, key};

use crate::report::print_end;
use crate::scoring::Scoring;
use crate::{Board, Buffers, ProgramError};

/// Checks the model's bytes and scores the tokens whose sum it knows, with every type of KV cache; says whether the bits
/// are the recorded ones.
pub fn self_test<B: Board>(board: &mut B, blob: &[u8], buffers: Buffers<'_>) -> bool {
    let result = run(board, Mapped::new(blob), buffers);
    print_end(board, result)
}

/// The same with a model that the processor cannot address, through `buffer`.
pub fn self_test_copied<B: Board>(board: &mut B, medium: impl ReadAt, buffer: &mut [u8], buffers: Buffers<'_>) -> bool {
    let result = run(board, Copying::new(medium, buffer), buffers);
    print_end(board, result)
}

fn run<B: Board, S: Source>(
    board: &mut B,
    source: Result<S, SourceError>,
    buffers: Buffers<'_>,
) -> Result<(), ProgramError> {
    board.line(key::BOARD, B::NAME)?;
    let start = board.ticks();
    let model = tested_model(board, source?, &KvType::ALL, buffers)?;
    let ticks = board.ticks() - start;
    board.line(key::BLOB_BYTES, model.blob_bytes())?;
    board.line(key::STACK_BYTES, board.stack_bytes())?;
    board.line(key::INSTRUCTIONS, B::instructions(ticks))?;
    Ok(())
}

/// Opens the model behind `source`, checks the CRC of its sections and runs its self-test with each of `kv_types`.
pub(crate) fn tested_model<B: Board, S: Source>(
    board: &mut B,
    mut source: S,
    kv_types: &[KvType],
    mut buffers: Buffers<'_>,
) -> Result<Model<S>, ProgramError> {
    let mut model = Model::open(&mut source)?;
    model.verify_sections()?;
    board.line(key::MODEL_CRC32, format_args!("{:08x}", model.crc32().map_err(OpenError::from)?))?;
    let n_ctx = model.self_test()?.tokens.len() - 1;
    for &kv_type in kv_types {
        let (model, buffers) = (Model::open(&mut source)?, buffers.reborrow());
        let run = Run { batch: buffers.sinks.len(), ..Run::new(Order::LayerMajor, kv_type, n_ctx) };
        Scoring::<_, B::Kernel>::new(model, run, buffers)?.self_test()?;
    }
    board.line(key::SELF_TEST, "passed")?;
    Ok(Model::open(source)?)
}
