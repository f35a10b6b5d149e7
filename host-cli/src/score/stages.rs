//! Where a blob's error arises: what the weights of each part of a model cost alone.
//!
//! Both models are passed through in floats, so that nothing but weights differs: the checkpoint's, and those that the
//! blob's stand for. Activations and caches are not rounded, as the blob's own arithmetic does.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use emberlm_core::blob::Slot;
use emberlm_core::config::TokenId;

use super::error::EvaluateError;
use super::jobs::Job;
use crate::checkpoint::{Checkpoint, Orientation, StoredMatrix};
use crate::convert::unpack::unpack;
use crate::engine::Blob;
use crate::engine::divergence::Divergence;
use crate::ground::memory;
use crate::reference::Reference;

/// The most positions that are looked at.
const POSITIONS: usize = 512;

/// Rows of the head in one block.
const BLOCK: usize = 512;

/// A part of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Embeddings of tokens and positions, and their norm.
    Embedding,
    /// A transformer block.
    Layer(u32),
    /// The norm before the head.
    FinalNorm,
    /// The head; where it is tied, the embedding's weights as the head uses them.
    Head,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedding => f.write_str("embedding"),
            Self::Layer(layer) => write!(f, "layer {layer}"),
            Self::FinalNorm => f.write_str("final norm"),
            Self::Head => f.write_str("head"),
        }
    }
}

/// What a part's weights cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StageError {
    /// The part.
    pub stage: Stage,
    /// Mean divergence, in nats, of a model that has the blob's weights in this part and the checkpoint's in all others;
    /// `None` where it is not finite.
    pub kl_alone: Option<f64>,
    /// Root mean square of the residual stream's error behind this part over that of the stream, where this part and all
    /// before it have the blob's weights; none of the head, behind which there is no stream.
    pub stream_error: Option<f64>,
}

/// What the weights of all parts cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Stages {
    /// Positions that were looked at.
    pub positions: u64,
    /// Mean divergence, in nats, of a model that has all of the blob's weights.
    pub kl_all: Option<f64>,
    /// The parts, in the order in which a token passes them.
    pub stages: Vec<StageError>,
}

/// The inputs of the first windows: 512 positions at most.
pub fn sample<'i>(jobs: &[Job<'i>]) -> Vec<&'i [TokenId]> {
    let (mut left, mut windows) = (POSITIONS, Vec::new());
    for job in jobs {
        let n = job.window.n_inputs.min(left);
        if n == 0 {
            break;
        }
        windows.push(&job.tokens()[..n]);
        left -= n;
    }
    windows
}

/// Steps that [`stages`] tells of, for so many windows.
pub const fn n_steps(checkpoint: &Checkpoint, windows: usize) -> u64 {
    (checkpoint.config().n_layer as u64 + 4) * windows as u64
}

/// What the weights of each part of `blob` cost over all positions of `windows`; `None` where one model has a head of its
/// own and the other has not.
///
/// # Errors
/// There is no memory for the blob's weights in f32.
pub fn stages(
    checkpoint: &Checkpoint,
    exact: &Reference<'_>,
    blob: &Blob,
    windows: &[&[TokenId]],
    progress: &impl Fn(u64),
) -> Result<Option<Stages>, EvaluateError> {
    let n_weights: u64 = Slot::all(checkpoint.config()).filter(|&slot| checkpoint.has(slot)).fold(0, |sum, slot| {
        let (rows, cols) = slot.shape(checkpoint.config());
        sum + u64::from(rows) * u64::from(cols)
    });
    memory::check("the blob's weights in f32", n_weights.saturating_mul(size_of::<f32>() as u64))?;
    let weights = Slot::all(checkpoint.config()).map(|slot| unpack(blob, slot)).collect::<Result<Vec<_>, _>>()?;
    if weights[Slot::LmHead.index()].is_none() != checkpoint.is_tied() {
        return Ok(None);
    }
    let stored = |slot: Slot| {
        let (_, data) = weights[slot.index()].as_ref()?;
        Some(StoredMatrix { orientation: Orientation::OutIn, data: Cow::Borrowed(data) })
    };
    let pair = Pair { exact, rounded: &Reference::of(checkpoint, stored) };
    let mut sums = Sums::new(&pair);
    for window in windows {
        pair.of_window(window, &mut sums, progress);
    }
    let n = windows.iter().map(|window| window.len()).sum::<usize>();
    Ok(Some(sums.finish(&pair, n)))
}

/// The two models.
struct Pair<'r> {
    exact: &'r Reference<'r>,
    rounded: &'r Reference<'r>,
}

/// What has come together so far.
struct Sums {
    /// Of divergences, a sum a part, and of all parts together.
    alone: Vec<Option<f64>>,
    all: Option<f64>,
    /// Of squares of the stream's errors and of the stream, behind each part but the head.
    stream: Vec<(f64, f64)>,
}

impl Sums {
    fn new(pair: &Pair<'_>) -> Self {
        let n = pair.parts().len();
        Self { alone: vec![Some(0.0); n], all: Some(0.0), stream: vec![(0.0, 0.0); n - 1] }
    }

