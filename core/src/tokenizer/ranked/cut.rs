//! A text's way to its pieces: added tokens, a space before it, digits, the split.

use super::added::{AddedTokens, Part, find};
use super::patterns::{behind_space_len, lines_len, numbers_len, words_len};
use super::piece::Piece;
use super::rules::{Digits, Prefix, Rules, Split};
use crate::part::missing;

/// Tells `each` the added tokens of `text` that are not normalised, and what lies between: the parts that a normaliser gets.
///
/// # Errors
/// Those of `each`.
pub fn cut_raw<'t, E>(
    text: &'t str,
    added: &impl AddedTokens,
    each: &mut impl FnMut(Part<'t>) -> Result<(), E>,
) -> Result<(), E> {
    find(added, false, Piece::new(text, 0), None, each)
}

/// Tells `each` the other added tokens of such a part, of the form that the rules want, and the pieces that merge. The part
/// starts at byte `start` of the whole text.
///
/// # Errors
/// Those of `each`.
pub fn cut_part<'t, E>(
    text: &'t str,
    start: usize,
    rules: &Rules,
    added: &impl AddedTokens,
    each: &mut impl FnMut(Part<'t>) -> Result<(), E>,
) -> Result<(), E> {
    let part = Piece::new(text, start);
    let part = if rules.prefix == Prefix::Inserted && !text.is_empty() { part.with_prefix() } else { part };
    let [normalized, replaced] = rules.stand_ins();
    find(added, true, part, normalized, &mut |part| match part {
        Part::Text(text) => cut_text(text, rules, replaced, each),
        token => each(token),
    })
}

/// Cuts text without added tokens.
fn cut_text<'t, E>(
    mut text: Piece<'t>,
    rules: &Rules,
    stand_in: Option<char>,
    each: &mut impl FnMut(Part<'t>) -> Result<(), E>,
) -> Result<(), E> {
    let wants_prefix = match rules.prefix {
        Prefix::Never | Prefix::Inserted => false,
        Prefix::First => text.start() == 0,
        Prefix::Always => true,
    };
    if wants_prefix && text.chars(stand_in).next().is_some_and(|(_, c)| c != ' ') {
        text = text.with_prefix();
    }
    let numbers_len = |text: Piece<'_>| match rules.digits {
        Digits::Kept => text.len(),
        Digits::Runs => numbers_len(text.text(), false),
        Digits::Single => numbers_len(text.text(), true),
    };
    pieces(text, numbers_len, &mut |part| {
        pieces(part, |text| first_len(text, rules.split, stand_in), &mut |piece| each(Part::Text(piece)))
    })
}

