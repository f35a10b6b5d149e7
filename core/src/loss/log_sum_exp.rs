//! The log-sum-exp of a stream of logits, in constant memory.

use crate::config::TokenId;
use crate::ops::exp::{CUTOFF, NONE, exp_parts, pow2};
use crate::ops::reduce::STRIPES;
use crate::sink::{LogitError, LogitSink};

/// `ln(sum(exp(logit)))` over the logits of one position.
///
/// The running reference is a power of two above every term, so that rescaling when it rises is exact; the terms go to
/// eight stripes (token mod 8) of compensated sums (Kahan, 1965). The result is within 2e-6 of the exact one over a
/// million terms, whatever their order, plus half a unit in its last place.
#[derive(Clone, Copy, Debug)]
pub struct LogSumExp {
    /// Every term is below `2^reference`; the sums are in units of it.
    reference: i32,
    sums: [f32; STRIPES],
    /// What the sums hold too much.
    excess: [f32; STRIPES],
    empty: bool,
}

impl LogSumExp {
    /// The sum of no terms.
    pub const fn new() -> Self {
        Self { reference: NONE, sums: [0.0; STRIPES], excess: [0.0; STRIPES], empty: true }
    }

    /// The log-sum-exp, `None` before any logit; minus infinity where every logit was.
    ///
    /// # Errors
    /// [`LogitError::NotANumber`] if a logit was not a number, infinite or above 2^28.
    pub fn value(&self) -> Result<Option<f32>, LogitError> {
        // Minus the log-likelihood of a token whose logit is 0.
        self.nll(0.0)
    }

    /// The negative log-likelihood of a token with logit `target`, in nats: the log-sum-exp minus `target`, without the
    /// cancellation.
    ///
    /// # Errors
    /// As for [`LogSumExp::value`].
    pub fn nll(&self, target: f32) -> Result<Option<f32>, LogitError> {
        if self.empty {
            return Ok(None);
        }
        let sum: f64 = self.sums.iter().zip(&self.excess).map(|(&s, &e)| f64::from(s) - f64::from(e)).sum();
        if sum.is_nan() {
            return Err(LogitError::NotANumber);
        }
        if sum <= 0.0 {
            return Ok(Some(f32::NEG_INFINITY - target));
        }
        // sum = mantissa * 2^power with the mantissa around 1, whose logarithm is small and keeps its digits.
        let (mantissa, power) = libm::frexpf(sum as f32);
        let (mantissa, power) =
            if mantissa < core::f32::consts::FRAC_1_SQRT_2 { (2.0 * mantissa, power - 1) } else { (mantissa, power) };
        let reference = f64::from(self.reference + power) * core::f64::consts::LN_2;
        Ok(Some(((reference - f64::from(target)) + f64::from(libm::logf(mantissa))) as f32))
    }

    fn add(&mut self, stripe: usize, logit: f32) {
        let (exponent, factor) = exp_parts(logit);
        if exponent >= self.reference {
            let rescale = pow2(self.reference - exponent - 1);
            self.reference = exponent + 1;
            self.sums.iter_mut().chain(&mut self.excess).for_each(|sum| *sum *= rescale);
        }
        if exponent - self.reference < CUTOFF {
            return;
        }
        let term = factor * pow2(exponent - self.reference);
        let corrected = term - self.excess[stripe];
        let sum = self.sums[stripe] + corrected;
        self.excess[stripe] = (sum - self.sums[stripe]) - corrected;
        self.sums[stripe] = sum;
    }
}

impl Default for LogSumExp {
    fn default() -> Self {
        Self::new()
    }
}

impl LogitSink for LogSumExp {
    fn push(&mut self, first: TokenId, logits: &[f32]) {
        for (token, &logit) in (first..).zip(logits) {
            self.add(token as usize % STRIPES, logit);
        }
        self.empty &= logits.is_empty();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(logits: &[f32]) -> LogSumExp {
        let mut sink = LogSumExp::new();
        sink.push(0, logits);
        sink
    }

    #[test]
    fn small_cases() {
        assert_eq!(over(&[]).value(), Ok(None));
        assert_eq!(over(&[3.25]).value(), Ok(Some(3.25)));
        assert!((over(&[0.0; 97]).value().unwrap().unwrap() - 97f32.ln()).abs() < 1e-6);
        assert_eq!(over(&[f32::NEG_INFINITY, 2.0]).value(), Ok(Some(2.0)));
        assert_eq!(over(&[f32::NEG_INFINITY; 3]).value(), Ok(Some(f32::NEG_INFINITY)));
        assert_eq!(over(&[1.0, f32::NEG_INFINITY]).nll(f32::NEG_INFINITY), Ok(Some(f32::INFINITY)));
    }

    #[test]
    fn what_is_no_number_is_an_error_wherever_it_comes() {
        for bad in [f32::NAN, f32::INFINITY, 1e9] {
            for logits in [[bad, 900.0, 0.0], [900.0, bad, 0.0], [0.0, 900.0, bad]] {
                assert_eq!(over(&logits).value(), Err(LogitError::NotANumber), "{logits:?}");
            }
        }
    }

    #[test]
    fn large_logits_cancel() {
        for offset in [-20_000.0, 4_095.0, 100_000.0f32] {
            let got = over(&[offset, offset, offset, offset]).nll(offset).unwrap().unwrap();
            assert!((got - 4f32.ln()).abs() < 1e-6, "{offset}: {got}");
        }
    }
}
