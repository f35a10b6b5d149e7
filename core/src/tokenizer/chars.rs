//! A vocabulary of characters.

use super::words::Table;
use super::{EncodeError, TokenizerError, TokenizerHead};
use crate::config::TokenId;

/// The tables of [`Kind::Chars`](super::Kind::Chars).
#[derive(Clone, Copy, Debug)]
pub(super) struct Chars<'a> {
    /// The code point of each id.
    code_points: Table<'a, 1>,
    /// The ids in order of code points.
    sorted: Table<'a, 1>,
}

impl<'a> Chars<'a> {
    pub fn open(head: &TokenizerHead, mut tables: &'a [u8]) -> Result<Self, TokenizerError> {
        let mut take = || Table::take(&mut tables, head.n_tokens).ok_or(TokenizerError::Head);
        let chars = Self { code_points: take()?, sorted: take()? };
        for token in 0..head.n_tokens {
            chars.char_of(token).ok_or(TokenizerError::Token(token))?;
        }
        let mut before = None;
        for (place, [token]) in (0..).zip(chars.sorted.iter()) {
            // Strictly ascending: no character is there twice, and so each one once.
            let c = chars.char_of(token).filter(|&c| before.is_none_or(|before| before < c));
            before = Some(c.ok_or(TokenizerError::Order(place))?);
        }
        Ok(chars)
    }

    pub fn char_of(&self, token: TokenId) -> Option<char> {
        self.code_points.get(token as usize).and_then(|[code]| char::from_u32(code))
    }

    /// The token of `c`, found by bisection.
    pub fn token_of(&self, c: char) -> Option<TokenId> {
        let (mut start, mut end) = (0, self.sorted.len());
        while start < end {
            let middle = start + (end - start) / 2;
            let [token] = self.sorted.get(middle)?;
            match self.char_of(token)?.cmp(&c) {
                core::cmp::Ordering::Equal => return Some(token),
                core::cmp::Ordering::Less => start = middle + 1,
                core::cmp::Ordering::Greater => end = middle,
            }
        }
        None
    }

    pub fn encode(&self, text: &str, out: &mut [TokenId]) -> Result<usize, EncodeError> {
        let (mut need, have) = (0, out.len());
        for (offset, c) in text.char_indices() {
            let token = self.token_of(c).ok_or(EncodeError::Character { c, offset })?;
            if let Some(place) = out.get_mut(need) {
                *place = token;
            }
            need += 1;
        }
        if need > have { Err(EncodeError::TooManyTokens { need, have }) } else { Ok(need) }
    }
}
