//! The planner of windows against a statement of each convention that asks, target by target, what it may see.

use std::collections::BTreeMap;

use emberlm_core::window::Convention;
use proptest::prelude::*;

/// For every scored token, the first token of its context; the context ends just before it.
type Contexts = BTreeMap<usize, usize>;

/// What the planner says, checked for what every plan must keep.
fn planned(convention: Convention, n_tokens: usize, n_ctx: usize) -> Contexts {
    let mut contexts = Contexts::new();
    for window in convention.windows(n_tokens, n_ctx) {
        assert!(window.n_inputs <= n_ctx, "{window:?} feeds more than {n_ctx}");
        assert!(window.first_scored < window.n_inputs, "{window:?} scores nothing");
        assert!(window.start + window.n_inputs < n_tokens, "{window:?} has no last target among {n_tokens}");
        for input in window.first_scored..window.n_inputs {
            let target = window.start + input + 1;
            let last = contexts.last_key_value().map(|(&last, _)| last);
            assert!(last.is_none_or(|last| last < target), "{target} after {last:?}");
            contexts.insert(target, window.start);
        }
    }
    contexts
}

/// Every token but the first, seeing back to the last multiple of n_ctx before it.
fn disjoint(n_tokens: usize, n_ctx: usize) -> Contexts {
    (1..n_tokens).map(|target| (target, (target - 1) / n_ctx * n_ctx)).collect()
}

/// The loop of Hugging Face's guide to the perplexity of fixed-length models.
///
/// A window holds n_ctx tokens, its last ones being labels; the model shifts the labels by one, so that the window's
/// first token is never scored.
fn sliding(n_tokens: usize, n_ctx: usize, stride: usize) -> Contexts {
    let mut contexts = Contexts::new();
    let mut previous_end = 0;
    for begin in (0..n_tokens).step_by(stride) {
        let end = (begin + n_ctx).min(n_tokens);
        let n_labels = end - previous_end;
        let labels = vec![false; end - begin - n_labels].into_iter().chain(vec![true; n_labels]);
        for (i, is_label) in labels.enumerate().skip(1) {
            if is_label {
                contexts.insert(begin + i, begin);
            }
        }
        previous_end = end;
        if end == n_tokens {
            break;
        }
    }
    contexts
}

/// Of every whole chunk of n_ctx tokens, the targets of inputs n_ctx / 2 to n_ctx - 2.
fn llama_cpp(n_tokens: usize, n_ctx: usize) -> Contexts {
    let mut contexts = Contexts::new();
    for target in 0..n_tokens / n_ctx * n_ctx {
        let (chunk, place) = (target / n_ctx, target % n_ctx);
        if place > n_ctx / 2 {
            contexts.insert(target, chunk * n_ctx);
        }
    }
    contexts
}

#[test]
fn disjoint_by_hand() {
    let contexts = planned(Convention::Disjoint, 8, 3);
    let expected = [(1, 0), (2, 0), (3, 0), (4, 3), (5, 3), (6, 3), (7, 6)];
    assert_eq!(contexts, Contexts::from(expected));
}

#[test]
fn sliding_by_hand() {
    let contexts = planned(Convention::Sliding { stride: 2 }, 8, 4);
    let expected = [(1, 0), (2, 0), (3, 0), (4, 2), (5, 2), (6, 4), (7, 4)];
    assert_eq!(contexts, Contexts::from(expected));
}

#[test]
fn llama_cpp_by_hand() {
    let contexts = planned(Convention::LlamaCpp, 19, 8);
    let expected = [(5, 0), (6, 0), (7, 0), (13, 8), (14, 8), (15, 8)];
    assert_eq!(contexts, Contexts::from(expected));
}

#[test]
fn too_few_tokens_have_no_windows() {
    for n_tokens in [0, 1] {
        for convention in [Convention::Disjoint, Convention::Sliding { stride: 3 }, Convention::LlamaCpp] {
            assert_eq!(convention.windows(n_tokens, 4).count(), 0, "{convention:?} of {n_tokens}");
        }
    }
}

proptest! {
    #[test]
    fn disjoint_is_as_defined(n_tokens in 0..300_usize, n_ctx in 1..40_usize) {
        prop_assert_eq!(planned(Convention::Disjoint, n_tokens, n_ctx), disjoint(n_tokens, n_ctx));
    }

    #[test]
    fn sliding_is_as_defined(n_tokens in 0..300_usize, n_ctx in 1..40_usize, stride in 1..40_usize) {
        prop_assume!(stride <= n_ctx);
        let convention = Convention::Sliding { stride };
        prop_assert_eq!(planned(convention, n_tokens, n_ctx), sliding(n_tokens, n_ctx, stride));
    }

    #[test]
    fn llama_cpp_is_as_defined(n_tokens in 0..300_usize, n_ctx in 1..40_usize) {
        prop_assert_eq!(planned(Convention::LlamaCpp, n_tokens, n_ctx), llama_cpp(n_tokens, n_ctx));
    }
}
