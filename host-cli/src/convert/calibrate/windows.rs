//! The windows of a calibration text.

use crate::checkpoint::architecture::Architecture;
use emberlm_core::config::TokenId;

/// Tokens of a text that are looked at: what they say about a model of GPT-2's size grows little with more, and the
/// time and the memory that they take do.
const MAX_TOKENS: usize = 16_384;

/// Windows of tokens that a model is calibrated on, each passed through it from position 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows(Vec<Vec<TokenId>>);

impl Windows {
    /// Windows of up to `n_ctx` tokens each. Empty ones are left out.
    ///
    /// # Panics
    /// A window is longer than `n_ctx`, or a token is not in the vocabulary.
    pub fn new(windows: impl IntoIterator<Item = Vec<TokenId>>, architecture: &Architecture) -> Self {
        let windows: Vec<_> = windows.into_iter().filter(|window| !window.is_empty()).collect();
        for window in &windows {
            assert!(window.len() <= architecture.n_ctx as usize, "windows fit n_ctx");
            assert!(window.iter().all(|&token| token < architecture.n_vocab), "tokens are in the vocabulary");
        }
        Self(windows)
    }

    /// Cuts rows of tokens into disjoint windows of `n_ctx`, and keeps so many of them, evenly spread, that they hold at
    /// most 16384 tokens, or one window.
    ///
    /// # Panics
    /// A token is not in the vocabulary.
    pub fn of_rows<'r>(rows: impl IntoIterator<Item = &'r [TokenId]>, architecture: &Architecture) -> Self {
        let n_ctx = architecture.n_ctx as usize;
        let all: Vec<&[TokenId]> = rows.into_iter().flat_map(|row| row.chunks(n_ctx)).collect();
        let n = all.len().min((MAX_TOKENS / n_ctx).max(1));
        Self::new((0..n).map(|i| all[i * all.len() / n].to_vec()), architecture)
    }

    /// The windows, one after another.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[TokenId]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// The first windows, so many that they hold at most `max_tokens`, or one.
    pub fn first(&self, max_tokens: usize) -> Self {
        let mut tokens = 0;
        let fits = |window: &&Vec<TokenId>| {
            let first = tokens == 0;
            tokens += window.len();
            first || tokens <= max_tokens
        };
        Self(self.0.iter().take_while(fits).cloned().collect())
    }

    /// The windows after the first `n`.
    pub fn after(&self, n: usize) -> Self {
        Self(self.0.iter().skip(n).cloned().collect())
    }

    /// Tokens of all windows.
    pub fn n_tokens(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// The tokens that it takes to say something about every direction of a model's widest inputs, where there are fewer.
    pub fn lacks(&self, architecture: &Architecture) -> Option<usize> {
        let widest = architecture.n_ff.max(architecture.n_embd) as usize;
        (self.n_tokens() < widest).then_some(widest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emberlm_core::config::Config;

    fn model(n_ctx: u32) -> Architecture {
        let sizes = Config { n_vocab: 100_000, n_ctx, n_embd: 4, n_layer: 1, n_ff: 16, ..Config::GPT2 };
        Architecture { config: sizes.with_heads(2), frequencies: Vec::new(), tied: true }
    }

    #[test]
    fn windows_are_spread_over_a_long_text_and_bounded() {
        let text: Vec<TokenId> = (0..90_000).collect();
        let windows = Windows::of_rows([text.as_slice()], &model(1000));
        let firsts: Vec<TokenId> = windows.iter().map(|window| window[0]).collect();
        assert_eq!(firsts.len(), 16);
        assert!(firsts.windows(2).all(|pair| pair[1] - pair[0] >= 5000) && firsts[15] >= 80_000);
        assert_eq!((windows.n_tokens(), windows.lacks(&model(1000))), (16_000, None));
        assert_eq!(Windows::of_rows([text.as_slice()], &model(80_000)).iter().len(), 1);
    }

    #[test]
    fn short_texts_are_what_they_are() {
        let windows = Windows::of_rows([[1, 2, 3, 4, 5].as_slice(), &[], &[6]], &model(4));
        assert_eq!(windows.iter().collect::<Vec<_>>(), [[1, 2, 3, 4].as_slice(), &[5], &[6]]);
        assert_eq!(windows.lacks(&model(4)), Some(16));
        assert_eq!(Windows::of_rows([[].as_slice()], &model(4)).n_tokens(), 0);
    }
}
