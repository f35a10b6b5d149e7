//! Holds a checkpoint's float reference against the oracle that it was written from.

use std::path::Path;

use emberlm::checkpoint::{Checkpoint, Options};
use emberlm::reference::{Decoder, Reference};

use crate::oracle::Model;

/// Of a mean loss, in nats.
pub const MAX_LOSS_ERROR: f64 = 1e-5;

/// Tokens of a window: more than the widest window of a model here, and no more than the context.
pub const N_TOKENS: usize = 40;

/// Tokens of a window for a vocabulary of that size.
pub fn tokens(n_vocab: usize) -> Vec<u32> {
    (0..N_TOKENS).map(|i| ((i * i * 7 + i * 3 + 1) % n_vocab) as u32).collect()
}

/// Checks the mean loss of one window.
///
/// # Panics
/// The checkpoint does not open, or its losses are not those of `model`.
pub fn check(folder: &Path, options: &Options, model: &Model, what: &str) {
    let checkpoint = Checkpoint::open(folder, options).unwrap_or_else(|error| panic!("{what}: {error}"));
    let tokens = &tokens(model.n_vocab())[..N_TOKENS.min(checkpoint.architecture().n_ctx as usize + 1)];
    let mut found = Vec::new();
    Reference::new(&checkpoint).nll(tokens, 0, |nll| found.push(nll)).expect("tokens of the model");
    let expected = model.nll(tokens);
    assert_eq!(found.len(), expected.len());
    let mean = |nlls: &[f64]| nlls.iter().sum::<f64>() / nlls.len() as f64;
    assert!(
        (mean(&found) - mean(&expected)).abs() <= MAX_LOSS_ERROR,
        "{what}: {} for {}",
        mean(&found),
        mean(&expected)
    );
}

/// Checks that tokens taken one by one have the losses of the whole window.
///
/// # Panics
/// They have others.
pub fn check_steps(checkpoint: &Checkpoint) {
    let (reference, tokens) = (Reference::new(checkpoint), tokens(checkpoint.architecture().n_vocab as usize));
    let tokens = &tokens[..N_TOKENS.min(checkpoint.architecture().n_ctx as usize + 1)];
    let mut whole = Vec::new();
    reference.nll(tokens, 0, |nll| whole.push(nll)).expect("tokens of the model");
    let mut decoder = Decoder::new(&reference, 1, N_TOKENS);
    for (pair, whole) in tokens.windows(2).zip(whole) {
        let logits: Vec<f64> = decoder.step(&pair[..1]).into_iter().map(f64::from).collect();
        let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
        assert!((sum.ln() - logits[pair[1] as usize] - whole).abs() <= MAX_LOSS_ERROR);
    }
}
