//! The blob's tokeniser section, read in place: text to tokens and back, without a heap.
//!
//! `FORMAT.md` specifies the section. `head` says how long its tables are; `chars`, `byte_pairs`, `scored` and `ranked` check
//! and read them. A text goes through `split` (GPT-2's pattern, by the classes of `class`), is cut at spaces where tokens
//! have scores, or by the rules of a `ranked` section, and each piece through `merge`; tokens become text again in a
//! [`Decoder`].
//!
//! The section has to lie in addressable memory, as a blob of a [`Mapped`] source does. Where a blob is behind a
//! [`Copying`](crate::source::Copying) source, its section alone ([`Head::tokenizer`](crate::blob::Head) says where it
//! lies) may be copied to memory and opened with [`Tokenizer::open`].

mod byte_pairs;
#[cfg(feature = "ranked-tokenizer")]
mod byte_run;
mod chars;
mod class;
mod class_table;
mod decoder;
mod encode;
mod error;
mod head;
mod merge;
mod output;
mod pairs;
#[cfg(feature = "ranked-tokenizer")]
mod ranked;
#[cfg(feature = "scored-tokenizer")]
mod scored;
mod split;
mod words;

pub use class::Class;
pub use decoder::Decoder;
pub use error::{DecodeError, EncodeError, TokenizerError};
pub use head::{Kind, TokenizerHead};
pub use output::MAX_SHORT_PIECE;
pub use pairs::{MAX_PROBES, first_slot};
#[cfg(feature = "ranked-tokenizer")]
pub use ranked::{
    Added, AddedTokens, Digits, NormalForm, Part, Piece, Prefix, Ranked, Rules, Spaces, Split, Unit, cut_part, cut_raw,
};
#[cfg(feature = "scored-tokenizer")]
pub use scored::first_slot_of_text;
pub use split::first_piece_len;

use crate::config::TokenId;
use crate::model::Model;
use crate::source::Mapped;
use byte_pairs::BytePairs;
use chars::Chars;
#[cfg(feature = "scored-tokenizer")]
use scored::Scored;

/// A checked tokeniser section.
#[derive(Clone, Copy, Debug)]
pub struct Tokenizer<'a> {
    tables: Tables<'a>,
    n_tokens: u32,
}

