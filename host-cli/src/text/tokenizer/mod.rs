//! Text to token ids and back.
//!
//! Five kinds: single characters (`chars`), byte-level BPE by GPT-2's scheme ([`byte_pairs`], `bpe` with `merge`), BPE by
//! scores ([`scored_tokens`], `scored` with `merge`) as in llama2.c's `tokenizer_bin`, BPE by ranks with rules of its own
//! ([`ranked_tokens`], `ranked` with `merge` and `normal_form`), and any other `tokenizer.json` (`other`). A `document` is
//! what Hugging Face's files say, with the `companions` that lie beside them; `hugging_face` tells whether it is GPT-2's
//! scheme, `described` whether it is a BPE by ranks, both from its `bpe_model`. GPT-2's own table is `gpt2`, what a blob
//! holds [`section`]. Which one serves a model: [`select`]; with how few of its tokens: [`prune`].

mod bpe;
mod bpe_model;
mod byte_level;
pub mod byte_pairs;
mod chars;
mod companions;
mod described;
mod document;
mod error;
mod gpt2;
mod hugging_face;
mod merge;
mod normal_form;
mod other;
pub mod prune;
mod ranked;
pub mod ranked_tokens;
mod scored;
pub mod scored_tokens;
pub mod section;
pub mod select;
mod tokenizer_bin;

use std::borrow::Cow;

use bpe::Bpe;
use byte_pairs::BytePairs;
use chars::Chars;
use document::{Begin, Document};
use emberlm_core::config::TokenId;
use other::Other;
use ranked::{Decoding, Ranked};
use ranked_tokens::RankedTokens;
use scored::Scored;
use scored_tokens::ScoredTokens;

use crate::ground::kept::Kept;

pub use error::{Position, TokenizerError};
pub use gpt2::N_VOCAB as GPT2_N_VOCAB;

/// Text to token ids and back.
pub struct Tokenizer {
    kind: Kind,
    origin: String,
    begin: Begin,
}

enum Kind {
    Chars(Chars),
    Bpe(Box<Bpe>),
    Scored(Box<Scored>),
    Ranked(Box<Ranked>),
    Other(Box<Other>),
}

/// What a blob's tokeniser section holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionParts {
    /// The character of each id.
    Chars(Vec<char>),
    /// Byte-level BPE.
    BytePairs(BytePairs),
    /// BPE by scores.
    Scored(ScoredTokens),
    /// BPE by ranks, with rules of its own.
    Ranked(Box<RankedTokens>),
}

/// What a blob gets of a tokenizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobTokenizer {
    /// What its tokeniser section holds.
    pub parts: SectionParts,
    /// The token that is put before a text.
    pub first: Option<TokenId>,
}

impl SectionParts {
    /// The bytes of a token; `None` for an id without one.
    pub fn token_bytes(&self, id: TokenId) -> Option<Vec<u8>> {
        match self {
            Self::Chars(chars) => chars.get(id as usize).map(|c| c.to_string().into_bytes()),
            Self::BytePairs(pairs) => pairs.tokens().get(id as usize).filter(|bytes| !bytes.is_empty()).cloned(),
            Self::Scored(scored) => scored.tokens().get(id as usize).filter(|bytes| !bytes.is_empty()).cloned(),
            Self::Ranked(ranked) => ranked.tokens().get(id as usize).filter(|bytes| !bytes.is_empty()).cloned(),
        }
    }
}

impl SectionParts {
    /// Leaves out all tokens but these, whose ids become their places among them.
    pub fn keep(&mut self, kept: &Kept) {
        match self {
            Self::Chars(chars) => *chars = kept.of_list(chars),
            Self::BytePairs(pairs) => pairs.keep(kept),
            Self::Scored(tokens) => tokens.keep(kept),
            Self::Ranked(tokens) => tokens.keep(kept),
        }
    }
}

impl Tokenizer {
    /// The token for the beginning of a text that the tokenizer names.
    pub const fn bos(&self) -> Option<TokenId> {
        self.begin.token
    }

    /// Whether it puts the token for the beginning before a text.
    pub const fn asks_for_bos(&self) -> bool {
        self.begin.is_added
    }

