//! The tokens of a BPE by ranks: what they stand for, and by what they are found.

use std::collections::HashMap;

use emberlm_core::config::TokenId;
use emberlm_core::tokenizer::{Prefix, Rules, Spaces, Split, Unit};

use super::steps::{Decoding, Texts};
use crate::ground::shown::quoted;
use crate::text::tokenizer::bpe_model::Model;
use crate::text::tokenizer::byte_level;
use crate::text::tokenizer::document::{Added, Document};
use crate::text::tokenizer::normal_form::normalize;
use crate::text::tokenizer::ranked_tokens::{AddedToken, RankedParts, RankedTokens};

/// The byte of which a token has the name.
fn named_byte(name: &str) -> Option<u8> {
    let digits = name.strip_prefix("<0x")?.strip_suffix('>').filter(|_| name.len() == 6)?;
    u8::from_str_radix(digits, 16).ok()
}

/// A document's tokens.
pub struct Vocabulary<'d> {
    model: &'d Model,
    texts: &'d Texts,
    tokens: Vec<Vec<u8>>,
    bytes: [Option<TokenId>; 256],
    added: Vec<AddedToken>,
}

impl<'d> Vocabulary<'d> {
    /// Reads the tokens of a document.
    ///
    /// # Errors
    /// One that a section cannot say.
    pub fn new(document: &Document, model: &'d Model, texts: &'d Texts) -> Result<Self, String> {
        let ids = model.vocab.values().copied().chain(document.added().iter().map(|added| added.id));
        let tokens = vec![Vec::new(); ids.max().map_or(0, |highest| highest as usize + 1)];
        let mut vocabulary = Self { model, texts, tokens, bytes: [None; 256], added: Vec::new() };
        let mut by_id: Vec<(TokenId, &str)> = model.vocab.iter().map(|(name, &id)| (id, name.as_str())).collect();
        by_id.sort_unstable();
        for (id, name) in by_id {
            vocabulary.tokens[id as usize] = vocabulary.spelled(name);
            if let Some(byte) = vocabulary.byte_of(name)
                && let Some(first) = vocabulary.bytes[usize::from(byte)].replace(id)
            {
                return Err(format!("tokens {first} and {id} are the same byte"));
            }
        }
        let mut seen = HashMap::new();
        for added in document.added().iter().filter(|added| !added.content.is_empty()) {
            let token = vocabulary.added(added)?;
            match seen.insert((token.is_normalized, token.text.clone()), added.id) {
                Some(first) if first == added.id => {}
                Some(first) => {
                    return Err(format!(
                        "the added tokens {first} and {} are both {} in a text",
                        added.id,
                        quoted(&token.text)
                    ));
                }
                None => vocabulary.added.push(token),
            }
        }
        Ok(vocabulary)
    }

    /// An added token, which stands for its text from now on.
    fn added(&mut self, added: &Added) -> Result<AddedToken, String> {
        let &Added { id, ref content, lstrip, rstrip, normalized, special, single_word } = added;
        if single_word {
            return Err(format!("the added token {} is of whole words only (single_word)", quoted(content)));
        }
        if self.model.vocab.get(content).is_some_and(|&other| other != id) {
            return Err(format!("the added token {} has two ids", quoted(content)));
        }
        let mut text = content.clone();
        if normalized {
            text = normalize(self.texts.form, content)?.into_owned();
            if let Spaces::Normalized(stand_in) = self.texts.spaces {
                text = text.replace(stand_in, " ");
            }
            if self.texts.prefix == Prefix::Inserted {
                text.insert(0, ' ');
            }
        }
        if text.is_empty() {
            return Err(format!("nothing is left of the added token {} when it is normalised", quoted(content)));
        }
        self.tokens[id as usize] = self.spelled(&text);
        let is_characters = self.texts.unit == Unit::Characters;
        if is_characters && self.byte_of(&text).is_some_and(|byte| self.bytes[usize::from(byte)] != Some(id)) {
            return Err(format!("the added token {} has the name of a byte", quoted(content)));
        }
        Ok(AddedToken {
            is_normalized: normalized,
            text,
            token: id,
            takes_before: lstrip,
            takes_behind: rstrip,
            is_special: special,
        })
    }

    /// The bytes that a token's name stands for.
    fn spelled(&self, name: &str) -> Vec<u8> {
        match self.texts.unit {
            // What is not made of bytes alone is text to the decoder.
            Unit::Bytes => byte_level::to_bytes(name).unwrap_or_else(|| name.as_bytes().to_vec()),
            Unit::Characters => match (self.byte_of(name), self.texts.stand_in()) {
                (Some(byte), _) => vec![byte],
                (None, Some(stand_in)) => name.replace(stand_in, " ").into_bytes(),
                (None, None) => name.as_bytes().to_vec(),
            },
        }
    }

    /// The byte that a token's name stands for by itself.
    fn byte_of(&self, name: &str) -> Option<u8> {
        match self.texts.unit {
            Unit::Bytes => match byte_level::to_bytes(name)?[..] {
                [byte] => Some(byte),
                _ => None,
            },
            Unit::Characters if self.model.byte_fallback => named_byte(name),
            Unit::Characters => None,
        }
    }

    /// Whether a text may be a token's name.
    fn is_text(&self, name: &str) -> bool {
        let is_text = match self.texts.unit {
            Unit::Bytes => byte_level::to_bytes(name).is_some(),
            Unit::Characters => self.texts.stand_in().is_none() || !name.contains(' '),
        };
        is_text && !name.is_empty()
    }

