//! Encoding with [`ScoredTokens`], in time of order `n log n`.
//!
//! Core does the same on the device, where a heap and a table of merges have no room.

use std::collections::HashMap;

use emberlm_core::config::TokenId;

use super::TokenizerError;
use super::merge::{Merge, Merger, Merges};
use super::scored_tokens::ScoredTokens;

/// An encoder for [`ScoredTokens`].
pub struct Scored {
    tokens: ScoredTokens,
    /// The tokens with a rank.
    ids: HashMap<Vec<u8>, TokenId>,
    merges: Merges,
}

impl Scored {
    /// Prepares `tokens` for encoding.
    pub fn new(tokens: ScoredTokens) -> Self {
        let ids: HashMap<Vec<u8>, TokenId> = tokens.ranked().map(|(id, bytes, _)| (bytes.to_vec(), id)).collect();
        let mut merges = Merges::new();
        for (token, bytes, rank) in tokens.ranked() {
            for at in 1..bytes.len() {
                let (left, right) = bytes.split_at(at);
                if let (Some(&left), Some(&right)) = (ids.get(left), ids.get(right)) {
                    merges.insert((left, right), Merge { rank, token });
                }
            }
        }
        Self { tokens, ids, merges }
    }

    /// The data that this encodes with.
    pub const fn tokens(&self) -> &ScoredTokens {
        &self.tokens
    }

    /// The bytes of a token.
    pub fn token_bytes(&self, id: TokenId) -> Option<&[u8]> {
        self.tokens.tokens().get(id as usize).map(Vec::as_slice)
    }

    /// What a token is called that no text has.
    pub fn name(&self, id: TokenId) -> Option<&'static str> {
        let is_of_text = self.tokens.ranks().get(id as usize)?.is_some() || self.tokens.bytes().contains(&Some(id));
        ["<unk>", "<s>", "</s>"].get(id as usize).copied().filter(|_| !is_of_text)
    }

    /// The ids of `text`.
    ///
    /// # Errors
    /// A character has no token, nor has one of its bytes.
    pub fn encode(&self, text: &str) -> Result<Vec<TokenId>, TokenizerError> {
        let mut out = Vec::new();
        if text.is_empty() {
            return Ok(out);
        }
        let mut symbols = Vec::with_capacity(text.len() + 1);
        let prefix = self.tokens.has_dummy_prefix().then_some((0, ' '));
        let mut buffer = [0; 4];
        for (at, character) in prefix.into_iter().chain(text.char_indices()) {
            let bytes = character.encode_utf8(&mut buffer).as_bytes();
            if let Some(&id) = self.ids.get(bytes) {
                symbols.push(id);
                continue;
            }
            for &byte in bytes {
                let id = self.tokens.bytes()[usize::from(byte)];
                symbols.push(id.ok_or_else(|| TokenizerError::unrepresentable(text, at))?);
            }
        }
        Merger::default().merge(&self.merges, symbols.into_iter(), &mut out);
        Ok(out)
    }

    /// The bytes of `ids`, without the space that a text begins with. The ids have tokens.
    pub fn decode(&self, ids: &[TokenId]) -> Vec<u8> {
        let mut bytes: Vec<u8> = ids.iter().filter_map(|&id| self.token_bytes(id)).flatten().copied().collect();
        if self.tokens.has_dummy_prefix() && bytes.starts_with(b" ") {
            bytes.remove(0);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::tokenizer_bin::tests::file;
    use super::super::tokenizer_bin::{FIRST_BYTE, FIRST_PIECE, read};
    use super::*;

    fn scored(pieces: &[&str]) -> Scored {
        Scored::new(read(&file(pieces)).unwrap())
    }

    #[test]
    fn the_highest_score_merges_first_wherever_it_stands() {
        let scored = scored(&["bc", "ab", " a", "abc", "a", "b", "c", " "]);
        let encode = |text| scored.encode(text).unwrap();
        let piece = |index: TokenId| FIRST_PIECE + index;
        // Not `ab` and `c`: `bc` is the better pair.
        assert_eq!(encode("abc"), [piece(2), piece(0)]);
        assert_eq!(encode("cab"), [piece(7), piece(6), piece(1)]);
        assert_eq!(encode(""), [0; 0]);
        assert_eq!(encode("x\n"), [piece(7), 3 + 0x78, 3 + 0x0a]);
        assert_eq!(encode("é"), [piece(7), 3 + 0xc3, 3 + 0xa9]);
        for text in ["abc", " abc", "x\n", "é日", "<0x41>", "<s>"] {
            assert_eq!(scored.decode(&encode(text)), text.as_bytes(), "{text}");
            let with_bos: Vec<TokenId> = [1].into_iter().chain(encode(text)).collect();
            assert_eq!(scored.decode(&with_bos), text.as_bytes(), "{text}");
        }
    }

    #[test]
    fn text_makes_no_token_that_is_not_its_own() {
        let scored = scored(&["<", "0", "x", "4", "1", ">", "<0", "<0x", "<0x4", "<0x41", "41", "1>"]);
        let ids = scored.encode("<0x41>").unwrap();
        assert!(ids.iter().all(|&id| id >= FIRST_PIECE || id == FIRST_BYTE + 0x20));
    }

    #[test]
    fn a_character_that_not_even_bytes_spell_is_named() {
        let mut bytes = [None; 256];
        bytes[usize::from(b'a')] = Some(0);
        let tokens = ScoredTokens::new(vec![b"a".to_vec()], vec![None], bytes, false).unwrap();
        let scored = Scored::new(tokens);
        assert_eq!(scored.encode("aa"), Ok(vec![0, 0]));
        assert_eq!(scored.encode("a é"), Err(TokenizerError::unrepresentable("a é", 1)));
        assert_eq!(scored.decode(&[0]), b"a");
    }
}