#[derive(Clone, Copy, Debug)]
enum Tables<'a> {
    Chars(Chars<'a>),
    BytePairs(BytePairs<'a>),
    #[cfg(feature = "scored-tokenizer")]
    Scored(Scored<'a>),
    #[cfg(feature = "ranked-tokenizer")]
    Ranked(Ranked<'a>),
}

impl<'a> Tokenizer<'a> {
    /// Checks a section, every entry of it; the time is linear in its length.
    ///
    /// # Errors
    /// The first fault found.
    pub fn open(section: &'a [u8], n_vocab: u32) -> Result<Self, TokenizerError> {
        let (head, _) = postcard::take_from_bytes::<TokenizerHead>(section).map_err(|_| TokenizerError::Head)?;
        if head.section_bytes() != Some(section.len()) {
            return Err(TokenizerError::Head);
        }
        if head.n_tokens > n_vocab {
            return Err(TokenizerError::TooManyTokens { tokens: head.n_tokens, n_vocab });
        }
        let tables = section.get(TokenizerHead::BYTES..).ok_or(TokenizerError::Head)?;
        let tables = match head.kind {
            Kind::Chars => Tables::Chars(Chars::open(&head, tables)?),
            Kind::ByteBpe => Tables::BytePairs(BytePairs::open(&head, tables)?),
            #[cfg(feature = "scored-tokenizer")]
            Kind::ScoredBpe => Tables::Scored(Scored::open(&head, tables)?),
            #[cfg(not(feature = "scored-tokenizer"))]
            Kind::ScoredBpe => return Err(TokenizerError::LeftOut(head.kind)),
            #[cfg(feature = "ranked-tokenizer")]
            Kind::RankedBpe => Tables::Ranked(Ranked::open(&head, tables)?),
            #[cfg(not(feature = "ranked-tokenizer"))]
            Kind::RankedBpe => return Err(TokenizerError::LeftOut(head.kind)),
        };
        Ok(Self { tables, n_tokens: head.n_tokens })
    }

    /// How text becomes tokens.
    pub const fn kind(&self) -> Kind {
        match self.tables {
            Tables::Chars(_) => Kind::Chars,
            Tables::BytePairs(_) => Kind::ByteBpe,
            #[cfg(feature = "scored-tokenizer")]
            Tables::Scored(_) => Kind::ScoredBpe,
            #[cfg(feature = "ranked-tokenizer")]
            Tables::Ranked(_) => Kind::RankedBpe,
        }
    }

    /// Tokens that stand for text.
    pub const fn n_tokens(&self) -> u32 {
        self.n_tokens
    }

    /// The UTF-8 bytes, whole characters or not, that a token stands for, none for the beginning and the end of a text;
    /// `None` for an id that is no token. A character is encoded into `buffer`.
    pub fn token_bytes<'t>(&self, token: TokenId, buffer: &'t mut [u8; 4]) -> Option<&'t [u8]>
    where
        'a: 't,
    {
        match &self.tables {
            Tables::Chars(chars) => Some(chars.char_of(token)?.encode_utf8(buffer).as_bytes()),
            Tables::BytePairs(pairs) => pairs.token_bytes(token),
            #[cfg(feature = "scored-tokenizer")]
            Tables::Scored(scored) => scored.token_bytes(token),
            #[cfg(feature = "ranked-tokenizer")]
            Tables::Ranked(ranked) => ranked.token_bytes(token),
        }
    }

    /// The token of a single byte, `None` where there is none or tokens are characters.
    pub fn byte_token(&self, byte: u8) -> Option<TokenId> {
        match &self.tables {
            Tables::Chars(_) => None,
            Tables::BytePairs(pairs) => pairs.byte_token(byte),
            #[cfg(feature = "scored-tokenizer")]
            Tables::Scored(scored) => scored.byte_token(byte),
            #[cfg(feature = "ranked-tokenizer")]
            Tables::Ranked(ranked) => ranked.byte_token(byte),
        }
    }

    /// The rank of a token by its score, the least for the highest; tokens may share one. `None` for those that no character
    /// and no merge makes, and all where there are no scores.
    #[cfg(feature = "scored-tokenizer")]
    pub fn rank(&self, token: TokenId) -> Option<u32> {
        match &self.tables {
            Tables::Chars(_) | Tables::BytePairs(_) => None,
            Tables::Scored(scored) => scored.rank(token),
            #[cfg(feature = "ranked-tokenizer")]
            Tables::Ranked(_) => None,
        }
    }

    /// Whether a text is encoded behind a space that is not its own, and decoded without it.
    pub const fn has_dummy_prefix(&self) -> bool {
        match &self.tables {
            Tables::Chars(_) | Tables::BytePairs(_) => false,
            #[cfg(feature = "scored-tokenizer")]
            Tables::Scored(scored) => scored.has_dummy_prefix(),
            #[cfg(feature = "ranked-tokenizer")]
            Tables::Ranked(_) => false,
        }
    }

    /// The pairs of tokens that merge, by rank; none where there are scores, and any two that make a token merge. The merged
    /// token's text is that of both.
    pub fn merges(&self) -> impl ExactSizeIterator<Item = (TokenId, TokenId)> + use<'a> {
        self.merges_made().map(|[left, right, _]| (left, right))
    }

    /// [`Tokenizer::merges`] with the tokens that they make.
    pub fn merges_made(&self) -> impl ExactSizeIterator<Item = [TokenId; 3]> + use<'a> {
        let merges = match &self.tables {
            Tables::Chars(_) => words::Table::EMPTY,
            Tables::BytePairs(byte_pairs) => byte_pairs.pairs().merges(),
            #[cfg(feature = "scored-tokenizer")]
            Tables::Scored(_) => words::Table::EMPTY,
            #[cfg(feature = "ranked-tokenizer")]
            Tables::Ranked(ranked) => ranked.pairs().merges(),
        };
        merges.iter()
    }

    /// The tokens that are matched in a text as they stand.
    pub fn specials(&self) -> impl ExactSizeIterator<Item = TokenId> + use<'a> {
        let specials = match &self.tables {
            Tables::Chars(_) => words::Table::EMPTY,
            Tables::BytePairs(pairs) => pairs.specials(),
            #[cfg(feature = "scored-tokenizer")]
            Tables::Scored(_) => words::Table::EMPTY,
            #[cfg(feature = "ranked-tokenizer")]
            Tables::Ranked(ranked) => ranked.added_ids(),
        };
        specials.iter().map(|[token]| token)
    }

    /// The tables and rules of a [`Kind::RankedBpe`], `None` of any other kind.
    #[cfg(feature = "ranked-tokenizer")]
    pub const fn ranked(&self) -> Option<&Ranked<'a>> {
        match &self.tables {
            Tables::Ranked(ranked) => Some(ranked),
            _ => None,
        }
    }

    /// Writes the tokens of `text` to the front of `out`, and says how many they are. They spell the text, behind a space
    /// where there is a [dummy prefix](Self::has_dummy_prefix) and the text is not empty; those of a [`Kind::RankedBpe`] as
    /// far as its rules keep spaces and know every character. A text that such rules want in a normal form has to be in it.
    ///
    /// Special tokens (`<|endoftext|>`) are matched in the text as they stand; none is added.
    /// [`text.len() + 1`](str::len) places are always enough, and without a dummy prefix `text.len()`; but where rules put a
    /// space before each part between added tokens, a place more for each part. The tokens alone need
    /// to fit where pieces have at most [`MAX_SHORT_PIECE`] bytes; a longer piece is merged in `out`, and needs a place for
    /// each of its bytes. The patterns of GPT-2, Llama 3 and Qwen 2 leave pieces of words and of runs of digits, signs or
    /// spaces; where tokens have scores, or spaces are not cut by a pattern, a piece is a word with the spaces before it, or
    /// the whole text where some token has a space behind another character.
    ///
    /// The time is linear in the text's length, except that a piece of `n` bytes takes up to `n^2 / 32` looks at the table of
    /// merges, and `64 n` where it has fewer than 2,048. A look is one to 64 places of a hash table; the tokens of characters,
    /// and of whole pieces, are found in `log2` of their number of looks.
    ///
    /// # Errors
    /// A character for which there is no token; too little room. What `out` holds is unspecified then.
    pub fn encode(&self, text: &str, out: &mut [TokenId]) -> Result<usize, EncodeError> {
        match &self.tables {
            Tables::Chars(chars) => chars.encode(text, out),
            Tables::BytePairs(pairs) => encode::encode(pairs, text, out),
            #[cfg(feature = "scored-tokenizer")]
            Tables::Scored(scored) => scored.encode(text, out),
            #[cfg(feature = "ranked-tokenizer")]
            Tables::Ranked(ranked) => ranked.encode(text, out),
        }
    }

    /// [`Tokenizer::encode`] for bytes that may not be text.
    ///
    /// # Errors
    /// They are not UTF-8; those of `encode`.
    pub fn encode_utf8(&self, bytes: &[u8], out: &mut [TokenId]) -> Result<usize, EncodeError> {
        let text = core::str::from_utf8(bytes).map_err(|error| EncodeError::NotUtf8 { offset: error.valid_up_to() })?;
        self.encode(text, out)
    }
}

