//! GPT-2's pattern: `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.

use super::class::Class;
use crate::part::missing;

const CONTRACTIONS: [&str; 7] = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];

/// Bytes of the first match of GPT-2's pattern in `text`: at its start, and 0 only for no text.
pub fn first_piece_len(text: &str) -> usize {
    if let Some(contraction) = CONTRACTIONS.iter().find(|&&contraction| text.starts_with(contraction)) {
        return contraction.len();
    }
    let word = text.strip_prefix(' ').unwrap_or(text);
    match word.chars().next().map(Class::of) {
        None => text.len(),
        Some(Class::Space) => spaces_len(text),
        Some(class) => text.len() - word.len() + run_len(word, class),
    }
}

/// Bytes of the characters of `class` that `text` starts with.
pub(super) fn run_len(text: &str, class: Class) -> usize {
    text.char_indices().find(|&(_, c)| Class::of(c) != class).map_or(text.len(), |(at, _)| at)
}

/// White space leaves its last character to what follows, unless it is the only one.
pub(super) fn spaces_len(text: &str) -> usize {
    let end = run_len(text, Class::Space);
    if end == text.len() {
        return end;
    }
    let Some(spaces) = text.get(..end) else {
        missing();
        return end;
    };
    match spaces.char_indices().next_back() {
        Some((last, _)) if last > 0 => last,
        _ => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn pieces(mut text: &str) -> Vec<&str> {
        let mut pieces = Vec::new();
        while !text.is_empty() {
            let (piece, rest) = text.split_at(first_piece_len(text));
            pieces.push(piece);
            text = rest;
        }
        pieces
    }

    #[test]
    fn each_alternative() {
        assert_eq!(pieces("it's we'LL 'tis"), ["it", "'s", " we", "'", "LL", " '", "tis"]);
        assert_eq!(pieces("a1 23!? b"), ["a", "1", " 23", "!?", " b"]);
        assert_eq!(pieces("  a \n\n b  "), [" ", " a", " \n\n", " b", "  "]);
        assert_eq!(pieces("\n\na\n"), ["\n", "\n", "a", "\n"]);
        assert_eq!(pieces("\u{a0}\u{3000}é\u{301}字"), ["\u{a0}", "\u{3000}", "é", "\u{301}", "字"]);
        assert_eq!(pieces(" "), [" "]);
        assert_eq!(pieces(" '"), [" '"]);
    }
}
