//! The section's head: what kind of tokeniser it is, and how long its tables are.

use serde::{Deserialize, Serialize};

/// How text becomes tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Kind {
    /// Each token is one character.
    Chars,
    /// GPT-2's byte-level byte-pair encoding: text is split by GPT-2's pattern, then bytes merge in order of rank.
    ByteBpe,
    /// Byte-pair encoding by scores, as SentencePiece has it: characters, or the bytes of those without a token, merge
    /// wherever two in a row make a token, that of the highest score first.
    ScoredBpe,
    /// Byte-pair encoding by the ranks of merges, of bytes or characters, with the rules by which texts are cut, spaces
    /// stand in and tokens are added: what a `tokenizer.json` says in other words than GPT-2's.
    RankedBpe,
}

impl Kind {
    /// The name that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chars => "chars",
            Self::ByteBpe => "byte-bpe",
            Self::ScoredBpe => "scored-bpe",
            Self::RankedBpe => "ranked-bpe",
        }
    }
}

/// The section's first bytes. Of [`Kind::Chars`], all but the first two fields are 0, and of [`Kind::ScoredBpe`] `n_merges`
/// and `n_specials`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenizerHead {
    /// How text becomes tokens.
    pub kind: Kind,
    /// Tokens that stand for text, at most the model's `n_vocab`.
    #[serde(with = "postcard::fixint::le")]
    pub n_tokens: u32,
    /// Merges.
    #[serde(with = "postcard::fixint::le")]
    pub n_merges: u32,
    /// Bytes of all tokens' text.
    #[serde(with = "postcard::fixint::le")]
    pub text_bytes: u32,
    /// Tokens that are matched in a text as they stand. Of [`Kind::RankedBpe`], the words of their tables and that of texts.
    #[serde(with = "postcard::fixint::le")]
    pub n_specials: u32,
    /// Places of the hash table that finds merges: a power of two, more than `n_merges`. Of [`Kind::ScoredBpe`], of the one
    /// that finds tokens by their text.
    #[serde(with = "postcard::fixint::le")]
    pub n_slots: u32,
}

impl TokenizerHead {
    /// Length of an encoded head, padding included.
    pub const BYTES: usize = 32;

    /// Length of the whole section, `None` on overflow.
    pub fn section_bytes(&self) -> Option<usize> {
        let [tokens, merges, specials, slots] =
            [self.n_tokens, self.n_merges, self.n_specials, self.n_slots].map(|n| n as usize);
        let words = match self.kind {
            Kind::Chars => tokens.checked_mul(2)?,
            Kind::ScoredBpe => tokens.checked_mul(2)?.checked_add(1 + 1 + 256)?.checked_add(slots)?,
            Kind::RankedBpe => (tokens.checked_add(4 + 2 + 1 + 256)?.checked_add(specials)?)
                .checked_add(merges.checked_mul(3)?)?
                .checked_add(slots)?,
            Kind::ByteBpe => (tokens.checked_add(1 + 256)?.checked_add(specials)?)
                .checked_add(merges.checked_mul(3)?)?
                .checked_add(slots)?,
        };
        words.checked_mul(4)?.checked_add(Self::BYTES)?.checked_add(self.text_bytes as usize)
    }
}
