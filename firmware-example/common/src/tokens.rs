//! Tokens where a program needs some and none in particular.

use emberlm_core::config::TokenId;

/// Fills `tokens` with ids spread over a vocabulary of `n_vocab`, where a program needs some and none in particular.
pub(crate) fn spread(tokens: &mut [TokenId], n_vocab: u32) {
    /// A prime far from small powers of two.
    const STEP: u64 = 1_000_003;
    for (i, token) in (1..).zip(tokens) {
        *token = (i * STEP % u64::from(n_vocab)) as TokenId;
    }
}
