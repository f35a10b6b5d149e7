//! Tokens to text, one by one.

#[cfg(feature = "ranked-tokenizer")]
use super::byte_run::ByteRun;
#[cfg(feature = "ranked-tokenizer")]
use super::ranked::{Ranked, Unit};
use super::{DecodeError, Tokenizer};
use crate::config::TokenId;
use crate::features::SCORED_TOKENIZER;
use crate::part::part;
use core::fmt;

/// Turns a stream of tokens into text.
///
/// A token's bytes that end inside a character wait for the rest of it. Bytes that are no UTF-8 become U+FFFD as
/// `String::from_utf8_lossy` has it: all that was written, [`Decoder::finish`] included, is what it makes of the tokens'
/// bytes joined. The [dummy prefix](Tokenizer::has_dummy_prefix), a space that a text begins with, is left out.
///
/// Where characters without a token are spelled by tokens of their bytes, as in a [`Kind::RankedBpe`](super::Kind::RankedBpe)
/// of characters, such tokens in a row are text if all of them together are UTF-8, and else each is U+FFFD: they wait for the
/// token behind them, up to 128 bytes. More are taken for text as far as they are.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    tokenizer: Tokenizer<'a>,
    /// The start of a character whose end is to come, and the number of its bytes, at most 3.
    pending: [u8; 4],
    n_pending: u8,
    /// Whether nothing of the text has come yet.
    is_at_start: bool,
    #[cfg(feature = "ranked-tokenizer")]
    run: ByteRun,
    /// Spaces that are left out if they come next.
    #[cfg(feature = "ranked-tokenizer")]
    strips: u8,
}

impl<'a> Decoder<'a> {
    /// A decoder at the start of a text.
    pub const fn new(tokenizer: Tokenizer<'a>) -> Self {
        Self {
            tokenizer,
            pending: [0; 4],
            n_pending: 0,
            is_at_start: true,
            #[cfg(feature = "ranked-tokenizer")]
            run: ByteRun::new(),
            #[cfg(feature = "ranked-tokenizer")]
            strips: 0,
        }
    }

    /// A decoder for what follows `prompt`. It is at the start of a text where the prompt is empty or stands for no text, as
    /// a token for the beginning does, or any that is added as a special one.
    pub fn after(tokenizer: Tokenizer<'a>, prompt: &[TokenId]) -> Self {
        #[cfg(feature = "ranked-tokenizer")]
        if let Some(ranked) = tokenizer.ranked() {
            let is_at_start = prompt.iter().all(|&token| ranked.is_special(token));
            return Self { is_at_start, ..Self::new(tokenizer) };
        }
        let has_text = |&token: &TokenId| tokenizer.token_bytes(token, &mut [0; 4]).is_none_or(|text| !text.is_empty());
        Self { is_at_start: !prompt.iter().any(has_text), ..Self::new(tokenizer) }
    }

    /// Writes the text that is certain with `token`; it may be empty.
    ///
    /// # Errors
    /// The id stands for no text: nothing has changed. Or `out` fails: what it took stays written, and the decoder is at the
    /// start of a text.
    pub fn push(&mut self, token: TokenId, out: &mut (impl fmt::Write + ?Sized)) -> Result<(), DecodeError> {
        let tokenizer = self.tokenizer;
        let mut buffer = [0; 4];
        let mut bytes = tokenizer.token_bytes(token, &mut buffer).ok_or(DecodeError::UnknownToken(token))?;
        #[cfg(feature = "ranked-tokenizer")]
        if let Some(ranked) = tokenizer.ranked().filter(|ranked| ranked.rules().unit == Unit::Characters) {
            return self.push_characters(ranked, token, bytes, out).map_err(|error| {
                *self = Self::new(tokenizer);
                error.into()
            });
        }
        if SCORED_TOKENIZER && self.is_at_start && !bytes.is_empty() {
            self.is_at_start = false;
            if tokenizer.has_dummy_prefix() {
                bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
            }
        }
        self.push_bytes(bytes, out).inspect_err(|_| {
            self.n_pending = 0;
            self.is_at_start = true;
        })?;
        Ok(())
    }

    /// Writes what waits for a rest that does not come, and is ready for another text.
    ///
    /// # Errors
    /// `out` fails.
    pub fn finish(&mut self, out: &mut (impl fmt::Write + ?Sized)) -> fmt::Result {
        self.is_at_start = true;
        #[cfg(feature = "ranked-tokenizer")]
        {
            let strips = core::mem::take(&mut self.strips);
            let mut run = core::mem::replace(&mut self.run, ByteRun::new());
            run.finish(&mut Stripped { out, left: strips, all: false })?;
        }
        self.write_pending(out)
    }

    /// Writes what is certain with a token of characters, or of a byte in place of one.
    #[cfg(feature = "ranked-tokenizer")]
    fn push_characters(
        &mut self,
        ranked: &Ranked<'_>,
        token: TokenId,
        text: &[u8],
        out: &mut (impl fmt::Write + ?Sized),
    ) -> fmt::Result {
        let rules = ranked.rules();
        let is_first = core::mem::take(&mut self.is_at_start);
        if is_first {
            self.strips = rules.strips;
        }
        let mut out = Stripped { out, left: self.strips, all: false };
        if let Some(byte) = ranked.byte_of(token) {
            self.run.push(byte, &mut out)?;
        } else {
            self.run.finish(&mut out)?;
            out.all = is_first && rules.drops_first_spaces;
            // A token that is no byte is text.
            fmt::Write::write_str(&mut out, core::str::from_utf8(text).unwrap_or_default())?;
        }
        self.strips = out.left;
        Ok(())
    }

