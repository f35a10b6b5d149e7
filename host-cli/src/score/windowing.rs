//! How texts are cut into windows, and what that makes of the rows to score.

use emberlm_core::config::TokenId;
use emberlm_core::window::{Convention, Window, Windows};

use super::Bos;
use crate::text::input::{Input, Row};
use crate::text::tokenizer::Tokenizer;

/// How texts are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windowing {
    /// The convention.
    pub convention: Convention,
    /// The most tokens that are fed at once.
    pub n_ctx: usize,
    /// Where the token that texts begin with is put.
    pub bos: Bos,
}

impl Windowing {
    /// Without a token that texts begin with.
    pub const fn new(convention: Convention, n_ctx: usize) -> Self {
        Self { convention, n_ctx, bos: Bos::None }
    }

    /// Puts the token that texts begin with into the rows of `input`. Where each window has one, the windows become rows of
    /// their own.
    pub fn begin(&self, input: &mut Input, bos: TokenId) {
        match self.bos {
            Bos::None => {}
            Bos::Text => input.begin(bos),
            Bos::Window => input.begin_windows(bos, self.n_ctx),
        }
    }

    /// The windows of a row of `n_tokens`.
    pub const fn windows(&self, n_tokens: usize) -> Windows {
        self.convention.windows(n_tokens, self.n_ctx)
    }

    /// Tokens from one window's start to the next's.
    pub const fn stride(&self) -> usize {
        self.convention.stride(self.n_ctx)
    }

    /// Shortens the rows of `input` to the first `n_windows` windows of all of them: the windows that are left are the
    /// same.
    pub fn keep_first(&self, input: &mut Input, n_windows: usize) {
        let mut left = n_windows;
        input.shorten(|n_tokens| {
            if left == 0 {
                return None;
            }
            let Some((index, last)) = self.windows(n_tokens).take(left).enumerate().last() else {
                return Some(n_tokens);
            };
            left -= index + 1;
            Some(if left == 0 { last.start + last.n_inputs + 1 } else { n_tokens })
        });
    }

    /// The UTF-8 bytes of the targets that each window scores, of text as the tokenizer's normaliser leaves it; `None` where
    /// a token's bytes are not known.
    pub fn scored_bytes(&self, input: &Input, tokenizer: &Tokenizer) -> Option<Vec<u64>> {
        let of_window = |row: &Row, window: Window| {
            let targets = &row.tokens[window.start + window.first_scored + 1..=window.start + window.n_inputs];
            let bytes = |&token: &TokenId| Some(tokenizer.token_bytes(token)?.len() as u64);
            targets.iter().map(bytes).sum::<Option<u64>>()
        };
        let mut bytes = Vec::new();
        for row in input.rows() {
            for window in self.windows(row.tokens.len()) {
                bytes.push(of_window(row, window)?);
            }
        }
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::input::Source;
    use crate::text::tokenizer::SectionParts;

    fn tokenizer(chars: &[char]) -> Tokenizer {
        Tokenizer::from_parts(SectionParts::Chars(chars.to_vec()), "test").unwrap()
    }

    #[test]
    fn bytes_are_those_of_the_scored_targets() {
        let all = tokenizer(&['a', 'é', '日', '\n']);
        let input = Source::Prompt("aé日aé".into()).read(Some(&all), 4, 100).unwrap();
        let windowing = |convention| Windowing::new(convention, 4);
        assert_eq!(windowing(Convention::Disjoint).scored_bytes(&input, &all), Some(vec![8]));
        assert_eq!(windowing(Convention::LlamaCpp).scored_bytes(&input, &all), Some(vec![1]));
        assert_eq!(windowing(Convention::Disjoint).scored_bytes(&input, &tokenizer(&['a'])), None);
    }

    #[test]
    fn the_first_token_is_put_before_texts_or_windows() {
        let all = tokenizer(&['a', 'b', 'c', 'd', 'e', '^']);
        let rows = |bos: Bos, n_ctx: usize| {
            let mut input = Source::Prompt("abcde".into()).read(Some(&all), 6, 100).unwrap();
            let windowing = Windowing { bos, ..Windowing::new(Convention::Disjoint, n_ctx) };
            windowing.begin(&mut input, 5);
            let scored =
                |row: &Row| windowing.windows(row.tokens.len()).map(|w| w.n_inputs - w.first_scored).sum::<usize>();
            let rows: Vec<Vec<TokenId>> = input.rows().iter().map(|row| row.tokens.clone()).collect();
            (rows, input.rows().iter().map(scored).sum::<usize>())
        };
        assert_eq!(rows(Bos::None, 2), (vec![vec![0, 1, 2, 3, 4]], 4));
        assert_eq!(rows(Bos::Text, 2), (vec![vec![5, 0, 1, 2, 3, 4]], 5));
        assert_eq!(rows(Bos::Window, 2), (vec![vec![5, 0, 1], vec![5, 2, 3], vec![5, 4]], 5));
        assert_eq!(rows(Bos::Window, 9), rows(Bos::Text, 9));
    }

    #[test]
    fn the_first_windows_are_what_shortened_rows_have() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let rows = [1, 23, 2, 9, 16].map(|len| vec![0; len]);
        std::fs::write(&file, format!("{rows:?}")).unwrap();
        let all = Source::Tokens(file.path().to_owned()).read(None, 1, 1000).unwrap();
        for convention in [
            Convention::Disjoint,
            Convention::Sliding { stride: 3 },
            Convention::Sliding { stride: 1 },
            Convention::LlamaCpp,
        ] {
            let windowing = Windowing::new(convention, 4);
            let windows = |input: &Input| -> Vec<_> {
                let of_row = |row: &Row| windowing.windows(row.tokens.len()).collect::<Vec<_>>();
                input.rows().iter().flat_map(of_row).collect()
            };
            let expected = windows(&all);
            for n in 1..expected.len() + 2 {
                let mut input = all.clone();
                windowing.keep_first(&mut input, n);
                assert_eq!(windows(&input), expected[..n.min(expected.len())], "{n} of {convention:?}");
                assert_eq!(input.n_tokens(), all.n_tokens());
            }
        }
    }
}
