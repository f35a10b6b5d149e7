//! What a run found out, in lines.

use core::fmt;

use emberlm_core::loss::Score;

use crate::Board;

/// Prints the figures that follow from the score; `n_tokens` are the tokens of all rows.
pub(crate) fn print_score<B: Board>(board: &mut B, score: &Score, n_tokens: u64, n_bytes: Option<u64>) -> fmt::Result {
    writeln!(board, "tokens_scored: {}", score.n())?;
    writeln!(board, "tokens_skipped: {}", n_tokens - score.n())?;
    writeln!(board, "loss: {}", Figure(score.mean()))?;
    writeln!(board, "perplexity: {}", Figure(score.perplexity()))?;
    writeln!(board, "bits_per_token: {}", Figure(score.bits_per_token()))?;
    writeln!(board, "bits_per_byte: {}", Figure(n_bytes.and_then(|n| score.bits_per_byte(n))))?;
    writeln!(board, "loss_stderr: {}", Figure(score.stderr()))?;
    writeln!(board, "nll_bits: {:016x}", score.sum().to_bits())
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
        Ok(()) => writeln!(board, "done: ok"),
        Err(error) => writeln!(board, "error: {error}\ndone: failed"),
    };
    result.is_ok() && printed.is_ok()
}
