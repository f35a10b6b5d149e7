//! Tokens that are found in a text as they stand, before it is cut.

use super::super::class::Class;
use super::piece::Piece;
use crate::config::TokenId;

/// A token that is found in a text as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added<'a> {
    /// Its id.
    pub token: TokenId,
    /// What is looked for.
    pub text: &'a [u8],
    /// It takes the white space before it.
    pub takes_before: bool,
    /// It takes the white space behind it.
    pub takes_behind: bool,
    /// It says something of a text rather than being of it.
    pub is_special: bool,
}

/// Added tokens of two groups, those that are looked for in a text as it is given, and those that are in what is left of it
/// when it is normalised. Each group is in the order of its texts, of which none is empty and no two are equal.
pub trait AddedTokens {
    /// Tokens of a group.
    fn len(&self, is_normalized: bool) -> usize;

    /// A token of a group; `None` behind the last.
    fn get(&self, is_normalized: bool, index: usize) -> Option<Added<'_>>;
}

/// What a text is cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'t> {
    /// An added token.
    Token(TokenId),
    /// Text.
    Text(Piece<'t>),
}

/// Tells `each` the tokens of a group in `piece`, the leftmost first and the longest of those that start at one place, and
/// what lies between.
pub(super) fn find<'t, E>(
    tokens: &impl AddedTokens,
    is_normalized: bool,
    piece: Piece<'t>,
    stand_in: Option<char>,
    each: &mut impl FnMut(Part<'t>) -> Result<(), E>,
) -> Result<(), E> {
    let n = tokens.len(is_normalized);
    let first_byte = |index: usize| Some(*tokens.get(is_normalized, index)?.text.first()?);
    let Some((least, most)) = n.checked_sub(1).and_then(|last| first_byte(0).zip(first_byte(last))) else {
        return if piece.is_empty() { Ok(()) } else { each(Part::Text(piece)) };
    };
    let is_space = |c: char| Class::of(c) == Class::Space && !(stand_in.is_some() && c == ' ');
    // Where the search goes on, and what no token has taken up.
    let (mut at, mut from) = (0, 0);
    while let Some(rest) = piece.behind(at).filter(|rest| !rest.is_empty()) {
        let Some((end_of_first, c)) = rest.chars(stand_in).next() else { break };
        let found = match c.encode_utf8(&mut [0; 4]).as_bytes() {
            [byte, ..] if (least..=most).contains(byte) => longest(tokens, is_normalized, rest, stand_in),
            _ => None,
        };
        let Some((added, len)) = found else {
            at += end_of_first;
            continue;
        };
        let (mut start, mut end) = (at, at + len);
        at = end;
        if added.takes_before {
            let before = piece.behind(from).and_then(|rest| Some(rest.split_at(start.checked_sub(from)?)?.0));
            let mut spaces = None;
            for (end, c) in before.into_iter().flat_map(|before| before.chars(stand_in)) {
                match (is_space(c), spaces) {
                    (true, None) => spaces = Some(end - c.len_utf8()),
                    (true, Some(_)) => {}
                    (false, _) => spaces = None,
                }
            }
            // White space that one before has taken is taken.
            start = spaces.map_or(start, |spaces| from + spaces).max(from);
        }
        if added.takes_behind {
            let behind = piece.behind(end).into_iter().flat_map(|rest| rest.chars(stand_in));
            end += behind.take_while(|&(_, c)| is_space(c)).last().map_or(0, |(end, _)| end);
        }
        if start >= end {
            continue;
        }
        if let Some(text) = between(piece, from, start) {
            each(Part::Text(text))?;
        }
        each(Part::Token(added.token))?;
        from = end;
    }
    between(piece, from, piece.len()).map_or(Ok(()), |rest| each(Part::Text(rest)))
}

/// What lies in a piece from one place to another; `None` for nothing.
fn between(piece: Piece<'_>, from: usize, to: usize) -> Option<Piece<'_>> {
    let (text, _) = piece.behind(from)?.split_at(to.checked_sub(from)?)?;
    Some(text).filter(|text| !text.is_empty())
}

/// The longest token that a piece starts with, and its length there.
fn longest<'a>(
    tokens: &'a impl AddedTokens,
    is_normalized: bool,
    piece: Piece<'_>,
    stand_in: Option<char>,
) -> Option<(Added<'a>, usize)> {
    let byte = |index: usize, depth: usize| tokens.get(is_normalized, index)?.text.get(depth).copied();
    let (mut low, mut high, mut depth) = (0, tokens.len(is_normalized), 0);
    let mut best = None;
    for (end, c) in piece.chars(stand_in) {
        for &wanted in c.encode_utf8(&mut [0; 4]).as_bytes() {
            // The tokens that go on with this byte: those that have ended are the first.
            low = bisect(low, high, |index| byte(index, depth) < Some(wanted));
            high = bisect(low, high, |index| byte(index, depth) <= Some(wanted));
            if low >= high {
                return best;
            }
            depth += 1;
        }
        if let Some(added) = tokens.get(is_normalized, low).filter(|added| added.text.len() == depth) {
            best = Some((added, end));
        }
    }
    best
}

/// The first of the places from `low` to `high` of which `is_before` does not hold; it holds of none behind one of which it
/// does not.
pub(super) fn bisect(mut low: usize, mut high: usize, is_before: impl Fn(usize) -> bool) -> usize {
    while low < high {
        let middle = low + (high - low) / 2;
        if is_before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
