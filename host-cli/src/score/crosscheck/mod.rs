//! The cross-check of blobs against their checkpoint: both on the same tokens, position by position.
//!
//! A window's hidden states are computed once by the reference, and by each blob; then both heads are walked side by side
//! (`beside`), so that no more than a block of a position's logits exists at a time, and each position's two
//! distributions leave a [`Difference`](crate::engine::divergence::Difference).

mod beside;
mod summary;

use std::cell::RefCell;

use emberlm_core::kv_cache::KvType;
use emberlm_core::loss::CrossEntropy;
use emberlm_core::score::ScoreError;
use emberlm_core::sink::LogitError;

use super::error::{EvaluateError, NoLoss};
use super::evaluate::{memory, memory_bytes, n_workers, team};
use super::jobs::Job;
use crate::engine::kernel::HostKernel;
use crate::engine::workers::map_in_order;
use crate::engine::{BATCH, Blob, HostTeam, Memory};
use crate::reference::Reference;
use beside::{Beside, ReferenceBlock};
pub use summary::{Scored, Summary, summarize};

/// A blob, and how its keys and values are stored.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'b> {
    /// The blob.
    pub blob: &'b Blob,
    /// The type of its KV cache.
    pub kv_type: KvType,
}

/// Scores `jobs` with `reference` and each of `candidates`; one summary a candidate.
///
/// # Errors
/// As [`score_beside`].
pub fn crosscheck(
    reference: &Reference<'_>,
    candidates: &[Candidate<'_>],
    jobs: &[Job<'_>],
    threads: Option<usize>,
    progress: &(impl Fn(u64) + Sync),
) -> Result<Vec<Summary>, EvaluateError> {
    let scored = score_beside(reference, candidates, jobs, threads, progress)?;
    Ok(scored.iter().map(|scored| summarize(scored.iter())).collect())
}

/// Scores `jobs` with `reference` and each of `candidates`, windows in parallel; for each candidate its targets, in scored
/// order.
///
/// `progress` hears of targets that are scored, from any thread.
///
/// Beside the blobs and each thread's working memory it holds about 56 bytes for each target and candidate.
///
/// # Errors
/// The first window, by order, whose losses are not numbers.
pub fn score_beside(
    reference: &Reference<'_>,
    candidates: &[Candidate<'_>],
    jobs: &[Job<'_>],
    threads: Option<usize>,
    progress: &(impl Fn(u64) + Sync),
) -> Result<Vec<Vec<Scored>>, EvaluateError> {
    let Some(Candidate { blob, .. }) = candidates.first() else { return Ok(Vec::new()) };
    let (config, longest) = (*blob.model()?.config(), Job::longest(jobs));
    let kv_types = || KvType::ALL.into_iter().filter(|&kv_type| candidates.iter().any(|c| c.kv_type == kv_type));
    let of_caches = kv_types().map(|kv_type| memory_bytes(&config, kv_type, longest)).fold(0, usize::saturating_add);
    let of_reference = usize::try_from(reference.window_bytes(longest)).unwrap_or(usize::MAX);
    let n_workers = n_workers(threads, jobs.len(), of_caches.saturating_add(of_reference))?;
    let team = team(threads, n_workers);
    let check = |memories: &mut Memories, job: &Job<'_>| -> Result<Vec<Vec<Scored>>, EvaluateError> {
        let tokens = job.tokens();
        let hidden =
            reference.hidden(&tokens[..job.window.n_inputs]).map_err(|error| NoLoss::of_reference(job, error))?;
        let check = |candidate: &Candidate<'_>| {
            let memory = memories.of(candidate.kv_type);
            let scored = check_window(reference, &hidden, candidate.blob, (memory, team), job)?;
            progress(scored.len() as u64);
            Ok(scored)
        };
        candidates.iter().map(check).collect()
    };
    let memory_of = |kv_type| Ok((kv_type, memory(&config, kv_type, longest)?));
    let memories = || kv_types().map(memory_of).collect::<Result<_, EvaluateError>>().map(Memories);
    let windows = map_in_order(jobs, n_workers, memories, check)?;
    let mut scored = vec![Vec::with_capacity(Job::n_scored(jobs) as usize); candidates.len()];
    for window in windows {
        scored.iter_mut().zip(window).for_each(|(scored, of_window)| scored.extend(of_window));
    }
    Ok(scored)
}

/// A thread's working memory, for each type of KV cache that there is.
struct Memories(Vec<(KvType, Memory)>);

impl Memories {
    fn of(&mut self, kv_type: KvType) -> &mut Memory {
        let (_, memory) = self.0.iter_mut().find(|(key, _)| *key == kv_type).expect("every candidate's type is there");
        memory
    }
}

/// One window of one blob, given the reference's hidden states `[n_inputs, n_embd]`.
fn check_window(
    reference: &Reference<'_>,
    hidden: &[f32],
    blob: &Blob,
    (memory, team): (&mut Memory, HostTeam),
    job: &Job<'_>,
) -> Result<Vec<Scored>, EvaluateError> {
    let n_embd = reference.architecture().n_embd as usize;
    let (tokens, n_inputs) = (job.tokens(), job.window.n_inputs);
    let failed = |error: ScoreError| NoLoss::of_core(job, error);
    let mut session = memory.session(blob.model()?, HostKernel::detect()).with_team(team);
    session.forward(&tokens[..n_inputs]).map_err(|error| failed(error.into()))?;
    let mut scored = Vec::with_capacity(job.window.n_scored());
    // Blocks of logits for so many positions are together no more than one position's row.
    let together = (reference.architecture().n_vocab as usize / session.batch().rows).clamp(1, BATCH);
    for first in (job.window.first_scored..n_inputs).step_by(together) {
        let end = n_inputs.min(first + together);
        let block = RefCell::new(ReferenceBlock::new(reference, &hidden[first * n_embd..end * n_embd]));
        let sink = |(position, &target)| (CrossEntropy::new(target), Beside::new(&block, position, target));
        let mut sinks: Vec<_> = tokens[first + 1..=end].iter().enumerate().map(sink).collect();
        session.head(first, &mut sinks).map_err(|error| failed(error.into()))?;
        for (input, (cross_entropy, beside)) in (first..).zip(&sinks) {
            let of_input = |error| failed(ScoreError::Logit { input, error });
            let nll = cross_entropy.nll().and_then(|nll| nll.ok_or(LogitError::NoTarget)).map_err(of_input)?;
            let difference = beside.finish().ok_or_else(|| of_input(LogitError::NotANumber))?;
            scored.push(Scored { nll, difference });
        }
    }
    Ok(scored)
}