    /// The tokens with the merges and the rules.
    ///
    /// # Errors
    /// They contradict each other, or a section cannot say them.
    pub fn assemble(self, decoding: &Decoding) -> Result<RankedTokens, String> {
        let (model, texts) = (self.model, self.texts);
        let names = model.vocab.keys().chain(self.added.iter().map(|added| &added.text));
        let byte = names.filter(|name| named_byte(name).is_some()).min();
        if let Some(name) = byte.filter(|_| decoding.joins_bytes && !model.byte_fallback) {
            let name = quoted(name);
            return Err(format!("its decoder takes the token {name} for a byte, and no character falls back to it"));
        }
        if let Some(name) = self.spaced().filter(|_| decoding.drops_first_spaces) {
            let name = quoted(name);
            return Err(format!("its decoder (Metaspace) keeps the space of the token {name}, and drops others"));
        }
        if let Some(name) = self.bytes_in_other_letters() {
            return Err(format!("the token {} is a byte by another name", quoted(name)));
        }
        if model.ignore_merges && texts.unit == Unit::Characters && self.bytes.iter().any(Option::is_some) {
            return Err("it ignores merges (ignore_merges), and its characters fall back to bytes".into());
        }
        let is_whole = texts.unit == Unit::Bytes && self.bytes.iter().all(Option::is_some);
        let unknown = match &model.unk_token {
            Some(name) if !is_whole => Some(
                model.vocab.get(name).copied().ok_or_else(|| format!("its unk_token {} is no token", quoted(name)))?,
            ),
            _ => None,
        };
        if texts.unit == Unit::Bytes && unknown.is_some() {
            return Err("its model sets unk_token, and not every byte has a token".into());
        }
        if let Some(stand_in) =
            texts.stand_in().filter(|&c| !model.vocab.contains_key(c.encode_utf8(&mut [0; 4]) as &str))
        {
            return Err(format!("it has no token for {stand_in:?}, which stands for a space"));
        }
        let is_found = |name: &str| match texts.unit {
            Unit::Bytes => model.ignore_merges && self.is_text(name),
            Unit::Characters => self.is_text(name) && (model.ignore_merges || name.chars().nth(1).is_none()),
        };
        let found = model.vocab.iter().filter(|(name, _)| is_found(name)).map(|(_, &id)| id).collect();
        let merges = self.merges()?;
        let has_space = texts.stand_in().is_some() || model.vocab.contains_key(" ");
        let splits_words = |[.., made]: &[TokenId; 3]| {
            self.tokens[*made as usize].windows(2).any(|pair| matches!(pair, [before, b' '] if *before != b' '))
        };
        // Nothing merges across the start of a run of spaces.
        let is_cut = texts.unit == Unit::Characters && has_space && !model.ignore_merges;
        let split = match texts.split {
            Split::Whole if is_cut && !merges.iter().any(splits_words) => Split::BeforeRunsOfSpaces,
            split => split,
        };
        let rules = Rules {
            unit: texts.unit,
            split,
            digits: texts.digits,
            prefix: texts.prefix,
            spaces: texts.spaces,
            form: texts.form,
            ignores_merges: model.ignore_merges,
            unknown,
            fuses_unknown: unknown.is_some() && model.fuse_unk,
            strips: decoding.strips,
            drops_first_spaces: decoding.drops_first_spaces,
        };
        let parts =
            RankedParts { rules, tokens: self.tokens, bytes: self.bytes, merges, texts: found, added: self.added };
        RankedTokens::new(parts).map_err(|error| error.to_string())
    }

    /// A token with a space that nothing stands in for.
    fn spaced(&self) -> Option<&str> {
        let is_replaced =
            |added: &AddedToken| added.is_normalized && matches!(self.texts.spaces, Spaces::Normalized(_));
        let added = self.added.iter().filter(|added| !is_replaced(added)).map(|added| added.text.as_str());
        self.model.vocab.keys().map(String::as_str).chain(added).filter(|name| name.contains(' ')).min()
    }

    /// A name of a byte that text does not fall back to.
    fn bytes_in_other_letters(&self) -> Option<&'d str> {
        let is_other = |name: &str, byte: u8| name != format!("<0x{byte:02X}>");
        let names = self.model.vocab.keys().map(String::as_str).filter(|_| self.texts.unit == Unit::Characters);
        names.filter(|name| self.byte_of(name).is_some_and(|byte| is_other(name, byte))).min()
    }

    fn merges(&self) -> Result<Vec<[TokenId; 3]>, String> {
        let vocab = &self.model.vocab;
        let id_of = |name: &str| vocab.get(name).copied();
        let mut joined = String::new();
        let mut merge = |(left, right): (&str, &str)| {
            let part = |name: &str| id_of(name).ok_or_else(|| format!("the merge part {} is no token", quoted(name)));
            let (left_id, right_id) = (part(left)?, part(right)?);
            joined.clear();
            joined.extend([left, right]);
            let made = id_of(&joined).ok_or_else(|| {
                format!("the merge of {} and {} makes no token of the vocabulary", quoted(left), quoted(right))
            })?;
            Ok([left_id, right_id, made])
        };
        self.model.merges()?.into_iter().map(&mut merge).collect()
    }
}
