//! One run over a request, with one set of buffers.

use emberlm_core::config::TokenId;
use emberlm_core::kernel::Kernel;
use emberlm_core::loss::{CrossEntropy, Score};
use emberlm_core::model::Model;
use emberlm_core::planner::{Need, Run};
use emberlm_core::score::{SelfTestOutcome, run_self_test, score_window};
use emberlm_core::session::Session;
use emberlm_core::source::Source;
use emberlm_request::Request;

use crate::{Buffers, ProgramError};

/// A session and what it scores with.
pub(crate) struct Scoring<'b, S, K> {
    session: Session<'b, S, K>,
    tokens: &'b mut [TokenId],
    sinks: &'b mut [CrossEntropy],
}

impl<'b, S: Source, K: Kernel + Default> Scoring<'b, S, K> {
    /// A session for such a run, in `buffers`.
    pub fn new(model: Model<S>, run: Run, buffers: Buffers<'b>) -> Result<Self, ProgramError> {
        let config = *model.config();
        let need = Need::new(&config, run);
        if buffers.tokens.len() < need.tokens {
            return Err(ProgramError::Tokens { need: need.tokens, have: buffers.tokens.len() });
        }
        let kv = run.kv_cache(&config, buffers.kv)?;
        let scratch = run.scratch(&config, buffers.floats, buffers.words)?;
        let session = Session::new(model, K::default(), kv, scratch)?;
        Ok(Self { session, tokens: buffers.tokens, sinks: buffers.sinks })
    }
}

impl<'b, S, K> Scoring<'b, S, K> {
    /// The session, and the buffer for tokens.
    pub fn into_parts(self) -> (Session<'b, S, K>, &'b mut [TokenId]) {
        (self.session, self.tokens)
    }
}

impl<S: Source, K: Kernel> Scoring<'_, S, K> {
    /// Scores the tokens that the blob knows the sum of.
    pub fn self_test(&mut self) -> Result<(), ProgramError> {
        match run_self_test(&mut self.session, self.sinks).map_err(ProgramError::SelfTestScore)? {
            SelfTestOutcome::Passed => Ok(()),
            outcome => Err(ProgramError::SelfTest(outcome)),
        }
    }

    /// Scores every window of every row; `progress` hears how many tokens are scored after each window.
    pub fn score(
        &mut self,
        request: &Request<'_>,
        mut progress: impl FnMut(u64) -> Result<(), ProgramError>,
    ) -> Result<Score, ProgramError> {
        let header = request.header();
        let mut score = Score::new();
        for (index, row) in request.rows().enumerate() {
            for window in header.convention.windows(row.len(), header.n_ctx) {
                let tokens = &mut self.tokens[..=window.n_inputs];
                row.read(window.start, tokens);
                score_window(&mut self.session, tokens, window.first_scored, self.sinks, |nll| score.push(nll))
                    .map_err(|error| ProgramError::Score { row: index, start: window.start, error })?;
                progress(score.n())?;
            }
        }
        Ok(score)
    }
}