    fn add_stream(&mut self, part: usize, exact: impl Iterator<Item = f64>, rounded: impl Iterator<Item = f64>) {
        let (errors, squares) = &mut self.stream[part];
        for (exact, rounded) in exact.zip(rounded) {
            *errors += (exact - rounded).powi(2);
            *squares += exact * exact;
        }
    }

    fn finish(self, pair: &Pair<'_>, n: usize) -> Stages {
        let mean = |sum: Option<f64>| Some(sum? / n as f64).filter(|mean| mean.is_finite());
        let stream_error = |part: usize| {
            let (errors, squares) = self.stream.get(part)?;
            Some((errors / squares).sqrt()).filter(|error| error.is_finite())
        };
        let part = |(part, stage): (usize, Stage)| StageError {
            stage,
            kl_alone: mean(self.alone[part]),
            stream_error: stream_error(part),
        };
        Stages {
            positions: n as u64,
            kl_all: mean(self.all),
            stages: pair.parts().into_iter().enumerate().map(part).collect(),
        }
    }
}

impl Pair<'_> {
    fn n_layer(&self) -> u32 {
        self.exact.architecture().n_layer
    }

    fn parts(&self) -> Vec<Stage> {
        let layers = (0..self.n_layer()).map(Stage::Layer);
        [Stage::Embedding].into_iter().chain(layers).chain([Stage::FinalNorm, Stage::Head]).collect()
    }

    fn of_window(&self, tokens: &[TokenId], sums: &mut Sums, progress: &impl Fn(u64)) {
        let Self { exact, rounded } = self;
        let layers = self.n_layer() as usize;
        // The stream before each layer, and behind the last.
        let mut streams = vec![exact.embed(tokens)];
        for layer in 0..self.n_layer() {
            let mut stream = streams[layer as usize].clone();
            exact.advance(layer, &mut stream);
            streams.push(stream);
        }
        let hidden = exact.ln_f.apply(&streams[layers]);
        let mut stream = rounded.embed(tokens);
        sums.add_stream(0, streams[0].iter().copied(), stream.iter().copied());
        for layer in 0..self.n_layer() {
            rounded.advance(layer, &mut stream);
            let behind = layer as usize + 1;
            sums.add_stream(behind, streams[behind].iter().copied(), stream.iter().copied());
        }
        let of_all = rounded.ln_f.apply(&stream);
        let floats = |hidden: &[f32]| hidden.iter().map(|&x| f64::from(x)).collect::<Vec<_>>().into_iter();
        sums.add_stream(layers + 1, floats(&hidden), floats(&of_all));
        let mut add = |part: Option<usize>, of: &Reference<'_>, other: &[f32]| {
            let sum = part.map_or(&mut sums.all, |part| &mut sums.alone[part]);
            *sum = sum.zip(divergence((exact, &hidden), (of, other))).map(|(sum, more)| sum + more);
            progress(1);
        };
        add(None, rounded, &of_all);
        add(Some(0), exact, &self.rest(rounded.embed(tokens), 0..self.n_layer()));
        for layer in 0..self.n_layer() {
            let mut stream = streams[layer as usize].clone();
            rounded.advance(layer, &mut stream);
            add(Some(layer as usize + 1), exact, &self.rest(stream, layer + 1..self.n_layer()));
        }
        add(Some(layers + 1), exact, &rounded.ln_f.apply(&streams[layers]));
        add(Some(layers + 2), rounded, &hidden);
    }

    /// Takes a stream through the checkpoint's `layers` and its final norm.
    fn rest(&self, mut stream: Vec<f64>, layers: Range<u32>) -> Vec<f32> {
        layers.for_each(|layer| self.exact.advance(layer, &mut stream));
        self.exact.ln_f.apply(&stream)
    }
}

/// The sum over positions of the divergence of the second model's distributions from the first's, each from its hidden
/// states `[t, n_embd]`; `None` where a logit is not finite.
fn divergence(exact: (&Reference<'_>, &[f32]), other: (&Reference<'_>, &[f32])) -> Option<f64> {
    let architecture = exact.0.architecture();
    let (n_vocab, n) = (architecture.n_vocab as usize, exact.1.len() / architecture.n_embd as usize);
    // The loss of a target is not asked for, and any token is one.
    let mut divergences = vec![Divergence::new(0); n];
    for first in (0..n_vocab).step_by(BLOCK) {
        let len = BLOCK.min(n_vocab - first);
        let logits = |(reference, hidden): (&Reference<'_>, &[f32])| {
            let mut logits = vec![0.0; n * len];
            reference.head_rows(hidden, first as TokenId, &mut logits);
            logits
        };
        let (exact, other) = (logits(exact), logits(other));
        let rows = exact.chunks_exact(len).zip(other.chunks_exact(len));
        for (divergence, (exact, other)) in divergences.iter_mut().zip(rows) {
            divergence.push(first as TokenId, exact, other);
        }
    }
    divergences.iter().map(|divergence| Some(divergence.finish()?.kl)).sum()
}
