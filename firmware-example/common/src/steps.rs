//! The program that takes forward passes in steps, and does something else between them.

use emberlm_core::config::TokenId;
use emberlm_core::kernel::Kernel;
use emberlm_core::kv_cache::{KvCache, KvSize, KvType};
use emberlm_core::loss::{CrossEntropy, Score};
use emberlm_core::model::Model;
use emberlm_core::score::ScoreError;
use emberlm_core::scratch::{Batch, Scratch};
use emberlm_core::session::{ForwardError, Progress, Session};
use emberlm_core::source::{Copying, Mapped, ReadAt, ReadError, Source, SourceError};
use emberlm_request::report::{Report, key};

use crate::report::print_end;
use crate::tokens::spread;
use crate::{Board, Buffers, ProgramError};

/// How keys and values are stored.
const KV: KvType = KvType::I8;

/// The most tokens that pass, one at a time.
const MAX_TOKENS: usize = 32;

/// Rows of a matrix, heads or positions of a step.
const ROWS: [usize; 4] = [1, 8, 48, usize::MAX];

/// Scores tokens with the model in `blob`, one at a time, in one go and in steps of several sizes, and prints the longest
/// step of each. Between steps `between` does what else there is to do, and says how often that was. Fails unless all
/// bits are the same.
pub fn steps<B: Board>(board: &mut B, blob: &[u8], buffers: Buffers<'_>, mut between: impl FnMut() -> u32) -> bool {
    let result = run(board, Mapped::new(blob), buffers, &mut between);
    print_end(board, result)
}

/// The same with a model that the processor cannot address, through `buffer`.
pub fn steps_copied<B: Board>(
    board: &mut B,
    medium: impl ReadAt,
    buffer: &mut [u8],
    buffers: Buffers<'_>,
    mut between: impl FnMut() -> u32,
) -> bool {
    let result = run(board, Copying::new(medium, buffer), buffers, &mut between);
    print_end(board, result)
}

fn run<B: Board, S: Source>(
    board: &mut B,
    source: Result<S, SourceError>,
    buffers: Buffers<'_>,
    between: &mut impl FnMut() -> u32,
) -> Result<(), ProgramError> {
    board.line(key::BOARD, B::NAME)?;
    let model = Model::open(source?)?;
    let config = *model.config();
    let n_ctx = MAX_TOKENS.min(config.n_ctx as usize);
    let kv = KvCache::whole(KvSize::new(KV, n_ctx, 1), &config, buffers.kv)?;
    let scratch = Scratch::new(&config, Batch::of(1), buffers.floats, buffers.words)?;
    let mut session = Session::new(model, B::Kernel::default(), kv, scratch)?;
    let have = buffers.tokens.len();
    let tokens = buffers.tokens.get_mut(..=n_ctx).ok_or(ProgramError::Tokens { need: n_ctx + 1, have })?;
    spread(tokens, config.n_vocab);
    board.line(key::TOKENS, n_ctx)?;

    let one_go = score(&mut session, tokens, in_one_go)?;
    board.line(key::NLL_BITS, format_args!("{one_go:016x}"))?;
    for rows in ROWS {
        let (mut n_steps, mut longest, mut n_tasks) = (0_u32, 0, 0);
        let mut timed = |step: &mut dyn FnMut() -> Result<Progress, ReadError>| {
            let start = board.ticks();
            let progress = step()?;
            longest = longest.max(board.ticks() - start);
            n_steps += 1;
            n_tasks += between();
            Ok::<_, ReadError>(progress)
        };
        let in_steps = score(&mut session, tokens, |session, token, sink| {
            let mut pass = session.begin_forward(token)?;
            while timed(&mut || pass.step(rows))? == Progress::More {}
            let mut head = session.begin_head(0, sink)?;
            while timed(&mut || head.step(rows))? == Progress::More {}
            Ok(())
        })?;
        match rows {
            usize::MAX => board.line(key::ROWS, "all")?,
            rows => board.line(key::ROWS, rows)?,
        }
        board.line(key::STEPS, n_steps)?;
        board.line(key::LONGEST_STEP_INSTRUCTIONS, B::instructions(longest))?;
        board.line(key::TASKS_BETWEEN, n_tasks)?;
        if in_steps != one_go {
            return Err(ProgramError::Bits { need: one_go, have: in_steps });
        }
    }
    board.line(key::SAME_BITS, "yes")?;
    board.line(key::STACK_BYTES, board.stack_bytes())?;
    Ok(())
}

/// One token through layers and head.
fn in_one_go<S: Source, K: Kernel>(
    session: &mut Session<'_, S, K>,
    token: &[TokenId],
    sink: &mut [CrossEntropy],
) -> Result<(), ForwardError> {
    session.forward(token)?;
    session.head(0, sink)
}

/// The bits of the summed nll of `tokens`, each of which `pass` takes to its sink.
fn score<S: Source, K: Kernel>(
    session: &mut Session<'_, S, K>,
    tokens: &[TokenId],
    mut pass: impl FnMut(&mut Session<'_, S, K>, &[TokenId], &mut [CrossEntropy]) -> Result<(), ForwardError>,
) -> Result<u64, ProgramError> {
    session.reset();
    let mut sum = Score::new();
    for (input, (token, &target)) in tokens.chunks(1).zip(tokens.iter().skip(1)).enumerate() {
        let failed = |error| ProgramError::Score { row: 0, start: input, error };
        let mut sink = [CrossEntropy::new(target)];
        pass(session, token, &mut sink).map_err(|error| failed(ScoreError::Forward(error)))?;
        let nll = sink[0].nll().map_err(|error| failed(ScoreError::Logit { input, error }))?;
        nll.into_iter().for_each(|nll| sum.push(nll));
    }
    Ok(sum.sum().to_bits())
}
