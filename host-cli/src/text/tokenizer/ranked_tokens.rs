//! The data of a BPE by ranks: each token's bytes, which pairs merge, what is found in a text as it stands, and the rules.

use std::collections::HashSet;

use emberlm_core::config::TokenId;
use emberlm_core::tokenizer::{Added, AddedTokens, Rules, Spaces, Unit};

use crate::ground::kept::Kept;

/// A token that is found in a text as it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddedToken {
    /// It is looked for in what is left of a text when it is normalised, and not before.
    pub is_normalized: bool,
    /// What is looked for.
    pub text: String,
    /// Its id.
    pub token: TokenId,
    /// It takes the white space before it.
    pub takes_before: bool,
    /// It takes the white space behind it.
    pub takes_behind: bool,
    /// It says something of a text rather than being of it.
    pub is_special: bool,
}

/// What makes a BPE by ranks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankedParts {
    /// What is done to texts.
    pub rules: Rules,
    /// The bytes of each id; none where an id has no token.
    pub tokens: Vec<Vec<u8>>,
    /// The token of each byte.
    pub bytes: [Option<TokenId>; 256],
    /// The pairs that merge and what they make, by rank.
    pub merges: Vec<[TokenId; 3]>,
    /// The tokens that a character is, and that a piece is where merges are ignored for it; in any order.
    pub texts: Vec<TokenId>,
    /// The tokens that are found as they stand, in any order.
    pub added: Vec<AddedToken>,
}

/// A BPE by the ranks of its merges: everything that encoding needs, checked.
///
/// A text is cut as the rules say; the bytes or the characters of each piece merge in pairs, the lowest rank first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankedTokens(RankedParts);

/// What keeps parts from being a BPE by ranks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RankedTokensError {
    /// Two rules do not go together.
    #[error("its rules do not go together")]
    Rules,
    /// A merge names an id without a token, or what it makes is not the two joined.
    #[error("merge {rank} of tokens {left} and {right} does not make token {made}")]
    Merge {
        /// Position of the merge.
        rank: usize,
        /// The left part.
        left: TokenId,
        /// The right part.
        right: TokenId,
        /// What it is said to make.
        made: TokenId,
    },
    /// The same pair merges twice.
    #[error("merge {rank} of tokens {left} and {right} is there twice")]
    DuplicateMerge {
        /// Position of the second one.
        rank: usize,
        /// The left part.
        left: TokenId,
        /// The right part.
        right: TokenId,
    },
    /// What stands for a byte is not that byte.
    #[error("token {id} is not the byte 0x{byte:02X}")]
    Byte {
        /// The byte.
        byte: u8,
        /// The id that stands for it.
        id: TokenId,
    },
    /// A token is no text, and no byte either.
    #[error("token {0} is no text")]
    NoText(TokenId),
    /// Two tokens have one text, or one has none.
    #[error("token {0} has no text of its own")]
    Text(TokenId),
    /// An added token has no id that there is, or no text of its own.
    #[error("the added token {0} has no id or text of its own")]
    Added(TokenId),
    /// Nothing stands for a space.
    #[error("no token is a space")]
    NoSpace,
}

impl RankedTokens {
    /// Checks and keeps `parts`.
    ///
    /// # Errors
    /// The first fault found.
    pub fn new(mut parts: RankedParts) -> Result<Self, RankedTokensError> {
        parts.added.sort_unstable();
        parts.texts.sort_unstable_by(|&a, &b| parts.tokens.get(a as usize).cmp(&parts.tokens.get(b as usize)));
        let tokens = Self(parts);
        tokens.check()?;
        Ok(tokens)
    }

    fn check(&self) -> Result<(), RankedTokensError> {
        let parts = &self.0;
        if !parts.rules.go_together() {
            return Err(RankedTokensError::Rules);
        }
        let text = |id: TokenId| parts.tokens.get(id as usize).map(Vec::as_slice).filter(|text| !text.is_empty());
        for (byte, id) in (0..=u8::MAX).zip(parts.bytes).filter_map(|(byte, id)| Some((byte, id?))) {
            if text(id) != Some(&[byte]) {
                return Err(RankedTokensError::Byte { byte, id });
            }
        }
        let is_bytes = parts.rules.unit == Unit::Bytes;
        for (id, bytes) in (0..).zip(&parts.tokens) {
            if !is_bytes && std::str::from_utf8(bytes).is_err() && self.byte_of(id).is_none() {
                return Err(RankedTokensError::NoText(id));
            }
        }
        let mut seen = HashSet::with_capacity(parts.merges.len());
        for (rank, &[left, right, made]) in parts.merges.iter().enumerate() {
            let joined = text(left).zip(text(right)).map(|(left, right)| [left, right].concat());
            if joined.is_none() || joined.as_deref() != text(made) {
                return Err(RankedTokensError::Merge { rank, left, right, made });
            }
            if !seen.insert((left, right)) {
                return Err(RankedTokensError::DuplicateMerge { rank, left, right });
            }
        }
        let is_apart = |id: TokenId| text(id).is_some() && (is_bytes || self.byte_of(id).is_none());
        if let Some(&id) = parts.texts.iter().find(|&&id| !is_apart(id)) {
            return Err(RankedTokensError::Text(id));
        }
        if let Some(pair) = parts.texts.windows(2).find(|pair| text(pair[0]) == text(pair[1])) {
            return Err(RankedTokensError::Text(pair[1]));
        }
        let same =
            |pair: &[AddedToken]| (pair[0].is_normalized, &pair[0].text) == (pair[1].is_normalized, &pair[1].text);
        let twice = parts.added.windows(2).find(|pair| same(pair)).map(|pair| pair[1].token);
        let is_none = |added: &&AddedToken| added.text.is_empty() || added.token as usize >= parts.tokens.len();
        if let Some(id) = twice.or_else(|| Some(parts.added.iter().find(is_none)?.token)) {
            return Err(RankedTokensError::Added(id));
        }
        if let Some(id) = parts.rules.unknown.filter(|&id| id as usize >= parts.tokens.len()) {
            return Err(RankedTokensError::NoText(id));
        }
        let has_space = parts.rules.spaces == Spaces::Kept || parts.texts.iter().any(|&id| text(id) == Some(b" "));
        if has_space { Ok(()) } else { Err(RankedTokensError::NoSpace) }
    }

