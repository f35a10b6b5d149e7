//! The negative log-likelihood of one target.

use super::LogSumExp;
use crate::config::TokenId;
use crate::ops::lanes::{Lanes, Plain};
use crate::sink::{LogitError, LogitSink};

/// The cross-entropy of one position against its target token, in nats.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropy {
    log_sum_exp: LogSumExp,
    target: TokenId,
    target_logit: Option<f32>,
    empty: bool,
}

impl CrossEntropy {
    /// Before any logit.
    pub const fn new(target: TokenId) -> Self {
        Self { log_sum_exp: LogSumExp::new(), target, target_logit: None, empty: true }
    }

    /// The target's negative log-likelihood in nats, `None` before any logit; infinite where its logit is minus
    /// infinity and another's is not.
    ///
    /// # Errors
    /// [`LogitError::NotANumber`] if the logits have no softmax, or [`LogitError::NoTarget`] if the target's logit did
    /// not come.
    pub fn nll(&self) -> Result<Option<f32>, LogitError> {
        if self.empty {
            return Ok(None);
        }
        let nll = self.log_sum_exp.nll(self.target_logit.ok_or(LogitError::NoTarget)?)?;
        // Of a sum of nothing it is minus infinity, or no number.
        if nll.is_some_and(|nll| nll.is_nan() || nll == f32::NEG_INFINITY) {
            return Err(LogitError::NotANumber);
        }
        // Rounding may leave a certain target a hair below 0, which no likelihood is.
        Ok(nll.map(|nll| nll.max(0.0)))
    }
}

impl LogitSink for CrossEntropy {
    fn push(&mut self, first: TokenId, logits: &[f32]) {
        self.push_by(&Plain, first, logits);
    }

    fn push_by<L: Lanes>(&mut self, lanes: &L, first: TokenId, logits: &[f32]) {
        self.log_sum_exp.push_by(lanes, first, logits);
        if let Some(&logit) = self.target.checked_sub(first).and_then(|index| logits.get(index as usize)) {
            self.target_logit = Some(logit);
        }
        self.empty &= logits.is_empty();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_its_target_in_any_block() {
        let logits = [0.5, -1.0, 2.0, 0.0, 1.5];
        let want =
            |target: usize| logits.iter().map(|&x| f64::from(x).exp()).sum::<f64>().ln() - f64::from(logits[target]);
        for block in 1..=5 {
            for target in 0..5 {
                let mut sink = CrossEntropy::new(target as TokenId);
                assert_eq!(sink.nll(), Ok(None));
                for (i, chunk) in logits.chunks(block).enumerate() {
                    sink.push((i * block) as TokenId, chunk);
                }
                assert!((f64::from(sink.nll().unwrap().unwrap()) - want(target)).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn no_likelihood_exceeds_one() {
        for logit in [-30.0, -1.0, 0.1, 1.0, 7.3, 5000.0] {
            let mut sink = CrossEntropy::new(0);
            sink.push(0, &[logit]);
            assert!((0.0..1e-7).contains(&sink.nll().unwrap().unwrap()), "{logit}");
        }
    }

    #[test]
    fn errors() {
        let mut sink = CrossEntropy::new(7);
        sink.push(0, &[1.0]);
        assert_eq!(sink.nll(), Err(LogitError::NoTarget));
        for none in [f32::NEG_INFINITY, f32::MIN, -1e9] {
            let mut sink = CrossEntropy::new(0);
            sink.push(0, &[none; 2]);
            assert_eq!(sink.nll(), Err(LogitError::NotANumber));
        }
        let mut sink = CrossEntropy::new(0);
        sink.push(0, &[-1e9, 0.0]);
        assert_eq!(sink.nll(), Ok(Some(1e9)));
    }
}
