//! Text to token ids and back.
//!
//! Four kinds: single characters (`chars`), byte-level BPE by GPT-2's scheme ([`byte_pairs`], `bpe`) from Hugging
//! Face's files (`hugging_face`) or from GPT-2's own table (`gpt2`), any other `tokenizer.json`, and what a blob holds
//! ([`section`]), which core encodes as it does on the device.
//! Which one serves a model: [`select`].

mod bpe;
mod byte_level;
pub mod byte_pairs;
mod chars;
mod gpt2;
mod hugging_face;
pub mod section;
pub mod select;

use std::borrow::Cow;

use bpe::Bpe;
use byte_pairs::BytePairs;
use chars::Chars;
use emberlm_core::config::TokenId;
use section::Section;

use crate::files::{FileError, json};
use crate::shown;

pub use gpt2::N_VOCAB as GPT2_N_VOCAB;

/// Text to token ids and back.
pub struct Tokenizer {
    kind: Kind,
    origin: String,
}

enum Kind {
    Chars(Chars),
    Bpe(Box<Bpe>),
    Other(Box<hugging_face::Other>),
    Section(Section),
}

/// What a blob's tokeniser section holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionParts {
    /// The character of each id.
    Chars(Vec<char>),
    /// Byte-level BPE.
    BytePairs(BytePairs),
}

/// The place of a character in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Characters from the line's start, from 1.
    pub column: usize,
    /// Bytes from the text's start, from 0.
    pub offset: usize,
}

/// Why text does not become ids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The vocabulary has nothing for a character.
    #[error(
        "the tokenizer has no token for {c:?} (U+{code:04X}) at line {line}, column {column} (byte {offset}){text}",
        code = u32::from(*.c), line = .position.line, column = .position.column, offset = .position.offset,
        text = .text.as_ref().map_or_else(String::new, |name| format!(" of {}", shown::message(name)))
    )]
    Unrepresentable {
        /// The character.
        c: char,
        /// Where it stands.
        position: Position,
        /// The name of the text, where it has one.
        text: Option<String>,
    },
    /// An id without a token.
    #[error("id {id} has no token: the vocabulary of {origin} ends at {len}")]
    UnknownId {
        /// The id.
        id: TokenId,
        /// Where the vocabulary is from.
        origin: String,
        /// One more than the highest id.
        len: usize,
    },
    /// A file or section that is no tokenizer.
    #[error("{origin} is no tokenizer that can be used: {}", shown::message(why))]
    Broken {
        /// The file or section.
        origin: String,
        /// What is wrong.
        why: String,
    },
    /// A file could not be read, or is something else.
    #[error(transparent)]
    File(#[from] FileError),
    /// No tokenizer was named and none was found.
    #[error("no tokenizer: {0}")]
    Missing(String),
    /// A blob's tokeniser section cannot hold this tokenizer.
    #[error("{origin} cannot live in a blob: {}", shown::message(why))]
    NotPortable {
        /// Where the tokenizer is from.
        origin: String,
        /// What differs from what a section holds.
        why: String,
    },
    /// The `tokenizers` crate failed.
    #[error("the tokenizer failed: {}", shown::message(.0))]
    Failed(String),
}

impl TokenizerError {
    /// A stable name for the kind of error.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unrepresentable { .. } => "unrepresentable_text",
            Self::UnknownId { .. } => "token_out_of_range",
            Self::Missing(_) => "no_tokenizer",
            Self::File(error) => error.kind(),
            _ => "tokenizer",
        }
    }

    /// The same error, of the text called `name`.
    pub fn in_text(self, name: &str) -> Self {
        match self {
            Self::Unrepresentable { c, position, .. } => {
                Self::Unrepresentable { c, position, text: Some(name.to_owned()) }
            }
            other => other,
        }
    }

    /// The character at byte `offset` of `text` has no token.
    fn unrepresentable(text: &str, offset: usize) -> Self {
        let c = text[offset..].chars().next().unwrap_or(char::REPLACEMENT_CHARACTER);
        Self::Unrepresentable { c, position: Position::of(text, offset), text: None }
    }
}

impl Position {
    /// The place of the character at byte `offset` of `text`.
    pub fn of(text: &str, offset: usize) -> Self {
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: 1 + before.bytes().filter(|&byte| byte == b'\n').count(),
            column: 1 + before[line_start..].chars().count(),
            offset,
        }
    }
}

