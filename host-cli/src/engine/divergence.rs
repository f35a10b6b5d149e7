//! How two distributions over the vocabulary differ, from blocks of their logits, in f64.

use emberlm_core::config::TokenId;

/// How one position's two distributions differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// The reference's loss in nats.
    pub nll: f64,
    /// Kullback-Leibler divergence of the other distribution from the reference's, in nats.
    pub kl: f64,
    /// The token that each finds most likely, the first of several: the reference, and the other.
    pub tops: [TokenId; 2],
    /// The largest difference of a logit.
    pub max_logit_error: f64,
    /// The other distribution's probability of the target minus the reference's.
    pub target_probability: f64,
}

impl Difference {
    /// Whether both find the same token most likely.
    pub const fn same_top(&self) -> bool {
        self.tops[0] == self.tops[1]
    }
}

/// The difference of two distributions, under way.
#[derive(Clone, Copy, Debug)]
pub struct Divergence {
    target: TokenId,
    reference: Side,
    other: Side,
    /// The sum of `exp(a - max) (a - b)` over logits `a` of the reference, whose largest is `max`, and `b` of the other.
    weighted: f64,
    max_logit_error: f64,
}

/// One distribution: the largest logit, its token, the sum of `exp(logit - max)`, and the target's logit.
#[derive(Clone, Copy, Debug)]
struct Side {
    max: f64,
    top: TokenId,
    sum: f64,
    target_logit: f64,
}

impl Side {
    const EMPTY: Self = Self { max: f64::NEG_INFINITY, top: 0, sum: 0.0, target_logit: f64::NAN };

    /// Moves the maximum up to that of `logits`. Returns what sums relative to the old one are to be multiplied by.
    fn raise(&mut self, first: TokenId, logits: &[f32]) -> f64 {
        let old = self.max;
        for (token, &logit) in (first..).zip(logits) {
            if f64::from(logit) > self.max {
                (self.max, self.top) = (logit.into(), token);
            }
        }
        let shrink = if old == self.max { 1.0 } else { (old - self.max).exp() };
        self.sum *= shrink;
        shrink
    }

    fn log_sum_exp(&self) -> f64 {
        self.max + self.sum.ln()
    }

    /// The target's loss in nats.
    fn nll(&self) -> f64 {
        self.log_sum_exp() - self.target_logit
    }
}

impl Divergence {
    /// Before any logit; the reference's loss will be that of `target`.
    pub const fn new(target: TokenId) -> Self {
        let (reference, other) = (Side::EMPTY, Side::EMPTY);
        Self { target, reference, other, weighted: 0.0, max_logit_error: 0.0 }
    }

    /// Takes both distributions' logits of tokens `first`, `first + 1`, …
    pub fn push(&mut self, first: TokenId, reference: &[f32], other: &[f32]) {
        self.weighted *= self.reference.raise(first, reference);
        self.other.raise(first, other);
        for (&a, &b) in reference.iter().zip(other) {
            let (a, b) = (f64::from(a), f64::from(b));
            let weight = (a - self.reference.max).exp();
            self.reference.sum += weight;
            self.weighted += weight * (a - b);
            self.other.sum += (b - self.other.max).exp();
            let error = (a - b).abs();
            // `max` would drop what is not a number.
            if error.is_nan() || error > self.max_logit_error {
                self.max_logit_error = error;
            }
        }
        let target = self.target.checked_sub(first).map(|index| index as usize);
        if let Some((&a, &b)) = target.and_then(|index| reference.get(index).zip(other.get(index))) {
            (self.reference.target_logit, self.other.target_logit) = (a.into(), b.into());
        }
    }

    /// The difference once every token has come; `None` where a logit was not finite or the target did not come.
    pub fn finish(&self) -> Option<Difference> {
        let (a, b) = (self.reference.log_sum_exp(), self.other.log_sum_exp());
        let kl = self.weighted / self.reference.sum - (a - b);
        let nll = self.reference.nll();
        let target_probability = (-self.other.nll()).exp() - (-nll).exp();
        let finite = [kl, nll, self.max_logit_error, target_probability].into_iter().all(f64::is_finite);
        finite.then_some(Difference {
            nll,
            // Rounding can take it below the least value that it has.
            kl: kl.max(0.0),
            tops: [self.reference.top, self.other.top],
            max_logit_error: self.max_logit_error,
            target_probability,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definitions, with every probability at hand: divergence, loss, difference of the target's probabilities.
    fn naive(reference: &[f32], other: &[f32], target: usize) -> [f64; 3] {
        let softmax = |logits: &[f32]| {
            let max = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let terms: Vec<f64> = logits.iter().map(|&x| (f64::from(x) - max).exp()).collect();
            let sum: f64 = terms.iter().sum();
            terms.into_iter().map(|term| term / sum).collect::<Vec<_>>()
        };
        let (p, q) = (softmax(reference), softmax(other));
        [p.iter().zip(&q).map(|(p, q)| p * (p / q).ln()).sum(), -p[target].ln(), q[target] - p[target]]
    }

    fn streamed(reference: &[f32], other: &[f32], target: TokenId, block: usize) -> Option<Difference> {
        let mut divergence = Divergence::new(target);
        for (i, (a, b)) in reference.chunks(block).zip(other.chunks(block)).enumerate() {
            divergence.push((i * block) as TokenId, a, b);
        }
        divergence.finish()
    }

    #[test]
    fn blocks_of_any_size_agree_with_the_definition() {
        // Ascending, so that the maximum rises in every block.
        let reference: Vec<f32> = (0..100).map(|i| i as f32 * 0.17 + (i as f32).sin()).collect();
        let other: Vec<f32> = (0..100).map(|i| i as f32 * 0.16 - 40.0 + (i as f32).cos()).collect();
        let expected = naive(&reference, &other, 98);
        assert!(expected[2].abs() > 0.01);
        for block in [1, 7, 32, 100] {
            let difference = streamed(&reference, &other, 98, block).unwrap();
            let streamed = [difference.kl, difference.nll, difference.target_probability];
            assert!(streamed.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{streamed:?} {expected:?}");
        }
    }

    #[test]
    fn a_shift_of_all_logits_is_no_divergence_but_an_error_of_logits() {
        let reference = [1.0, 3.0, 2.0];
        let other = reference.map(|logit| logit - 0.5);
        let difference = streamed(&reference, &other, 0, 2).unwrap();
        assert!(difference.kl < 1e-15 && difference.same_top() && difference.tops == [1, 1]);
        assert_eq!(difference.max_logit_error, 0.5);
        let other = streamed(&reference, &[3.0, 1.0, 2.0], 0, 2).unwrap();
        assert_eq!((other.tops, other.same_top()), ([1, 0], false));
    }

    #[test]
    fn what_is_not_finite_has_no_difference() {
        for (reference, other) in
            [([1.0, f32::NAN], [1.0, 1.0]), ([1.0, 1.0], [f32::NAN, 1.0]), ([f32::INFINITY, 0.0], [1.0, 1.0])]
        {
            assert_eq!(streamed(&reference, &other, 0, 1), None);
        }
        assert_eq!(streamed(&[1.0, 2.0], &[1.0, 2.0], 2, 1), None);
    }
}
