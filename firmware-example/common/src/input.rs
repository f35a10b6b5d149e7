//! Lines that a person types.

use core::fmt;

/// Where a person types: a board's console, the other way.
pub trait Input {
    /// Waits for the next byte; `None` where no more will come.
    ///
    /// # Errors
    /// The console failed.
    fn read_byte(&mut self) -> Result<Option<u8>, fmt::Error>;

    /// Has all that was written seen, where it would wait for more.
    ///
    /// # Errors
    /// The console failed.
    fn show(&mut self) -> fmt::Result {
        Ok(())
    }
}

/// Bytes of a line, at most, its end excluded.
pub const MAX_LINE: usize = 256;

/// A line that was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line<'l> {
    /// Its bytes, without the end.
    Typed(&'l [u8]),
    /// It was longer than [`MAX_LINE`]; all of it is gone.
    TooLong,
    /// No more lines come.
    End,
}

/// Reads a line that ends with a line feed, a carriage return and a line feed, or with the input.
pub(crate) fn read_line<'l>(input: &mut impl Input, buffer: &'l mut [u8; MAX_LINE]) -> Result<Line<'l>, fmt::Error> {
    let mut len = 0;
    loop {
        match input.read_byte()? {
            None if len == 0 => return Ok(Line::End),
            None | Some(b'\n') => break,
            Some(byte) => {
                if let Some(place) = buffer.get_mut(len) {
                    *place = byte;
                }
                len += 1;
            }
        }
    }
    Ok(match buffer.get(..len) {
        Some(line) => Line::Typed(line.strip_suffix(b"\r").unwrap_or(line)),
        None => Line::TooLong,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Typed<'t>(&'t [u8]);

    impl Input for Typed<'_> {
        fn read_byte(&mut self) -> Result<Option<u8>, fmt::Error> {
            let first = self.0.split_first();
            Ok(first.map(|(&byte, rest)| {
                self.0 = rest;
                byte
            }))
        }
    }

    #[test]
    fn lines() {
        let long = [b'x'; MAX_LINE + 1];
        let typed = [&b"one\r\n\n"[..], &long[1..], b"\n", &long, b"\n\xFF\nlast"].concat();
        let (mut input, mut buffer) = (Typed(&typed), [0; MAX_LINE]);
        for want in [
            Line::Typed(b"one"),
            Line::Typed(b""),
            Line::Typed(&long[1..]),
            Line::TooLong,
            Line::Typed(b"\xFF"),
            Line::Typed(b"last"),
            Line::End,
        ] {
            assert_eq!(read_line(&mut input, &mut buffer), Ok(want));
        }
    }
}