impl Tokenizer {
    /// GPT-2's own tokenizer, built in.
    ///
    /// # Errors
    /// The built-in table is not GPT-2's.
    pub fn gpt2() -> Result<Self, TokenizerError> {
        Ok(Self { kind: Kind::Bpe(Box::new(Bpe::new(gpt2::byte_pairs()?)?)), origin: "gpt2 (built in)".into() })
    }

    /// A tokenizer from what a blob's section holds; `origin` says where it is from.
    ///
    /// # Errors
    /// The parts contradict each other.
    pub fn from_parts(parts: SectionParts, origin: impl Into<String>) -> Result<Self, TokenizerError> {
        let origin = origin.into();
        match Section::new(parts) {
            Ok(section) => Ok(Self { kind: Kind::Section(section), origin }),
            Err(error) => Err(TokenizerError::Broken { origin, why: error.to_string() }),
        }
    }

    /// A tokenizer from the bytes of a `tokenizer.json`; `origin` says where it is from.
    ///
    /// # Errors
    /// It cannot be used; the message says why.
    pub fn from_tokenizer_json(json: &[u8], origin: impl Into<String>) -> Result<Self, TokenizerError> {
        let origin = origin.into();
        json::check_keys(json).map_err(|why| TokenizerError::Broken { origin: origin.clone(), why })?;
        let kind = match hugging_face::byte_pairs(json) {
            Ok(pairs) => Kind::Bpe(Box::new(Bpe::new(pairs)?)),
            Err(why) => match hugging_face::Other::new(json, why) {
                Ok(other) => Kind::Other(Box::new(other)),
                Err(why) => return Err(TokenizerError::Broken { origin, why }),
            },
        };
        Ok(Self { kind, origin })
    }

    /// A tokenizer from a `vocab.json` and a `merges.txt`; `origin` says where they are from.
    ///
    /// # Errors
    /// They contradict each other.
    pub fn from_vocab_and_merges(
        vocab: &[u8],
        merges: &str,
        origin: impl Into<String>,
    ) -> Result<Self, TokenizerError> {
        let origin = origin.into();
        let pairs = json::check_keys(vocab)
            .and_then(|()| hugging_face::byte_pairs_of_files(vocab, merges))
            .map_err(|why| TokenizerError::Broken { origin: origin.clone(), why })?;
        Ok(Self { kind: Kind::Bpe(Box::new(Bpe::new(pairs)?)), origin })
    }

    /// A tokenizer from a JSON list of characters; `origin` says where it is from.
    ///
    /// # Errors
    /// An entry is not one character, or is there twice.
    pub fn from_chars_json(json: &[u8], origin: impl Into<String>) -> Result<Self, TokenizerError> {
        let origin = origin.into();
        let parsed = serde_json::from_slice::<Vec<char>>(json).map_err(|error| error.to_string());
        match parsed.and_then(Chars::new) {
            Ok(chars) => Ok(Self { kind: Kind::Chars(chars), origin }),
            Err(why) => Err(TokenizerError::Broken { origin, why }),
        }
    }

    /// Where the tokenizer is from, for people.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// One more than the highest id.
    pub fn n_vocab(&self) -> usize {
        match &self.kind {
            Kind::Chars(chars) => chars.list().len(),
            Kind::Bpe(bpe) => bpe.pairs().tokens().len(),
            Kind::Other(other) => other.len(),
            Kind::Section(section) => section.n_vocab(),
        }
    }

    /// The ids of `text`, without any that a template would add.
    ///
    /// # Errors
    /// A character that the vocabulary lacks, with its place.
    pub fn encode(&self, text: &str) -> Result<Vec<TokenId>, TokenizerError> {
        match &self.kind {
            Kind::Chars(chars) => chars.encode(text),
            Kind::Bpe(bpe) => bpe.encode(text),
            Kind::Other(other) => other.encode(text),
            Kind::Section(section) => section.encode(text),
        }
    }