    /// What is done to texts.
    pub const fn rules(&self) -> &Rules {
        &self.0.rules
    }

    /// The bytes of each id; none where an id has no token.
    pub fn tokens(&self) -> &[Vec<u8>] {
        &self.0.tokens
    }

    /// The token of each byte.
    pub const fn bytes(&self) -> &[Option<TokenId>; 256] {
        &self.0.bytes
    }

    /// The byte that a token is, in place of a character without a token of its own.
    pub fn byte_of(&self, id: TokenId) -> Option<u8> {
        match self.0.tokens.get(id as usize)?[..] {
            [byte] if self.0.bytes[usize::from(byte)] == Some(id) => Some(byte),
            _ => None,
        }
    }

    /// The pairs that merge and what they make, by rank.
    pub fn merges(&self) -> &[[TokenId; 3]] {
        &self.0.merges
    }

    /// The tokens that a character is, and that a piece is where merges are ignored for it, in the order of their texts.
    pub fn texts(&self) -> &[TokenId] {
        &self.0.texts
    }

    /// The tokens that are found as they stand: those first that are not normalised, and each group in the order of its
    /// texts.
    pub fn added(&self) -> &[AddedToken] {
        &self.0.added
    }

    /// Added tokens that are not normalised.
    pub fn n_raw(&self) -> usize {
        self.0.added.partition_point(|added| !added.is_normalized)
    }

    /// Leaves out all tokens but these, with the merges that need or make one of the others.
    pub fn keep(&mut self, kept: &Kept) {
        let parts = &mut self.0;
        let place = |&id: &TokenId| kept.place(id);
        let merge = |&[left, right, whole]: &[TokenId; 3]| Some([place(&left)?, place(&right)?, place(&whole)?]);
        parts.merges = parts.merges.iter().filter_map(merge).collect();
        parts.tokens = kept.of_list(&parts.tokens);
        parts.texts = parts.texts.iter().filter_map(place).collect();
        parts.bytes = parts.bytes.map(|id| place(&id?));
        parts.rules.unknown = parts.rules.unknown.and_then(|id| place(&id));
        parts.added.retain_mut(|added| place(&added.token).map(|id| added.token = id).is_some());
    }

    /// Leaves out the tokens from `n_vocab` on, and says which they are.
    ///
    /// # Errors
    /// What needs one of them.
    pub fn truncate(&mut self, n_vocab: u32) -> Result<Vec<TokenId>, String> {
        let parts = &mut self.0;
        let beyond = |id: &TokenId| *id >= n_vocab;
        if let Some(rank) = parts.merges.iter().position(|merge| merge.iter().any(beyond)) {
            return Err(format!("merge {rank} needs one of the others"));
        }
        let of_text = parts.texts.iter().copied().chain(parts.bytes.into_iter().flatten()).chain(parts.rules.unknown);
        if let Some(id) = of_text.filter(beyond).min() {
            return Err(format!("a text may have token {id}"));
        }
        let ids = (0..).zip(&parts.tokens).filter(|(id, bytes)| beyond(id) && !bytes.is_empty());
        let left_out = ids.map(|(id, _)| id).collect();
        parts.tokens.truncate(n_vocab as usize);
        parts.added.retain(|added| !beyond(&added.token));
        Ok(left_out)
    }
}

impl AddedTokens for RankedTokens {
    fn len(&self, is_normalized: bool) -> usize {
        if is_normalized { self.0.added.len() - self.n_raw() } else { self.n_raw() }
    }

    fn get(&self, is_normalized: bool, index: usize) -> Option<Added<'_>> {
        let place = if is_normalized { self.n_raw() + index } else { index };
        let added = self.0.added.get(place).filter(|added| added.is_normalized == is_normalized)?;
        let &AddedToken { token, takes_before, takes_behind, is_special, .. } = added;
        Some(Added { token, text: added.text.as_bytes(), takes_before, takes_behind, is_special })
    }
}
