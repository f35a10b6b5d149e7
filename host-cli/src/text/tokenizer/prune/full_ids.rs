//! What the tokens of a vocabulary that was cut were before.
//!
//! A blob does not hold this: four bytes a token would lie in a board's flash for what only the host asks, and the
//! checkpoint's tokenizer says it too. Tokens that stay keep their order, so that each is the next of the whole with its
//! text.

use emberlm_core::config::TokenId;

use super::super::SectionParts;
use crate::ground::kept::Kept;
use crate::ground::shown;

/// A token of a vocabulary that was cut is none of the other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "token {id} ({}) of the vocabulary that was cut is none of the {of} of the whole from {from} on: it is of another \
     tokenizer",
    shown::quoted(text)
)]
pub struct Stranger {
    id: TokenId,
    text: String,
    from: TokenId,
    of: u32,
}

/// What tells a token from others: its text, and what it is to encoding.
#[derive(PartialEq, Eq)]
struct Spelling {
    bytes: Vec<u8>,
    is_byte: bool,
    is_ranked: bool,
}

impl Spelling {
    fn of(parts: &SectionParts, id: TokenId) -> Self {
        let bytes = parts.token_bytes(id).unwrap_or_default();
        let (is_byte, is_ranked) = match parts {
            SectionParts::Scored(tokens) => {
                (tokens.bytes().contains(&Some(id)), tokens.ranks().get(id as usize).is_some_and(|rank| rank.is_some()))
            }
            SectionParts::Ranked(tokens) => (tokens.byte_of(id).is_some(), false),
            SectionParts::Chars(_) | SectionParts::BytePairs(_) => (false, false),
        };
        Self { bytes, is_byte, is_ranked }
    }
}

/// A vocabulary: what its tokens are, and how many there are.
#[derive(Clone, Copy, Debug)]
pub struct Vocabulary<'v> {
    /// Its tokenizer.
    pub parts: &'v SectionParts,
    /// The model's size of it.
    pub n_vocab: u32,
}

/// The tokens of `full` that `pruned` was cut to; `named` are tokens of both that have a role in the model, (pruned, full).
///
/// # Errors
/// The first that is none of them.
pub fn full_ids(pruned: Vocabulary<'_>, full: Vocabulary<'_>, named: &[(TokenId, TokenId)]) -> Result<Kept, Stranger> {
    let mut ids = Vec::with_capacity(pruned.n_vocab as usize);
    let mut from = 0;
    for id in 0..pruned.n_vocab {
        let spelling = Spelling::of(pruned.parts, id);
        // Where there is no text to tell them apart, their roles do.
        let role = |of: fn(&(TokenId, TokenId)) -> TokenId, id: TokenId| named.iter().position(|pair| of(pair) == id);
        let own = role(|pair| pair.0, id).filter(|_| spelling.bytes.is_empty());
        let is_same = |&at: &TokenId| {
            let other = Spelling::of(full.parts, at);
            other == spelling && (!other.bytes.is_empty() || role(|pair| pair.1, at) == own)
        };
        let found = (from..full.n_vocab).find(is_same);
        let Some(at) = found else {
            let text = String::from_utf8_lossy(&spelling.bytes).into_owned();
            return Err(Stranger { id, text, from, of: full.n_vocab });
        };
        ids.push(at);
        from = at + 1;
    }
    Ok(Kept::new(ids, full.n_vocab))
}
