//! How fast a blob's passes are on this machine: a prompt at once, and tokens one after another.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use emberlm_core::blob::slot::Slot;
use emberlm_core::config::TokenId;
use emberlm_core::kv_cache::KvType;
use emberlm_core::model::Model;
use emberlm_core::planner::Order;
use emberlm_core::session::ForwardError;
use emberlm_core::sink::ArgMax;
use emberlm_core::source::{Mapped, ReadError};

use super::blob::{Blob, BlobError, BlobFault};
use super::kernel::HostKernel;
use super::memory::{BATCH, Memory, run};
use super::team::HostTeam;
use crate::ground::memory::MemoryError;

/// What is timed.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// Tokens that go through the model together.
    pub prompt: usize,
    /// Tokens that follow them one by one, each with its logits.
    pub generate: usize,
    /// How often, at least once; one more round comes first and is not timed.
    pub rounds: usize,
    /// Threads that share each pass.
    pub threads: usize,
    /// How keys and values are stored.
    pub kv_type: KvType,
    /// What multiplies.
    pub kernel: HostKernel,
}

/// What was timed, and what it is held against.
#[derive(Clone, Debug)]
pub struct Timings {
    /// Each round's time for the prompt.
    pub prompt: Vec<Duration>,
    /// Each round's time for the tokens after it.
    pub generate: Vec<Duration>,
    /// What a token of either multiplies and reads.
    pub work: Work,
    /// Bytes a second that as many threads read of the blob, each its own part; the best of three times.
    pub read_bytes_per_second: f64,
    /// Products a second that as many threads make of what is in their registers; the best of three times. None for a
    /// kernel without instructions of its own.
    pub register_macs_per_second: Option<f64>,
}

/// What a token takes of the model's matrices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Multiply-accumulates with the layers' matrices.
    pub layers: u64,
    /// Multiply-accumulates with the output head.
    pub head: u64,
    /// Bytes of the layers' matrices.
    pub layer_bytes: u64,
    /// Bytes of the output head.
    pub head_bytes: u64,
}

/// Why nothing could be timed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// There is no memory for the pass.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The blob is refused.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The context is too short.
    #[error("--prompt {prompt} and --generate {generate} need a context of {need} tokens, the model has {have}")]
    TooLong {
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens after it.
        generate: usize,
        /// Their sum.
        need: usize,
        /// The model's context.
        have: usize,
    },
    /// The pass failed.
    #[error(transparent)]
    Forward(#[from] ForwardError),
}

impl Work {
    fn of(model: &mut Model<Mapped<'_>>) -> Result<Self, ReadError> {
        let mut work = Self::default();
        let config = *model.config();
        let head = if model.tensor(Slot::LmHead)?.is_some() { Slot::LmHead } else { Slot::Wte };
        for slot in Slot::all(&config) {
            let Some(tensor) = model.tensor(slot)? else { continue };
            let (weights, bytes) = (tensor.rows as u64 * tensor.cols as u64, tensor.rows as u64 * tensor.stride as u64);
            if slot == head {
                (work.head, work.head_bytes) = (weights, bytes);
            } else if matches!(slot, Slot::Layer(..)) && tensor.rows > 1 {
                work.layers += weights;
                work.layer_bytes += bytes;
            }
        }
        Ok(work)
    }
}

/// Times the rounds of `trial`; `progress` hears of each that ended.
///
/// # Errors
/// See [`BenchError`].
pub fn time(blob: &Blob, trial: Trial, progress: &impl Fn()) -> Result<Timings, BenchError> {
    let kernel = trial.kernel;
    let mut model = blob.model()?;
    let work = Work::of(&mut model).map_err(|error| blob.fault(BlobFault::Open(error.into())))?;
    let config = *model.config();
    let (need, have) = (trial.prompt.saturating_add(trial.generate), config.n_ctx as usize);
    if need > have {
        return Err(BenchError::TooLong { prompt: trial.prompt, generate: trial.generate, need, have });
    }
    let mut memory = Memory::new(&config, run(Order::TokenMajor, trial.kv_type, need, BATCH))?;
    let mut session = memory.session(model, kernel).with_team(HostTeam::new(trial.threads));
    // Neighbours in the vocabulary would find their embeddings in the cache.
    let tokens: Vec<TokenId> =
        (0..need as u64).map(|i| (i * 2_654_435_761 % u64::from(config.n_vocab)) as u32).collect();
    let (prompt, rest) = tokens.split_at(trial.prompt);
    let mut timings = Timings {
        prompt: Vec::new(),
        generate: Vec::new(),
        work,
        read_bytes_per_second: read_rate(blob.file.bytes(), trial.threads),
        register_macs_per_second: register_rate(kernel, trial.threads),
    };
    for round in 0..=trial.rounds {
        session.reset();
        let start = Instant::now();
        for batch in prompt.chunks(session.batch().batch) {
            session.forward(batch)?;
        }
        let prompt = start.elapsed();
        let start = Instant::now();
        for token in rest.chunks(1) {
            session.forward(token)?;
            session.head(0, &mut [ArgMax::new()])?;
        }
        let generate = start.elapsed();
        if round > 0 {
            timings.prompt.push(prompt);
            timings.generate.push(generate);
        }
        progress();
    }
    Ok(timings)
}

/// How often a rate that does not depend on the model is measured.
const TIMES: usize = 3;

/// Products a second of `threads` threads that meet no memory.
fn register_rate(kernel: HostKernel, threads: usize) -> Option<f64> {
    /// Some milliseconds.
    const ROUNDS: u64 = 1 << 20;
    let multiply = || {
        let (start, macs) = (Instant::now(), AtomicU64::new(0));
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| macs.fetch_add(kernel.multiply_registers(ROUNDS).unwrap_or(0), Ordering::Relaxed));
            }
        });
        macs.into_inner() as f64 / start.elapsed().as_secs_f64()
    };
    Some((0..TIMES).map(|_| multiply()).fold(0.0, f64::max)).filter(|&rate| rate > 0.0)
}

/// Bytes a second that `threads` threads read of `bytes`.
fn read_rate(bytes: &[u8], threads: usize) -> f64 {
    /// Bytes from what is read to what is fetched meanwhile.
    const AHEAD: usize = 8192;
    let share = bytes.len().div_ceil(threads.max(1)).max(1);
    let sum = |bytes: &[u8]| -> u64 {
        bytes.as_chunks::<64>().0.iter().fold(0, |sum, line| {
            HostKernel::prefetch(line, AHEAD);
            let words = line.as_chunks::<8>().0.iter().map(|&word| u64::from_le_bytes(word));
            words.fold(sum, u64::wrapping_add)
        })
    };
    let read = || {
        let start = Instant::now();
        thread::scope(|scope| {
            for part in bytes.chunks(share) {
                scope.spawn(|| black_box(sum(black_box(part))));
            }
        });
        bytes.len() as f64 / start.elapsed().as_secs_f64()
    };
    (0..TIMES).map(|_| read()).fold(0.0, f64::max)
}
