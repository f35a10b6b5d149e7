//! The data of a byte-level BPE: each token's bytes, and which pairs merge, in order.

use std::collections::{HashMap, HashSet};

use emberlm_core::config::TokenId;

use crate::ground::kept::Kept;

/// A byte-level BPE with GPT-2's pattern and no normaliser: everything that encoding needs, checked.
///
/// Text is cut at the special tokens, then by GPT-2's pattern; each piece starts as single bytes and adjacent pairs
/// merge, lowest rank first (Sennrich et al., 2016; Radford et al., 2019).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BytePairs {
    tokens: Vec<Vec<u8>>,
    merges: Vec<(TokenId, TokenId)>,
    merged: Vec<TokenId>,
    specials: Vec<TokenId>,
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
    /// A special token is no text.
    #[error("the special token {0} is no text")]
    Special(TokenId),
    /// No token is a single byte.
    #[error("no token is a single byte")]
    NoBytes,
}

impl BytePairs {
    /// Checks and keeps `tokens`, the bytes of each id (empty: the id has no token), `merges`, pairs of ids by rank, and
    /// `specials`, the tokens that are matched in a text as they stand, in any order.
    ///
    /// # Errors
    /// Duplicate tokens or merges, merges of or into tokens that do not exist, special tokens that are not UTF-8 or
    /// empty, a vocabulary without any single byte.
    pub fn new(
        tokens: Vec<Vec<u8>>,
        merges: Vec<(TokenId, TokenId)>,
        mut specials: Vec<TokenId>,
    ) -> Result<Self, BytePairsError> {
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
        let is_text = |id: TokenId| {
            tokens.get(id as usize).is_some_and(|bytes| !bytes.is_empty() && std::str::from_utf8(bytes).is_ok())
        };
        specials.sort_unstable();
        specials.dedup();
        match specials.iter().find(|&&id| !is_text(id)) {
            Some(&id) => Err(BytePairsError::Special(id)),
            None => Ok(Self { tokens, merges, merged, specials }),
        }
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

    /// The special tokens, ascending. They are matched in the text as they stand.
    pub fn specials(&self) -> &[TokenId] {
        &self.specials
    }

    /// Leaves out the tokens from `n_vocab` on, and says which they are.
    ///
    /// # Errors
    /// The rank of a merge that needs or makes one of them.
    pub fn truncate(&mut self, n_vocab: u32) -> Result<Vec<TokenId>, usize> {
        let beyond = |id: &TokenId| *id >= n_vocab;
        let mut merges = self.merges.iter().zip(&self.merged);
        if let Some(rank) = merges.position(|((left, right), whole)| [left, right, whole].into_iter().any(beyond)) {
            return Err(rank);
        }
        let ids = (0..).zip(&self.tokens).filter(|(id, bytes)| beyond(id) && !bytes.is_empty());
        let left_out = ids.map(|(id, _)| id).collect();
        self.tokens.truncate(n_vocab as usize);
        self.specials.retain(|id| !beyond(id));
        Ok(left_out)
    }

    /// Leaves out all tokens but these, with the merges that need or make one of the others.
    pub fn keep(&mut self, kept: &Kept) {
        let merge = |(&(left, right), &whole): (&(TokenId, TokenId), &TokenId)| {
            Some(((kept.place(left)?, kept.place(right)?), kept.place(whole)?))
        };
        (self.merges, self.merged) = self.merges.iter().zip(&self.merged).filter_map(merge).unzip();
        self.tokens = kept.of_list(&self.tokens);
        self.specials = self.specials.iter().filter_map(|&id| kept.place(id)).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(list: &[&str]) -> Vec<Vec<u8>> {
        list.iter().map(|token| token.as_bytes().to_vec()).collect()
    }

    #[test]
    fn tokens_beyond_a_model_are_left_out_unless_a_merge_needs_them() {
        let all = BytePairs::new(tokens(&["a", "b", "ab", "", "<|end|>"]), vec![(0, 1)], vec![4]).unwrap();
        assert_eq!(all.specials(), [4]);
        let cut = |n_vocab| {
            let mut pairs = all.clone();
            pairs.truncate(n_vocab).map(|left_out| (left_out, pairs.tokens().len(), pairs.specials().to_vec()))
        };
        assert_eq!(cut(9), Ok((vec![], 5, vec![4])));
        assert_eq!(cut(4), Ok((vec![4], 4, vec![])));
        assert_eq!(cut(2), Err(0));
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
            assert_eq!(BytePairs::new(tokens(list), merges.to_vec(), vec![]), Err(fault));
        }
        for (list, special) in [(vec![vec![b'a'], vec![0xff]], 1), (vec![vec![b'a'], vec![]], 1), (vec![vec![b'a']], 2)]
        {
            assert_eq!(BytePairs::new(list, vec![], vec![0, special]), Err(Special(special)));
        }
    }
}
