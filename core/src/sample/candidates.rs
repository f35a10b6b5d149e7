//! The most likely tokens, and draws among them.

use super::noise::{Generator, uniform};
use crate::config::TokenId;
use crate::loss::LogSumExp;
use crate::ops::exp::{LIMIT, exp_parts};
use crate::ops::fixed::pow2;
use crate::sink::{LogitError, LogitSink};
use heapless::Vec;

/// The most tokens among which top-k, top-p and min-p draw.
pub const MAX_CANDIDATES: usize = 128;

/// A token that may be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The token.
    pub token: TokenId,
    /// Its logit.
    pub logit: f32,
}

/// Keeps the tokens with the largest logits, at most [`MAX_CANDIDATES`], and the sum of all tokens' probabilities before
/// they are normalised.
///
/// Of tokens with the same logit the first ones are kept.
#[derive(Clone, Debug)]
pub struct Candidates {
    /// By logit, the largest first.
    list: Vec<Candidate, MAX_CANDIDATES>,
    top_k: Option<usize>,
    temperature: f32,
    /// Of `logits / temperature`, over every token.
    log_sum_exp: LogSumExp,
    invalid: bool,
}

impl Candidates {
    /// Before any logit. `temperature` is positive; `top_k` counts as 1 to [`MAX_CANDIDATES`], `None` as no limit but
    /// that.
    pub fn new(temperature: f32, top_k: Option<usize>) -> Self {
        let top_k = top_k.map(|k| k.clamp(1, MAX_CANDIDATES));
        Self { list: Vec::new(), top_k, temperature, log_sum_exp: LogSumExp::new(), invalid: false }
    }

    /// The tokens kept so far, the most likely first.
    pub fn list(&self) -> &[Candidate] {
        &self.list
    }

    /// Draws one of the tokens that top-k, then top-p, then min-p leave, by their probabilities at the temperature;
    /// `None` before any logit. It takes one random number.
    ///
    /// `top_p` leaves the most likely tokens until their probabilities reach it, at least one: the probabilities among
    /// the top k, or among all tokens where there is no such limit. `min_p` leaves those that are at least so likely, as a
    /// part of the most likely one.
    ///
    /// # Errors
    /// [`LogitError::NotANumber`] if the logits have no softmax.
    pub fn draw(&self, top_p: f32, min_p: f32, generator: &mut Generator) -> Result<Option<Candidate>, LogitError> {
        let Some(most) = self.list.first() else { return Ok(None) };
        if self.invalid || most.logit == f32::NEG_INFINITY {
            return Err(LogitError::NotANumber);
        }
        let weight = |candidate: &Candidate| {
            let (exponent, factor) = exp_parts((candidate.logit - most.logit) / self.temperature);
            factor * pow2(exponent)
        };
        // The weights' sum that top-p asks for, the most likely token's weight being 1.
        let enough = if top_p < 1.0 { top_p * self.total(most, weight)? } else { f32::INFINITY };
        let (mut kept, mut sum) = (0, 0.0);
        for candidate in &self.list {
            let weight = weight(candidate);
            if kept > 0 && (sum >= enough || weight < min_p) {
                break;
            }
            sum += weight;
            kept += 1;
        }
        let aim = uniform(generator) * sum;
        let (mut reached, mut drawn) = (0.0, *most);
        for candidate in self.list.iter().take(kept) {
            let weight = weight(candidate);
            reached += weight;
            if weight > 0.0 {
                drawn = *candidate;
            }
            if aim < reached {
                break;
            }
        }
        Ok(Some(drawn))
    }

    /// The sum of the weights among which top-p counts.
    fn total(&self, most: &Candidate, weight: impl Fn(&Candidate) -> f32) -> Result<f32, LogitError> {
        if self.top_k.is_some() {
            return Ok(self.list.iter().map(weight).sum());
        }
        // The most likely token's probability is 1 / total.
        let nll = self.log_sum_exp.nll(most.logit / self.temperature)?.ok_or(LogitError::NotANumber)?;
        let (exponent, factor) = exp_parts(nll);
        Ok(factor * pow2(exponent.min(127)))
    }

