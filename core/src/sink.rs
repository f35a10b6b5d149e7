//! Sinks: what becomes of logits. One pass over the output head serves any of them, and no row of logits is kept.

use crate::config::TokenId;
use crate::ops::lanes::Lanes;
use core::fmt;

/// Takes the logits of one position, block by block in token order.
pub trait LogitSink {
    /// Takes the logits of tokens `first`, `first + 1`, … Each token comes exactly once.
    fn push(&mut self, first: TokenId, logits: &[f32]);

    /// As [`LogitSink::push`], by a kernel's lanes where there is something for them to do.
    #[inline(always)]
    fn push_by<L: Lanes>(&mut self, lanes: &L, first: TokenId, logits: &[f32])
    where
        Self: Sized,
    {
        let _ = lanes;
        self.push(first, logits);
    }
}

impl<S: LogitSink + ?Sized> LogitSink for &mut S {
    fn push(&mut self, first: TokenId, logits: &[f32]) {
        (**self).push(first, logits);
    }
}

impl<A: LogitSink, B: LogitSink> LogitSink for (A, B) {
    fn push(&mut self, first: TokenId, logits: &[f32]) {
        self.0.push(first, logits);
        self.1.push(first, logits);
    }

    #[inline(always)]
    fn push_by<L: Lanes>(&mut self, lanes: &L, first: TokenId, logits: &[f32]) {
        self.0.push_by(lanes, first, logits);
        self.1.push_by(lanes, first, logits);
    }
}

/// The logits have no softmax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LogitError {
    /// A logit is not a number or above 2^28; or all of them are below -2^28.
    NotANumber,
    /// The target's logit never came: the target is not in the vocabulary, or the head has not been walked to its end.
    NoTarget,
}

impl fmt::Display for LogitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotANumber => "a logit is not a number",
            Self::NoTarget => "the target's logit did not come",
        })
    }
}

impl core::error::Error for LogitError {}

/// The token with the largest logit; the first of several.
#[derive(Clone, Copy, Debug, Default)]
pub struct ArgMax {
    best: Option<(TokenId, f32)>,
    invalid: bool,
}

impl ArgMax {
    /// Before any logit.
    pub const fn new() -> Self {
        Self { best: None, invalid: false }
    }

    /// The token, `None` before any logit.
    ///
    /// # Errors
    /// [`LogitError::NotANumber`] if any logit was one that is not.
    pub const fn token(&self) -> Result<Option<TokenId>, LogitError> {
        if self.invalid {
            return Err(LogitError::NotANumber);
        }
        match self.best {
            Some((token, _)) => Ok(Some(token)),
            None => Ok(None),
        }
    }
}

impl LogitSink for ArgMax {
    fn push(&mut self, first: TokenId, logits: &[f32]) {
        for (token, &logit) in (first..).zip(logits) {
            self.invalid |= logit.is_nan();
            if self.best.is_none_or(|(_, best)| logit > best) {
                self.best = Some((token, logit));
            }
        }
    }
}

/// Keeps every logit: for tests, and for callers that have the memory.
#[derive(Debug)]
pub struct Dense<'b>(pub &'b mut [f32]);

impl LogitSink for Dense<'_> {
    /// Writes the block to its place; what lies beyond the buffer is dropped.
    fn push(&mut self, first: TokenId, logits: &[f32]) {
        let place = self.0.iter_mut().skip(first as usize);
        place.zip(logits).for_each(|(place, &logit)| *place = logit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pass_serves_several() {
        let mut logits = [0.0; 5];
        let (mut arg_max, mut dense) = (ArgMax::new(), Dense(&mut logits));
        let mut both = (&mut arg_max, &mut dense);
        both.push(0, &[1.0, 4.0]);
        both.push(2, &[4.0, -1.0, 2.0]);
        assert_eq!(arg_max.token(), Ok(Some(1)));
        assert_eq!(logits, [1.0, 4.0, 4.0, -1.0, 2.0]);
    }

    #[test]
    fn arg_max_edges() {
        assert_eq!(ArgMax::new().token(), Ok(None));
        let mut sink = ArgMax::new();
        sink.push(0, &[f32::NEG_INFINITY, f32::NEG_INFINITY]);
        assert_eq!(sink.token(), Ok(Some(0)));
        sink.push(2, &[f32::NAN]);
        assert_eq!(sink.token(), Err(LogitError::NotANumber));
    }
}
