//! Text to tokens with byte pairs: special tokens, then pieces of GPT-2's pattern, then merges.

use super::byte_pairs::BytePairs;
use super::merge::merge_all;
use super::{EncodeError, first_piece_len};
use crate::config::TokenId;
use crate::part::{missing, part};

/// Bytes of a piece of text, at most, that need no more room than its tokens.
pub const MAX_SHORT_PIECE: usize = 64;

/// The memory for tokens, and how much of it is needed.
struct Output<'o> {
    out: &'o mut [TokenId],
    /// Tokens so far, those for which there is no room included.
    need: usize,
}

impl Output<'_> {
    fn push(&mut self, tokens: &[TokenId]) {
        let end = self.need.saturating_add(tokens.len());
        if let Some(places) = self.out.get_mut(self.need..end) {
            places.copy_from_slice(tokens);
        }
        self.need = end;
    }
}

/// See [`Tokenizer::encode`](super::Tokenizer::encode).
pub(super) fn encode(pairs: &BytePairs<'_>, text: &str, out: &mut [TokenId]) -> Result<usize, EncodeError> {
    let have = out.len();
    let mut output = Output { out, need: 0 };
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let special = pairs.find_special(rest.as_bytes());
        let (len, token) = special.map_or((rest.len(), None), |(len, token)| (len, Some(token)));
        let Some(ordinary) = rest.get(..len) else {
            missing();
            break;
        };
        encode_ordinary(pairs, ordinary, at, &mut output)?;
        at += ordinary.len();
        if let Some(token) = token {
            output.push(&[token]);
            at += pairs.token_bytes(token).map_or(0, <[u8]>::len);
        }
    }
    if output.need > have { Err(EncodeError::TooManyTokens { need: output.need, have }) } else { Ok(output.need) }
}

/// Encodes text without special tokens, which starts at byte `start` of the whole text.
fn encode_ordinary(
    pairs: &BytePairs<'_>,
    mut text: &str,
    mut start: usize,
    output: &mut Output<'_>,
) -> Result<(), EncodeError> {
    while !text.is_empty() {
        let Some((piece, rest)) = text.split_at_checked(first_piece_len(text)) else {
            missing();
            return Ok(());
        };
        let mut short = [0; MAX_SHORT_PIECE];
        if let Some(tokens) = short.get_mut(..piece.len()) {
            spell(pairs, piece, start, tokens)?;
            let n = merge_all(pairs, tokens);
            output.push(part(tokens, ..n));
        } else {
            let end = output.need.saturating_add(piece.len());
            match output.out.get_mut(output.need..end) {
                Some(tokens) => {
                    spell(pairs, piece, start, tokens)?;
                    output.need += merge_all(pairs, tokens);
                }
                None => output.need = end,
            }
        }
        start += piece.len();
        text = rest;
    }
    Ok(())
}

/// The tokens of single bytes.
fn spell(pairs: &BytePairs<'_>, piece: &str, start: usize, tokens: &mut [TokenId]) -> Result<(), EncodeError> {
    for ((at, byte), place) in piece.bytes().enumerate().zip(tokens) {
        *place = pairs.byte_token(byte).ok_or_else(|| {
            let at = piece.floor_char_boundary(at);
            let c = piece.get(at..).and_then(|rest| rest.chars().next()).unwrap_or(char::REPLACEMENT_CHARACTER);
            EncodeError::Character { c, offset: start + at }
        })?;
    }
    Ok(())
}