    /// The UTF-8 bytes that `id` stands for; `None` for an id without a token, or where tokens are not bytes.
    pub fn token_bytes(&self, id: TokenId) -> Option<Cow<'_, [u8]>> {
        match &self.kind {
            Kind::Chars(chars) => chars.list().get(id as usize).map(|c| Cow::Owned(c.to_string().into_bytes())),
            Kind::Bpe(bpe) => bpe.token_bytes(id).map(Cow::Borrowed),
            Kind::Other(other) => other.token_bytes(id).map(Cow::Borrowed),
            Kind::Section(section) => section.token_bytes(id),
        }
    }

    /// The text of one token, with U+FFFD for bytes that are not UTF-8 on their own.
    ///
    /// # Errors
    /// The id has no token.
    pub fn token_text(&self, id: TokenId) -> Result<String, TokenizerError> {
        match (self.token_bytes(id), &self.kind) {
            (Some(bytes), _) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            (None, Kind::Other(other)) => other.token(id).ok_or_else(|| self.unknown_id(id)),
            (None, _) => Err(self.unknown_id(id)),
        }
    }

    /// The text of `ids`, with U+FFFD for bytes that are not UTF-8.
    ///
    /// # Errors
    /// An id has no token.
    pub fn decode(&self, ids: &[TokenId]) -> Result<String, TokenizerError> {
        let known =
            |id| self.token_bytes(id).is_some() || matches!(&self.kind, Kind::Other(o) if o.token(id).is_some());
        if let Some(&id) = ids.iter().find(|&&id| !known(id)) {
            return Err(self.unknown_id(id));
        }
        let mut bytes = Vec::new();
        for &id in ids {
            match (self.token_bytes(id), &self.kind) {
                (Some(token), _) => bytes.extend_from_slice(&token),
                // Its own decoder knows what the tokens stand for, but not how much of the text each of them is.
                (None, Kind::Other(other)) => return other.decode(ids),
                (None, _) => return Err(self.unknown_id(id)),
            }
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What a blob's tokeniser section needs to hold to encode as this does.
    ///
    /// # Errors
    /// The tokenizer is neither characters nor GPT-2's scheme; the message says what differs.
    pub fn section_parts(&self) -> Result<SectionParts, TokenizerError> {
        match &self.kind {
            Kind::Chars(chars) => Ok(SectionParts::Chars(chars.list().to_vec())),
            Kind::Bpe(bpe) => Ok(SectionParts::BytePairs(bpe.pairs().clone())),
            Kind::Section(section) => Ok(section.parts().clone()),
            Kind::Other(other) => {
                Err(TokenizerError::NotPortable { origin: self.origin.clone(), why: other.why.clone() })
            }
        }
    }

    fn unknown_id(&self, id: TokenId) -> TokenizerError {
        TokenizerError::UnknownId { id, origin: self.origin.clone(), len: self.n_vocab() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOX: &str = "The quick brown fox jumps over the lazy dog";
    const FOX_IDS: [TokenId; 9] = [464, 2068, 7586, 21831, 18045, 625, 262, 16931, 3290];

    #[test]
    fn gpt2_to_ids_and_back_and_through_a_section() {
        let tokenizer = Tokenizer::gpt2().unwrap();
        assert_eq!(tokenizer.encode(FOX).unwrap(), FOX_IDS);
        assert_eq!(tokenizer.decode(&FOX_IDS).unwrap(), FOX);
        assert_eq!(tokenizer.token_text(2068).unwrap(), " quick");
        assert_eq!(tokenizer.n_vocab(), 50_257);
        let again = Tokenizer::from_parts(tokenizer.section_parts().unwrap(), "blob").unwrap();
        assert_eq!(again.encode(FOX).unwrap(), FOX_IDS);
        assert!(matches!(again.decode(&[50_257]), Err(TokenizerError::UnknownId { id: 50_257, len: 50_257, .. })));
    }

    #[test]
    fn characters_to_ids_and_back_and_through_a_section() {
        let tokenizer = Tokenizer::from_chars_json(r#"["\n", "é", "x"]"#.as_bytes(), "chars.json").unwrap();
        assert_eq!(tokenizer.encode("xé").unwrap(), [2, 1]);
        assert_eq!(tokenizer.token_bytes(1).as_deref(), Some("é".as_bytes()));
        assert_eq!(tokenizer.section_parts().unwrap(), SectionParts::Chars(vec!['\n', 'é', 'x']));
        let message = tokenizer.encode("x\nx\u{3a9}").unwrap_err().to_string();
        assert_eq!(message, "the tokenizer has no token for 'Ω' (U+03A9) at line 2, column 2 (byte 3)");
        assert!(Tokenizer::from_chars_json(br#"["ab"]"#, "chars.json").is_err());
    }
}