    /// The form that texts have to have before the device encodes them, by its name; the host gives it to them.
    pub fn normal_form(&self) -> Option<&'static str> {
        match &self.kind {
            Kind::Ranked(ranked) => ranked.tokens().rules().form.name(),
            _ => None,
        }
    }

    fn new(kind: Kind, origin: String) -> Self {
        let token = matches!(kind, Kind::Scored(_)).then_some(tokenizer_bin::BOS);
        Self { kind, origin, begin: Begin { token, is_added: token.is_some() } }
    }

    /// GPT-2's own tokenizer, built in.
    ///
    /// # Errors
    /// The built-in table is not GPT-2's.
    pub fn gpt2() -> Result<Self, TokenizerError> {
        Ok(Self::new(Kind::Bpe(Box::new(Bpe::new(gpt2::byte_pairs()?)?)), "gpt2 (built in)".into()))
    }

    /// A tokenizer from what a blob's section holds; `origin` says where it is from.
    ///
    /// # Errors
    /// The parts contradict each other.
    pub fn from_parts(parts: SectionParts, origin: impl Into<String>) -> Result<Self, TokenizerError> {
        let origin = origin.into();
        let kind = match parts {
            SectionParts::BytePairs(pairs) => Kind::Bpe(Box::new(Bpe::new(pairs)?)),
            SectionParts::Scored(tokens) => Kind::Scored(Box::new(Scored::new(tokens))),
            SectionParts::Ranked(tokens) => Kind::Ranked(Box::new(Ranked::new(*tokens))),
            SectionParts::Chars(list) => match Chars::new(list) {
                Ok(chars) => Kind::Chars(chars),
                Err(why) => return Err(TokenizerError::Broken { origin, why }),
            },
        };
        Ok(Self::new(kind, origin))
    }

    /// A tokenizer from the bytes of a `tokenizer.json`; `origin` says where it is from.
    ///
    /// # Errors
    /// It cannot be used; the message says why.
    pub fn from_tokenizer_json(json: &[u8], origin: impl Into<String>) -> Result<Self, TokenizerError> {
        let origin = origin.into();
        match Document::of_json(json) {
            Ok(document) => Self::from_document(&document, origin),
            Err(why) => Err(TokenizerError::Broken { origin, why }),
        }
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
        match Document::of_vocab_and_merges(vocab, merges) {
            Ok(document) => Self::from_document(&document, origin),
            Err(why) => Err(TokenizerError::Broken { origin, why }),
        }
    }

    fn from_document(document: &Document, origin: String) -> Result<Self, TokenizerError> {
        let kind = match hugging_face::byte_pairs(document) {
            Ok(pairs) => Kind::Bpe(Box::new(Bpe::new(pairs)?)),
            Err(_) => match described::ranked(document) {
                Ok(tokens) => Kind::Ranked(Box::new(Ranked::new(tokens))),
                Err(why) => match Other::new(document, why) {
                    Ok(other) => Kind::Other(Box::new(other)),
                    Err(why) => return Err(TokenizerError::Broken { origin, why }),
                },
            },
        };
        Ok(Self { kind, origin, begin: document.begin() })
    }

    /// A tokenizer from a JSON list of characters; `origin` says where it is from.
    ///
    /// # Errors
    /// An entry is not one character, or is there twice.
    pub fn from_chars_json(json: &[u8], origin: impl Into<String>) -> Result<Self, TokenizerError> {
        let origin = origin.into();
        let parsed = serde_json::from_slice::<Vec<char>>(json).map_err(|error| error.to_string());
        match parsed.and_then(Chars::new) {
            Ok(chars) => Ok(Self::new(Kind::Chars(chars), origin)),
            Err(why) => Err(TokenizerError::Broken { origin, why }),
        }
    }

    /// A tokenizer from the bytes of llama2.c's `tokenizer.bin`; `origin` says where it is from.
    ///
    /// # Errors
    /// They are none; the message says why.
    pub fn from_tokenizer_bin(file: &[u8], origin: impl Into<String>) -> Result<Self, TokenizerError> {
        let origin = origin.into();
        match tokenizer_bin::read(file) {
            Ok(tokens) => Ok(Self::new(Kind::Scored(Box::new(Scored::new(tokens))), origin)),
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
            Kind::Scored(scored) => scored.tokens().tokens().len(),
            Kind::Ranked(ranked) => ranked.tokens().tokens().len(),
            Kind::Other(other) => other.len(),
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
            Kind::Scored(scored) => scored.encode(text),
            Kind::Ranked(ranked) => ranked.encode(text),
            Kind::Other(other) => other.encode(text),
        }
    }

    /// The UTF-8 bytes that `id` stands for; `None` for an id without a token, or where tokens are not bytes.
    pub fn token_bytes(&self, id: TokenId) -> Option<Cow<'_, [u8]>> {
        match &self.kind {
            Kind::Chars(chars) => chars.list().get(id as usize).map(|c| Cow::Owned(c.to_string().into_bytes())),
            Kind::Bpe(bpe) => bpe.token_bytes(id).map(Cow::Borrowed),
            Kind::Scored(scored) => scored.token_bytes(id).map(Cow::Borrowed),
            Kind::Ranked(ranked) => ranked.token_bytes(id).map(Cow::Borrowed),
            Kind::Other(other) => other.token_bytes(id).map(Cow::Borrowed),
        }
    }

    /// The text of one token, with U+FFFD for bytes that are not UTF-8 on their own.
    ///
    /// # Errors
    /// The id has no token.
    pub fn token_text(&self, id: TokenId) -> Result<String, TokenizerError> {
        if let Kind::Scored(scored) = &self.kind
            && let Some(name) = scored.name(id)
        {
            return Ok(name.to_owned());
        }
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
        if let Kind::Ranked(ranked) = &self.kind {
            return Ok(ranked.decode(ids));
        }
        if let Kind::Scored(scored) = &self.kind {
            return Ok(String::from_utf8_lossy(&scored.decode(ids)).into_owned());
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

    /// Tokens to text, one by one: what follows `prompt`.
    pub fn spelling(&self, prompt: &[TokenId]) -> Spelling<'_> {
        match &self.kind {
            Kind::Ranked(ranked) => Spelling::Ranked(Decoding::new(ranked, prompt)),
            Kind::Scored(scored) => {
                let is_empty = prompt.iter().all(|&id| scored.token_bytes(id).is_some_and(<[u8]>::is_empty));
                Spelling::Plain { tokenizer: self, has_prefix: is_empty && scored.tokens().has_dummy_prefix() }
            }
            _ => Spelling::Plain { tokenizer: self, has_prefix: false },
        }
    }

    /// What a blob's tokeniser section needs to hold to encode as this does.
    ///
    /// # Errors
    /// The tokenizer is neither characters nor any of the BPEs that a section says; the message says what differs.
    pub fn section_parts(&self) -> Result<SectionParts, TokenizerError> {
        match &self.kind {
            Kind::Chars(chars) => Ok(SectionParts::Chars(chars.list().to_vec())),
            Kind::Bpe(bpe) => Ok(SectionParts::BytePairs(bpe.pairs().clone())),
            Kind::Scored(scored) => Ok(SectionParts::Scored(scored.tokens().clone())),
            Kind::Ranked(ranked) => Ok(SectionParts::Ranked(Box::new(ranked.tokens().clone()))),
            Kind::Other(other) => Err(self.not_portable(other.why.clone())),
        }
    }

    /// [`Tokenizer::section_parts`] for a model of `n_vocab` tokens, and the tokens left out because it lacks them.
    ///
    /// # Errors
    /// Those of `section_parts`; a merge needs or makes a token that the model lacks, or a text has one.
    pub fn section_parts_of_model(&self, n_vocab: u32) -> Result<(SectionParts, Vec<TokenId>), TokenizerError> {
        let mut parts = self.section_parts()?;
        let left_out = match &mut parts {
            SectionParts::Chars(chars) => {
                let ids = (n_vocab..).take(chars.len().saturating_sub(n_vocab as usize)).collect();
                chars.truncate(n_vocab as usize);
                Ok(ids)
            }
            SectionParts::BytePairs(pairs) => {
                pairs.truncate(n_vocab).map_err(|rank| format!("merge {rank} needs one of the others"))
            }
            SectionParts::Scored(tokens) => {
                tokens.truncate(n_vocab).map_err(|id| format!("a text may have token {id}"))
            }
            SectionParts::Ranked(tokens) => tokens.truncate(n_vocab),
        };
        let why = |why| self.not_portable(format!("it has {} tokens, the model {n_vocab}, and {why}", self.n_vocab()));
        Ok((parts, left_out.map_err(why)?))
    }

    /// What a blob of a model of `n_vocab` tokens gets of it, and the tokens left out because the model lacks them.
    ///
    /// # Errors
    /// Those of `section_parts_of_model`.
    pub fn for_blob(&self, n_vocab: u32) -> Result<(BlobTokenizer, Vec<TokenId>), TokenizerError> {
        let (parts, left_out) = self.section_parts_of_model(n_vocab)?;
        let first = self.bos().filter(|&bos| self.asks_for_bos() && bos < n_vocab);
        Ok((BlobTokenizer { parts, first }, left_out))
    }

    fn not_portable(&self, why: String) -> TokenizerError {
        TokenizerError::NotPortable { origin: self.origin.clone(), why }
    }

    fn unknown_id(&self, id: TokenId) -> TokenizerError {
        TokenizerError::UnknownId { id, origin: self.origin.clone(), len: self.n_vocab() }
    }
}

