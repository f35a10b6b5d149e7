//! Log-sum-exp and cross-entropy in f64, in two passes over all the logits.

/// ln(sum of exp(logit)): `None` without logits, minus infinity if all of them are.
///
/// The first pass finds the maximum, the second adds exp(logit - maximum) with a compensated sum (Neumaier 1974),
/// so that the error stays near 1e-16 for a million terms in any order.
pub fn log_sum_exp(logits: impl Iterator<Item = f64> + Clone) -> Option<f64> {
    let (max, sum) = max_and_sum(logits)?;
    Some(max + sum.ln())
}

/// The nll in nats of `target`, `ln(sum of exp(logit)) - logits[target]`.
///
/// The logit at the maximum is subtracted before the logarithm is added: where the target is nearly certain,
/// nothing cancels.
pub fn nll(logits: impl Iterator<Item = f64> + Clone, target: usize) -> Option<f64> {
    let target = logits.clone().nth(target)?;
    let (max, sum) = max_and_sum(logits)?;
    Some((max - target) + sum.ln())
}

fn max_and_sum(logits: impl Iterator<Item = f64> + Clone) -> Option<(f64, f64)> {
    let max = logits.clone().reduce(f64::max)?;
    if max == f64::NEG_INFINITY {
        return Some((max, 1.0));
    }
    Some((max, compensated_sum(logits.map(|logit| (logit - max).exp()))))
}

/// The sum of `terms` with the rounding error of every addition carried along.
pub fn compensated_sum(terms: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut compensation) = (0.0_f64, 0.0);
    for term in terms {
        let next = sum + term;
        compensation += if sum.abs() >= term.abs() { (sum - next) + term } else { (term - next) + sum };
        sum = next;
    }
    sum + compensation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_terms_give_the_logarithm_of_their_number() {
        for n in [1_usize, 3, 1000, 1_000_000] {
            let expected = 5.0 + (n as f64).ln();
            let value = log_sum_exp(std::iter::repeat_n(5.0, n)).unwrap();
            assert!((value - expected).abs() < 1e-14 * expected);
        }
    }

    #[test]
    fn edges() {
        let of = |logits: &[f64]| log_sum_exp(logits.iter().copied());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[f64::NEG_INFINITY]), Some(f64::NEG_INFINITY));
        assert_eq!(of(&[f64::NEG_INFINITY, -3.0]), Some(-3.0));
        assert_eq!(nll([1e5, 0.0].into_iter(), 1), Some(1e5));
    }

    #[test]
    fn compensation_keeps_what_a_plain_sum_drops() {
        let terms = || std::iter::once(1.0).chain(std::iter::repeat_n(1e-17, 100_000));
        assert_eq!(terms().sum::<f64>(), 1.0);
        assert!((compensated_sum(terms()) - (1.0 + 1e-12)).abs() < 3e-16);
    }
}
