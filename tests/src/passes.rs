//! Takes a window of tokens through the core, in any of the ways that must give the same bits.

use emberlm_core::blob::OpenError;
use emberlm_core::config::{Config, TokenId};
use emberlm_core::kernel::Kernel;
use emberlm_core::kv_cache::{KvCache, KvSize, KvType};
use emberlm_core::loss::CrossEntropy;
use emberlm_core::model::Model;
use emberlm_core::scratch::{Batch, Scratch, ScratchSize};
use emberlm_core::session::{ForwardError, Progress, Session};
use emberlm_core::sink::{Dense, LogitError, LogitSink};
use emberlm_core::source::{Aligned, Copying, Mapped, ReadError, Source};
use emberlm_core::team::Team;

use crate::teams::{Backwards, TwoThreads, two_cores};

/// Where the keys and values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Every layer's in one piece.
    Whole,
    /// A piece for each layer.
    PerLayer,
    /// One layer's, which the next overwrites: the whole window goes through each layer at once.
    OneLayer,
}

/// What a blob is read through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// Memory.
    Mapped,
    /// A buffer of 256 bytes, the smallest.
    Through256,
    /// A buffer of 1 KiB.
    Through1024,
}

/// Who shares the work of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// Nobody.
    Solo,
    /// One worker that does so many ranges, the last first.
    Backwards(usize),
    /// Two threads.
    TwoThreads,
    /// Two threads that meet as two cores of a chip do.
    TwoCores,
}

/// A way of taking a window of tokens through a model. The logits depend on no more of it than the KV cache's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// What the blob is read through.
    pub weights: Weights,
    /// How keys and values are stored: the one choice that the logits do depend on.
    pub kv_type: KvType,
    /// Where keys and values are.
    pub memory: Memory,
    /// Tokens handed to a forward call, at least 1; with [`Memory::OneLayer`] it is the whole window.
    pub tokens_a_call: usize,
    /// Positions that go through a layer together, at least 1.
    pub batch: usize,
    /// Rows of a matrix that are multiplied before their outputs are used.
    pub rows: usize,
    /// Who shares the work.
    pub workers: Workers,
    /// What a step may do; `None` leaves the stepping to the session.
    pub step: Option<usize>,
}

impl Way {
    /// Mapped, all of the window at once, an f32 cache in one piece.
    pub const PLAIN: Self = Self {
        weights: Weights::Mapped,
        kv_type: KvType::F32,
        memory: Memory::Whole,
        tokens_a_call: usize::MAX,
        batch: 16,
        rows: Batch::ROWS,
        workers: Workers::Solo,
        step: None,
    };
}

/// Why there are no logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PassError {
    /// The blob does not open.
    Open(OpenError),
    /// The pass stopped.
    Forward(ForwardError),
    /// A logit was no number.
    Logit(LogitError),
}

impl From<ForwardError> for PassError {
    fn from(error: ForwardError) -> Self {
        Self::Forward(error)
    }
}

impl From<ReadError> for PassError {
    fn from(error: ReadError) -> Self {
        Self::Forward(error.into())
    }
}

/// The nll of every token but the first: the inputs are all tokens but the last.
pub fn nll<K: Kernel>(blob: &[u8], kernel: K, tokens: &[TokenId], way: Way) -> Result<Vec<f32>, PassError> {
    let Some((_, inputs)) = tokens.split_last() else { return Ok(Vec::new()) };
    let mut sinks: Vec<_> = tokens[1..].iter().map(|&target| CrossEntropy::new(target)).collect();
    pass(blob, kernel, inputs, &mut sinks, way)?;
    let nll = |sink: CrossEntropy| {
        let nll = sink.nll().map_err(PassError::Logit)?;
        Ok(nll.expect("the head pushed every logit"))
    };
    sinks.into_iter().map(nll).collect()
}

/// The logits after every one of `inputs`: `[inputs.len(), n_vocab]`.
pub fn logits<K: Kernel>(blob: &[u8], kernel: K, inputs: &[TokenId], way: Way) -> Result<Vec<Vec<f32>>, PassError> {
    let mut rows = vec![vec![f32::NAN; n_vocab(blob)?]; inputs.len()];
    let mut sinks: Vec<_> = rows.iter_mut().map(|row| Dense(row)).collect();
    pass(blob, kernel, inputs, &mut sinks, way)?;
    Ok(rows)
}

/// The number of tokens of the model in `blob`.
pub fn n_vocab(blob: &[u8]) -> Result<usize, PassError> {
    let model = Model::open(Mapped::new(blob).expect("an aligned blob")).map_err(PassError::Open)?;
    Ok(model.config().n_vocab as usize)
}

