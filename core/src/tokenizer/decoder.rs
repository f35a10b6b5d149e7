//! Tokens to text, one by one.

use super::{DecodeError, Tokenizer};
use crate::config::TokenId;
use core::fmt;

/// Turns a stream of tokens into text.
///
/// A token's bytes that end inside a character wait for the rest of it. Bytes that are no UTF-8 become U+FFFD as
/// `String::from_utf8_lossy` has it: all that was written, [`Decoder::finish`] included, is what it makes of the tokens'
/// bytes joined.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    tokenizer: Tokenizer<'a>,
    /// The start of a character whose end is to come, and the number of its bytes, at most 3.
    pending: [u8; 4],
    n_pending: usize,
}

impl<'a> Decoder<'a> {
    /// A decoder at the start of a text.
    pub const fn new(tokenizer: Tokenizer<'a>) -> Self {
        Self { tokenizer, pending: [0; 4], n_pending: 0 }
    }

    /// Writes the text that is certain with `token`; it may be empty.
    ///
    /// # Errors
    /// The id stands for no text (nothing has changed then), or `out` fails.
    pub fn push(&mut self, token: TokenId, out: &mut (impl fmt::Write + ?Sized)) -> Result<(), DecodeError> {
        let tokenizer = self.tokenizer;
        let mut buffer = [0; 4];
        let bytes = tokenizer.token_bytes(token, &mut buffer).ok_or(DecodeError::UnknownToken(token))?;
        Ok(self.push_bytes(bytes, out)?)
    }

    /// Writes what waits for a rest that does not come, and is ready for another text.
    ///
    /// # Errors
    /// `out` fails.
    pub fn finish(&mut self, out: &mut (impl fmt::Write + ?Sized)) -> fmt::Result {
        if core::mem::take(&mut self.n_pending) > 0 { out.write_char(char::REPLACEMENT_CHARACTER) } else { Ok(()) }
    }

    /// Whether the tokens so far end with a whole character.
    pub const fn is_whole(&self) -> bool {
        self.n_pending == 0
    }

    fn push_bytes(&mut self, mut bytes: &[u8], out: &mut (impl fmt::Write + ?Sized)) -> fmt::Result {
        while self.n_pending > 0 {
            let Some((&byte, rest)) = bytes.split_first() else { return Ok(()) };
            let Some(place) = self.pending.get_mut(self.n_pending) else { return self.finish(out) };
            *place = byte;
            match core::str::from_utf8(self.pending.get(..=self.n_pending).unwrap_or_default()) {
                Ok(text) => {
                    out.write_str(text)?;
                    self.n_pending = 0;
                }
                Err(error) if error.error_len().is_none() => self.n_pending += 1,
                // The bytes before were a character's start, so it is this one that does not go on with it.
                Err(_) => {
                    self.finish(out)?;
                    break;
                }
            }
            bytes = rest;
        }
        for chunk in bytes.utf8_chunks() {
            out.write_str(chunk.valid())?;
            let invalid = chunk.invalid();
            match core::str::from_utf8(invalid) {
                Ok(_) => {}
                Err(error) if error.error_len().is_none() => {
                    for (place, &byte) in self.pending.iter_mut().zip(invalid) {
                        *place = byte;
                    }
                    self.n_pending = invalid.len();
                }
                Err(_) => out.write_char(char::REPLACEMENT_CHARACTER)?,
            }
        }
        Ok(())
    }
}
