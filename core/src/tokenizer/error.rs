//! What can be wrong with a section, a text, or a token.

use super::Kind;
use crate::config::TokenId;
use core::fmt;

/// The section contradicts itself or the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
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
    /// It is of a kind that this build leaves out, see [`features`](crate::features).
    LeftOut(Kind),
    /// A rule has a value that there is not, or does not go with another.
    Rules,
    /// A token's text does not lie within the text, is not a character, or is none where tokens merge; or the hash table
    /// does not lead from the text to the token.
    Token(TokenId),
    /// The table that finds a token by its character, or by its text, is not in order; the first place that is wrong.
    Order(u32),
    /// The token listed for a byte is not that byte.
    Byte(u8),
    /// A special token's text is none, or not in order.
    Special(TokenId),
    /// A merge names a token that there is not or that is not the two joined, or the hash table does not lead to it;
    /// the merge's rank.
    Merge(u32),
}

impl fmt::Display for TokenizerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => f.write_str("the tokeniser section contradicts itself"),
            Self::TooManyTokens { tokens, n_vocab } => {
                write!(f, "the tokeniser has {tokens} tokens, the model {n_vocab}")
            }
            Self::LeftOut(kind) => write!(f, "the tokeniser is {}, which this build leaves out", kind.name()),
            Self::Rules => f.write_str("the tokeniser's rules are damaged"),
            Self::Token(token) => write!(f, "the tokeniser's token {token} is damaged"),
            Self::Order(place) => write!(f, "the tokeniser's order of texts is damaged at {place}"),
            Self::Byte(byte) => write!(f, "the tokeniser's entry for byte {byte} is damaged"),
            Self::Special(token) => write!(f, "the tokeniser's special token {token} is damaged"),
            Self::Merge(rank) => write!(f, "the tokeniser's merge {rank} is damaged"),
        }
    }
}

impl core::error::Error for TokenizerError {}

/// Why a text does not become tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EncodeError {
    /// The vocabulary has nothing for a character.
    Character {
        /// The character.
        c: char,
        /// Bytes of text before it.
        offset: usize,
    },
    /// The bytes are not UTF-8.
    NotUtf8 {
        /// The first byte that is wrong.
        offset: usize,
    },
    /// The memory for tokens is too small.
    TooManyTokens {
        /// Tokens that would do. It is the length of the outcome, except that a piece of more than
        /// [`MAX_SHORT_PIECE`](super::MAX_SHORT_PIECE) bytes that did not fit counts with all its bytes.
        need: usize,
        /// Tokens that there is memory for.
        have: usize,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Character { c, offset } => {
                write!(f, "no token for {c:?} (U+{:04X}) at byte {offset}", u32::from(c))
            }
            Self::NotUtf8 { offset } => write!(f, "the text is not UTF-8: the byte at offset {offset} is wrong"),
            Self::TooManyTokens { need, have } => write!(f, "the text is too long: need {need} tokens, have {have}"),
        }
    }
}

impl core::error::Error for EncodeError {}

/// Why a token does not become text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DecodeError {
    /// The id stands for no text.
    UnknownToken(TokenId),
    /// The writer took no more.
    Write,
}

impl From<fmt::Error> for DecodeError {
    fn from(_: fmt::Error) -> Self {
        Self::Write
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownToken(token) => write!(f, "token {token} stands for no text"),
            Self::Write => f.write_str("the text could not be written"),
        }
    }
}

impl core::error::Error for DecodeError {}
