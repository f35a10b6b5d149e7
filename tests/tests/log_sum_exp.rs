//! The streaming cross-entropy against f64 in two passes: its bound, its edges, and that its bits do not depend on
//! the blocks that the logits arrive in.

use emberlm_core::loss::CrossEntropy;
use emberlm_core::sink::{LogitError, LogitSink};
use emberlm_tests::log_sum_exp;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64;

/// Nats; one unit in the last place is added where the nll exceeds [`LARGE_NLL`].
const MAX_ERROR: f64 = 2e-6;
const LARGE_NLL: f64 = 16.0;

const GPT2_VOCAB: usize = 50_257;
const MILLION: usize = 1_000_000;

fn nll(logits: &[f32], target: usize) -> Result<Option<f32>, LogitError> {
    nll_in_blocks(logits, target, 512)
}

fn nll_in_blocks(logits: &[f32], target: usize, block: usize) -> Result<Option<f32>, LogitError> {
    let mut sink = CrossEntropy::new(target as u32);
    for (i, block_logits) in logits.chunks(block).enumerate() {
        sink.push((i * block) as u32, block_logits);
    }
    sink.nll()
}

fn unit_in_the_last_place(x: f32) -> f64 {
    f64::from(x.next_up()) - f64::from(x)
}

/// The error of the streaming nll as a share of what is allowed.
fn share_of_bound(logits: &[f32], target: usize) -> f64 {
    let expected = log_sum_exp::nll(logits.iter().map(|&x| f64::from(x)), target).unwrap();
    let actual = nll(logits, target).unwrap().unwrap();
    assert!(actual >= 0.0, "a probability above 1: nll {actual}");
    let ulp = if expected > LARGE_NLL { unit_in_the_last_place(expected as f32) } else { 0.0 };
    (f64::from(actual) - expected).abs() / (MAX_ERROR + ulp)
}

/// Checks the bound at targets spread over the vocabulary and at the likeliest and the least likely one.
fn assert_within_bound(logits: &[f32], what: &str) {
    let n = logits.len();
    let by_logit = |a: &usize, b: &usize| logits[*a].total_cmp(&logits[*b]);
    let extremes = [(0..n).max_by(by_logit).unwrap(), (0..n).min_by(by_logit).unwrap()];
    for target in [0, n / 3, n - 1].into_iter().chain(extremes) {
        let share = share_of_bound(logits, target);
        assert!(share <= 1.0, "{what}, target {target}: {share} of the bound");
    }
}

/// `n` logits around `offset` with standard deviation `std`.
fn normal(n: usize, offset: f32, std: f32, seed: u64) -> Vec<f32> {
    let draws = StandardNormal.sample_iter(Pcg64::seed_from_u64(seed)).take(n);
    draws.map(|x: f32| offset + std * x).collect()
}

