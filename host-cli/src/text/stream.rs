//! Text that comes in pieces of bytes: whole characters, up to where a stop string begins.

/// Turns pieces of bytes into text as soon as it is certain: characters wait for all of their bytes, and what may be the
/// start of a stop string waits until it is not.
#[derive(Clone, Debug, Default)]
pub struct TextStream {
    stops: Vec<String>,
    /// The start of a character.
    bytes: Vec<u8>,
    /// Text that may be the start of a stop string.
    held: String,
    stopped: bool,
}

impl TextStream {
    /// A stream that ends before the first of `stops`. Empty ones never come.
    pub fn new(stops: &[String]) -> Self {
        Self { stops: stops.iter().filter(|stop| !stop.is_empty()).cloned().collect(), ..Self::default() }
    }

    /// The text that is certain with `bytes`, U+FFFD for bytes that are not UTF-8.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.bytes.extend_from_slice(bytes);
        let bytes = std::mem::take(&mut self.bytes);
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            self.held.push_str(chunk.valid());
            match std::str::from_utf8(chunk.invalid()) {
                // Only at the end can the rest of a character still come.
                Err(error) if error.error_len().is_none() && chunks.peek().is_none() => {
                    self.bytes = chunk.invalid().to_vec();
                }
                Err(_) => self.held.push(char::REPLACEMENT_CHARACTER),
                Ok(_) => {}
            }
        }
        self.release()
    }

    /// The text that is left when no more bytes come.
    pub fn finish(&mut self) -> String {
        if !std::mem::take(&mut self.bytes).is_empty() {
            self.held.push(char::REPLACEMENT_CHARACTER);
        }
        let text = self.release();
        text + &std::mem::take(&mut self.held)
    }

    /// Whether a stop string has come. Nothing comes after it.
    pub const fn is_stopped(&self) -> bool {
        self.stopped
    }

    fn release(&mut self) -> String {
        if self.stopped {
            self.held.clear();
        }
        if let Some(at) = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min() {
            self.stopped = true;
            self.held.truncate(at);
            return std::mem::take(&mut self.held);
        }
        let may_start = |&at: &usize| self.stops.iter().any(|stop| stop.starts_with(&self.held[at..]));
        let certain = self.held.char_indices().map(|(at, _)| at).find(may_start).unwrap_or(self.held.len());
        let rest = self.held.split_off(certain);
        std::mem::replace(&mut self.held, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of `text` in pieces of `size` bytes, and whether it was stopped.
    fn through(text: &[u8], size: usize, stops: &[&str]) -> (String, bool) {
        let stops: Vec<String> = stops.iter().map(|&stop| stop.to_owned()).collect();
        let mut stream = TextStream::new(&stops);
        let mut out: String = text.chunks(size).map(|piece| stream.push(piece)).collect();
        out += &stream.finish();
        (out, stream.is_stopped())
    }

    #[test]
    fn text_comes_through_whatever_the_pieces() {
        for text in ["", "plain", "é日𝄞 x"] {
            for size in 1..6 {
                assert_eq!(through(text.as_bytes(), size, &["@", ""]), (text.into(), false));
            }
        }
        for bytes in [&b"a\xFFb"[..], b"\xE6\x97", b"\xE6\x97x\xF0\x9D\x84"] {
            for size in 1..6 {
                assert_eq!(through(bytes, size, &[]), (String::from_utf8_lossy(bytes).into(), false));
            }
        }
    }

    #[test]
    fn it_ends_before_the_first_stop_string() {
        for size in 1..9 {
            assert_eq!(through(b"to be or not", size, &["or not", "or"]), ("to be ".into(), true));
            assert_eq!(through("tö bé".as_bytes(), size, &["é"]), ("tö b".into(), true));
            assert_eq!(through(b"aabaab", size, &["aaa", "bb", "c"]), ("aabaab".into(), false));
            assert_eq!(through(b"aaab", size, &["aab"]), ("a".into(), true));
        }
    }

    #[test]
    fn nothing_waits_without_a_reason() {
        let mut stream = TextStream::new(&["END".into()]);
        assert_eq!(stream.push(b"the E"), "the ");
        assert_eq!(stream.push(b"N"), "");
        assert_eq!(stream.push(b"Q"), "ENQ");
        assert_eq!(stream.push(b"E\xC3"), "");
        assert_eq!(stream.push(b"\xA9"), "Eé");
    }
}
