//! GPT-2's byte alphabet: every byte as one printable character, so that a vocabulary of byte strings fits in JSON.
//!
//! Bytes that print as themselves in Latin-1 stay; the other 68 take the code points from U+0100 on, in order
//! (`bytes_to_unicode` in OpenAI's `encoder.py`).

/// Whether `byte` stands for itself.
const fn prints(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff)
}

/// The character that stands for `byte`.
#[cfg(test)]
pub fn char_of(byte: u8) -> char {
    if prints(byte) {
        return char::from(byte);
    }
    let rank = (0..byte).filter(|&b| !prints(b)).count() as u32;
    char::from_u32(256 + rank).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The byte that `c` stands for, `None` outside the alphabet.
pub fn byte_of(c: char) -> Option<u8> {
    let code = u32::from(c);
    match u8::try_from(code) {
        Ok(byte) => prints(byte).then_some(byte),
        Err(_) => (0..=255u8).filter(|&b| !prints(b)).nth(usize::try_from(code - 256).ok()?),
    }
}

/// `bytes` in the alphabet's characters.
#[cfg(test)]
pub fn to_text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char_of(byte)).collect()
}

/// The bytes that `text` stands for, `None` where a character is outside the alphabet.
pub fn to_bytes(text: &str) -> Option<Vec<u8>> {
    text.chars().map(byte_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_a_bijection() {
        let all: Vec<u8> = (0..=255).collect();
        let text = to_text(&all);
        let mut distinct: Vec<char> = text.chars().collect();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 256);
        assert_eq!(to_bytes(&text), Some(all));
    }

    #[test]
    fn known_characters() {
        assert_eq!(to_text(b" \nA\x7f\xad"), "\u{120}\u{10a}A\u{121}\u{143}");
        assert_eq!(byte_of('\u{144}'), None);
        assert_eq!(byte_of(' '), None);
    }
}
