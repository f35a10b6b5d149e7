//! How a session is asked for passes.

use super::error::ForwardError;
use super::forward::Forward;
use super::head::Head;
use super::state::{Progress, Session};
use crate::config::TokenId;
use crate::features::WINDOWS;
use crate::kernel::Kernel;
use crate::sink::LogitSink;
use crate::source::Source;
use crate::team::Team;

impl<'b, S: Source, K: Kernel, T: Team> Session<'b, S, K, T> {
    /// Takes `tokens`, 1 to [`Batch::window`](crate::scratch::Batch::window) of them, after those already taken: layer by layer, in batches.
    ///
    /// # Errors
    /// See [`ForwardError`].
    pub fn forward(&mut self, tokens: &[TokenId]) -> Result<(), ForwardError> {
        let mut pass = self.begin_forward(tokens)?;
        while pass.step(usize::MAX)? == Progress::More {}
        Ok(())
    }

    /// As [`Session::forward`], to be taken step by step.
    ///
    /// # Errors
    /// See [`ForwardError`].
    pub fn begin_forward<'p>(&'p mut self, tokens: &'p [TokenId]) -> Result<Forward<'p, 'b, S, K, T>, ForwardError> {
        let (need, have) = (self.n_past.saturating_add(tokens.len()), self.n_ctx());
        if tokens.is_empty() {
            return Err(ForwardError::Empty);
        }
        if tokens.len() > self.scratch.window() {
            return Err(ForwardError::WindowTooLong { need: tokens.len(), have: self.scratch.window() });
        }
        if need > have {
            return Err(ForwardError::ContextFull { need, have });
        }
        if self.n_past > 0 && !self.kv.keeps_layers() {
            return Err(ForwardError::CacheNotKept);
        }
        if WINDOWS && self.overwritten {
            return Err(ForwardError::Overwritten);
        }
        let n_vocab = self.config().n_vocab;
        if let Some(&token) = tokens.iter().find(|&&token| token >= n_vocab) {
            return Err(ForwardError::TokenOutOfRange { token, n_vocab });
        }
        self.n_window = 0;
        Ok(Forward::new(self, tokens))
    }

    /// Walks the output head once for positions `first`, `first + 1`, … of the last forward call, one for each sink, at
    /// most [`Batch::batch`](crate::scratch::Batch::batch).
    ///
    /// # Errors
    /// See [`ForwardError`].
    pub fn head(&mut self, first: usize, sinks: &mut [impl LogitSink]) -> Result<(), ForwardError> {
        let mut pass = self.begin_head(first, sinks)?;
        while pass.step(usize::MAX)? == Progress::More {}
        Ok(())
    }

    /// As [`Session::head`], to be taken step by step.
    ///
    /// # Errors
    /// See [`ForwardError`].
    pub fn begin_head<'p, L: LogitSink>(
        &'p mut self,
        first: usize,
        sinks: &'p mut [L],
    ) -> Result<Head<'p, 'b, S, K, L, T>, ForwardError> {
        let (need, have) = (first.saturating_add(sinks.len()), self.n_window);
        if sinks.is_empty() {
            return Err(ForwardError::Empty);
        }
        if sinks.len() > self.scratch.batch() {
            return Err(ForwardError::TooManySinks { need: sinks.len(), have: self.scratch.batch() });
        }
        if need > have {
            return Err(ForwardError::NotForwarded { need, have });
        }
        Ok(Head::new(self, first, sinks))
    }
}
