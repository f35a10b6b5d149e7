//! The data of a byte-level BPE: each token's bytes, and which pairs merge, in order.

use std::collections::{HashMap, HashSet};

use emberlm_core::config::TokenId;

/// A byte-level BPE with GPT-2's pattern and no normaliser: everything that encoding needs, checked.
///
/// Text is cut at the special tokens, then by GPT-2's pattern; each piece starts as single bytes and adjacent pairs
/// merge, lowest rank first (Sennrich et al., 2016; Radford et al., 2019).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BytePairs {
    tokens: Vec<Vec<u8>>,
    merges: Vec<(TokenId, TokenId)>,
    merged: Vec<TokenId>,
}

/// What keeps tokens and merges from being a byte-level BPE.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BytePairsError {
    /// The first two ids that hold the same bytes.
    #[error("tokens {first} and {second} are the same bytes")]
    DuplicateToken {
        /// The lower id.
        first: TokenId,
        /// The higher id.
        second: TokenId,
    },
    /// A merge names an id without a token.
    #[error("merge {rank} names token {id}, which does not exist")]
    UnknownToken {
        /// Position of the merge.
        rank: usize,
        /// The id it names.
        id: TokenId,
    },
    /// The two parts joined are no token.
    #[error("merge {rank} of tokens {left} and {right} makes no token of the vocabulary")]
    MakesNoToken {
        /// Position of the merge.
        rank: usize,
        /// The left part.
        left: TokenId,
        /// The right part.
        right: TokenId,
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
    /// No token is a single byte.
    #[error("no token is a single byte")]
    NoBytes,
}

impl BytePairs {
    /// Checks and keeps `tokens`, the bytes of each id (empty: the id has no token), and `merges`, pairs of ids by rank.
    ///
    /// # Errors
    /// Duplicate tokens or merges, merges of or into tokens that do not exist, a vocabulary without any single byte.
    pub fn new(tokens: Vec<Vec<u8>>, merges: Vec<(TokenId, TokenId)>) -> Result<Self, BytePairsError> {
        let mut ids: HashMap<&[u8], TokenId> = HashMap::with_capacity(tokens.len());
        for (id, bytes) in (0..).zip(&tokens).filter(|(_, bytes)| !bytes.is_empty()) {
            if let Some(first) = ids.insert(bytes, id) {
                return Err(BytePairsError::DuplicateToken { first, second: id });
            }
        }
        if !tokens.iter().any(|bytes| bytes.len() == 1) {
            return Err(BytePairsError::NoBytes);
        }
        let mut merged = Vec::with_capacity(merges.len());
        let mut seen = HashSet::with_capacity(merges.len());
        for (rank, &(left, right)) in merges.iter().enumerate() {
            let part = |id: TokenId| match tokens.get(id as usize) {
                Some(bytes) if !bytes.is_empty() => Ok(bytes.as_slice()),
                _ => Err(BytePairsError::UnknownToken { rank, id }),
            };
            let joined = [part(left)?, part(right)?].concat();
            merged.push(*ids.get(joined.as_slice()).ok_or(BytePairsError::MakesNoToken { rank, left, right })?);
            if !seen.insert((left, right)) {
                return Err(BytePairsError::DuplicateMerge { rank, left, right });
            }
        }
        Ok(Self { tokens, merges, merged })
    }

    /// The bytes of each id; empty where an id has no token.
    pub fn tokens(&self) -> &[Vec<u8>] {
        &self.tokens
    }

    /// The pairs that merge, (left id, right id), by rank.
    pub fn merges(&self) -> &[(TokenId, TokenId)] {
        &self.merges
    }

    /// What each merge makes, by rank.
    pub fn merged(&self) -> &[TokenId] {
        &self.merged
    }

    /// The special tokens: more than one byte, and made by no merge. They are matched in the text as they stand.
    pub fn specials(&self) -> Vec<TokenId> {
        let made: HashSet<TokenId> = self.merged.iter().copied().collect();
        (0..).zip(&self.tokens).filter(|(id, bytes)| bytes.len() > 1 && !made.contains(id)).map(|(id, _)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(list: &[&str]) -> Vec<Vec<u8>> {
        list.iter().map(|token| token.as_bytes().to_vec()).collect()
    }

    #[test]
    fn tokens_that_no_merge_makes_are_special() {
        let pairs = BytePairs::new(tokens(&["a", "b", "ab", "", "<|end|>"]), vec![(0, 1)]).unwrap();
        assert_eq!(pairs.specials(), [4]);
    }

    #[test]
    fn each_fault_is_named() {
        type Case<'a> = (&'a [&'a str], &'a [(TokenId, TokenId)], BytePairsError);
        use BytePairsError::*;
        let cases: [Case<'_>; 6] = [
            (&["a", "b", "a"], &[], DuplicateToken { first: 0, second: 2 }),
            (&["a", "b"], &[(0, 2)], UnknownToken { rank: 0, id: 2 }),
            (&["a", "", "aa"], &[(0, 0), (1, 0)], UnknownToken { rank: 1, id: 1 }),
            (&["a", "b"], &[(0, 1)], MakesNoToken { rank: 0, left: 0, right: 1 }),
            (&["a", "aa"], &[(0, 0), (0, 0)], DuplicateMerge { rank: 1, left: 0, right: 0 }),
            (&["ab"], &[], NoBytes),
        ];
        for (list, merges, fault) in cases {
            assert_eq!(BytePairs::new(tokens(list), merges.to_vec()), Err(fault));
        }
    }
}
