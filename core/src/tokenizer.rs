//! The blob's tokeniser section, read in place: what text each token stands for, and how tokens merge.
//!
//! The section is a [`TokenizerHead`], zero-padded to 16 bytes, and little-endian u32 tables:
//!
//! | kind | tables |
//! |---|---|
//! | [`Kind::Chars`] | `n_tokens` code points, by id |
//! | [`Kind::ByteBpe`] | `n_tokens + 1` offsets into the text, `n_merges` pairs of ids by rank, `text_bytes` bytes of text |

use crate::blob::SECTION_ALIGNMENT;
use crate::config::TokenId;
use crate::model::Model;
use crate::source::Mapped;
use core::fmt;
use serde::{Deserialize, Serialize};

/// How text becomes tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Each token is one character.
    Chars,
    /// GPT-2's byte-level byte-pair encoding: text is split by GPT-2's pattern, then bytes merge in order of rank.
    ByteBpe,
}

impl Kind {
    /// The name that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chars => "chars",
            Self::ByteBpe => "byte-bpe",
        }
    }
}

/// The section's first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenizerHead {
    /// How text becomes tokens.
    pub kind: Kind,
    /// Tokens that stand for text, at most the model's `n_vocab`.
    #[serde(with = "postcard::fixint::le")]
    pub n_tokens: u32,
    /// Merges; 0 for [`Kind::Chars`].
    #[serde(with = "postcard::fixint::le")]
    pub n_merges: u32,
    /// Bytes of all tokens' text; 0 for [`Kind::Chars`].
    #[serde(with = "postcard::fixint::le")]
    pub text_bytes: u32,
}

impl TokenizerHead {
    /// Length of an encoded head, padding included.
    pub const BYTES: usize = SECTION_ALIGNMENT;

    /// Length of the whole section, `None` on overflow.
    pub fn section_bytes(&self) -> Option<usize> {
        let (tokens, merges) = (self.n_tokens as usize, self.n_merges as usize);
        let words = match self.kind {
            Kind::Chars => tokens,
            Kind::ByteBpe => tokens.checked_add(1)?.checked_add(merges.checked_mul(2)?)?,
        };
        words.checked_mul(4)?.checked_add(Self::BYTES)?.checked_add(self.text_bytes as usize)
    }
}

/// The section contradicts itself or the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenizerError {
    /// The head does not decode, or the lengths in it are not the section's.
    Head,
    /// More tokens than the model knows.
    TooManyTokens {
        /// Tokens with a text.
        tokens: u32,
        /// Tokens of the model.
        n_vocab: u32,
    },
    /// A token's text does not lie within the text, or is not a character.
    Token(TokenId),
    /// A merge names a token that there is not; the merge's rank.
    Merge(u32),
}

impl fmt::Display for TokenizerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => f.write_str("the tokeniser section contradicts itself"),
            Self::TooManyTokens { tokens, n_vocab } => {
                write!(f, "the tokeniser has {tokens} tokens, the model {n_vocab}")
            }
            Self::Token(token) => write!(f, "the tokeniser's token {token} is damaged"),
            Self::Merge(rank) => write!(f, "the tokeniser's merge {rank} is damaged"),
        }
    }
}

impl core::error::Error for TokenizerError {}

/// A checked tokeniser section.
#[derive(Clone, Copy, Debug)]
pub struct Tokenizer<'a> {
    kind: Kind,
    /// Code points, or offsets into `text`.
    tokens: &'a [[u8; 4]],
    merges: &'a [[u8; 8]],
    text: &'a [u8],
    n_tokens: u32,
}

impl<'a> Tokenizer<'a> {
    /// Checks a section, every token and merge of it; the time is linear in its length.
    ///
    /// # Errors
    /// The first fault found.
    pub fn open(section: &'a [u8], n_vocab: u32) -> Result<Self, TokenizerError> {
        let (head, _) = postcard::take_from_bytes::<TokenizerHead>(section).map_err(|_| TokenizerError::Head)?;
        if head.section_bytes() != Some(section.len()) {
            return Err(TokenizerError::Head);
        }
        if head.n_tokens > n_vocab {
            return Err(TokenizerError::TooManyTokens { tokens: head.n_tokens, n_vocab });
        }
        let tables = section.get(TokenizerHead::BYTES..).ok_or(TokenizerError::Head)?;
        let n_words = head.n_tokens as usize + usize::from(head.kind == Kind::ByteBpe);
        let (tokens, rest) = tables.split_at_checked(4 * n_words).ok_or(TokenizerError::Head)?;
        let (merges, text) = rest.split_at_checked(8 * head.n_merges as usize).ok_or(TokenizerError::Head)?;
        let (tokens, merges) = (tokens.as_chunks().0, merges.as_chunks().0);
        let tokenizer = Self { kind: head.kind, tokens, merges, text, n_tokens: head.n_tokens };
        for token in 0..head.n_tokens {
            tokenizer.token_bytes(token, &mut [0; 4]).ok_or(TokenizerError::Token(token))?;
        }
        for (rank, (left, right)) in (0..).zip(tokenizer.merges()) {
            if left >= head.n_tokens || right >= head.n_tokens {
                return Err(TokenizerError::Merge(rank));
            }
        }
        Ok(tokenizer)
    }

