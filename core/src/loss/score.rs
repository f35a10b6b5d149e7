//! The loss of a text, from the losses of its tokens.

/// The f64 sum of f32 negative log-likelihoods, in scored order, and what follows from it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    n: u64,
    sum: f64,
    sum_of_squares: f64,
}

impl Score {
    /// Before any token.
    pub const fn new() -> Self {
        Self { n: 0, sum: 0.0, sum_of_squares: 0.0 }
    }

    /// Takes in the next token's negative log-likelihood, in nats.
    pub fn push(&mut self, nll: f32) {
        let nll = f64::from(nll);
        self.n += 1;
        self.sum += nll;
        self.sum_of_squares += nll * nll;
    }

    /// Tokens scored.
    pub const fn n(&self) -> u64 {
        self.n
    }

    /// The sum in nats. Its bits are what host and device compare.
    pub const fn sum(&self) -> f64 {
        self.sum
    }

    /// Mean nats a token, `None` when nothing was scored.
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then(|| self.sum / self.n as f64)
    }

    /// `exp(mean)`.
    pub fn perplexity(&self) -> Option<f64> {
        self.mean().map(libm::exp)
    }

    /// Mean bits a token.
    pub fn bits_per_token(&self) -> Option<f64> {
        self.mean().map(|mean| mean / core::f64::consts::LN_2)
    }

    /// The sum in bits over `bytes`, the length in UTF-8 of the text scored; `None` where that is 0 or nothing was
    /// scored.
    pub fn bits_per_byte(&self, bytes: u64) -> Option<f64> {
        (self.n > 0 && bytes > 0).then(|| self.sum / (core::f64::consts::LN_2 * bytes as f64))
    }

    /// Standard error of the mean, tokens taken as independent; `None` for fewer than two, NaN where the sum is not
    /// finite.
    pub fn stderr(&self) -> Option<f64> {
        let mean = self.mean().filter(|_| self.n > 1)?;
        let variance = self.sum_of_squares / self.n as f64 - mean * mean;
        // Rounding may leave it below 0; `max` would make a number of what is none.
        let variance = if variance < 0.0 { 0.0 } else { variance };
        Some(libm::sqrt(variance / (self.n - 1) as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_the_sum() {
        let mut score = Score::new();
        assert_eq!(
            (score.mean(), score.perplexity(), score.stderr(), score.bits_per_byte(3)),
            (None, None, None, None)
        );
        score.push(1.0);
        assert_eq!((score.mean(), score.stderr()), (Some(1.0), None));
        score.push(3.0);
        assert_eq!((score.n(), score.sum(), score.mean()), (2, 4.0, Some(2.0)));
        assert_eq!(score.stderr(), Some(1.0));
        assert!((score.perplexity().unwrap() - 7.389_056_098_930_65).abs() < 1e-12);
        assert!((score.bits_per_byte(2).unwrap() - 2.885_390_081_777_927).abs() < 1e-12);
        assert_eq!(score.bits_per_byte(0), None);
    }

    #[test]
    fn nothing_finite_follows_from_what_is_not() {
        for nll in [f32::INFINITY, f32::NAN] {
            let mut score = Score::new();
            [1.0, nll, 2.0].into_iter().for_each(|nll| score.push(nll));
            let figures =
                [score.mean(), score.perplexity(), score.bits_per_token(), score.bits_per_byte(3), score.stderr()];
            assert!(figures.iter().all(|figure| figure.is_some_and(|figure| !figure.is_finite())), "{figures:?}");
        }
    }
}
