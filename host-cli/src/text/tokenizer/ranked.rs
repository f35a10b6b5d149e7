//! Encoding and decoding with [`RankedTokens`], in time of order `n log n`.
//!
//! Core cuts texts; it merges their pieces on the device, where a heap and a table of pieces have no room.

use std::collections::HashMap;
use std::ops::Range;

use emberlm_core::config::TokenId;
use emberlm_core::tokenizer::{Part, Piece, Rules, Spaces, Unit, cut_part, cut_raw};

use super::TokenizerError;
use super::merge::{Merge, Merger, Merges};
use super::normal_form::normalize;
use super::ranked_tokens::RankedTokens;

/// Pieces of a text whose tokens are remembered, at most.
const MAX_SEEN: usize = 1 << 16;

/// The longest piece that is remembered, in bytes.
const MAX_SEEN_BYTES: usize = 64;

/// An encoder for [`RankedTokens`].
pub struct Ranked {
    tokens: RankedTokens,
    /// The tokens of characters, and of pieces for which merges are ignored.
    ids: HashMap<Vec<u8>, TokenId>,
    merges: Merges,
}

impl Ranked {
    /// Prepares `tokens` for encoding.
    pub fn new(tokens: RankedTokens) -> Self {
        let ids = tokens.texts().iter().map(|&id| (tokens.tokens()[id as usize].clone(), id)).collect();
        let ranked = (0..).zip(tokens.merges());
        let merges = ranked.map(|(rank, &[left, right, token])| ((left, right), Merge { rank, token })).collect();
        Self { tokens, ids, merges }
    }

    /// The data that this encodes with.
    pub const fn tokens(&self) -> &RankedTokens {
        &self.tokens
    }

    /// The bytes of `id`, `None` where it has no token.
    pub fn token_bytes(&self, id: TokenId) -> Option<&[u8]> {
        self.tokens.tokens().get(id as usize).map(Vec::as_slice).filter(|bytes| !bytes.is_empty())
    }

    /// The ids of `text`.
    ///
    /// # Errors
    /// A character that nothing stands for.
    pub fn encode(&self, text: &str) -> Result<Vec<TokenId>, TokenizerError> {
        let rules = self.tokens.rules();
        let mut encoding = Encoding {
            ranked: self,
            ids: Vec::with_capacity(text.len() / 3),
            seen: HashMap::new(),
            merger: Merger::default(),
            spelled: String::new(),
        };
        cut_raw(text, &self.tokens, &mut |part| match part {
            Part::Token(token) => {
                encoding.ids.push(token);
                Ok(())
            }
            Part::Text(part) => {
                let normal = normalize(rules.form, part.text()).map_err(TokenizerError::Failed)?;
                let missing = cut_part(&normal, part.start(), rules, &self.tokens, &mut |part| encoding.add(part));
                missing.map_err(|Missing { c, at }| {
                    // Where a text is not in its form, the first character that has come to the one that is missing.
                    let has_it = |from: &char| {
                        normalize(rules.form, from.encode_utf8(&mut [0; 4])).is_ok_and(|normal| normal.contains(c))
                    };
                    let moved = *normal != *part.text();
                    let found = moved.then(|| part.text().char_indices().find(|(_, from)| has_it(from)));
                    let at = found.map_or(at, |found| part.start() + found.map_or(0, |(at, _)| at));
                    TokenizerError::unrepresentable(text, at)
                })
            }
        })?;
        Ok(encoding.ids)
    }

    /// The text of `ids`, which have tokens.
    pub fn decode(&self, ids: &[TokenId]) -> String {
        let mut decoding = Decoding::new(self, &[]);
        let mut text: Vec<u8> = ids.iter().flat_map(|&id| decoding.push(id)).collect();
        text.extend(decoding.finish());
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// Nothing stands for a character, which begins at a byte.
struct Missing {
    c: char,
    at: usize,
}

/// A text under way.
struct Encoding<'e> {
    ranked: &'e Ranked,
    ids: Vec<TokenId>,
    /// Where in `ids` the tokens of a piece already are.
    seen: HashMap<String, Range<usize>>,
    merger: Merger,
    /// A piece with the spaces that its rules make of it.
    spelled: String,
}

impl Encoding<'_> {
    fn add(&mut self, part: Part<'_>) -> Result<(), Missing> {
        let piece = match part {
            Part::Text(piece) => piece,
            Part::Token(token) => {
                self.ids.push(token);
                return Ok(());
            }
        };
        let rules = self.ranked.tokens.rules();
        self.spelled.clear();
        self.spelled.extend(piece.chars(stand_in(rules)).map(|(_, c)| c));
        if let Some(known) = self.seen.get(&self.spelled) {
            self.ids.extend_from_within(known.clone());
            return Ok(());
        }
        let from = self.ids.len();
        match self.ranked.ids.get(self.spelled.as_bytes()).filter(|_| rules.ignores_merges) {
            Some(&token) => self.ids.push(token),
            None => {
                let symbols = self.symbols(piece)?;
                self.merger.merge(&self.ranked.merges, symbols.into_iter(), &mut self.ids);
            }
        }
        if self.spelled.len() <= MAX_SEEN_BYTES && self.seen.len() < MAX_SEEN {
            self.seen.insert(self.spelled.clone(), from..self.ids.len());
        }
        Ok(())
    }

