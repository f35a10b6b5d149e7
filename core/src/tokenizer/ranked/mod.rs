//! The tables of a BPE by the ranks of its merges, and the rules by which texts get there: `rules` says what they are, `cut`
//! does what they say, a [`Piece`] at a time, with the `patterns` and the `added` tokens that are found as they stand;
//! `encode` merges.

mod added;
mod cut;
mod encode;
mod patterns;
mod piece;
mod rules;

pub use added::{Added, AddedTokens, Part};
pub use cut::{cut_part, cut_raw};
pub use piece::Piece;
pub use rules::{Digits, NormalForm, Prefix, Rules, Spaces, Split, Unit};

use super::pairs::Pairs;
use super::words::{NONE, Table};
use super::{TokenizerError, TokenizerHead};
use crate::config::TokenId;
use core::cmp::Ordering;

/// What an added token takes and is: white space before it, white space behind it, special.
const FLAGS: [u32; 3] = [1, 2, 4];

/// The tables of [`Kind::RankedBpe`](super::Kind::RankedBpe).
#[derive(Clone, Copy, Debug)]
pub struct Ranked<'a> {
    rules: Rules,
    /// Where each token's text starts, and where the last one ends.
    offsets: Table<'a, 1>,
    /// The token of each byte, or [`NONE`].
    bytes: Table<'a, 1>,
    pairs: Pairs<'a>,
    /// Added tokens, those first that are not normalised.
    added: Table<'a, 1>,
    /// Flags, and where the text that is looked for starts and ends.
    added_texts: Table<'a, 3>,
    n_raw: usize,
    /// The tokens that a text is, or a character, in the order of their texts.
    texts: Table<'a, 1>,
    text: &'a [u8],
}

impl<'a> Ranked<'a> {
    pub(super) fn open(head: &TokenizerHead, mut tables: &'a [u8]) -> Result<Self, TokenizerError> {
        let words: Table<'_, { Rules::WORDS }> = Table::take(&mut tables, 1).ok_or(TokenizerError::Head)?;
        let rules = words.get(0).and_then(Rules::from_words).ok_or(TokenizerError::Rules)?;
        let counts: Table<'_, 2> = Table::take(&mut tables, 1).ok_or(TokenizerError::Head)?;
        let [n_raw, n_normalized] = counts.get(0).ok_or(TokenizerError::Head)?;
        let n_added = n_raw.checked_add(n_normalized).ok_or(TokenizerError::Head)?;
        let n_texts = n_added.checked_mul(4).and_then(|words| head.n_specials.checked_sub(words));
        let n_texts = n_texts.ok_or(TokenizerError::Head)?;
        let n_offsets = head.n_tokens.checked_add(1).ok_or(TokenizerError::Head)?;
        let mut take = |rows| Table::take(&mut tables, rows).ok_or(TokenizerError::Head);
        let (offsets, bytes) = (take(n_offsets)?, take(256)?);
        let pairs = Pairs::take(head, &mut tables).ok_or(TokenizerError::Head)?;
        let added = Table::take(&mut tables, n_added).ok_or(TokenizerError::Head)?;
        let added_texts = Table::take(&mut tables, n_added).ok_or(TokenizerError::Head)?;
        let texts = Table::take(&mut tables, n_texts).ok_or(TokenizerError::Head)?;
        let (n_raw, text) = (n_raw as usize, tables);
        let ranked = Self { rules, offsets, bytes, pairs, added, added_texts, n_raw, texts, text };
        ranked.check(head)?;
        Ok(ranked)
    }

    /// Everything that encoding and decoding rely on.
    fn check(&self, head: &TokenizerHead) -> Result<(), TokenizerError> {
        for (byte, [token]) in (0..=u8::MAX).zip(self.bytes.iter()) {
            if token != NONE && self.token_bytes(token) != Some(&[byte]) {
                return Err(TokenizerError::Byte(byte));
            }
        }
        for token in 0..head.n_tokens {
            let text = self.token_bytes(token).ok_or(TokenizerError::Token(token))?;
            let is_text = self.rules.unit == Unit::Bytes || core::str::from_utf8(text).is_ok();
            if !is_text && self.byte_of(token).is_none() {
                return Err(TokenizerError::Token(token));
            }
        }
        self.pairs.check(|token| self.token_bytes(token))?;
        self.check_added()?;
        let mut before: &[u8] = &[];
        for (place, [token]) in (0..).zip(self.texts.iter()) {
            // Strictly ascending, and so none is empty. A byte in place of a character is no text.
            let is_text = self.rules.unit == Unit::Bytes || self.byte_of(token).is_none();
            let text = self.token_bytes(token).filter(|&text| is_text && before < text);
            before = text.ok_or(TokenizerError::Order(place))?;
        }
        let is_token = |token: TokenId| token < head.n_tokens;
        let has_space = self.rules.spaces == Spaces::Kept || self.token_of_char(' ').is_some();
        if self.rules.unknown.is_none_or(is_token) && has_space { Ok(()) } else { Err(TokenizerError::Rules) }
    }

