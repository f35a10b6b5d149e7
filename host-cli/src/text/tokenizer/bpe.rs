//! Encoding with byte pairs: special tokens, then pieces of GPT-2's pattern, then merges.
//!
//! Core does the same on the device, where a heap and a table of pieces have no room.

use std::collections::HashMap;
use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};
use emberlm_core::config::TokenId;
use emberlm_core::tokenizer::first_piece_len;

use super::TokenizerError;
use super::byte_pairs::BytePairs;
use super::merge::{Merge, Merger, Merges};

/// Pieces of a text whose tokens are remembered, at most.
const MAX_SEEN: usize = 1 << 16;

/// The longest piece that is remembered, in bytes.
const MAX_SEEN_BYTES: usize = 64;

/// An encoder for [`BytePairs`].
pub struct Bpe {
    pairs: BytePairs,
    /// The token of each byte.
    bytes: [Option<TokenId>; 256],
    merges: Merges,
    /// Finds special tokens, in their order; `None` where there are none.
    specials: Option<AhoCorasick>,
}

impl Bpe {
    /// Prepares `pairs` for encoding.
    ///
    /// # Errors
    /// There are too many special tokens to look for.
    pub fn new(pairs: BytePairs) -> Result<Self, TokenizerError> {
        let mut bytes = [None; 256];
        for (id, token) in (0..).zip(pairs.tokens()) {
            if let [byte] = token[..] {
                bytes[usize::from(byte)] = Some(id);
            }
        }
        let ranked = (0..).zip(pairs.merges().iter().zip(pairs.merged()));
        let merges = ranked.map(|(rank, (&pair, &token))| (pair, Merge { rank, token })).collect();
        let texts = pairs.specials().iter().map(|&id| &pairs.tokens()[id as usize]);
        let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(texts);
        let finder = finder.map_err(|error| TokenizerError::Failed(error.to_string()))?;
        let specials = (!pairs.specials().is_empty()).then_some(finder);
        Ok(Self { pairs, bytes, merges, specials })
    }

    /// The data that this encodes with.
    pub const fn pairs(&self) -> &BytePairs {
        &self.pairs
    }

    /// The bytes of `id`, `None` where it has no token.
    pub fn token_bytes(&self, id: TokenId) -> Option<&[u8]> {
        self.pairs.tokens().get(id as usize).map(Vec::as_slice).filter(|bytes| !bytes.is_empty())
    }

    /// The ids of `text`.
    ///
    /// # Errors
    /// A character holds a byte that is no token.
    pub fn encode(&self, text: &str) -> Result<Vec<TokenId>, TokenizerError> {
        let ids = Vec::with_capacity(text.len() / 3);
        let mut encoding = Encoding { bpe: self, text, ids, seen: HashMap::new(), merger: Merger::default() };
        let mut at = 0;
        for found in self.specials.iter().flat_map(|specials| specials.find_iter(text)) {
            encoding.encode_ordinary(at..found.start())?;
            encoding.ids.push(self.pairs.specials()[found.pattern().as_usize()]);
            at = found.end();
        }
        encoding.encode_ordinary(at..text.len())?;
        Ok(encoding.ids)
    }
}

/// A text under way.
struct Encoding<'e> {
    bpe: &'e Bpe,
    text: &'e str,
    ids: Vec<TokenId>,
    /// Where in `ids` the tokens of a piece already are.
    seen: HashMap<&'e str, Range<usize>>,
    merger: Merger,
}

impl Encoding<'_> {
    /// Encodes a range of the text that holds no special token.
    fn encode_ordinary(&mut self, range: Range<usize>) -> Result<(), TokenizerError> {
        let (text, bpe) = (self.text, self.bpe);
        let mut start = range.start;
        while start < range.end {
            let piece = &text[start..range.end];
            let piece = &piece[..first_piece_len(piece)];
            if let Some(known) = self.seen.get(piece) {
                self.ids.extend_from_within(known.clone());
            } else {
                if let Some(missing) = piece.bytes().position(|byte| bpe.bytes[usize::from(byte)].is_none()) {
                    return Err(TokenizerError::unrepresentable(text, text.floor_char_boundary(start + missing)));
                }
                let from = self.ids.len();
                let bytes = piece.bytes().filter_map(|byte| bpe.bytes[usize::from(byte)]);
                self.merger.merge(&bpe.merges, bytes, &mut self.ids);
                if piece.len() <= MAX_SEEN_BYTES && self.seen.len() < MAX_SEEN {
                    self.seen.insert(piece, from..self.ids.len());
                }
            }
            start += piece.len();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Position;
    use super::*;

    /// All bytes, then the named merges, then a special token.
    fn bpe(merges: &[(&str, &str)]) -> Bpe {
        let mut tokens: Vec<Vec<u8>> = (0..=255u8).map(|byte| vec![byte]).collect();
        let mut pairs = Vec::new();
        for (left, right) in merges {
            let id = |part: &str| tokens.iter().position(|t| t == part.as_bytes()).unwrap() as TokenId;
            pairs.push((id(left), id(right)));
            tokens.push([left.as_bytes(), right.as_bytes()].concat());
        }
        let end = tokens.len() as TokenId;
        tokens.push(b"<|end|>".to_vec());
        Bpe::new(BytePairs::new(tokens, pairs, vec![end]).unwrap()).unwrap()
    }

    #[test]
    fn pairs_merge_by_rank_within_the_pieces_of_the_pattern() {
        let bpe = bpe(&[("a", "b"), (" ", "ab"), ("b", "c")]);
        assert_eq!(bpe.encode("abc bc").unwrap(), [256, 99, 32, 258]);
        assert_eq!(bpe.encode("x ab").unwrap(), [120, 257]);
        assert_eq!(bpe.encode("abc abc abc").unwrap(), [256, 99, 257, 99, 257, 99]);
    }

    #[test]
    fn special_tokens_are_matched_as_they_stand() {
        let bpe = bpe(&[("a", "b")]);
        assert_eq!(bpe.encode("ab<|end|>é").unwrap(), [256, 257, 0xc3, 0xa9]);
        assert_eq!(bpe.encode("<|end|").unwrap(), b"<|end|".map(TokenId::from));
    }

    #[test]
    fn the_leftmost_special_token_wins_then_the_longest() {
        let tokens = ["a", "b", "c", "d", "ab", "abc", "bcd"].iter().map(|text| text.as_bytes().to_vec()).collect();
        let bpe = Bpe::new(BytePairs::new(tokens, vec![(0, 1)], vec![5, 4, 6]).unwrap()).unwrap();
        assert_eq!(bpe.encode("abcd").unwrap(), [5, 3]);
        assert_eq!(bpe.encode("dabbcd").unwrap(), [3, 4, 6]);
    }

    #[test]
    fn a_missing_byte_is_named_with_its_place() {
        let tokens = ["a", "b", "\n", "\u{e9}"].iter().map(|t| t.as_bytes().to_vec()).collect();
        let bpe = Bpe::new(BytePairs::new(tokens, vec![], vec![3]).unwrap()).unwrap();
        let error = bpe.encode("ab\na\u{e9}aéz").unwrap_err();
        assert_eq!(
            error,
            TokenizerError::Unrepresentable {
                c: 'z',
                position: Position { line: 2, column: 5, offset: 9 },
                text: None
            }
        );
    }
}