    /// What merges: the tokens of bytes, or of characters, or for what has neither the one that is unknown. The library puts
    /// that one behind the bytes that follow it.
    fn symbols(&self, piece: Piece<'_>) -> Result<Vec<TokenId>, Missing> {
        let tokens = &self.ranked.tokens;
        let rules = tokens.rules();
        let mut symbols = Vec::with_capacity(self.spelled.len());
        let mut pending = None;
        for (place, c) in self.spelled.chars().enumerate() {
            let mut buffer = [0; 4];
            let bytes = c.encode_utf8(&mut buffer).as_bytes();
            let of_bytes = || bytes.iter().map(|&byte| tokens.bytes()[usize::from(byte)]).collect::<Option<Vec<_>>>();
            let whole = self.ranked.ids.get(bytes).filter(|_| rules.unit == Unit::Characters);
            if let Some(&id) = whole {
                symbols.extend(pending.take());
                symbols.push(id);
            } else if let Some(ids) = of_bytes() {
                symbols.extend(ids);
            } else if let Some(unknown) = rules.unknown {
                symbols.extend(pending.replace(unknown).filter(|_| !rules.fuses_unknown));
            } else {
                let before = usize::from(piece.has_prefix());
                let at = piece.text().char_indices().nth(place.saturating_sub(before)).map_or(0, |(at, _)| at);
                return Err(Missing { c, at: piece.start() + at });
            }
        }
        symbols.extend(pending);
        Ok(symbols)
    }
}

const fn stand_in(rules: &Rules) -> Option<char> {
    match rules.spaces {
        Spaces::Kept => None,
        Spaces::Normalized(c) | Spaces::Replaced(c) => Some(c),
    }
}

/// Tokens to text, one by one.
///
/// Bytes in a row that stand for characters are text if all of them together are, and else each is U+FFFD.
pub struct Decoding<'r> {
    tokens: &'r RankedTokens,
    /// Bytes in a row.
    run: Vec<u8>,
    /// Whether the next token is the first.
    is_first: bool,
    /// Spaces that are left out if they come next.
    strips: u8,
}

impl<'r> Decoding<'r> {
    /// Of what follows `prompt`: the start of a text where that has none but special tokens.
    pub fn new(ranked: &'r Ranked, prompt: &[TokenId]) -> Self {
        let tokens = &ranked.tokens;
        let is_special = |id: &TokenId| tokens.added().iter().any(|added| added.token == *id && added.is_special);
        let is_first = prompt.iter().all(is_special);
        let strips = if is_first { tokens.rules().strips } else { 0 };
        Self { tokens, run: Vec::new(), is_first, strips }
    }

    /// The bytes that are certain with `id`.
    pub fn push(&mut self, id: TokenId) -> Vec<u8> {
        let text = self.tokens.tokens().get(id as usize).map_or(&[][..], Vec::as_slice);
        if self.tokens.rules().unit == Unit::Bytes {
            return text.to_vec();
        }
        let is_first = std::mem::take(&mut self.is_first);
        if let Some(byte) = self.tokens.byte_of(id) {
            self.run.push(byte);
            return Vec::new();
        }
        let mut out = self.end_run();
        out.extend(text.iter().filter(|&&byte| !(is_first && self.tokens.rules().drops_first_spaces && byte == b' ')));
        self.strip(out)
    }

    /// The bytes that are left when no more tokens come.
    pub fn finish(&mut self) -> Vec<u8> {
        let out = self.end_run();
        self.strip(out)
    }

    fn end_run(&mut self) -> Vec<u8> {
        match String::from_utf8(std::mem::take(&mut self.run)) {
            Ok(text) => text.into_bytes(),
            Err(error) => "\u{fffd}".repeat(error.as_bytes().len()).into_bytes(),
        }
    }

    fn strip(&mut self, mut out: Vec<u8>) -> Vec<u8> {
        let spaces = out.iter().take(self.strips.into()).take_while(|&&byte| byte == b' ').count();
        self.strips = if spaces == out.len() { self.strips - spaces as u8 } else { 0 };
        out.drain(..spaces);
        out
    }
}
