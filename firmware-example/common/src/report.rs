//! What a run found out, in lines.

use core::fmt;

use emberlm_core::loss::Score;
use emberlm_request::report::{Report, key};

use crate::Board;

/// Prints the figures that follow from the score; `n_tokens` are the tokens of all rows.
pub(crate) fn print_score<B: Board>(board: &mut B, score: &Score, n_tokens: u64, n_bytes: Option<u64>) -> fmt::Result {
    board.line(key::TOKENS_SCORED, score.n())?;
    board.line(key::TOKENS_SKIPPED, n_tokens - score.n())?;
    board.line(key::LOSS, Figure(score.mean()))?;
    board.line(key::PERPLEXITY, Figure(score.perplexity()))?;
    board.line(key::BITS_PER_TOKEN, Figure(score.bits_per_token()))?;
    board.line(key::BITS_PER_BYTE, Figure(n_bytes.and_then(|n| score.bits_per_byte(n))))?;
    board.line(key::LOSS_STDERR, Figure(score.stderr()))?;
    board.line(key::NLL_BITS, format_args!("{:016x}", score.sum().to_bits()))
}

/// A number that there may be none of.
struct Figure(Option<f64>);

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(figure) => figure.fmt(f),
            None => f.write_str("none"),
        }
    }
}

/// Prints how the program ended, and says whether it ended well.
pub(crate) fn print_end<B: Board>(board: &mut B, result: Result<(), crate::ProgramError>) -> bool {
    let printed = match result {
        Ok(()) => Ok(()),
        Err(error) => board.line(key::ERROR, error),
    };
    let printed = printed.and_then(|()| board.end(result.is_ok()));
    result.is_ok() && printed.is_ok()
}