impl<'a> Model<Mapped<'a>> {
    /// The blob's tokeniser, `None` where it has none.
    ///
    /// # Errors
    /// The section is damaged.
    pub fn tokenizer(&self) -> Result<Option<Tokenizer<'a>>, TokenizerError> {
        let section = self.head().tokenizer;
        if section.bytes == 0 {
            return Ok(None);
        }
        let n_vocab = self.config().n_vocab;
        let bytes = self.bytes().get(section.offset as usize..).ok_or(TokenizerError::Head)?;
        let bytes = bytes.get(..section.bytes as usize).ok_or(TokenizerError::Head)?;
        Tokenizer::open(bytes, n_vocab).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    fn section(head: TokenizerHead, words: &[u32], text: &[u8]) -> Vec<u8> {
        let mut bytes = std::vec![0; TokenizerHead::BYTES];
        postcard::to_slice(&head, &mut bytes).unwrap();
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(text);
        bytes
    }

    fn chars(words: &[u32]) -> Vec<u8> {
        let head =
            TokenizerHead { kind: Kind::Chars, n_tokens: 3, n_merges: 0, text_bytes: 0, n_specials: 0, n_slots: 0 };
        section(head, words, &[])
    }

    #[test]
    fn characters() {
        let [a, e, clef] = ['a', 'é', '𝄞'].map(u32::from);
        let bytes = chars(&[e, a, clef, 1, 0, 2]);
        let tokenizer = Tokenizer::open(&bytes, 3).unwrap();
        let text = |token| tokenizer.token_bytes(token, &mut [0; 4]).map(Vec::from);
        assert_eq!(text(0).unwrap(), "é".as_bytes());
        assert_eq!(text(2).unwrap(), "𝄞".as_bytes());
        assert_eq!(text(3), None);
        let mut out = [9; 4];
        assert_eq!(tokenizer.encode("𝄞aé", &mut out), Ok(3));
        assert_eq!(out, [2, 1, 0, 9]);
        assert_eq!(tokenizer.encode("aé!", &mut out), Err(EncodeError::Character { c: '!', offset: 3 }));
        assert_eq!(tokenizer.encode("aaaaaa", &mut out), Err(EncodeError::TooManyTokens { need: 6, have: 4 }));
        assert_eq!(tokenizer.encode_utf8(b"a\xff", &mut out), Err(EncodeError::NotUtf8 { offset: 1 }));
        assert_eq!(Tokenizer::open(&bytes, 2).unwrap_err(), TokenizerError::TooManyTokens { tokens: 3, n_vocab: 2 });
        for (words, error) in [
            ([e, 0xD800, clef, 1, 0, 2], TokenizerError::Token(1)),
            ([e, a, clef, 0, 1, 2], TokenizerError::Order(1)),
            ([e, a, clef, 1, 0, 3], TokenizerError::Order(2)),
            ([a, a, clef, 1, 0, 2], TokenizerError::Order(1)),
        ] {
            assert_eq!(Tokenizer::open(&chars(&words), 3).unwrap_err(), error);
        }
    }

