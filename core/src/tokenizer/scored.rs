//! The tables of a BPE by scores: tokens' text, the tokens of single bytes, ranks, and tokens by their text.
//!
//! What merges is not listed: two tokens in a row do where a token has the text of both, so that a vocabulary of tens of
//! thousands takes no more room than its tokens.

use super::merge::{Merge, Merges};
use super::output::Output;
use super::pairs::MAX_PROBES;
use super::words::{NONE, Table};
use super::{EncodeError, TokenizerError, TokenizerHead};
use crate::config::TokenId;
use crate::part::{missing, put};

/// The place in a hash table of `n_slots` places, a power of two, where the search for the token of a text begins. The hash
/// is FNV-1a.
pub fn first_slot_of_text(text: &[u8], n_slots: u32) -> u32 {
    first_slot([text, &[]], n_slots)
}

/// [`first_slot_of_text`] of two parts joined.
#[inline]
fn first_slot(parts: [&[u8]; 2], n_slots: u32) -> u32 {
    let add = |hash: u32, &byte: &u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = parts.into_iter().flatten().fold(0x811C_9DC5, add);
    (hash ^ hash >> 15) & n_slots.wrapping_sub(1)
}

/// The tables of [`Kind::ScoredBpe`](super::Kind::ScoredBpe).
#[derive(Clone, Copy, Debug)]
pub(super) struct Scored<'a> {
    /// Where each token's text starts, and where the last one ends.
    offsets: Table<'a, 1>,
    /// The token of each byte, or [`NONE`].
    bytes: Table<'a, 1>,
    /// The rank of each token, or [`NONE`] for those that neither are a character of a text nor come of a merge.
    ranks: Table<'a, 1>,
    /// Tokens with a rank, or [`NONE`].
    slots: Table<'a, 1>,
    text: &'a [u8],
    /// Bytes of a token with a rank, at most.
    longest: u32,
    /// Whether a text begins with a space that is not its own.
    has_dummy_prefix: bool,
    /// Whether no token goes on with a space, so that nothing merges across the start of a run of spaces.
    is_cut_at_spaces: bool,
}

impl<'a> Scored<'a> {
    pub fn open(head: &TokenizerHead, mut tables: &'a [u8]) -> Result<Self, TokenizerError> {
        let n_offsets = head.n_tokens.checked_add(1).ok_or(TokenizerError::Head)?;
        if !head.n_slots.is_power_of_two() || head.n_merges > 0 || head.n_specials > 0 {
            return Err(TokenizerError::Head);
        }
        let mut take = |rows| Table::take(&mut tables, rows).ok_or(TokenizerError::Head);
        let prefix: Table<'_, 1> = take(1)?;
        let has_dummy_prefix = match prefix.get(0) {
            Some([0]) => false,
            Some([1]) => true,
            _ => return Err(TokenizerError::Head),
        };
        let (offsets, bytes, ranks, slots) = (take(n_offsets)?, take(256)?, take(head.n_tokens)?, take(head.n_slots)?);
        let (longest, is_cut_at_spaces) = (u32::MAX, true);
        let mut scored =
            Self { offsets, bytes, ranks, slots, text: tables, longest, has_dummy_prefix, is_cut_at_spaces };
        scored.check()?;
        Ok(scored)
    }

    /// Everything that encoding and decoding rely on; afterwards a text's tokens spell that text.
    fn check(&mut self) -> Result<(), TokenizerError> {
        let mut longest = 0;
        for (token, [rank]) in (0..).zip(self.ranks.iter()) {
            let text = self.token_bytes(token).ok_or(TokenizerError::Token(token))?;
            if rank == NONE {
                continue;
            }
            if text.is_empty() || self.find([text, &[]]) != Some(Merge { rank, token }) {
                return Err(TokenizerError::Token(token));
            }
            longest = longest.max(text.len());
            self.is_cut_at_spaces &= first_piece_len(text) == text.len();
        }
        self.longest = longest as u32;
        for (byte, [token]) in (0..=u8::MAX).zip(self.bytes.iter()) {
            if token != NONE && self.token_bytes(token) != Some(&[byte]) {
                return Err(TokenizerError::Byte(byte));
            }
        }
        Ok(())
    }

