//! Where a forward pass spends its instructions.

use alloc::vec;
use alloc::vec::Vec;

use emberlm_core::config::TokenId;
use emberlm_core::kv_cache::{KvCache, KvType};
use emberlm_core::loss::CrossEntropy;
use emberlm_core::model::Model;
use emberlm_core::score::ScoreError;
use emberlm_core::scratch::{Batch, Scratch, ScratchSize};
use emberlm_core::session::{Progress, Session, Stage};
use emberlm_core::source::Mapped;

use crate::report::print_end;
use crate::{Board, ProgramError};

/// Positions that are taken together: generating, and scoring.
const BATCHES: [usize; 2] = [1, 4];

/// A prime far from small powers of two: tokens are its multiples.
const STEP: u32 = 1_000_003;

/// Takes a full context through the model in the partition, with each type of KV cache, and prints the instructions of
/// each part, a mean over all positions; every position's loss is computed.
pub fn profile<B: Board>(board: &mut B, model: &[u8]) -> bool {
    let result = KvType::ALL
        .into_iter()
        .try_for_each(|kv_type| BATCHES.into_iter().try_for_each(|batch| run(board, model, kv_type, batch)));
    print_end(board, result)
}

/// The parts that are told apart. A norm counts to the matrix behind it, a GELU to the one before it.
const PARTS: [(&str, Stage); 6] = [
    ("embed", Stage::Embed),
    ("qkv", Stage::Qkv),
    ("attend", Stage::Attend),
    ("attn_proj", Stage::AttnProj),
    ("fc_gelu", Stage::Fc),
    ("mlp_proj", Stage::MlpProj),
];

fn run<B: Board>(board: &mut B, blob: &[u8], kv_type: KvType, batch: usize) -> Result<(), ProgramError> {
    let model = Model::open(Mapped::new(blob)?)?;
    let config = *model.config();
    let n_ctx = config.n_ctx as usize;
    let size = ScratchSize::new(&config, Batch::of(batch));
    let mut kv = vec![0; kv_type.layer_words(&config, n_ctx) * config.n_layer as usize];
    let (mut floats, mut words) = (vec![0.0; size.floats], vec![0; size.words]);
    let kv = KvCache::whole(kv_type, &config, n_ctx, &mut kv)?;
    let scratch = Scratch::new(&config, Batch::of(batch), &mut floats, &mut words)?;
    let mut session = Session::new(model, B::Kernel::default(), kv, scratch)?;

    let tokens = (0..config.n_ctx).map(|i| (u64::from(i) * u64::from(STEP) % u64::from(config.n_vocab)) as TokenId);
    let tokens: Vec<TokenId> = tokens.collect();
    let mut ticks = [0; PARTS.len()];
    let mut head = 0;
    let mut sinks = vec![CrossEntropy::new(0); batch];
    let failed = |error| ProgramError::Score { row: 0, start: 0, error: ScoreError::Forward(error) };
    for chunk in tokens.chunks(batch) {
        let mut pass = session.begin_forward(chunk).map_err(failed)?;
        let mut progress = Progress::More;
        while progress == Progress::More {
            let (stage, start) = (pass.stage(), board.ticks());
            progress = pass.step(usize::MAX).map_err(failed)?;
            let spent = board.ticks() - start;
            for (ticks, (_, part)) in ticks.iter_mut().zip(PARTS) {
                *ticks += if part == stage { spent } else { 0 };
            }
        }
        let start = board.ticks();
        let sinks = &mut sinks[..chunk.len()];
        sinks.fill(CrossEntropy::new(0));
        session.head(0, sinks).map_err(failed)?;
        for (input, sink) in sinks.iter().enumerate() {
            let nll = sink.nll().map_err(|error| ScoreError::Logit { input, error });
            nll.map_err(|error| ProgramError::Score { row: 0, start: 0, error })?;
        }
        head += board.ticks() - start;
    }
    let parts = PARTS.map(|(name, _)| name).into_iter().zip(ticks).chain([("head_loss", head)]);
    let mut total = 0;
    for (name, ticks) in parts {
        let instructions = B::instructions(ticks) / n_ctx as u64;
        total += instructions;
        writeln!(board, "{}_t{batch}_{name}: {instructions}", kv_type.name())?;
    }
    Ok(writeln!(board, "{}_t{batch}_total: {total}", kv_type.name())?)
}