    /// Tokens a, b, ab, the start and the rest of é, and `<e>`; ab merges.
    fn byte_pairs(change: impl FnOnce(&mut Vec<u32>)) -> Vec<u8> {
        let text = b"abab\xc3\xa9<e>";
        let n_slots = 2;
        let mut words = std::vec![0, 1, 2, 4, 5, 6, 9];
        let ids = [(b'a', 0), (b'b', 1), (0xc3, 3), (0xa9, 4)];
        words.extend((0..=255).map(|byte| ids.iter().find(|(b, _)| *b == byte).map_or(u32::MAX, |&(_, id)| id)));
        words.extend([5, 0, 1, 2]);
        let mut slots = [u32::MAX; 2];
        slots[first_slot(0, 1, n_slots) as usize] = 0;
        words.extend(slots);
        change(&mut words);
        let kind = Kind::ByteBpe;
        let head =
            TokenizerHead { kind, n_tokens: 6, n_merges: 1, text_bytes: text.len() as u32, n_specials: 1, n_slots };
        section(head, &words, text)
    }

    #[test]
    fn text_to_byte_pairs() {
        let bytes = byte_pairs(|_| ());
        let tokenizer = Tokenizer::open(&bytes, 8).unwrap();
        assert_eq!(tokenizer.merges().collect::<Vec<_>>(), [(0, 1)]);
        assert_eq!(tokenizer.specials().collect::<Vec<_>>(), [5]);
        assert_eq!(tokenizer.token_bytes(2, &mut [0; 4]), Some(&b"ab"[..]));
        assert_eq!(tokenizer.token_bytes(6, &mut [0; 4]), None);
        let mut out = [9; 5];
        assert_eq!(tokenizer.encode("aab<e>é", &mut out), Ok(5));
        assert_eq!(out, [0, 2, 5, 3, 4]);
        assert_eq!(tokenizer.encode("aabé!", &mut out), Err(EncodeError::Character { c: '!', offset: 5 }));
        assert_eq!(tokenizer.encode("aab", &mut out[..1]), Err(EncodeError::TooManyTokens { need: 2, have: 1 }));
        // A piece that is too long for the stack is merged in the caller's memory.
        let long = "ab".repeat(50);
        assert_eq!(tokenizer.encode(&long, &mut [0; 99]), Err(EncodeError::TooManyTokens { need: 100, have: 99 }));
        assert_eq!(tokenizer.encode(&long, &mut [0; 100]), Ok(50));
    }