    fn offer(&mut self, new: Candidate) {
        let room = self.list.len() < self.top_k.unwrap_or(MAX_CANDIDATES);
        if !room && self.list.last().is_some_and(|last| new.logit <= last.logit) {
            return;
        }
        let (mut carried, mut placed) = (new, false);
        for place in &mut self.list {
            if placed || carried.logit > place.logit {
                core::mem::swap(place, &mut carried);
                placed = true;
            }
        }
        if room {
            // It cannot fail.
            let _ = self.list.push(carried);
        }
    }
}

impl LogitSink for Candidates {
    fn push(&mut self, first: TokenId, logits: &[f32]) {
        for (token, &logit) in (first..).zip(logits) {
            self.invalid |= logit.is_nan() || logit > LIMIT;
            self.offer(Candidate { token, logit });
            if self.top_k.is_none() {
                self.log_sum_exp.push(token, &[logit / self.temperature]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::generator;
    use super::*;
    use std::collections::BTreeSet;

    fn over(logits: &[f32], top_k: Option<usize>) -> Candidates {
        let mut sink = Candidates::new(1.0, top_k);
        sink.push(0, logits);
        sink
    }

    /// The tokens that come up in many draws.
    fn support(sink: &Candidates, top_p: f32, min_p: f32) -> BTreeSet<TokenId> {
        let mut generator = generator(5);
        let draws = if cfg!(miri) { 150 } else { 3000 };
        (0..draws).map(|_| sink.draw(top_p, min_p, &mut generator).unwrap().unwrap().token).collect()
    }

    #[test]
    fn the_largest_are_kept_in_order_the_first_of_equals() {
        let logits: [f32; 300] = core::array::from_fn(|i| ((i * 7) % 40) as f32);
        let mut want: std::vec::Vec<_> = (0..300u32).collect();
        want.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b)));
        for k in [1, 2, 40, 128] {
            let kept: std::vec::Vec<_> = over(&logits, Some(k)).list().iter().map(|c| c.token).collect();
            assert_eq!(kept, want[..k]);
        }
        assert_eq!(over(&logits, None).list().len(), MAX_CANDIDATES);
    }

    #[test]
    fn who_may_be_drawn() {
        // Probabilities of 1/2, 1/4, 1/8, 1/16 and 1/16.
        let logits = [8f32, 4.0, 2.0, 1.0, 1.0].map(|weight| weight.ln());
        let (all, three) = (over(&logits, None), over(&logits, Some(3)));
        let first = |n: TokenId| (0..n).collect::<BTreeSet<_>>();
        assert_eq!(support(&all, 1.0, 0.0), first(5));
        assert_eq!(support(&three, 1.0, 0.0), first(3));
        for (top_p, of_all, of_three) in
            [(0.0, 1, 1), (0.49, 1, 1), (0.52, 2, 1), (0.6, 2, 2), (0.8, 3, 2), (0.9, 4, 3)]
        {
            assert_eq!(support(&all, top_p, 0.0), first(of_all), "{top_p}");
            assert_eq!(support(&three, top_p, 0.0), first(of_three), "{top_p}");
        }
        for (min_p, n) in [(0.0, 5), (0.12, 5), (0.13, 3), (0.49, 2), (1.0, 1)] {
            assert_eq!(support(&all, 1.0, min_p), first(n), "{min_p}");
        }
    }

    #[test]
    fn edges() {
        let mut generator = generator(0);
        let mut draw = |logits: &[f32], temperature: f32| {
            let mut sink = Candidates::new(temperature, None);
            sink.push(0, logits);
            sink.draw(0.9, 0.0, &mut generator).map(|drawn| drawn.map(|candidate| candidate.token))
        };
        assert_eq!(draw(&[], 1.0), Ok(None));
        assert_eq!(draw(&[f32::NEG_INFINITY, 3.0, f32::NEG_INFINITY], 1.0), Ok(Some(1)));
        assert_eq!(draw(&[300.0, 299.0, -300.0], 0.001), Ok(Some(0)));
        for bad in [[f32::NAN, 0.0], [0.0, f32::NAN], [0.0, f32::INFINITY], [f32::NEG_INFINITY; 2]] {
            assert_eq!(draw(&bad, 1.0), Err(LogitError::NotANumber));
        }
    }
}