    fn write_pending(&mut self, out: &mut (impl fmt::Write + ?Sized)) -> fmt::Result {
        if core::mem::take(&mut self.n_pending) > 0 { out.write_char(char::REPLACEMENT_CHARACTER) } else { Ok(()) }
    }

    /// Whether the tokens so far end with a whole character.
    pub fn is_whole(&self) -> bool {
        #[cfg(feature = "ranked-tokenizer")]
        if !self.run.is_whole() {
            return false;
        }
        self.n_pending == 0
    }

    fn push_bytes(&mut self, mut bytes: &[u8], out: &mut (impl fmt::Write + ?Sized)) -> fmt::Result {
        while self.n_pending > 0 {
            let Some((&byte, rest)) = bytes.split_first() else { return Ok(()) };
            let Some(place) = self.pending.get_mut(usize::from(self.n_pending)) else { return self.write_pending(out) };
            *place = byte;
            match core::str::from_utf8(part(&self.pending, ..=usize::from(self.n_pending))) {
                Ok(text) => {
                    out.write_str(text)?;
                    self.n_pending = 0;
                }
                Err(error) if error.error_len().is_none() => self.n_pending += 1,
                // The bytes before were a character's start, so it is this one that does not go on with it.
                Err(_) => {
                    self.write_pending(out)?;
                    break;
                }
            }
            bytes = rest;
        }
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            out.write_str(chunk.valid())?;
            let invalid = chunk.invalid();
            match core::str::from_utf8(invalid) {
                Ok(_) => {}
                // Only at the token's end can the rest of a character still come.
                Err(error) if error.error_len().is_none() && chunks.peek().is_none() => {
                    for (place, &byte) in self.pending.iter_mut().zip(invalid) {
                        *place = byte;
                    }
                    self.n_pending = invalid.len() as u8;
                }
                Err(_) => out.write_char(char::REPLACEMENT_CHARACTER)?,
            }
        }
        Ok(())
    }
}

/// A writer without the spaces that a text begins with.
#[cfg(feature = "ranked-tokenizer")]
struct Stripped<'o, W: ?Sized> {
    out: &'o mut W,
    /// Spaces that are left out if they come next.
    left: u8,
    /// Whether all spaces are left out.
    all: bool,
}

#[cfg(feature = "ranked-tokenizer")]
impl<W: fmt::Write + ?Sized> fmt::Write for Stripped<'_, W> {
    fn write_str(&mut self, mut text: &str) -> fmt::Result {
        if self.all {
            return text.chars().filter(|&c| c != ' ').try_for_each(|c| {
                self.left = 0;
                self.out.write_char(c)
            });
        }
        while let Some(rest) = text.strip_prefix(' ').filter(|_| self.left > 0) {
            (text, self.left) = (rest, self.left - 1);
        }
        if text.is_empty() {
            return Ok(());
        }
        self.left = 0;
        self.out.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::{Kind, TokenizerHead};
    use std::string::String;

    #[test]
    fn bytes_in_any_pieces_become_what_they_are_together() {
        let head =
            TokenizerHead { kind: Kind::Chars, n_tokens: 0, n_merges: 0, text_bytes: 0, n_specials: 0, n_slots: 0 };
        let mut section = [0; TokenizerHead::BYTES];
        postcard::to_slice(&head, &mut section).unwrap();
        let tokenizer = Tokenizer::open(&section, 1).unwrap();
        for text in ["é日𝄞 x".as_bytes(), b"a\xFFb", b"\xE6\x97", b"\xE6\x97x\xF0\x9D\x84", b"\xC3\xC3\xA9\xED\xA0\x80"]
        {
            for size in 1..=text.len() {
                let (mut decoder, mut out) = (Decoder::new(tokenizer), String::new());
                for piece in text.chunks(size) {
                    decoder.push_bytes(piece, &mut out).unwrap();
                }
                decoder.finish(&mut out).unwrap();
                assert_eq!(out, String::from_utf8_lossy(text), "{size}");
            }
        }
    }

    /// Takes so many pieces.
    struct Full(usize, String);

    impl fmt::Write for Full {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 = self.0.checked_sub(1).ok_or(fmt::Error)?;
            self.1.push_str(text);
            Ok(())
        }
    }

    #[test]
    fn a_writer_that_fails_ends_the_text() {
        let [a, e, clef] = ['a', 'é', '𝄞'].map(u32::from);
        let head =
            TokenizerHead { kind: Kind::Chars, n_tokens: 3, n_merges: 0, text_bytes: 0, n_specials: 0, n_slots: 0 };
        let mut section = std::vec![0; TokenizerHead::BYTES];
        postcard::to_slice(&head, &mut section).unwrap();
        section.extend([a, e, clef, 0, 1, 2].iter().flat_map(|word| word.to_le_bytes()));
        let tokenizer = Tokenizer::open(&section, 3).unwrap();
        for start in [&b""[..], b"\xF0", b"\xF0\x9D\x84", b"\xC3"] {
            let (mut decoder, mut full) = (Decoder::new(tokenizer), Full(0, String::new()));
            decoder.push_bytes(start, &mut String::new()).unwrap();
            assert_eq!(decoder.push(1, &mut full), Err(DecodeError::Write));
            assert!(full.1.is_empty() && decoder.is_whole());
            let mut out = String::new();
            decoder.push(2, &mut out).unwrap();
            assert_eq!(out, "𝄞");
        }
    }
}
