//! The second run over a request, in buffers from the heap.

use alloc::vec::Vec;

use emberlm_core::config::TokenId;
use emberlm_core::loss::{CrossEntropy, Score};
use emberlm_core::model::Model;
use emberlm_core::planner::{Need, Order, Run};
use emberlm_core::source::Mapped;
use emberlm_request::report::{Report, key, progress};
use emberlm_request::{Header, Request};

use crate::scoring::Scoring;
use crate::{BATCH, Board, Buffers, ProgramError};

/// Scores the request batch by batch in buffers from the heap and compares with `score`; returns the buffers' bytes.
pub(crate) fn score_again<B: Board>(
    board: &mut B,
    blob: &[u8],
    request: &Request<'_>,
    score: &Score,
) -> Result<usize, ProgramError> {
    let &Header { n_ctx, kv_type, .. } = request.header();
    let model = Model::open(Mapped::new(blob)?)?;
    let run = Run { batch: BATCH, ..Run::new(Order::TokenMajor, kv_type, n_ctx) };
    let need = Need::new(model.config(), run);
    let mut heap = HeapBuffers::new(&need, board.heap_free())?;
    let again = Scoring::<_, B::Kernel>::new(model, run, heap.buffers())?
        .score(request, |n| Ok(board.line(key::PROGRESS, progress(score.n() + n, 2 * score.n()))?))?;
    let (fixed, heap) = (score.sum().to_bits(), again.sum().to_bits());
    if fixed == heap { Ok(need.bytes()) } else { Err(ProgramError::Unequal { fixed, heap }) }
}

/// The memory of one scoring run, from the heap.
struct HeapBuffers {
    kv: Vec<u32>,
    floats: Vec<f32>,
    words: Vec<u32>,
    tokens: Vec<TokenId>,
    sinks: Vec<CrossEntropy>,
}

impl HeapBuffers {
    /// Allocates exactly what is needed; `free` is what the heap has, perhaps not in pieces that are large enough.
    fn new(need: &Need, free: usize) -> Result<Self, ProgramError> {
        let full = ProgramError::Heap { need: need.bytes(), have: free };
        if need.bytes() > free {
            return Err(full);
        }
        Ok(Self {
            kv: filled(need.kv_words, 0).ok_or(full)?,
            floats: filled(need.scratch.floats, 0.0).ok_or(full)?,
            words: filled(need.scratch.words, 0).ok_or(full)?,
            tokens: filled(need.tokens, 0).ok_or(full)?,
            sinks: filled(need.sinks, CrossEntropy::new(0)).ok_or(full)?,
        })
    }

    fn buffers(&mut self) -> Buffers<'_> {
        let Self { kv, floats, words, tokens, sinks } = self;
        Buffers { kv, floats, words, tokens, sinks }
    }
}

fn filled<T: Clone>(len: usize, value: T) -> Option<Vec<T>> {
    let mut vec = Vec::new();
    vec.try_reserve_exact(len).ok()?;
    vec.resize(len, value);
    Some(vec)
}
