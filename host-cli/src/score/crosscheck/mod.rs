//! The cross-check of blobs against their checkpoint: both on the same tokens, position by position.
//!
//! A window's hidden states are computed once by the reference, and by each blob; then both heads are walked side by side
//! (`beside`), so that no more than a block of a position's logits exists at a time, and each position's two
//! distributions leave a [`Difference`].

mod beside;

use std::cell::RefCell;

use emberlm_core::kv_cache::KvType;
use emberlm_core::loss::{CrossEntropy, Score};
use emberlm_core::score::ScoreError;
use emberlm_core::sink::LogitError;
use serde::Serialize;

use super::error::{EvaluateError, NoLoss};
use super::evaluate::{memory, memory_bytes, n_workers, team};
use super::jobs::Job;
use crate::engine::divergence::Difference;
use crate::engine::kernel::HostKernel;
use crate::engine::workers::map_in_order;
use crate::engine::{BATCH, Blob, HostTeam, Memory};
use crate::reference::Reference;
use beside::{Beside, ReferenceBlock};

/// A blob, and how its keys and values are stored.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'b> {
    /// The blob.
    pub blob: &'b Blob,
    /// The type of its KV cache.
    pub kv_type: KvType,
}

/// One target: the blob's loss in nats, and how its distribution differs from the reference's.
#[derive(Clone, Copy, Debug)]
struct Scored {
    nll: f32,
    difference: Difference,
}

/// What a blob's cross-check comes to, over all targets. `None` where there are too few of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// The reference's mean loss in nats.
    pub loss_checkpoint: Option<f64>,
    /// The blob's, the same bits as [`score_blob`](super::evaluate::score_blob) gives.
    pub loss_blob: Option<f64>,
    /// Mean of the blob's loss minus the reference's.
    pub delta_nll: Option<f64>,
    /// Standard error of that mean, targets taken as independent pairs.
    pub delta_nll_stderr: Option<f64>,
    /// Kullback-Leibler divergence of the blob from the reference: mean, in nats.
    pub kl_mean: Option<f64>,
    /// The least divergence that 99 of 100 targets do not exceed.
    pub kl_p99: Option<f64>,
    /// The largest.
    pub kl_max: Option<f64>,
    /// Share of targets where both find the same token most likely.
    pub top1_agreement: Option<f64>,
    /// The largest difference of a logit.
    pub max_logit_error: Option<f64>,
    /// Root mean square of the blob's probability of the target minus the reference's.
    #[serde(skip)]
    pub target_probability_rms: Option<f64>,
}

/// Scores `jobs` with `reference` and each of `candidates`, windows in parallel; one summary a candidate.
///
/// `progress` hears of targets that are scored, from any thread.
///
/// Beside the blobs and each thread's working memory it holds about 48 bytes for each target and candidate.
///
/// # Errors
/// The first window, by order, whose losses are not numbers.
pub fn crosscheck(
    reference: &Reference<'_>,
    candidates: &[Candidate<'_>],
    jobs: &[Job<'_>],
    threads: Option<usize>,
    progress: &(impl Fn(u64) + Sync),
) -> Result<Vec<Summary>, EvaluateError> {
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
    let of_candidate = |index: usize| summarize(windows.iter().flat_map(|window| &window[index]));
    Ok((0..candidates.len()).map(of_candidate).collect())
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

/// What the targets come to, in order.
fn summarize<'s>(scored: impl Iterator<Item = &'s Scored> + Clone) -> Summary {
    let n = scored.clone().count();
    if n == 0 {
        return Summary::default();
    }
    let mean = |of: &dyn Fn(&Scored) -> f64| scored.clone().map(of).sum::<f64>() / n as f64;
    let delta = |scored: &Scored| f64::from(scored.nll) - scored.difference.nll;
    let delta_nll = mean(&delta);
    let variance = mean(&|scored| (delta(scored) - delta_nll).powi(2));
    let mut kl: Vec<f64> = scored.clone().map(|scored| scored.difference.kl).collect();
    kl.sort_unstable_by(f64::total_cmp);
    let mut score = Score::new();
    scored.clone().for_each(|scored| score.push(scored.nll));
    Summary {
        loss_checkpoint: Some(mean(&|scored| scored.difference.nll)),
        loss_blob: score.mean(),
        delta_nll: Some(delta_nll),
        delta_nll_stderr: (n > 1).then(|| (variance / (n - 1) as f64).sqrt()),
        kl_mean: Some(mean(&|scored| scored.difference.kl)),
        kl_p99: Some(kl[(99 * n).div_ceil(100) - 1]),
        kl_max: Some(kl[n - 1]),
        top1_agreement: Some(mean(&|scored| f64::from(u8::from(scored.difference.same_top)))),
        max_logit_error: scored.clone().map(|scored| scored.difference.max_logit_error).reduce(f64::max),
        target_probability_rms: Some(mean(&|scored| scored.difference.target_probability.powi(2)).sqrt()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_targets_come_to() {
        let scored: Vec<Scored> = (0..200)
            .map(|i| Scored {
                nll: if i % 2 == 0 { 2.5 } else { 1.5 },
                difference: Difference {
                    nll: if i % 2 == 0 { 2.0 } else { 1.5 },
                    kl: f64::from(i),
                    same_top: i % 4 != 0,
                    max_logit_error: f64::from(i % 7),
                    target_probability: if i % 2 == 0 { -0.25 } else { 0.25 },
                },
            })
            .collect();
        let summary = summarize(scored.iter());
        assert_eq!((summary.loss_checkpoint, summary.loss_blob), (Some(1.75), Some(2.0)));
        assert_eq!(summary.delta_nll, Some(0.25));
        assert!((summary.delta_nll_stderr.unwrap() - 0.25 / 199f64.sqrt()).abs() < 1e-15);
        assert_eq!((summary.kl_mean, summary.kl_p99, summary.kl_max), (Some(99.5), Some(197.0), Some(199.0)));
        assert_eq!((summary.top1_agreement, summary.max_logit_error), (Some(0.75), Some(6.0)));
        assert_eq!(summary.target_probability_rms, Some(0.25));
    }

    #[test]
    fn nothing_comes_to_nothing() {
        assert_eq!(summarize([].iter()), Summary::default());
        let difference =
            Difference { nll: 1.0, kl: 0.5, same_top: true, max_logit_error: 0.0, target_probability: 0.0 };
        let one = summarize([Scored { nll: 1.0, difference }].iter());
        assert_eq!((one.delta_nll, one.delta_nll_stderr, one.kl_p99), (Some(0.0), None, Some(0.5)));
    }
}