    #[cfg(not(feature = "scored-tokenizer"))]
    #[test]
    fn scores_that_are_left_out_are_refused_as_such() {
        let kind = Kind::ScoredBpe;
        let head = TokenizerHead { kind, n_tokens: 0, n_merges: 0, text_bytes: 0, n_specials: 0, n_slots: 1 };
        let error = Tokenizer::open(&section(head, &[u32::MAX; 1 + 1 + 256 + 1], &[]), 1).unwrap_err();
        assert_eq!(error, TokenizerError::LeftOut(kind));
        assert_eq!(std::format!("{error}"), "the tokeniser is scored-bpe, which this build leaves out");
    }

    #[cfg(not(feature = "ranked-tokenizer"))]
    #[test]
    fn ranks_that_are_left_out_are_refused_as_such() {
        let kind = Kind::RankedBpe;
        let head = TokenizerHead { kind, n_tokens: 0, n_merges: 0, text_bytes: 0, n_specials: 0, n_slots: 1 };
        let error = Tokenizer::open(&section(head, &[0; 4 + 2 + 1 + 256 + 1], &[]), 1).unwrap_err();
        assert_eq!(error, TokenizerError::LeftOut(kind));
    }

    #[test]
    fn each_fault_is_named() {
        type Change = fn(&mut Vec<u32>);
        let cases: [(Change, TokenizerError); 8] = [
            (|words| words[1] = 3, TokenizerError::Token(1)),
            (|words| words[6] = 10, TokenizerError::Token(5)),
            (|words| words[7 + 97] = 1, TokenizerError::Byte(b'a')),
            (|words| words[7 + 256] = 3, TokenizerError::Special(3)),
            (|words| words[7 + 257] = 6, TokenizerError::Merge(0)),
            (|words| words[7 + 258] = 0, TokenizerError::Merge(0)),
            (|words| words[7 + 259] = 1, TokenizerError::Merge(0)),
            (|words| words[7 + 260..].fill(u32::MAX), TokenizerError::Merge(0)),
        ];
        for (change, error) in cases {
            assert_eq!(Tokenizer::open(&byte_pairs(change), 8).unwrap_err(), error);
        }
        let bytes = byte_pairs(|_| ());
        assert_eq!(Tokenizer::open(&bytes[..bytes.len() - 1], 8).unwrap_err(), TokenizerError::Head);
    }

    #[test]
    fn bytes_wait_for_their_character() {
        let bytes = byte_pairs(|_| ());
        let mut decoder = Decoder::new(Tokenizer::open(&bytes, 8).unwrap());
        let mut text = String::new();
        for (token, expected, is_whole) in
            [(2, "ab", true), (3, "ab", false), (4, "abé", true), (3, "abé", false), (0, "abé\u{fffd}a", true)]
        {
            decoder.push(token, &mut text).unwrap();
            assert_eq!((text.as_str(), decoder.is_whole()), (expected, is_whole));
        }
        assert_eq!(decoder.push(6, &mut text), Err(DecodeError::UnknownToken(6)));
        decoder.push(3, &mut text).unwrap();
        decoder.finish(&mut text).unwrap();
        assert_eq!(text, "abé\u{fffd}a\u{fffd}");
    }
}
