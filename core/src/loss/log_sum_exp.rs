//! The log-sum-exp of a stream of logits, in constant memory.

use crate::config::TokenId;
use crate::ops::exp::{FAR, NONE, exp_fixed};
use crate::ops::fixed::{exponent, pow2};
use crate::ops::lanes::{Lanes, Plain};
use crate::sink::{LogitError, LogitSink};

/// `ln(sum(exp(logit)))` over the logits of one position.
///
/// The sum is an integer under a running reference, a power of two above every term, and gives up a bit wherever it would
/// outgrow 63: each term is off by less than `2^-62` of the sum so far. The result is within 2e-7 of the exact one over
/// millions of terms, whatever their order, plus half a unit in its last place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSumExp {
    /// Every term is below `2^reference`.
    reference: i32,
    /// In units of `2^(reference - POINT)`, below `2^63`.
    sum: u64,
    empty: bool,
}

/// The sum's fractional bits.
const POINT: i32 = 62;

impl LogSumExp {
    /// The sum of no terms.
    pub const fn new() -> Self {
        Self { reference: NONE, sum: 0, empty: true }
    }

    /// The log-sum-exp, `None` before any logit; minus infinity where every logit was below -2^28.
    ///
    /// # Errors
    /// [`LogitError::NotANumber`] if a logit was not a number or above 2^28.
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
        if self.reference > FAR {
            return Err(LogitError::NotANumber);
        }
        if self.sum == 0 {
            return Ok(Some(f32::NEG_INFINITY - target));
        }
        // sum = mantissa * 2^power with the mantissa around 1, whose logarithm is small and keeps its digits.
        let sum = self.sum as f32;
        let power = exponent(sum);
        let mantissa = sum * pow2(-power);
        let (mantissa, power) =
            if mantissa < core::f32::consts::SQRT_2 { (mantissa, power) } else { (0.5 * mantissa, power + 1) };
        let reference = f64::from(self.reference - POINT + power) * core::f64::consts::LN_2;
        Ok(Some(((reference - f64::from(target)) + f64::from(libm::logf(mantissa))) as f32))
    }

    fn add(&mut self, logit: f32) {
        let (exponent, factor) = exp_fixed(logit);
        if exponent >= self.reference {
            self.sum = self.sum.checked_shr((exponent + 1 - self.reference) as u32).unwrap_or(0);
            self.reference = exponent + 1;
        }
        self.sum += shifted(factor, (self.reference - exponent) as u32);
        if self.sum >> 63 != 0 {
            self.sum >>= 1;
            self.reference += 1;
        }
    }
}

/// `factor * 2^(POINT - 31 - right)`, cut off, `right` being 1 or more: in words of 32 bits, which most cores have.
#[inline(always)]
fn shifted(factor: u32, right: u32) -> u64 {
    const LEFT: u32 = POINT as u32 - 31;
    if right < LEFT {
        u64::from(factor >> (right + 32 - LEFT)) << 32 | u64::from(factor << (LEFT - right))
    } else {
        factor.checked_shr(right - LEFT).unwrap_or(0).into()
    }
}

impl Default for LogSumExp {
    fn default() -> Self {
        Self::new()
    }
}

impl LogitSink for LogSumExp {
    fn push(&mut self, first: TokenId, logits: &[f32]) {
        self.push_by(&Plain, first, logits);
    }

    fn push_by<L: Lanes>(&mut self, lanes: &L, _first: TokenId, logits: &[f32]) {
        /// Logits that go one by one where the lanes take none.
        const ALONE: usize = 16;
        self.empty &= logits.is_empty();
        let mut left = logits;
        while !left.is_empty() {
            let (sum, n) = lanes.add_exponentials(self.sum, self.reference, left);
            self.sum = sum;
            left = left.get(n..).unwrap_or_default();
            let (alone, rest) = left.split_at(left.len().min(ALONE));
            alone.iter().for_each(|&logit| self.add(logit));
            left = rest;
        }
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
    fn a_term_is_shifted_as_one_word() {
        for factor in [0, 1, 0x8000_0001, 0xC0FF_EE11, u32::MAX] {
            for right in 1..100 {
                let want = (u64::from(factor) << (POINT - 31)).checked_shr(right).unwrap_or(0);
                assert_eq!(shifted(factor, right), want, "{factor:x} {right}");
            }
        }
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