    /// How text becomes tokens.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Tokens that stand for text.
    pub const fn n_tokens(&self) -> u32 {
        self.n_tokens
    }

    /// The UTF-8 bytes, whole characters or not, that a token stands for; `None` for an id without a text. A character
    /// is encoded into `buffer`.
    pub fn token_bytes<'t>(&self, token: TokenId, buffer: &'t mut [u8; 4]) -> Option<&'t [u8]>
    where
        'a: 't,
    {
        let index = token as usize;
        let word = |index: usize| self.tokens.get(index).map(|&bytes| u32::from_le_bytes(bytes));
        match self.kind {
            Kind::Chars => Some(char::from_u32(word(index)?)?.encode_utf8(buffer).as_bytes()),
            Kind::ByteBpe => self.text.get(word(index)? as usize..word(index.checked_add(1)?)? as usize),
        }
    }

    /// The pairs of tokens that merge, by rank. The merged token's text is that of both.
    pub fn merges(&self) -> impl ExactSizeIterator<Item = (TokenId, TokenId)> + use<'a> {
        self.merges
            .iter()
            .map(|&[a, b, c, d, e, f, g, h]| (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])))
    }
}

impl<'a> Model<Mapped<'a>> {
    /// The blob's tokeniser, `None` where it has none.
    ///
    /// # Errors
    /// The section is damaged.
    pub fn tokenizer(&mut self) -> Result<Option<Tokenizer<'a>>, TokenizerError> {
        let section = self.head().tokenizer;
        if section.bytes == 0 {
            return Ok(None);
        }
        let n_vocab = self.config().n_vocab;
        let bytes = self.source().bytes().get(section.offset as usize..).ok_or(TokenizerError::Head)?;
        let bytes = bytes.get(..section.bytes as usize).ok_or(TokenizerError::Head)?;
        Tokenizer::open(bytes, n_vocab).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn section(head: TokenizerHead, words: &[u32], text: &[u8]) -> Vec<u8> {
        let mut bytes = std::vec![0; TokenizerHead::BYTES];
        postcard::to_slice(&head, &mut bytes).unwrap();
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(text);
        bytes
    }

    #[test]
    fn characters() {
        let head = TokenizerHead { kind: Kind::Chars, n_tokens: 3, n_merges: 0, text_bytes: 0 };
        let bytes = section(head, &['a' as u32, 'é' as u32, '𝄞' as u32], &[]);
        let tokenizer = Tokenizer::open(&bytes, 3).unwrap();
        let text = |token| tokenizer.token_bytes(token, &mut [0; 4]).map(Vec::from);
        assert_eq!(text(1).unwrap(), "é".as_bytes());
        assert_eq!(text(2).unwrap(), "𝄞".as_bytes());
        assert_eq!(text(3), None);
        assert_eq!(Tokenizer::open(&bytes, 2).unwrap_err(), TokenizerError::TooManyTokens { tokens: 3, n_vocab: 2 });
        let bytes = section(head, &[1, 0xD800, 3], &[]);
        assert_eq!(Tokenizer::open(&bytes, 3).unwrap_err(), TokenizerError::Token(1));
    }

    #[test]
    fn byte_pairs() {
        let head = TokenizerHead { kind: Kind::ByteBpe, n_tokens: 3, n_merges: 1, text_bytes: 4 };
        let bytes = section(head, &[0, 1, 2, 4, 0, 1], b"abab");
        let tokenizer = Tokenizer::open(&bytes, 8).unwrap();
        assert_eq!(tokenizer.token_bytes(2, &mut [0; 4]), Some(&b"ab"[..]));
        assert_eq!(tokenizer.token_bytes(3, &mut [0; 4]), None);
        assert_eq!(tokenizer.merges().collect::<Vec<_>>(), [(0, 1)]);
        for (words, error) in [
            ([0, 2, 1, 4, 0, 1], TokenizerError::Token(1)),
            ([0, 1, 2, 5, 0, 1], TokenizerError::Token(2)),
            ([0, 1, 2, 4, 3, 1], TokenizerError::Merge(0)),
        ] {
            assert_eq!(Tokenizer::open(&section(head, &words, b"abab"), 8).unwrap_err(), error);
        }
        assert_eq!(Tokenizer::open(&bytes[..bytes.len() - 1], 8).unwrap_err(), TokenizerError::Head);
    }
}
