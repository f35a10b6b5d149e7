//! The data of a BPE by scores: each token's bytes and rank, and what stands for the bytes of other characters.

use std::collections::HashMap;

use emberlm_core::config::TokenId;

use crate::ground::kept::Kept;

/// A BPE by scores, as SentencePiece has it and llama2.c: everything that encoding needs, checked.
///
/// A text's characters, or where a character has no token its bytes, merge into the token of the least rank that any two
/// of them in a row make, the leftmost of equals first, again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoredTokens {
    tokens: Vec<Vec<u8>>,
    ranks: Vec<Option<u32>>,
    bytes: Box<[Option<TokenId>; 256]>,
    has_dummy_prefix: bool,
}

/// What keeps tokens and ranks from being a BPE by scores.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScoredTokensError {
    /// Not each token has a rank, or has none.
    #[error("it has {tokens} tokens and {ranks} ranks")]
    Ranks {
        /// Tokens.
        tokens: usize,
        /// Entries of ranks.
        ranks: usize,
    },
    /// The first two ids with a rank that hold the same bytes.
    #[error("tokens {first} and {second} are the same bytes, and both have a rank")]
    DuplicateToken {
        /// The lower id.
        first: TokenId,
        /// The higher id.
        second: TokenId,
    },
    /// A token with a rank has no bytes.
    #[error("token {0} has a rank and no bytes")]
    Empty(TokenId),
    /// What stands for a byte is not that byte.
    #[error("token {id} is not the byte 0x{byte:02X}")]
    Byte {
        /// The byte.
        byte: u8,
        /// The id that stands for it.
        id: TokenId,
    },
}

impl ScoredTokens {
    /// Checks and keeps `tokens`, the bytes of each id; `ranks`, of each id, none for those that no text makes by its
    /// characters or merges; `bytes`, the token of each byte, for characters without one; and whether a text begins with a
    /// space that is not its own.
    ///
    /// # Errors
    /// The first fault found.
    pub fn new(
        tokens: Vec<Vec<u8>>,
        ranks: Vec<Option<u32>>,
        bytes: [Option<TokenId>; 256],
        has_dummy_prefix: bool,
    ) -> Result<Self, ScoredTokensError> {
        if tokens.len() != ranks.len() {
            return Err(ScoredTokensError::Ranks { tokens: tokens.len(), ranks: ranks.len() });
        }
        for (byte, id) in (0..=u8::MAX).zip(bytes).filter_map(|(byte, id)| Some((byte, id?))) {
            if tokens.get(id as usize).is_none_or(|token| *token != [byte]) {
                return Err(ScoredTokensError::Byte { byte, id });
            }
        }
        let scored = Self { tokens, ranks, bytes: bytes.into(), has_dummy_prefix };
        let mut ids = HashMap::new();
        for (id, bytes, _) in scored.ranked() {
            if bytes.is_empty() {
                return Err(ScoredTokensError::Empty(id));
            }
            if let Some(first) = ids.insert(bytes, id) {
                return Err(ScoredTokensError::DuplicateToken { first, second: id });
            }
        }
        Ok(scored)
    }

    /// The bytes of each id; none for the beginning and the end of a text.
    pub fn tokens(&self) -> &[Vec<u8>] {
        &self.tokens
    }

    /// The rank of each id; none where no character and no merge makes it.
    pub fn ranks(&self) -> &[Option<u32>] {
        &self.ranks
    }

    /// The token of each byte.
    pub const fn bytes(&self) -> &[Option<TokenId>; 256] {
        &self.bytes
    }

    /// Whether a text begins with a space that is not its own.
    pub const fn has_dummy_prefix(&self) -> bool {
        self.has_dummy_prefix
    }

    /// Id, bytes and rank of each token with a rank.
    pub fn ranked(&self) -> impl Iterator<Item = (TokenId, &[u8], u32)> {
        let tokens = (0..).zip(self.tokens.iter().zip(&self.ranks));
        tokens.filter_map(|(id, (bytes, rank))| Some((id, bytes.as_slice(), (*rank)?)))
    }

    /// Leaves out the tokens from `n_vocab` on, and says which they are.
    ///
    /// # Errors
    /// The first of them that a text may have.
    pub fn truncate(&mut self, n_vocab: u32) -> Result<Vec<TokenId>, TokenId> {
        let beyond = n_vocab..self.tokens.len().try_into().unwrap_or(u32::MAX).max(n_vocab);
        let is_of_text = |&id: &TokenId| self.ranks[id as usize].is_some() || self.bytes.contains(&Some(id));
        if let Some(id) = beyond.clone().find(is_of_text) {
            return Err(id);
        }
        self.tokens.truncate(n_vocab as usize);
        self.ranks.truncate(n_vocab as usize);
        Ok(beyond.collect())
    }

    /// Leaves out all tokens but these. The others' ranks become the places of their scores among these.
    pub fn keep(&mut self, kept: &Kept) {
        self.tokens = kept.of_list(&self.tokens);
        self.ranks = kept.of_list(&self.ranks);
        let mut sorted: Vec<u32> = self.ranks.iter().flatten().copied().collect();
        sorted.sort_unstable();
        sorted.dedup();
        self.ranks.iter_mut().flatten().for_each(|rank| *rank = sorted.partition_point(|other| other < rank) as u32);
        self.bytes.iter_mut().for_each(|id| *id = id.and_then(|id| kept.place(id)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(list: &[(&str, Option<u32>)], bytes: &[(u8, TokenId)]) -> Result<ScoredTokens, ScoredTokensError> {
        let (tokens, ranks) = list.iter().map(|(token, rank)| (token.as_bytes().to_vec(), *rank)).unzip();
        let mut table = [None; 256];
        bytes.iter().for_each(|&(byte, id)| table[usize::from(byte)] = Some(id));
        ScoredTokens::new(tokens, ranks, table, true)
    }

    #[test]
    fn tokens_beyond_a_model_are_left_out_unless_a_text_has_them() {
        let all = tokens(&[("", None), ("b", Some(0)), ("a", None), ("x", None)], &[(b'a', 2)]).unwrap();
        let cut = |n_vocab| {
            let mut tokens = all.clone();
            tokens.truncate(n_vocab).map(|left_out| (left_out, tokens.tokens().len(), tokens.ranks().len()))
        };
        assert_eq!(cut(9), Ok((vec![], 4, 4)));
        assert_eq!(cut(3), Ok((vec![3], 3, 3)));
        assert_eq!(cut(2), Err(2));
        assert_eq!(cut(1), Err(1));
    }

    #[test]
    fn each_fault_is_named() {
        use ScoredTokensError::{Byte, DuplicateToken, Empty, Ranks};
        let same = tokens(&[("b", None), ("b", Some(0)), ("b", Some(1))], &[]);
        assert_eq!(same, Err(DuplicateToken { first: 1, second: 2 }));
        assert_eq!(tokens(&[("", Some(0))], &[]), Err(Empty(0)));
        assert_eq!(tokens(&[("b", None)], &[(b'a', 0)]), Err(Byte { byte: b'a', id: 0 }));
        assert_eq!(tokens(&[("b", None)], &[(b'b', 1)]), Err(Byte { byte: b'b', id: 1 }));
        let error = ScoredTokens::new(vec![vec![]], vec![], [None; 256], true).unwrap_err();
        assert_eq!(error, Ranks { tokens: 1, ranks: 0 });
    }
}
