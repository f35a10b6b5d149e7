//! Scoring: tokens to negative log-likelihoods, window by window, and the blob's self-test.

use crate::blob::{LongSelfTest, OpenError};
use crate::config::{KvType, TokenId};
use crate::error::{Buffer, BufferTooSmall};
use crate::kernel::Kernel;
use crate::loss::{CrossEntropy, Score};
use crate::part::{part, part_mut};
use crate::session::{ForwardError, Session};
use crate::sink::LogitError;
use crate::source::Source;
use crate::team::Team;
use core::fmt;

/// Why a window has no score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ScoreError {
    /// The forward pass did not succeed.
    Forward(ForwardError),
    /// A position's logits have no softmax.
    Logit {
        /// The input whose logits they are, counted from the window's first.
        input: usize,
        /// What is wrong with them.
        error: LogitError,
    },
    /// A target is not in the vocabulary.
    TargetOutOfRange {
        /// The id.
        token: TokenId,
        /// Ids there are.
        n_vocab: u32,
    },
    /// No sinks were handed in.
    Sinks(BufferTooSmall),
    /// The self-test could not be read.
    Open(OpenError),
}

impl From<ForwardError> for ScoreError {
    fn from(error: ForwardError) -> Self {
        Self::Forward(error)
    }
}

impl fmt::Display for ScoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forward(error) => error.fmt(f),
            Self::Logit { input, error } => write!(f, "at input {input}: {error}"),
            Self::TargetOutOfRange { token, n_vocab } => write!(f, "target {token} is not below n_vocab {n_vocab}"),
            Self::Sinks(error) => error.fmt(f),
            Self::Open(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ScoreError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Forward(error) => Some(error),
            Self::Logit { error, .. } => Some(error),
            Self::Sinks(error) => Some(error),
            Self::Open(error) => Some(error),
            _ => None,
        }
    }
}

/// Scores one window from position 0: `tokens` are its inputs and, last, the final target. The negative log-likelihoods
/// of the targets of inputs `first_scored ..` go to `each` in order, in nats.
///
/// `sinks` are working memory; the more there are, up to the session's batch, the fewer times the head is read. Inputs
/// beyond [`Batch::window`](crate::scratch::Batch::window) go through the layers in several calls, which takes a KV
/// cache that keeps all layers. The session is reset first and left with the window in it, or, after an error, with a part
/// of it.
///
/// # Errors
/// See [`ScoreError`]. Losses before the error have been handed to `each`.
pub fn score_window<S: Source, K: Kernel, T: Team>(
    session: &mut Session<'_, S, K, T>,
    tokens: &[TokenId],
    first_scored: usize,
    sinks: &mut [CrossEntropy],
    mut each: impl FnMut(f32),
) -> Result<(), ScoreError> {
    score_inputs(session, tokens, first_scored, sinks, &mut each)
}

/// [`score_window`], once for all that listen.
fn score_inputs<S: Source, K: Kernel, T: Team>(
    session: &mut Session<'_, S, K, T>,
    tokens: &[TokenId],
    first_scored: usize,
    sinks: &mut [CrossEntropy],
    each: &mut dyn FnMut(f32),
) -> Result<(), ScoreError> {
    let Some((_, inputs)) = tokens.split_last() else { return Err(ForwardError::Empty.into()) };
    let n_vocab = session.config().n_vocab;
    if let Some(&token) = tokens.iter().skip(1).find(|&&token| token >= n_vocab) {
        return Err(ScoreError::TargetOutOfRange { token, n_vocab });
    }
    BufferTooSmall::check(Buffer::Sinks, 1, sinks.len()).map_err(ScoreError::Sinks)?;
    session.reset();
    let (window, batch) = (session.batch().window, session.batch().batch.min(sinks.len()));
    for (start, chunk) in (0..).step_by(window.max(1)).zip(inputs.chunks(window.max(1))) {
        session.forward(chunk)?;
        let end = start + chunk.len();
        let mut input = first_scored.max(start);
        while input < end {
            let n = batch.min(end - input);
            for (sink, &target) in sinks.iter_mut().zip(part(tokens, input + 1..input + 1 + n)) {
                *sink = CrossEntropy::new(target);
            }
            session.head(input - start, part_mut(sinks, ..n))?;
            for (i, sink) in part(sinks, ..n).iter().enumerate() {
                let nll = sink.nll().and_then(|nll| nll.ok_or(LogitError::NoTarget));
                each(nll.map_err(|error| ScoreError::Logit { input: input + i, error })?);
            }
            input += n;
        }
    }
    Ok(())
}

