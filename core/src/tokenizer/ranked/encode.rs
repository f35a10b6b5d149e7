//! Pieces to tokens.

use super::super::EncodeError;
use super::super::output::Output;
use super::Ranked;
use super::added::Part;
use super::cut::{cut_part, cut_raw};
use super::piece::Piece;
use super::rules::Unit;
use crate::config::TokenId;
use crate::part::put;

impl Ranked<'_> {
    pub(in super::super) fn encode(&self, text: &str, out: &mut [TokenId]) -> Result<usize, EncodeError> {
        let mut output = Output::new(out);
        let mut each = |part: Part<'_>| match part {
            Part::Token(token) => {
                output.push(&[token]);
                Ok(())
            }
            Part::Text(piece) => self.encode_piece(piece, &mut output),
        };
        cut_raw(text, self, &mut |part| match part {
            Part::Text(part) => cut_part(part.text(), part.start(), &self.rules, self, &mut each),
            token => each(token),
        })?;
        output.finish()
    }

    fn encode_piece(&self, piece: Piece<'_>, output: &mut Output<'_>) -> Result<(), EncodeError> {
        let [_, stand_in] = self.rules.stand_ins();
        if self.rules.ignores_merges
            && let Some(token) = self.token_of(|text| compare(piece, stand_in, text))
        {
            output.push(&[token]);
            return Ok(());
        }
        output.push_merged(self.pairs(), piece.len(), |tokens| match self.rules.unit {
            Unit::Bytes => self.spell_bytes(piece, tokens),
            Unit::Characters => self.spell_characters(piece, stand_in, tokens),
        })
    }

    /// The tokens of single bytes.
    fn spell_bytes(&self, piece: Piece<'_>, tokens: &mut [TokenId]) -> Result<usize, EncodeError> {
        let mut n = 0;
        for (end, c) in piece.chars(None) {
            for &byte in c.encode_utf8(&mut [0; 4]).as_bytes() {
                put(tokens, n, self.byte_token(byte).ok_or_else(|| missing(piece, end, c))?);
                n += 1;
            }
        }
        Ok(n)
    }

    /// The tokens of characters, of the bytes of those that have none, or the one for what is unknown. That one comes behind
    /// the bytes that follow it.
    fn spell_characters(
        &self,
        piece: Piece<'_>,
        stand_in: Option<char>,
        tokens: &mut [TokenId],
    ) -> Result<usize, EncodeError> {
        let (mut n, mut pending) = (0, None);
        let mut push = |token: TokenId| {
            put(tokens, n, token);
            n += 1;
        };
        for (end, c) in piece.chars(stand_in) {
            let mut buffer = [0; 4];
            let bytes: &[u8] = c.encode_utf8(&mut buffer).as_bytes();
            if let Some(token) = self.token_of_char(c) {
                if let Some(unknown) = pending.take() {
                    push(unknown);
                }
                push(token);
            } else if bytes.iter().all(|&byte| self.byte_token(byte).is_some()) {
                bytes.iter().filter_map(|&byte| self.byte_token(byte)).for_each(&mut push);
            } else {
                let unknown = self.rules.unknown.ok_or_else(|| missing(piece, end, c))?;
                if let Some(before) = pending.replace(unknown).filter(|_| !self.rules.fuses_unknown) {
                    push(before);
                }
            }
        }
        if let Some(unknown) = pending {
            push(unknown);
        }
        Ok(n)
    }
}

/// How a piece compares with a text.
fn compare(piece: Piece<'_>, stand_in: Option<char>, text: &[u8]) -> core::cmp::Ordering {
    let mut left = text.iter();
    for (_, c) in piece.chars(stand_in) {
        for byte in c.encode_utf8(&mut [0; 4]).as_bytes() {
            match left.next().map(|other| byte.cmp(other)) {
                Some(core::cmp::Ordering::Equal) => {}
                Some(order) => return order,
                None => return core::cmp::Ordering::Greater,
            }
        }
    }
    if left.next().is_some() { core::cmp::Ordering::Less } else { core::cmp::Ordering::Equal }
}

/// Nothing stands for a character that ends at `end` of a piece.
fn missing(piece: Piece<'_>, end: usize, c: char) -> EncodeError {
    let before = end.saturating_sub(usize::from(piece.has_prefix())).saturating_sub(c.len_utf8());
    EncodeError::Character { c, offset: piece.start().saturating_add(before) }
}
