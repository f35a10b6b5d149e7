//! The loss of rows of tokens: by a blob in canonical arithmetic, or by a checkpoint's float reference.

use emberlm_core::config::Config;
use emberlm_core::kv_cache::KvType;
use emberlm_core::loss::{CrossEntropy, Score};
use emberlm_core::planner::{Need, Order, Run};
use emberlm_core::score::score_window;
use rayon::prelude::*;

use super::error::{EvaluateError, NoLoss};
use super::jobs::Job;
use crate::engine::kernel::HostKernel;
use crate::engine::workers::{self, map_in_order};
use crate::engine::{self, BATCH, Blob, HostTeam, Memory};
use crate::ground::memory::{self, MemoryError};
use crate::reference::Reference;

/// How many threads may score `n_jobs` at once: as many as asked for, else as many as the machine has and memory allows.
///
/// # Errors
/// Working memory for so many, or for one, is not there.
pub fn n_workers(asked: Option<usize>, n_jobs: usize, worker_bytes: usize) -> Result<usize, MemoryError> {
    let check = |n: usize| {
        let need = (worker_bytes as u64).saturating_mul(n as u64);
        memory::check("the windows that are scored at once", need)
    };
    let most = asked.unwrap_or_else(workers::available).clamp(1, n_jobs.max(1));
    let least = if asked.is_some() { most } else { 1 };
    let n = (least..=most).rev().find(|&n| check(n).is_ok()).unwrap_or(least);
    let advice = if n > 1 { "; --threads 1 takes least, and --n-ctx N less" } else { "; --n-ctx N takes less" };
    check(n).map_err(|error| error.or(advice))?;
    Ok(n)
}

/// How a blob is scored. No bit depends on the kernel or on the threads.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// What multiplies.
    pub kernel: HostKernel,
    /// How keys and values are stored.
    pub kv_type: KvType,
    /// Threads, where so many are asked for.
    pub threads: Option<usize>,
}

impl Pass {
    /// With the fastest kernel and all threads.
    pub fn new(kv_type: KvType) -> Self {
        Self { kernel: HostKernel::detect(), kv_type, threads: None }
    }
}

/// Scores `jobs` with a blob, windows in parallel by up to as many threads as were asked for, layer by layer within each.
///
/// The sum is taken in scored order. `progress` hears the losses of each window,
/// from any thread and in any order.
///
/// # Errors
/// The first window, by order, whose losses are not numbers.
pub fn score_blob(
    blob: &Blob,
    pass: Pass,
    jobs: &[Job<'_>],
    progress: &(impl Fn(&[f32]) + Sync),
) -> Result<Score, EvaluateError> {
    Ok(sum(&nlls_of_blob(blob, pass, jobs, progress)?))
}

/// As [`score_blob`], the loss of each target, a list a window.
///
/// # Errors
/// The first window, by order, whose losses are not numbers.
pub fn nlls_of_blob(
    blob: &Blob,
    Pass { kernel, kv_type, threads }: Pass,
    jobs: &[Job<'_>],
    progress: &(impl Fn(&[f32]) + Sync),
) -> Result<Vec<Vec<f32>>, EvaluateError> {
    let config = *blob.model()?.config();
    let n_workers = n_workers(threads, jobs.len(), memory_bytes(&config, kv_type, Job::longest(jobs)))?;
    let team = team(threads, n_workers);
    let memory = || Ok(memory(&config, kv_type, Job::longest(jobs))?);
    let score = |memory: &mut Memory, job: &Job<'_>| -> Result<Vec<f32>, EvaluateError> {
        let mut session = memory.session(blob.model()?, kernel).with_team(team);
        let mut sinks = [CrossEntropy::new(0); BATCH];
        let mut nlls = Vec::with_capacity(job.window.n_scored());
        score_window(&mut session, job.tokens(), job.window.first_scored, &mut sinks, |nll| nlls.push(nll))
            .map_err(|error| NoLoss::of_core(job, error))?;
        progress(&nlls);
        Ok(nlls)
    };
    map_in_order(jobs, n_workers, memory, score)
}

/// Working memory for windows of up to `window` inputs.
///
/// # Errors
/// There is not so much.
pub fn memory(config: &Config, kv_type: KvType, window: usize) -> Result<Memory, MemoryError> {
    Memory::new(config, run(kv_type, window))
}

/// Bytes of such working memory.
pub fn memory_bytes(config: &Config, kv_type: KvType, window: usize) -> usize {
    let need = Need::new(config, run(kv_type, window));
    need.scratch.bytes().saturating_add(need.kv_bytes())
}

const fn run(kv_type: KvType, window: usize) -> Run {
    engine::run(Order::LayerMajor, kv_type, if window == 0 { 1 } else { window }, BATCH)
}

/// The threads that are left for each of `n_workers` of the `asked` ones, or of the machine's.
pub fn team(asked: Option<usize>, n_workers: usize) -> HostTeam {
    HostTeam::new(asked.unwrap_or_else(workers::available) / n_workers.max(1))
}

/// Scores `jobs` with a checkpoint's float reference, in parallel. Each loss is rounded to f32, as a blob's is;
/// `progress` hears the losses of each window, from any thread and in any order.
///
/// # Errors
/// A window whose losses are not numbers.
pub fn score_reference(
    reference: &Reference<'_>,
    jobs: &[Job<'_>],
    progress: &(impl Fn(&[f32]) + Sync),
) -> Result<Score, EvaluateError> {
    Ok(sum(&nlls_of_reference(reference, jobs, progress)?))
}

/// As [`score_reference`], the loss of each target, a list a window.
///
/// # Errors
/// A window whose losses are not numbers.
pub fn nlls_of_reference(
    reference: &Reference<'_>,
    jobs: &[Job<'_>],
    progress: &(impl Fn(&[f32]) + Sync),
) -> Result<Vec<Vec<f32>>, EvaluateError> {
    check_reference(reference, jobs)?;
    let score = |job: &Job<'_>| -> Result<Vec<f32>, NoLoss> {
        let mut nlls = Vec::with_capacity(job.window.n_scored());
        reference
            .nll(job.tokens(), job.window.first_scored, |nll| nlls.push(nll as f32))
            .map_err(|error| NoLoss::of_reference(job, error))?;
        progress(&nlls);
        Ok(nlls)
    };
    Ok(jobs.par_iter().map(score).collect::<Result<Vec<_>, _>>()?)
}

/// Checks that memory suffices for the windows that the reference scores at once.
///
/// # Errors
/// It does not.
pub fn check_reference(reference: &Reference<'_>, jobs: &[Job<'_>]) -> Result<(), MemoryError> {
    let at_once = rayon::current_num_threads().min(jobs.len()) as u64;
    let need = reference.window_bytes(Job::longest(jobs)).saturating_mul(at_once);
    memory::check("the windows that are scored at once", need).map_err(|error| error.or("; --n-ctx N takes less"))
}

/// The sum of every window's losses, in scored order.
pub fn sum(nlls: &[Vec<f32>]) -> Score {
    let mut total = Score::new();
    nlls.iter().flatten().for_each(|&nll| total.push(nll));
    total
}