/// Tells `each` the pieces of which `len` says how long the first is.
fn pieces<'t, E>(
    mut text: Piece<'t>,
    len: impl Fn(Piece<'t>) -> usize,
    each: &mut impl FnMut(Piece<'t>) -> Result<(), E>,
) -> Result<(), E> {
    while !text.is_empty() {
        let Some((piece, rest)) = text.split_at(len(text)).filter(|(piece, _)| !piece.is_empty()) else {
            missing();
            break;
        };
        each(piece)?;
        text = rest;
    }
    Ok(())
}

fn first_len(text: Piece<'_>, split: Split, stand_in: Option<char>) -> usize {
    let mut chars = text.chars(stand_in);
    match split {
        Split::Whole => text.len(),
        Split::Gpt2 if text.has_prefix() => 1 + behind_space_len(text.text()),
        Split::Gpt2 => words_len(text.text()),
        Split::Llama3 => lines_len(text.text(), 3),
        Split::Qwen2 => lines_len(text.text(), 1),
        Split::AfterSpaces => chars.find(|&(_, c)| c == ' ').map_or(text.len(), |(end, _)| end),
        Split::BeforeSpaces | Split::BeforeRunsOfSpaces => {
            let Some((mut len, mut before)) = chars.next() else { return text.len() };
            for (end, c) in chars {
                if c == ' ' && (split == Split::BeforeSpaces || before != ' ') {
                    break;
                }
                (len, before) = (end, c);
            }
            len
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::added::Added;
    use super::super::rules::{Spaces, Unit};
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    /// Added tokens by their texts, those with ids from 100 on normalised; < and > in place of the white space that they
    /// take.
    struct List(Vec<(u32, &'static str)>);

    impl List {
        fn group(&self, is_normalized: bool) -> Vec<(u32, &'static str)> {
            let mut group: Vec<_> = self.0.iter().copied().filter(|(id, _)| (*id >= 100) == is_normalized).collect();
            group.sort_unstable_by_key(|(_, text)| text.trim_matches(['<', '>']));
            group
        }
    }

    impl AddedTokens for List {
        fn len(&self, is_normalized: bool) -> usize {
            self.group(is_normalized).len()
        }

        fn get(&self, is_normalized: bool, index: usize) -> Option<Added<'_>> {
            let (token, text) = *self.group(is_normalized).get(index)?;
            let (takes_before, takes_behind) = (text.starts_with('<'), text.ends_with('>'));
            let text = text.trim_matches(['<', '>']).as_bytes();
            Some(Added { token, text, takes_before, takes_behind, is_special: false })
        }
    }

    /// The pieces, spaces that stand in or were put there as _, tokens as ids.
    fn cut(text: &str, rules: Rules, added: &List) -> Vec<String> {
        let mut parts = Vec::new();
        let [_, stand_in] = rules.stand_ins();
        let mut each = |part: Part<'_>| {
            parts.push(match part {
                Part::Token(token) => std::format!("{token}"),
                Part::Text(piece) => {
                    let spelled = piece.chars(stand_in).map(|(_, c)| c).collect::<String>();
                    if stand_in.is_some() || piece.has_prefix() { spelled.replace(' ', "_") } else { spelled }
                }
            });
            Ok::<_, ()>(())
        };
        cut_raw(text, added, &mut |part| match part {
            Part::Text(part) => cut_part(part.text(), part.start(), &rules, added, &mut each),
            token => each(token),
        })
        .unwrap();
        parts
    }

    const NONE: List = List(Vec::new());

    #[test]
    fn spaces_and_what_is_put_before() {
        let llama = Rules {
            unit: Unit::Characters,
            prefix: Prefix::Inserted,
            spaces: Spaces::Normalized('▁'),
            split: Split::Whole,
            ..Rules::PLAIN
        };
        let specials = List(std::vec![(1, "[s]"), (100, " [e]")]);
        assert_eq!(cut("a b", llama, &NONE), ["_a_b"]);
        assert_eq!(cut(" a▁", llama, &NONE), ["__a_"]);
        assert_eq!(cut("[s]a [e]b[s][s] [e]", llama, &specials), ["1", "_a", "100", "b", "1", "1", "_", "100"]);
        assert_eq!(cut("[e]b", llama, &specials), ["100", "b"]);
        let first = Rules { prefix: Prefix::First, spaces: Spaces::Replaced('▁'), ..llama };
        assert_eq!(cut("a b[s]c", first, &specials), ["_a_b", "1", "c"]);
        assert_eq!(cut(" a", first, &specials), ["_a"]);
        assert_eq!(cut("▁a", first, &specials), ["_a"]);
        assert_eq!(cut("[s]a", first, &specials), ["1", "a"]);
        let always = Rules { prefix: Prefix::Always, split: Split::BeforeSpaces, ..first };
        assert_eq!(cut("a  b [s]c", always, &specials), ["_a", "_", "_b", "_", "1", "_c"]);
        let runs = Rules { prefix: Prefix::Never, split: Split::BeforeRunsOfSpaces, ..first };
        assert_eq!(cut("a  b ", runs, &NONE), ["a", "__b", "_"]);
        assert_eq!(cut("  a", runs, &NONE), ["__a"]);
        let behind = Rules { spaces: Spaces::Kept, split: Split::AfterSpaces, ..runs };
        assert_eq!(cut("a  b", behind, &NONE), ["a ", " ", "b"]);
        let gpt2 = Rules { prefix: Prefix::Always, split: Split::Gpt2, ..Rules::PLAIN };
        assert_eq!(cut("a b [s]c", gpt2, &specials), ["_a", " b", " ", "1", "_c"]);
    }

    #[test]
    fn the_longest_of_the_leftmost_is_found() {
        let list = List(std::vec![(1, "ab"), (2, "abcd"), (3, "b"), (4, "é"), (5, "cd"), (100, "d"), (101, "dé")]);
        assert_eq!(cut("xabcdbabce", Rules::PLAIN, &list), ["x", "2", "3", "1", "ce"]);
        assert_eq!(cut("éabc dé", Rules::PLAIN, &list), ["4", "1", "c ", "100", "4"]);
        assert_eq!(cut("ab", Rules::PLAIN, &list), ["1"]);
        assert_eq!(cut("", Rules::PLAIN, &list), [""; 0]);
    }

    #[test]
    fn white_space_goes_with_tokens_that_take_it() {
        let list = List(std::vec![(1, "<m"), (2, "n>"), (3, "<o>"), (100, "<p>")]);
        assert_eq!(cut("a \u{3000}m b", Rules::PLAIN, &list), ["a", "1", " b"]);
        assert_eq!(cut(" m", Rules::PLAIN, &list), ["1"]);
        assert_eq!(cut("n\n m n", Rules::PLAIN, &list), ["2", "1", " ", "2"]);
        assert_eq!(cut("a o b", Rules::PLAIN, &list), ["a", "3", "b"]);
        assert_eq!(cut("a p b", Rules::PLAIN, &list), ["a", "100", "b"]);
        // What one has taken is nothing to the next.
        let spaces = List(std::vec![(1, "n>"), (2, "<  ")]);
        assert_eq!(cut("n  x  y", Rules::PLAIN, &spaces), ["1", "x", "2", "y"]);
        // A space that is another character by then is no white space.
        let early = Rules { unit: Unit::Characters, spaces: Spaces::Normalized('▁'), ..Rules::PLAIN };
        assert_eq!(cut("a p\n b", early, &list), ["a_", "100", "_b"]);
    }

    #[test]
    fn digits_are_cut_before_the_pattern() {
        let rules = |digits| Rules { digits, split: Split::Gpt2, ..Rules::PLAIN };
        assert_eq!(cut("a  12 b", rules(Digits::Single), &NONE), ["a", "  ", "1", "2", " b"]);
        assert_eq!(cut("a  12 b", rules(Digits::Runs), &NONE), ["a", "  ", "12", " b"]);
        assert_eq!(cut("a  12 b", rules(Digits::Kept), &NONE), ["a", " ", " 12", " b"]);
    }
}