/// Takes `inputs` through the model in `blob`, one sink for each of them.
pub fn pass<K: Kernel>(
    blob: &[u8],
    kernel: K,
    inputs: &[TokenId],
    sinks: &mut [impl LogitSink],
    way: Way,
) -> Result<(), PassError> {
    match way.weights {
        Weights::Mapped => through(Mapped::new(blob).expect("an aligned blob"), kernel, inputs, sinks, way),
        Weights::Through256 => {
            let mut buffer = Aligned([0; 256]);
            through(Copying::new(blob, &mut buffer.0).expect("a buffer"), kernel, inputs, sinks, way)
        }
        Weights::Through1024 => {
            let mut buffer = Aligned([0; 1024]);
            through(Copying::new(blob, &mut buffer.0).expect("a buffer"), kernel, inputs, sinks, way)
        }
    }
}

/// [`pass`] over any source; `way.weights` has no say.
pub fn through<S: Source, K: Kernel>(
    source: S,
    kernel: K,
    inputs: &[TokenId],
    sinks: &mut [impl LogitSink],
    way: Way,
) -> Result<(), PassError> {
    let model = Model::open(source).map_err(PassError::Open)?;
    let config = *model.config();
    let n_ctx = inputs.len();
    let tokens_a_call = if way.memory == Memory::OneLayer { n_ctx } else { way.tokens_a_call.min(n_ctx) };
    let kv_size = KvSize::new(way.kv_type, n_ctx, way.batch);
    let mut memory = CacheMemory::new(&config, kv_size, way.memory);
    let mut pieces = memory.pieces();
    let kv = match way.memory {
        Memory::Whole => KvCache::whole(kv_size, &config, pieces.remove(0)),
        Memory::OneLayer => KvCache::one_layer(kv_size, &config, pieces.remove(0)),
        Memory::PerLayer => KvCache::per_layer(kv_size, &config, &mut pieces),
    };
    let size = Batch { window: tokens_a_call.max(way.batch), rows: way.rows, ..Batch::of(way.batch) };
    let need = ScratchSize::new(&config, size);
    let (mut floats, mut words) = (vec![f32::NAN; need.floats], vec![u32::MAX; need.words]);
    let scratch = Scratch::new(&config, size, &mut floats, &mut words).expect("as much as asked for");
    let session = Session::new(model, kernel, kv.expect("as much as asked for"), scratch).expect("parts that fit");
    match way.workers {
        Workers::Solo => by_calls(session, tokens_a_call, inputs, sinks, way),
        Workers::Backwards(n) => by_calls(session.with_team(Backwards(n)), tokens_a_call, inputs, sinks, way),
        Workers::TwoThreads => by_calls(session.with_team(TwoThreads), tokens_a_call, inputs, sinks, way),
        Workers::TwoCores => two_cores(|cores| by_calls(session.with_team(cores), tokens_a_call, inputs, sinks, way)),
    }
}

fn by_calls<S: Source, K: Kernel, T: Team>(
    mut session: Session<'_, S, K, T>,
    tokens_a_call: usize,
    inputs: &[TokenId],
    sinks: &mut [impl LogitSink],
    way: Way,
) -> Result<(), PassError> {
    for (tokens, sinks) in inputs.chunks(tokens_a_call.max(1)).zip(sinks.chunks_mut(tokens_a_call.max(1))) {
        match way.step {
            None => session.forward(tokens)?,
            Some(step) => {
                let mut forward = session.begin_forward(tokens)?;
                while forward.step(step)? == Progress::More {}
            }
        }
        for (i, sinks) in sinks.chunks_mut(way.batch).enumerate() {
            match way.step {
                None => session.head(i * way.batch, sinks)?,
                Some(step) => {
                    let mut head = session.begin_head(i * way.batch, sinks)?;
                    while head.step(step)? == Progress::More {}
                }
            }
        }
    }
    Ok(())
}

/// The words of a KV cache, filled with what no pass may read.
struct CacheMemory(Vec<Vec<u32>>);

impl CacheMemory {
    fn new(config: &Config, size: KvSize, memory: Memory) -> Self {
        // No number, whether its words hold floats, halves or bf16 scales.
        let unread = u32::MAX;
        Self(match memory {
            Memory::Whole => vec![vec![unread; size.words(config)]],
            Memory::PerLayer => {
                (0..config.n_layer).map(|layer| vec![unread; size.layer_words(config, layer)]).collect()
            }
            Memory::OneLayer => vec![vec![unread; size.largest_layer_words(config)]],
        })
    }

    fn pieces(&mut self) -> Vec<&mut [u32]> {
        self.0.iter_mut().map(Vec::as_mut_slice).collect()
    }
}
