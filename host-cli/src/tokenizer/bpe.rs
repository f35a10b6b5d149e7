//! Encoding with byte pairs, through the `tokenizers` crate.

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer};

use super::byte_pairs::BytePairs;
use super::{TokenizerError, byte_level};
use crate::shown;
use emberlm_core::config::TokenId;

/// Bytes of text that are encoded at a time: the crate's records of a piece are some thirty times its text.
const CHUNK_BYTES: usize = 64 * 1024;

/// An encoder for [`BytePairs`].
pub struct Bpe {
    pairs: BytePairs,
    tokenizer: Tokenizer,
    /// Whether text may be cut before a line feed, which no special token may span.
    cuts: bool,
}

impl Bpe {
    /// Prepares `pairs` for encoding.
    ///
    /// # Errors
    /// A special token reads like an ordinary one in the byte alphabet.
    pub fn new(pairs: BytePairs) -> Result<Self, TokenizerError> {
        let broken = |why: String| TokenizerError::Broken { origin: "byte pairs".into(), why };
        // Special tokens are found in the text itself, so they are spelled as text and not in the byte alphabet.
        let specials: Vec<(TokenId, &str)> = pairs
            .specials()
            .into_iter()
            .filter_map(|id| Some((id, std::str::from_utf8(&pairs.tokens()[id as usize]).ok()?)))
            .collect();
        let names: Vec<String> = pairs.tokens().iter().map(|bytes| byte_level::to_text(bytes)).collect();
        let mut vocab: Vocab =
            (0..).zip(&names).filter(|(_, name)| !name.is_empty()).map(|(id, name)| (name.clone(), id)).collect();
        for &(id, text) in &specials {
            vocab.remove(&names[id as usize]);
            if vocab.insert(text.to_owned(), id).is_some() {
                return Err(broken(format!(
                    "the special token \"{}\" is spelled like another token",
                    shown::value(text)
                )));
            }
        }
        let merges = pairs
            .merges()
            .iter()
            .map(|&(left, right)| (names[left as usize].clone(), names[right as usize].clone()))
            .collect();
        let bpe = BPE::builder().vocab_and_merges(vocab, merges).build().map_err(|error| broken(error.to_string()))?;
        let mut tokenizer = Tokenizer::new(bpe);
        tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, false, true)));
        tokenizer
            .add_special_tokens(specials.iter().map(|&(_, text)| AddedToken::from(text, true)))
            .map_err(|error| broken(error.to_string()))?;
        let cuts = !specials.iter().any(|(_, text)| text.contains('\n'));
        Ok(Self { pairs, tokenizer, cuts })
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
        let mut ids = Vec::with_capacity(text.len() / 3);
        let mut start = 0;
        while start < text.len() {
            let end = if self.cuts { start + cut_len(&text[start..]) } else { text.len() };
            let encoding = self
                .tokenizer
                .encode_fast(&text[start..end], false)
                .map_err(|error| TokenizerError::Failed(error.to_string()))?;
            self.check_whole(text, start..end, encoding.get_ids())?;
            ids.extend_from_slice(encoding.get_ids());
            start = end;
        }
        Ok(ids)
    }

    /// The crate drops bytes that are no token without a word, so the ids must spell the text again.
    fn check_whole(&self, text: &str, range: std::ops::Range<usize>, ids: &[TokenId]) -> Result<(), TokenizerError> {
        let spelled = ids.iter().flat_map(|&id| self.token_bytes(id).unwrap_or_default());
        let piece = &text.as_bytes()[range.clone()];
        let same = spelled.zip(piece).take_while(|(a, b)| a == b).count();
        if same == piece.len() {
            return Ok(());
        }
        Err(TokenizerError::unrepresentable(text, text.floor_char_boundary(range.start + same)))
    }
}

/// How many bytes of `text` to encode on their own: about [`CHUNK_BYTES`], up to a line feed that follows a character
/// other than white space. No token of GPT-2's pattern spans that place and none looks across it.
fn cut_len(text: &str) -> usize {
    let mut from = text.floor_char_boundary(CHUNK_BYTES);
    while let Some(found) = text[from..].find('\n') {
        let at = from + found;
        match text[..at].chars().next_back() {
            Some(before) if !before.is_whitespace() => return at,
            _ => from = at + 1,
        }
    }
    text.len()
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
        tokens.push(b"<|end|>".to_vec());
        Bpe::new(BytePairs::new(tokens, pairs).unwrap()).unwrap()
    }

    #[test]
    fn pairs_merge_by_rank_within_the_pieces_of_the_pattern() {
        let bpe = bpe(&[("a", "b"), (" ", "ab"), ("b", "c")]);
        assert_eq!(bpe.encode("abc bc").unwrap(), [256, 99, 32, 258]);
        assert_eq!(bpe.encode("x ab").unwrap(), [120, 257]);
    }

    #[test]
    fn special_tokens_are_matched_as_they_stand() {
        let bpe = bpe(&[("a", "b")]);
        assert_eq!(bpe.encode("ab<|end|>é").unwrap(), [256, 257, 0xc3, 0xa9]);
        assert_eq!(bpe.encode("<|end|").unwrap(), b"<|end|".map(TokenId::from));
    }

    #[test]
    fn a_long_text_is_cut_without_a_trace() {
        let bpe = bpe(&[("a", "b"), ("\n", "\n"), (" ", "ab")]);
        let text = " abc\n\n  x\nab \n".repeat(3 * CHUNK_BYTES / 14);
        let whole = bpe.tokenizer.encode_fast(text.as_str(), false).unwrap();
        assert!(cut_len(&text) < text.len() / 2);
        assert_eq!(bpe.encode(&text).unwrap(), whole.get_ids());
    }

    #[test]
    fn a_missing_byte_is_named_with_its_place() {
        let tokens = ["a", "b", "\n", "\u{e9}"].iter().map(|t| t.as_bytes().to_vec()).collect();
        let bpe = Bpe::new(BytePairs::new(tokens, vec![]).unwrap()).unwrap();
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
