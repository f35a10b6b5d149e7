//! Generation: a prompt to the tokens that follow it, and what becomes of a full context.

use crate::config::TokenId;
use crate::error::{Buffer, BufferTooSmall};
use crate::kernel::Kernel;
use crate::part::{part, part_mut};
use crate::sample::{Drawn, Sampler};
use crate::session::{ForwardError, Session};
use crate::sink::LogitError;
use crate::source::Source;
use crate::team::{Solo, Team};
use core::fmt;

/// What happens when the next token has no position left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WhenFull {
    /// Generation ends.
    Stop,
    /// The last tokens, so many, become the whole context: they go through the model again, from position 0 on, since
    /// their keys and values hold the positions that they had. What follows is what a fresh session makes of them.
    Slide(usize),
}

/// Why no token comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum GenerateError {
    /// There is no token to follow.
    NoPrompt,
    /// The prompt is longer than the context, and the context does not slide.
    PromptTooLong {
        /// Positions that the text takes.
        need: usize,
        /// Positions there are.
        have: usize,
    },
    /// A context that slides keeps at least one token, and fewer than fit.
    Keep {
        /// Tokens to keep.
        keep: usize,
        /// Positions there are.
        n_ctx: usize,
    },
    /// The buffer for the context's tokens is too small.
    Context(BufferTooSmall),
    /// The forward pass failed, or a token is not of the model.
    Forward(ForwardError),
    /// The logits have no softmax.
    Logit(LogitError),
}

impl From<ForwardError> for GenerateError {
    fn from(error: ForwardError) -> Self {
        Self::Forward(error)
    }
}

impl From<LogitError> for GenerateError {
    fn from(error: LogitError) -> Self {
        Self::Logit(error)
    }
}

impl fmt::Display for GenerateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPrompt => f.write_str("the prompt is empty: there is no token to follow"),
            Self::PromptTooLong { need, have } => {
                write!(f, "the prompt is longer than the context: need {need} positions, have {have}")
            }
            Self::Keep { keep, n_ctx } => {
                write!(
                    f,
                    "a context of {n_ctx} cannot slide to its last {keep} tokens: keep at least 1, fewer than {n_ctx}"
                )
            }
            Self::Context(error) => error.fmt(f),
            Self::Forward(error) => error.fmt(f),
            Self::Logit(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for GenerateError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Context(error) => Some(error),
            Self::Forward(error) => Some(error),
            Self::Logit(error) => Some(error),
            _ => None,
        }
    }
}

/// A text under way: its tokens go through the session a batch at a time, what the sampler draws one by one.
#[derive(Debug)]
pub struct Generation<'g, 'b, S, K, T = Solo> {
    session: &'g mut Session<'b, S, K, T>,
    sampler: Sampler,
    /// The tokens of the context, the first `n` of them; the session has taken the first `n_past`.
    context: &'g mut [TokenId],
    n: usize,
    when_full: WhenFull,
    /// A token of the text that has no position yet.
    drawn: Option<TokenId>,
    /// Tokens of the session's last forward call.
    n_last: usize,
}

impl<'g, 'b, S: Source, K: Kernel, T: Team> Generation<'g, 'b, S, K, T> {
    /// A text that begins: the session is reset. `context` has room for [`Session::n_ctx`] ids. More than one token takes
    /// a KV cache that keeps all layers.
    ///
    /// # Errors
    /// `context` is too small, or `when_full` does not go with the session's context.
    pub fn new(
        session: &'g mut Session<'b, S, K, T>,
        sampler: Sampler,
        context: &'g mut [TokenId],
        when_full: WhenFull,
    ) -> Result<Self, GenerateError> {
        let n_ctx = session.n_ctx();
        BufferTooSmall::check(Buffer::Context, n_ctx, context.len()).map_err(GenerateError::Context)?;
        match when_full {
            WhenFull::Slide(keep) if !(1..n_ctx).contains(&keep) => return Err(GenerateError::Keep { keep, n_ctx }),
            _ => {}
        }
        session.reset();
        let context = part_mut(context, ..n_ctx);
        Ok(Self { session, sampler, context, n: 0, when_full, drawn: None, n_last: 0 })
    }

    /// Appends tokens to the text. They go through the model when the next token is asked for.
    ///
    /// # Errors
    /// They do not fit a context that does not slide, or are not of the model: the text is as it was.
    pub fn append(&mut self, tokens: &[TokenId]) -> Result<(), GenerateError> {
        let n_vocab = self.session.config().n_vocab;
        if let Some(&token) = tokens.iter().find(|&&token| token >= n_vocab) {
            return Err(ForwardError::TokenOutOfRange { token, n_vocab }.into());
        }
        let need = self.n + usize::from(self.drawn.is_some()) + tokens.len();
        if self.when_full == WhenFull::Stop && need > self.context.len() {
            return Err(GenerateError::PromptTooLong { need, have: self.context.len() });
        }
        for token in self.drawn.take().into_iter().chain(tokens.iter().copied()) {
            self.place(token);
            self.sampler.observe(token);
        }
        Ok(())
    }

    /// Draws the token that follows, and appends it to the text; `None` where the context is full.
    ///
    /// # Errors
    /// There is no text yet, or no token comes of the model. Where the medium failed, the next call goes on from there and
    /// draws what this one would have.
    pub fn next_token(&mut self) -> Result<Option<Drawn>, GenerateError> {
        if let Some(token) = self.drawn {
            if !self.place(token) {
                return Ok(None);
            }
            self.sampler.observe(token);
            self.drawn = None;
        }
        if self.n == 0 {
            return Err(GenerateError::NoPrompt);
        }
        let batch = self.session.batch().batch.max(1);
        while self.session.n_past() < self.n {
            let start = self.session.n_past();
            let end = self.n.min(start + batch);
            self.session.forward(part(self.context, start..end))?;
            self.n_last = end - start;
        }
        let mut draw = self.sampler.draw();
        self.session.head(self.n_last - 1, core::slice::from_mut(&mut draw))?;
        let drawn = draw.finish()?;
        self.drawn = drawn.map(|drawn| drawn.token);
        Ok(drawn)
    }

    /// The tokens of the context, without the one drawn last.
    pub fn context(&self) -> &[TokenId] {
        part(self.context, ..self.n)
    }

    /// Gives `token` the next position, and says whether there was one.
    fn place(&mut self, token: TokenId) -> bool {
        if self.n == self.context.len() {
            let WhenFull::Slide(keep) = self.when_full else { return false };
            let first = self.n.saturating_sub(keep);
            for to in 0..keep {
                let kept = self.context.get(first + to).copied();
                if let (Some(place), Some(token)) = (self.context.get_mut(to), kept) {
                    *place = token;
                }
            }
            self.n = keep;
            self.session.reset();
        }
        if let Some(place) = self.context.get_mut(self.n) {
            *place = token;
            self.n += 1;
        }
        true
    }
}