    pub fn token_bytes(&self, token: TokenId) -> Option<&'a [u8]> {
        let index = token as usize;
        let ([start], [end]) = (self.offsets.get(index)?, self.offsets.get(index.checked_add(1)?)?);
        self.text.get(start as usize..end as usize)
    }

    /// The token of a byte.
    pub fn byte_token(&self, byte: u8) -> Option<TokenId> {
        self.bytes.get(usize::from(byte)).map(|[token]| token).filter(|&token| token != NONE)
    }

    /// The rank of a token.
    #[inline]
    pub fn rank(&self, token: TokenId) -> Option<u32> {
        self.ranks.get(token as usize).map(|[rank]| rank).filter(|&rank| rank != NONE)
    }

    pub const fn has_dummy_prefix(&self) -> bool {
        self.has_dummy_prefix
    }

    /// The token with a rank whose text is that of `parts` joined.
    #[inline]
    fn find(&self, parts: [&[u8]; 2]) -> Option<Merge> {
        let [left, right] = parts;
        let n_slots = self.slots.len() as u32;
        if left.len().saturating_add(right.len()) > self.longest as usize {
            return None;
        }
        let first = first_slot(parts, n_slots);
        for probe in 0..MAX_PROBES {
            let [token] = self.slots.get((first.wrapping_add(probe) & n_slots.wrapping_sub(1)) as usize)?;
            if self.token_bytes(token)?.strip_prefix(left) == Some(right) {
                return self.rank(token).map(|rank| Merge { rank, token });
            }
        }
        None
    }

    pub fn encode(&self, text: &str, out: &mut [TokenId]) -> Result<usize, EncodeError> {
        let mut output = Output::new(out);
        let (mut prefix, mut start) = (if self.has_dummy_prefix { " " } else { "" }, 0);
        while let Some(rest) = text.get(start..).filter(|rest| !rest.is_empty()) {
            let len = if self.is_cut_at_spaces { first_piece_len(rest.as_bytes()) } else { rest.len() };
            let Some(piece) = rest.get(..len) else {
                missing();
                break;
            };
            let most = len.saturating_add(prefix.len());
            output.push_merged(self, most, |tokens| {
                let n = self.spell(prefix, 0, 0, tokens)?;
                self.spell(piece, start, n, tokens)
            })?;
            prefix = "";
            start += len;
        }
        output.finish()
    }

    /// Puts the tokens of characters, or where there is none of their bytes, behind the first `n` of `tokens`; says how many
    /// there are now. The piece starts at byte `start` of the whole text.
    fn spell(&self, piece: &str, start: usize, mut n: usize, tokens: &mut [TokenId]) -> Result<usize, EncodeError> {
        for (at, c) in piece.char_indices() {
            let mut buffer = [0; 4];
            let bytes = c.encode_utf8(&mut buffer).as_bytes();
            if let Some(Merge { token, .. }) = self.find([bytes, &[]]) {
                put(tokens, n, token);
                n += 1;
                continue;
            }
            for &byte in bytes {
                put(tokens, n, self.byte_token(byte).ok_or(EncodeError::Character { c, offset: start + at })?);
                n += 1;
            }
        }
        Ok(n)
    }
}

impl Merges for Scored<'_> {
    #[inline]
    fn merge(&self, left: TokenId, right: TokenId) -> Option<Merge> {
        // The token of a byte has the text of another, but does not merge.
        self.rank(left).and(self.rank(right))?;
        self.find([self.token_bytes(left)?, self.token_bytes(right)?])
    }
}

