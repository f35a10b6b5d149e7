//! Text to tokens with byte pairs: special tokens, then pieces of GPT-2's pattern, then merges.

use super::byte_pairs::BytePairs;
use super::output::Output;
use super::{EncodeError, first_piece_len};
use crate::config::TokenId;
use crate::part::missing;

/// See [`Tokenizer::encode`](super::Tokenizer::encode).
pub(super) fn encode(pairs: &BytePairs<'_>, text: &str, out: &mut [TokenId]) -> Result<usize, EncodeError> {
    let mut output = Output::new(out);
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
    output.finish()
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
        output.push_merged(pairs.pairs(), piece.len(), |tokens| spell(pairs, piece, start, tokens))?;
        start += piece.len();
        text = rest;
    }
    Ok(())
}

/// The tokens of single bytes.
fn spell(pairs: &BytePairs<'_>, piece: &str, start: usize, tokens: &mut [TokenId]) -> Result<usize, EncodeError> {
    for ((at, byte), place) in piece.bytes().enumerate().zip(tokens) {
        *place = pairs.byte_token(byte).ok_or_else(|| {
            let at = piece.floor_char_boundary(at);
            let c = piece.get(at..).and_then(|rest| rest.chars().next()).unwrap_or(char::REPLACEMENT_CHARACTER);
            EncodeError::Character { c, offset: start + at }
        })?;
    }
    Ok(piece.len())
}
