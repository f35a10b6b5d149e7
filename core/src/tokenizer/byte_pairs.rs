//! The tables of a byte-level BPE: tokens' text, the tokens of single bytes, special tokens, and merges.

use super::pairs::Pairs;
use super::words::{NONE, Table};
use super::{TokenizerError, TokenizerHead};
use crate::config::TokenId;

/// The tables of [`Kind::ByteBpe`](super::Kind::ByteBpe).
#[derive(Clone, Copy, Debug)]
pub(super) struct BytePairs<'a> {
    /// Where each token's text starts, and where the last one ends.
    offsets: Table<'a, 1>,
    /// The token of each byte, or [`NONE`].
    bytes: Table<'a, 1>,
    specials: Table<'a, 1>,
    pairs: Pairs<'a>,
    text: &'a [u8],
}

impl<'a> BytePairs<'a> {
    pub fn open(head: &TokenizerHead, mut tables: &'a [u8]) -> Result<Self, TokenizerError> {
        let n_offsets = head.n_tokens.checked_add(1).ok_or(TokenizerError::Head)?;
        let mut take = |rows| Table::take(&mut tables, rows).ok_or(TokenizerError::Head);
        let (offsets, bytes, specials) = (take(n_offsets)?, take(256)?, take(head.n_specials)?);
        let pairs = Pairs::take(head, &mut tables).ok_or(TokenizerError::Head)?;
        let byte_pairs = Self { offsets, bytes, specials, pairs, text: tables };
        byte_pairs.check(head)?;
        Ok(byte_pairs)
    }

    /// Everything that encoding and decoding rely on; afterwards a text's tokens spell that text.
    fn check(&self, head: &TokenizerHead) -> Result<(), TokenizerError> {
        for token in 0..head.n_tokens {
            self.token_bytes(token).ok_or(TokenizerError::Token(token))?;
        }
        for (byte, [token]) in (0..=u8::MAX).zip(self.bytes.iter()) {
            if token != NONE && self.token_bytes(token) != Some(&[byte]) {
                return Err(TokenizerError::Byte(byte));
            }
        }
        for [token] in self.specials.iter() {
            let text = self.token_bytes(token).and_then(|text| core::str::from_utf8(text).ok());
            text.filter(|text| !text.is_empty()).ok_or(TokenizerError::Special(token))?;
        }
        self.pairs.check(|token| self.token_bytes(token))
    }

    pub fn token_bytes(&self, token: TokenId) -> Option<&'a [u8]> {
        let index = token as usize;
        let ([start], [end]) = (self.offsets.get(index)?, self.offsets.get(index.checked_add(1)?)?);
        self.text.get(start as usize..end as usize)
    }

    /// The token of a byte.
    #[inline]
    pub fn byte_token(&self, byte: u8) -> Option<TokenId> {
        self.bytes.get(usize::from(byte)).map(|[token]| token).filter(|&token| token != NONE)
    }

    /// Which pairs merge.
    pub const fn pairs(&self) -> &Pairs<'a> {
        &self.pairs
    }

    /// The tokens that are matched in a text as they stand.
    pub const fn specials(&self) -> Table<'a, 1> {
        self.specials
    }

    /// The leftmost special token in `text`, the longest of those that start there: its place, and the token.
    pub fn find_special(&self, text: &[u8]) -> Option<(usize, TokenId)> {
        if self.specials.len() == 0 {
            return None;
        }
        (0..text.len()).find_map(|at| {
            let rest = text.get(at..)?;
            let len_of = |token: TokenId| self.token_bytes(token).map_or(0, <[u8]>::len);
            let starts = |token: &TokenId| self.token_bytes(*token).is_some_and(|special| rest.starts_with(special));
            let longest = self.specials.iter().map(|[token]| token).filter(starts).max_by_key(|&token| len_of(token));
            longest.map(|token| (at, token))
        })
    }
}