/// Bytes before the first space that follows another byte.
fn first_piece_len(text: &[u8]) -> usize {
    let is_start = |pair: &[u8]| matches!(pair, &[before, b' '] if before != b' ');
    text.windows(2).position(is_start).map_or(text.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::super::{Decoder, Kind, Tokenizer};
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    /// The texts and ranks of tokens. The last two are the byte tokens of `\n` and `b`.
    const TOKENS: [(&str, u32); 14] = [
        ("", NONE),
        (" ", 9),
        ("a", 9),
        ("b", 9),
        ("c", 9),
        ("é", 9),
        ("bc", 0),
        ("ab", 1),
        (" a", 2),
        ("abc", 3),
        ("cb", 0),
        ("bcb", 0),
        ("\n", NONE),
        ("b", NONE),
    ];
    const N_SLOTS: u32 = 16;

    /// Where the tables start, in words.
    const BYTES: usize = 1 + TOKENS.len() + 1;
    const RANKS: usize = BYTES + 256;
    const SLOTS: usize = RANKS + TOKENS.len();

    fn section(tokens: &[(&str, u32)], change: impl FnOnce(&mut Vec<u32>)) -> Vec<u8> {
        let (mut words, mut text) = (std::vec![1, 0], String::new());
        for (token, _) in tokens {
            text.push_str(token);
            words.push(text.len() as u32);
        }
        words.extend([NONE; 256]);
        let byte = |token: &str| 1 + tokens.len() + 1 + usize::from(token.as_bytes()[0]);
        (words[byte("\n")], words[byte("b")]) = (12, 13);
        words.extend(tokens.iter().map(|(_, rank)| rank));
        let mut slots = [NONE; N_SLOTS as usize];
        for (id, (token, _)) in (0..).zip(tokens).filter(|(_, (_, rank))| *rank != NONE) {
            let first = first_slot_of_text(token.as_bytes(), N_SLOTS) as usize;
            let place = (first..).map(|place| place % slots.len()).find(|&place| slots[place] == NONE).unwrap();
            slots[place] = id;
        }
        words.extend(slots);
        change(&mut words);
        let head = TokenizerHead {
            kind: Kind::ScoredBpe,
            n_tokens: tokens.len() as u32,
            n_merges: 0,
            text_bytes: text.len() as u32,
            n_specials: 0,
            n_slots: N_SLOTS,
        };
        let mut bytes = std::vec![0; TokenizerHead::BYTES];
        postcard::to_slice(&head, &mut bytes).unwrap();
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(text.as_bytes());
        bytes
    }

    fn encode(tokenizer: &Tokenizer<'_>, text: &str) -> Vec<TokenId> {
        let mut out = std::vec![0; text.len() + 1];
        let n = tokenizer.encode(text, &mut out).unwrap();
        out.truncate(n);
        out
    }

    #[test]
    fn the_highest_score_merges_first_and_the_leftmost_of_equals() {
        let bytes = section(&TOKENS, |_| ());
        let tokenizer = Tokenizer::open(&bytes, 14).unwrap();
        assert_eq!((tokenizer.kind(), tokenizer.has_dummy_prefix()), (Kind::ScoredBpe, true));
        assert_eq!((tokenizer.rank(9), tokenizer.rank(13), tokenizer.rank(14)), (Some(3), None, None));
        assert_eq!((tokenizer.merges().len(), tokenizer.specials().len()), (0, 0));
        assert_eq!((tokenizer.byte_token(b'b'), tokenizer.byte_token(b'c')), (Some(13), None));
        for (text, ids) in [
            ("", &[][..]),
            // `bc` is a better pair than `ab` and ` a`.
            ("abc", &[8, 6]),
            ("ab", &[1, 7]),
            ("cab", &[1, 4, 7]),
            // `bc` before `cb`, and with what follows at once, for it is as good.
            ("bcb", &[1, 11]),
            ("bcbcb", &[1, 11, 10]),
            ("cbcb", &[1, 10, 10]),
            // No token of a byte merges.
            ("a\nbc a", &[8, 12, 6, 8]),
            ("é  a", &[1, 5, 1, 8]),
        ] {
            assert_eq!(encode(&tokenizer, text), ids, "{text:?}");
            let (mut decoder, mut decoded) = (Decoder::new(tokenizer), String::new());
            [&[0], ids].concat().iter().for_each(|&id| decoder.push(id, &mut decoded).unwrap());
            assert_eq!(decoded, text);
        }
        let error = EncodeError::Character { c: '日', offset: 2 };
        assert_eq!(tokenizer.encode("a 日", &mut [0; 9]), Err(error));
    }

    #[test]
    fn a_merge_gives_way_to_the_pair_that_it_makes_across_blocks_too() {
        // A better pair, and one that is as good and stands before the next.
        for [bc, abc, abcb] in [[5, 0, 1], [5, 5, 5]] {
            let merged = [("bc", bc), ("abc", abc), ("abcb", abcb), ("", NONE)];
            let tokens = [(" ", 9), ("a", 9), ("b", 9), ("c", 9), ("é", 9)].into_iter().chain(merged);
            let tokens: Vec<_> = tokens.collect();
            let bytes = section(&tokens, |words| words[1 + tokens.len() + 1..][..256].fill(NONE));
            let tokenizer = Tokenizer::open(&bytes, 9).unwrap();
            // Blocks have 32 tokens, and the prefix is the first.
            for before in 28..33 {
                let ids = encode(&tokenizer, &("é".repeat(before) + "abcbc"));
                assert_eq!(ids[1 + before..], [7, 3], "{before}");
            }
        }
    }

    #[test]
    fn room_for_each_byte_and_the_prefix_is_enough() {
        let bytes = section(&TOKENS, |_| ());
        let tokenizer = Tokenizer::open(&bytes, 14).unwrap();
        let long = "abc".repeat(40);
        assert_eq!(tokenizer.encode(&long, &mut [0; 120]), Err(EncodeError::TooManyTokens { need: 121, have: 120 }));
        assert_eq!(tokenizer.encode(&long, &mut [0; 121]), Ok(41));
        // Words need no more than their tokens.
        let words = "abc ".repeat(40);
        assert_eq!(tokenizer.encode(&words, &mut [0; 80]), Err(EncodeError::TooManyTokens { need: 81, have: 80 }));
        assert_eq!(tokenizer.encode(&words, &mut [0; 81]), Ok(81));
        // Where a token goes on with a space, words are no pieces.
        let mut tokens = TOKENS;
        tokens[9].0 = "b c";
        let bytes = section(&tokens, |_| ());
        let whole = Tokenizer::open(&bytes, 14).unwrap();
        let error = EncodeError::TooManyTokens { need: 161, have: 160 };
        assert_eq!(whole.encode(&words, &mut [0; 160]), Err(error));
    }

    #[test]
    fn what_follows_a_text_keeps_its_space() {
        let bytes = section(&TOKENS, |_| ());
        let tokenizer = Tokenizer::open(&bytes, 14).unwrap();
        for (prompt, begins) in [(&[][..], true), (&[0], true), (&[1], false), (&[0, 3], false), (&[99], false)] {
            let (mut decoder, mut text) = (Decoder::after(tokenizer, prompt), String::new());
            decoder.push(0, &mut text).unwrap();
            decoder.push(8, &mut text).unwrap();
            decoder.push(8, &mut text).unwrap();
            assert_eq!(text, if begins { "a a" } else { " a a" });
            decoder.finish(&mut text).unwrap();
            decoder.push(8, &mut text).unwrap();
            assert!(text.ends_with(" aa"), "a new text begins");
        }
        let bytes = section(&TOKENS, |words| words[0] = 0);
        let plain = Tokenizer::open(&bytes, 14).unwrap();
        assert_eq!((encode(&plain, "a a"), plain.has_dummy_prefix()), (std::vec![2, 8], false));
        let (mut decoder, mut text) = (Decoder::new(plain), String::new());
        decoder.push(8, &mut text).unwrap();
        assert_eq!(text, " a");
    }

    #[test]
    fn each_fault_is_named() {
        type Change = fn(&mut Vec<u32>);
        let cases: [(Change, TokenizerError); 8] = [
            (|words| words[0] = 2, TokenizerError::Head),
            (|words| words[1 + 3] = 9, TokenizerError::Token(2)),
            (|words| words[1 + 14] = 99, TokenizerError::Token(13)),
            (|words| words[BYTES + 97] = 3, TokenizerError::Byte(b'a')),
            (|words| words[BYTES + 97] = 14, TokenizerError::Byte(b'a')),
            // No text, and the text of another token.
            (|words| words[RANKS] = 5, TokenizerError::Token(0)),
            (|words| words[RANKS + 13] = 5, TokenizerError::Token(13)),
            (|words| words[SLOTS..].fill(NONE), TokenizerError::Token(1)),
        ];
        for (change, error) in cases {
            assert_eq!(Tokenizer::open(&section(&TOKENS, change), 14).unwrap_err(), error);
        }
        let sound = section(&TOKENS, |_| ());
        for field in [5, 13, 17] {
            let mut bytes = sound.clone();
            bytes[field] ^= 1;
            assert_eq!(Tokenizer::open(&bytes, 14).unwrap_err(), TokenizerError::Head);
        }
        assert_eq!(Tokenizer::open(&sound[..sound.len() - 1], 14).unwrap_err(), TokenizerError::Head);
    }
}