/// The same logits as they are, ascending and descending.
fn orders(mut logits: Vec<f32>) -> [(&'static str, Vec<f32>); 3] {
    let as_drawn = logits.clone();
    logits.sort_by(f32::total_cmp);
    let descending = logits.iter().rev().copied().collect();
    [("as drawn", as_drawn), ("ascending", logits), ("descending", descending)]
}

#[test]
fn gpt2_vocabulary_of_any_spread_offset_and_order() {
    for std in [0.01, 1.0, 5.0, 30.0] {
        for offset in [0.0, 1000.0, -1000.0, 5000.0, -5000.0, 1e5, -1e5] {
            for (order, logits) in orders(normal(GPT2_VOCAB, offset, std, 1)) {
                assert_within_bound(&logits, &format!("std {std} around {offset}, {order}"));
            }
        }
    }
}

#[test]
fn a_million_near_equal_terms() {
    for (low, step) in [(0.0, 1e-6), (3.0, 1e-6), (-20.0, 1e-5), (7.5, 0.0)] {
        let logits: Vec<f32> = (0..MILLION).map(|i| low + step * i as f32).collect();
        for (order, logits) in orders(logits.clone()) {
            assert_within_bound(&logits, &format!("{low} + {step} i, {order}"));
        }
        let mut shuffled = logits;
        shuffled.shuffle(&mut Pcg64::seed_from_u64(2));
        assert_within_bound(&shuffled, &format!("{low} + {step} i, shuffled"));
    }
}

#[test]
fn a_million_slowly_rising_terms_of_wide_range() {
    let logits: Vec<f32> = (0..MILLION).map(|i| i as f32 * 1e-3).collect();
    for (order, logits) in orders(logits) {
        assert_within_bound(&logits, order);
    }
}

#[test]
fn a_maximum_that_arrives_last_or_first() {
    for peak in [0.0, 10.0, 40.0, 88.5, 1e3, 3e4] {
        for at in [0, GPT2_VOCAB / 2, GPT2_VOCAB - 1] {
            let mut logits = normal(GPT2_VOCAB, -3.0, 2.0, 3);
            logits[at] = peak;
            assert_within_bound(&logits, &format!("{peak} at {at}"));
        }
    }
}

#[test]
fn minus_infinity_counts_nothing() {
    let mut logits = normal(1000, 2.0, 3.0, 4);
    for i in (0..1000).step_by(3) {
        logits[i] = f32::NEG_INFINITY;
    }
    let finite = (0..1000).filter(|i| i % 3 != 0);
    for target in finite.take(50) {
        assert!(share_of_bound(&logits, target) <= 1.0, "target {target}");
    }
}

#[test]
fn minus_infinity_before_and_after_the_first_finite_logit() {
    let infinities = [f32::NEG_INFINITY; 20];
    let mut logits = infinities.to_vec();
    logits.extend(normal(20, 0.0, 1.0, 5));
    logits.extend(infinities);
    for target in 20..40 {
        assert!(share_of_bound(&logits, target) <= 1.0, "target {target}");
    }
}

#[test]
fn a_target_that_cannot_be_has_infinite_nll() {
    assert_eq!(nll(&[0.0, f32::NEG_INFINITY, 1.0], 1), Ok(Some(f32::INFINITY)));
}

#[test]
fn a_single_term_is_certain() {
    for logit in [0.0, 1.0, -7.25, 88.0, -1000.0, 1e5, -1e5, f32::MIN_POSITIVE] {
        let nll = nll(&[logit], 0).unwrap().unwrap();
        assert!((0.0..=MAX_ERROR as f32).contains(&nll), "{nll} for {logit}");
    }
}

#[test]
fn a_nearly_certain_target_keeps_its_digits() {
    let mut logits = vec![-20.0_f32; 1000];
    logits[500] = 0.0;
    let expected = (999.0 * (-20.0_f64).exp()).ln_1p();
    let actual = f64::from(nll(&logits, 500).unwrap().unwrap());
    assert!((actual / expected - 1.0).abs() < 0.05, "{actual} for {expected}");
}

#[test]
fn no_terms_have_no_loss() {
    assert_eq!(nll(&[], 0), Ok(None));
}

#[test]
fn nothing_but_minus_infinity_has_no_loss() {
    assert!(!matches!(nll(&[f32::NEG_INFINITY; 9], 3), Ok(Some(_))));
}

#[test]
fn nan_and_infinity_are_errors_wherever_they_stand() {
    for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::MAX] {
        for n in [1, 7, 8, 9, 600] {
            for at in [0, n / 2, n - 1] {
                let mut logits = normal(n, 0.0, 1.0, 6);
                logits[at] = bad;
                assert!(nll(&logits, 0).is_err(), "{bad} at {at} of {n}");
                assert!(nll(&logits, at).is_err(), "{bad} at {at} of {n}, the target");
            }
        }
    }
}

#[test]
fn nan_after_infinity_and_among_minus_infinities_is_an_error() {
    for logits in [[f32::NEG_INFINITY, f32::NAN, f32::NEG_INFINITY], [f32::INFINITY, f32::NAN, 0.0]] {
        for target in 0..3 {
            assert!(nll(&logits, target).is_err(), "{logits:?}");
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_block_size() {
    for n in [1, 2, 7, 8, 9, 63, 64, 65, 997] {
        let mut logits = normal(n, 1.0, 6.0, 7);
        logits[n / 2] = f32::NEG_INFINITY;
        let target = n - 1;
        let whole = nll_in_blocks(&logits, target, n);
        for block in 1..=n {
            assert_eq!(nll_in_blocks(&logits, target, block), whole, "{n} in blocks of {block}");
        }
    }
}

proptest! {
    #[test]
    fn bits_do_not_depend_on_ragged_blocks(
        logits in prop::collection::vec(-50.0_f32..50.0, 1..400),
        cuts in prop::collection::vec(0..400_usize, 0..12),
        target in 0..400_usize,
    ) {
        let target = target % logits.len();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(logits.len())).collect();
        cuts.extend([0, logits.len()]);
        cuts.sort_unstable();
        let mut sink = CrossEntropy::new(target as u32);
        for pair in cuts.windows(2) {
            sink.push(pair[0] as u32, &logits[pair[0]..pair[1]]);
        }
        prop_assert_eq!(sink.nll(), nll(&logits, target));
    }

    #[test]
    fn any_logits_stay_within_the_bound(
        logits in prop::collection::vec(prop_oneof![-100.0_f32..100.0, -1e5_f32..1e5, Just(f32::NEG_INFINITY)], 1..300),
        target in 0..300_usize,
    ) {
        let target = target % logits.len();
        prop_assume!(logits[target].is_finite());
        prop_assert!(share_of_bound(&logits, target) <= 1.0);
    }
}
