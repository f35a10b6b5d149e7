//! Bytes in a row that stand for characters without a token: text if all of them together are.

use crate::part::part;
use core::fmt::{Result, Write};

/// Bytes that wait for the end of their row, at most.
const MOST: usize = 128;

/// A row of bytes under way.
///
/// A row that is UTF-8 is that text, and of any other each byte is U+FFFD. So nothing of it is certain before it ends or goes
/// wrong; but of a row of more than [`MOST`] bytes the characters that came are taken for certain.
#[derive(Clone, Debug)]
pub(super) struct ByteRun {
    bytes: [u8; MOST + 1],
    n: u8,
    is_wrong: bool,
}

impl ByteRun {
    pub const fn new() -> Self {
        Self { bytes: [0; MOST + 1], n: 0, is_wrong: false }
    }

    /// Whether the bytes that wait are whole characters.
    pub fn is_whole(&self) -> bool {
        core::str::from_utf8(self.held()).is_ok()
    }

    /// Adds a byte, and writes what is certain now.
    pub fn push(&mut self, byte: u8, out: &mut (impl Write + ?Sized)) -> Result {
        if self.is_wrong {
            return out.write_char(char::REPLACEMENT_CHARACTER);
        }
        if let Some(place) = self.bytes.get_mut(usize::from(self.n)) {
            *place = byte;
            self.n += 1;
        }
        match core::str::from_utf8(self.held()) {
            Err(error) if error.error_len().is_some() => {
                self.is_wrong = true;
                self.write_wrong(out)
            }
            _ if usize::from(self.n) > MOST => self.release(out),
            _ => Ok(()),
        }
    }

    /// Ends the row: another token comes, or none.
    pub fn finish(&mut self, out: &mut (impl Write + ?Sized)) -> Result {
        self.is_wrong = false;
        match core::str::from_utf8(self.held()) {
            Ok(text) => {
                out.write_str(text)?;
                self.n = 0;
                Ok(())
            }
            Err(_) => self.write_wrong(out),
        }
    }

    fn held(&self) -> &[u8] {
        part(&self.bytes, ..usize::from(self.n))
    }

    fn write_wrong(&mut self, out: &mut (impl Write + ?Sized)) -> Result {
        (0..core::mem::take(&mut self.n)).try_for_each(|_| out.write_char(char::REPLACEMENT_CHARACTER))
    }

    /// Writes the characters that are whole, and keeps the start of the last.
    fn release(&mut self, out: &mut (impl Write + ?Sized)) -> Result {
        let held = self.bytes;
        let mut chunks = part(&held, ..usize::from(self.n)).utf8_chunks();
        let Some(chunk) = chunks.next() else { return Ok(()) };
        out.write_str(chunk.valid())?;
        self.n = 0;
        for (place, &byte) in self.bytes.iter_mut().zip(chunk.invalid()) {
            *place = byte;
            self.n += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    fn through(bytes: &[u8]) -> String {
        let (mut run, mut out) = (ByteRun::new(), String::new());
        for &byte in bytes {
            run.push(byte, &mut out).unwrap();
        }
        run.finish(&mut out).unwrap();
        assert!(run.is_whole() && run.n == 0);
        out
    }

    #[test]
    fn a_row_is_text_as_a_whole_or_not_at_all() {
        assert_eq!(through("a é日𝄞".as_bytes()), "a é日𝄞");
        assert_eq!(through(b""), "");
        for wrong in [&b"ab\xC3"[..], b"a\xFFb", b"\xE6\x97x", b"\xC3\xA9\x80\xC3\xA9"] {
            assert_eq!(through(wrong), "\u{fffd}".repeat(wrong.len()));
        }
    }

    #[test]
    fn a_long_row_lets_its_characters_go() {
        for text in ["日本", "a", "é𝄞", "xé"] {
            let text = text.repeat(60);
            assert_eq!(through(text.as_bytes()), text);
        }
        let wrong = |before| [&[b'a'].repeat(before)[..], b"\xFF"].concat();
        assert_eq!(through(&wrong(MOST)), "\u{fffd}".repeat(MOST + 1));
        assert_eq!(through(&wrong(MOST + 1)), "a".repeat(MOST + 1) + "\u{fffd}");
    }
}