/// Tokens that become text, one by one.
pub enum Spelling<'t> {
    /// Those of a BPE by ranks.
    Ranked(Decoding<'t>),
    /// Those that are the bytes they stand for.
    Plain {
        /// Says which.
        tokenizer: &'t Tokenizer,
        /// Whether a space comes first that is not the text's own.
        has_prefix: bool,
    },
}

impl Spelling<'_> {
    /// The bytes that are certain with `id`; those of U+FFFD for one that has no token.
    pub fn push(&mut self, id: TokenId) -> Vec<u8> {
        match self {
            Self::Ranked(decoding) => decoding.push(id),
            Self::Plain { tokenizer, has_prefix } => {
                let mut bytes = match tokenizer.token_bytes(id) {
                    Some(bytes) => bytes.into_owned(),
                    None => {
                        tokenizer.token_text(id).unwrap_or_else(|_| char::REPLACEMENT_CHARACTER.into()).into_bytes()
                    }
                };
                if *has_prefix && bytes.starts_with(b" ") {
                    bytes.remove(0);
                    *has_prefix = false;
                }
                *has_prefix &= bytes.is_empty();
                bytes
            }
        }
    }

    /// The bytes that are left when no more tokens come.
    pub fn finish(&mut self) -> Vec<u8> {
        match self {
            Self::Ranked(decoding) => decoding.finish(),
            Self::Plain { .. } => Vec::new(),
        }
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