/// What became of the self-test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SelfTestOutcome {
    /// The bits are the recorded ones.
    Passed,
    /// The bits differ: build, memory or kernel are at fault.
    Failed {
        /// The recorded bits of the f64 sum.
        need: u64,
        /// The bits that came out.
        have: u64,
    },
    /// The blob records nothing for this KV cache type.
    NotRecorded(KvType),
    /// The KV cache has fewer positions than the self-test takes.
    NoRoom {
        /// Positions that the self-test takes.
        need: usize,
        /// Positions that fit.
        have: usize,
    },
}

impl fmt::Display for SelfTestOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("self-test passed"),
            Self::Failed { need, have } => {
                write!(f, "self-test failed: need nll bits {need:016x}, have {have:016x}")
            }
            Self::NotRecorded(kv) => write!(f, "the model has no self-test for a {} kv cache", kv.name()),
            Self::NoRoom { need, have } => write!(f, "the self-test needs {need} positions, have {have}"),
        }
    }
}

/// Scores the blob's self-test tokens and compares the bits of the sum. The session is left reset, whatever comes of it.
///
/// # Errors
/// See [`ScoreError`].
pub fn run_self_test<S: Source, K: Kernel, T: Team>(
    session: &mut Session<'_, S, K, T>,
    sinks: &mut [CrossEntropy],
) -> Result<SelfTestOutcome, ScoreError> {
    session.reset();
    let test = session.self_test();
    let test = test.as_ref().map_err(|&error| ScoreError::Open(error))?;
    let kv_type = session.kv_type();
    let Some(need) = test.nll_bits(kv_type) else {
        return Ok(SelfTestOutcome::NotRecorded(kv_type));
    };
    let (inputs, have) = (test.tokens.len() - 1, session.longest_window());
    if inputs > have {
        return Ok(SelfTestOutcome::NoRoom { need: inputs, have });
    }
    let mut score = Score::new();
    let scored = score_window(session, &test.tokens, 0, sinks, |nll| score.push(nll));
    session.reset();
    scored?;
    let have = score.sum().to_bits();
    Ok(if have == need { SelfTestOutcome::Passed } else { SelfTestOutcome::Failed { need, have } })
}

/// Scores the blob's long self-test, which goes past every ring of a KV cache, and compares the bits of the sum. `tokens`
/// has room for [`LongSelfTest::n_tokens`]. The session is left reset, whatever comes of it.
///
/// # Errors
/// See [`ScoreError`].
pub fn run_long_self_test<S: Source, K: Kernel, T: Team>(
    session: &mut Session<'_, S, K, T>,
    tokens: &mut [TokenId],
    sinks: &mut [CrossEntropy],
) -> Result<SelfTestOutcome, ScoreError> {
    session.reset();
    let test = session.long_self_test().map_err(|error| ScoreError::Open(error.into()))?;
    let (n_tokens, kv_type) = (test.n_tokens as usize, session.kv_type());
    if n_tokens < 2 {
        return Ok(SelfTestOutcome::NotRecorded(kv_type));
    }
    let (inputs, have) = (n_tokens - 1, session.longest_window().min(tokens.len().saturating_sub(1)));
    if inputs > have {
        return Ok(SelfTestOutcome::NoRoom { need: inputs, have });
    }
    let n_vocab = session.config().n_vocab;
    let tokens = part_mut(tokens, ..n_tokens);
    tokens.iter_mut().zip(LongSelfTest::tokens(n_vocab)).for_each(|(place, token)| *place = token);
    let mut score = Score::new();
    let scored = score_window(session, tokens, 0, sinks, |nll| score.push(nll));
    session.reset();
    scored?;
    let (need, have) = (test.nll_bits(kv_type), score.sum().to_bits());
    Ok(if have == need { SelfTestOutcome::Passed } else { SelfTestOutcome::Failed { need, have } })
}