    fn check_added(&self) -> Result<(), TokenizerError> {
        for is_normalized in [false, true] {
            let mut before: &[u8] = &[];
            for index in 0..AddedTokens::len(self, is_normalized) {
                let place = index + if is_normalized { self.n_raw } else { 0 };
                let token = self.added.get(place).map_or(NONE, |[token]| token);
                let flags = self.added_texts.get(place).map_or(NONE, |[flags, ..]| flags);
                let added = self.added(is_normalized, index).filter(|added| {
                    before < added.text && core::str::from_utf8(added.text).is_ok() && flags <= FLAGS.iter().sum()
                });
                self.token_bytes(token).ok_or(TokenizerError::Special(token))?;
                before = added.ok_or(TokenizerError::Special(token))?.text;
            }
        }
        Ok(())
    }

    /// The rules by which texts become tokens.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The bytes that a token stands for.
    pub(super) fn token_bytes(&self, token: TokenId) -> Option<&'a [u8]> {
        let index = token as usize;
        let ([start], [end]) = (self.offsets.get(index)?, self.offsets.get(index.checked_add(1)?)?);
        self.text.get(start as usize..end as usize)
    }

    /// The token of a byte.
    #[inline]
    pub(super) fn byte_token(&self, byte: u8) -> Option<TokenId> {
        self.bytes.get(usize::from(byte)).map(|[token]| token).filter(|&token| token != NONE)
    }

    /// The byte that a token is, in place of a character without a token of its own.
    pub(super) fn byte_of(&self, token: TokenId) -> Option<u8> {
        match self.token_bytes(token)? {
            &[byte] if self.byte_token(byte) == Some(token) => Some(byte),
            _ => None,
        }
    }

    /// Which pairs merge.
    pub(super) const fn pairs(&self) -> &Pairs<'a> {
        &self.pairs
    }

    /// Whether a token is one that says something of a text.
    pub(super) fn is_special(&self, token: TokenId) -> bool {
        let mut entries = self.added.iter().zip(self.added_texts.iter());
        entries.any(|([id], [flags, ..])| id == token && flags & FLAGS[2] != 0)
    }

    /// The added tokens.
    pub(super) const fn added_ids(&self) -> Table<'a, 1> {
        self.added
    }

    /// An added token, by its place in the order of its group's texts.
    pub fn added(&self, is_normalized: bool, index: usize) -> Option<Added<'a>> {
        let place = if is_normalized { self.n_raw.checked_add(index)? } else { index };
        if index >= AddedTokens::len(self, is_normalized) {
            return None;
        }
        let ([token], [flags, start, end]) = (self.added.get(place)?, self.added_texts.get(place)?);
        let [takes_before, takes_behind, is_special] = FLAGS.map(|flag| flags & flag != 0);
        let text = self.text.get(start as usize..end as usize)?;
        Some(Added { token, text, takes_before, takes_behind, is_special })
    }

    /// The tokens that a piece is, or a character, in the order of their texts.
    pub fn texts(&self) -> impl ExactSizeIterator<Item = TokenId> + use<'a> {
        self.texts.iter().map(|[token]| token)
    }

    /// The token of a text, by comparing it to those of others.
    fn token_of(&self, compare: impl Fn(&[u8]) -> Ordering) -> Option<TokenId> {
        let text = |place: usize| self.texts.get(place).and_then(|[token]| self.token_bytes(token)).unwrap_or_default();
        let place = added::bisect(0, self.texts.len(), |place| compare(text(place)) == Ordering::Greater);
        let [token] = self.texts.get(place)?;
        if compare(text(place)) == Ordering::Equal { Some(token) } else { None }
    }

    /// The token that is a character.
    fn token_of_char(&self, c: char) -> Option<TokenId> {
        let mut buffer = [0; 4];
        let wanted: &[u8] = c.encode_utf8(&mut buffer).as_bytes();
        self.token_of(|text| wanted.cmp(text))
    }
}

impl AddedTokens for Ranked<'_> {
    fn len(&self, is_normalized: bool) -> usize {
        if is_normalized { self.added.len().saturating_sub(self.n_raw) } else { self.n_raw }
    }

    fn get(&self, is_normalized: bool, index: usize) -> Option<Added<'_>> {
        self.added(is_normalized, index)
    }
}
