//! Draws from the softmax without its sum.

use super::noise::{Generator, bits, gumbel, gumbel_bound};
use crate::config::TokenId;
use crate::ops::exp::LIMIT;
use crate::sink::{LogitError, LogitSink};

/// Draws a token from `softmax(logits / temperature)`: the largest of `logit + temperature * noise`, the noise being
/// Gumbel's, one random number a token in token order. Memory does not depend on the vocabulary.
///
/// After Gumbel, *Statistical Theory of Extreme Values and Some Practical Applications*, 1954.
#[derive(Clone, Debug)]
pub struct GumbelMax {
    generator: Generator,
    temperature: f32,
    best: Option<Best>,
    invalid: bool,
}

#[derive(Clone, Copy, Debug)]
struct Best {
    token: TokenId,
    logit: f32,
    score: f32,
}

impl GumbelMax {
    /// Before any logit. `temperature` is positive.
    pub const fn new(generator: Generator, temperature: f32) -> Self {
        Self { generator, temperature, best: None, invalid: false }
    }

    /// The token and its logit, `None` before any logit.
    ///
    /// # Errors
    /// [`LogitError::NotANumber`] if the logits have no softmax.
    pub fn choice(&self) -> Result<Option<(TokenId, f32)>, LogitError> {
        let no_softmax = self.best.is_some_and(|best| best.logit == f32::NEG_INFINITY);
        if self.invalid || no_softmax {
            return Err(LogitError::NotANumber);
        }
        Ok(self.best.map(|best| (best.token, best.logit)))
    }

    /// The generator, one number a token further.
    pub fn into_generator(self) -> Generator {
        self.generator
    }
}

impl LogitSink for GumbelMax {
    fn push(&mut self, first: TokenId, logits: &[f32]) {
        for (token, &logit) in (first..).zip(logits) {
            self.invalid |= logit.is_nan() || logit > LIMIT;
            let bits = bits(&mut self.generator);
            let best = self.best.map_or(f32::NEG_INFINITY, |best| best.score);
            // Most tokens end here, without a logarithm.
            if self.best.is_some() && logit + self.temperature * gumbel_bound(bits) <= best {
                continue;
            }
            let score = logit + self.temperature * gumbel(bits);
            if self.best.is_none() || score > best {
                self.best = Some(Best { token, logit, score });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::generator;
    use super::*;

    #[test]
    fn blocks_do_not_matter_and_the_bound_changes_nothing() {
        let logits: [f32; 97] = core::array::from_fn(|i| ((i * 37) % 97) as f32 * 0.05);
        for seed in 0..if cfg!(miri) { 10 } else { 200 } {
            let mut noise = generator(seed);
            let scores = logits.map(|logit| logit + 0.7 * gumbel(bits(&mut noise)));
            let want = (0..97).rev().max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap();
            for block in [1, 7, 48, 97] {
                let mut sink = GumbelMax::new(generator(seed), 0.7);
                for (i, chunk) in logits.chunks(block).enumerate() {
                    sink.push((i * block) as TokenId, chunk);
                }
                assert_eq!(sink.choice(), Ok(Some((want as TokenId, logits[want]))));
                assert_eq!(sink.into_generator(), noise);
            }
        }
    }

    #[test]
    fn edges() {
        let over = |logits: &[f32]| {
            let mut sink = GumbelMax::new(generator(0), 1.0);
            sink.push(0, logits);
            sink.choice().map(|choice| choice.map(|(token, _)| token))
        };
        assert_eq!(over(&[]), Ok(None));
        assert_eq!(over(&[f32::NEG_INFINITY, 3.0, f32::NEG_INFINITY]), Ok(Some(1)));
        for bad in [[f32::NAN, 0.0], [0.0, f32::NAN], [0.0, f32::INFINITY], [f32::NEG_INFINITY; 2]] {
            assert_eq!(over(&bad), Err(LogitError::NotANumber));
        }
    }
}
