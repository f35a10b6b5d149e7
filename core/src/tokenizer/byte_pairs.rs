//! The tables of a byte-level BPE: tokens' text, the tokens of single bytes, special tokens, and merges.

use super::merge::{Merge, Merges};
use super::words::{NONE, Table};
use super::{TokenizerError, TokenizerHead};
use crate::config::TokenId;

/// Places of the hash table that are looked at, at most, for a pair.
pub const MAX_PROBES: u32 = 64;

/// The place in a hash table of `n_slots` places, a power of two, where the search for a pair begins.
#[inline]
pub const fn first_slot(left: TokenId, right: TokenId, n_slots: u32) -> u32 {
    let hash = left.wrapping_mul(0x9E37_79B1).wrapping_add(right).wrapping_mul(0x85EB_CA77);
    (hash ^ hash >> 15) & n_slots.wrapping_sub(1)
}

/// The tables of [`Kind::ByteBpe`](super::Kind::ByteBpe).
#[derive(Clone, Copy, Debug)]
pub(super) struct BytePairs<'a> {
    /// Where each token's text starts, and where the last one ends.
    offsets: Table<'a, 1>,
    /// The token of each byte, or [`NONE`].
    bytes: Table<'a, 1>,
    specials: Table<'a, 1>,
    /// Left part, right part and what they become, by rank.
    merges: Table<'a, 3>,
    /// Ranks, or [`NONE`].
    slots: Table<'a, 1>,
    text: &'a [u8],
}

impl<'a> BytePairs<'a> {
    pub fn open(head: &TokenizerHead, mut tables: &'a [u8]) -> Result<Self, TokenizerError> {
        let n_offsets = head.n_tokens.checked_add(1).ok_or(TokenizerError::Head)?;
        if !head.n_slots.is_power_of_two() || head.n_slots <= head.n_merges {
            return Err(TokenizerError::Head);
        }
        let mut take = |rows| Table::take(&mut tables, rows).ok_or(TokenizerError::Head);
        let (offsets, bytes, specials) = (take(n_offsets)?, take(256)?, take(head.n_specials)?);
        let merges = Table::take(&mut tables, head.n_merges).ok_or(TokenizerError::Head)?;
        let slots = Table::take(&mut tables, head.n_slots).ok_or(TokenizerError::Head)?;
        let pairs = Self { offsets, bytes, specials, merges, slots, text: tables };
        pairs.check(head)?;
        Ok(pairs)
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
        for (rank, [left, right, token]) in (0..).zip(self.merges.iter()) {
            let text = |token| self.token_bytes(token).filter(|text| !text.is_empty());
            let parts = text(left).zip(text(right)).zip(text(token));
            let joins = parts.is_some_and(|((left, right), whole)| whole.strip_prefix(left) == Some(right));
            if !joins || self.merge(left, right) != Some(Merge { rank, token }) {
                return Err(TokenizerError::Merge(rank));
            }
        }
        Ok(())
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

    /// Left part, right part and what they become, by rank.
    pub const fn merges(&self) -> Table<'a, 3> {
        self.merges
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

impl Merges for BytePairs<'_> {
    #[inline]
    fn merge(&self, left: TokenId, right: TokenId) -> Option<Merge> {
        let n_slots = self.slots.len() as u32;
        let first = first_slot(left, right, n_slots);
        for probe in 0..MAX_PROBES {
            let [rank] = self.slots.get((first.wrapping_add(probe) & n_slots.wrapping_sub(1)) as usize)?;
            let [l, r, token] = self.merges.get(rank as usize)?;
            if (l, r) == (left, right) {
                return Some(Merge { rank, token });
            }
        }
        None
    }
}
