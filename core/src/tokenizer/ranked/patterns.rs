//! The patterns by which texts are cut: how long the first piece is, in bytes.

use super::super::class::Class;
use super::super::split::{first_piece_len, run_len, spaces_len};

/// Of GPT-2's pattern, in a text behind a space that is not its own: the bytes of the text that go with the space. There are
/// some, and the first is no space.
pub(super) fn behind_space_len(text: &str) -> usize {
    match text.chars().next().map(Class::of) {
        None => 0,
        // White space leaves its last character to what follows.
        Some(Class::Space) => match run_len(text, Class::Space) {
            end if end == text.len() => end,
            end => text.get(..end).and_then(|spaces| spaces.char_indices().next_back()).map_or(0, |(last, _)| last),
        },
        Some(class) => run_len(text, class),
    }
}

/// Of `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
/// as Llama 3 has it with 3 digits and Qwen 2 with one.
pub(super) fn lines_len(text: &str, digits: usize) -> usize {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return 0 };
    if let Some(len) = contraction_len(text) {
        return len;
    }
    let rest = chars.as_str();
    let next = chars.next().map(Class::of);
    match Class::of(first) {
        Class::Letter => run_len(text, Class::Letter),
        Class::Number => {
            text.chars().take(digits).take_while(|&c| Class::of(c) == Class::Number).map(char::len_utf8).sum()
        }
        _ if !matches!(first, '\r' | '\n') && next == Some(Class::Letter) => {
            first.len_utf8() + run_len(rest, Class::Letter)
        }
        Class::Other => signs_len(text),
        Class::Space if first == ' ' && next == Some(Class::Other) => 1 + signs_len(rest),
        Class::Space => {
            let run = text.get(..run_len(text, Class::Space)).unwrap_or(text);
            run.rfind(['\r', '\n']).map_or_else(|| spaces_len(text), |last| last + 1)
        }
    }
}

/// Characters that are no letter, number or space, and the ends of lines behind them.
fn signs_len(text: &str) -> usize {
    let signs = run_len(text, Class::Other);
    let is_line_end = |c: char| matches!(c, '\r' | '\n');
    signs + text.get(signs..).map_or(0, |rest| rest.len() - rest.trim_start_matches(is_line_end).len())
}

/// A contraction in letters of any case: the long s is one of s.
fn contraction_len(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('\'')?;
    let mut chars = rest.chars();
    let first = chars.next()?;
    match (first.to_ascii_lowercase(), chars.next().map(|c| c.to_ascii_lowercase())) {
        ('s' | 'ſ' | 't' | 'm' | 'd', _) => Some(1 + first.len_utf8()),
        ('r' | 'v', Some('e')) | ('l', Some('l')) => Some(3),
        _ => None,
    }
}

/// Numbers at the start of a text: one or all, or what is before the first.
pub(super) fn numbers_len(text: &str, is_single: bool) -> usize {
    let end = |is_end: fn(char) -> bool| text.find(is_end).unwrap_or(text.len());
    match text.chars().next() {
        Some(c) if is_number(c) && is_single => c.len_utf8(),
        Some(c) if is_number(c) => end(|c| !is_number(c)),
        _ => end(is_number),
    }
}

/// Whether it is a number to what cuts digits out. That goes by Unicode 17, which has a few more than the patterns' tables.
fn is_number(c: char) -> bool {
    Class::of(c) == Class::Number || matches!(c, '\u{11DE0}'..='\u{11DE9}' | '\u{16FF4}'..='\u{16FF6}')
}

/// Of GPT-2's pattern.
pub(super) fn words_len(text: &str) -> usize {
    first_piece_len(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn pieces(mut text: &str, len: impl Fn(&str) -> usize) -> Vec<&str> {
        let mut pieces = Vec::new();
        while !text.is_empty() {
            let (piece, rest) = text.split_at(len(text));
            pieces.push(piece);
            text = rest;
        }
        pieces
    }

    #[test]
    fn each_alternative() {
        let llama = |text| pieces(text, |text| lines_len(text, 3));
        assert_eq!(llama("it's we'LL 'tis'ſ"), ["it", "'s", " we", "'LL", " '", "tis", "'ſ"]);
        assert_eq!(llama("a1 23456!? b"), ["a", "1", " ", "234", "56", "!?", " b"]);
        assert_eq!(llama("x...\r\n\n y \n\t z"), ["x", "...\r\n\n", " y", " \n", "\t", " z"]);
        assert_eq!(llama("(a \u{301}b -\n  "), ["(a", " \u{301}", "b", " -\n", "  "]);
        assert_eq!(llama("\na\u{a0}b \r"), ["\n", "a", "\u{a0}b", " \r"]);
        assert_eq!(pieces("12 ٣4", |text| lines_len(text, 1)), ["1", "2", " ", "٣", "4"]);
    }

    #[test]
    fn a_space_before_a_text_goes_with_its_first_word() {
        for text in ["a b", "12", "\n", "\n x", "!", "\n\n\u{a0}", "'s"] {
            let behind = std::format!(" {text}");
            assert_eq!(1 + behind_space_len(text), first_piece_len(&behind), "{text:?}");
        }
    }

    #[test]
    fn numbers_apart() {
        assert_eq!(pieces("ab12 3", |text| numbers_len(text, true)), ["ab", "1", "2", " ", "3"]);
        assert_eq!(pieces("ab12 3", |text| numbers_len(text, false)), ["ab", "12", " ", "3"]);
        for c in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            assert_eq!(is_number(c), c.is_numeric(), "{c:?}");
        }
    }
}
