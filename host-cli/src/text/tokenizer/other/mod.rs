//! A `tokenizer.json` that is not GPT-2's scheme, run by the `tokenizers` crate.
//!
//! What the crate would do without bounds is refused first: `steps` that make much of a text, and whatever panics or does
//! not end (`guard`).

mod guard;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use emberlm_core::config::TokenId;
use serde_json::{Value, json};
use tokenizers::normalizer::Range;
use tokenizers::{
    DecoderWrapper, Model, NormalizedString, Normalizer, NormalizerWrapper, OffsetReferential, OffsetType,
    PreTokenizerWrapper, Token, Tokenizer,
};

use super::document::{Added, Document};
use super::{TokenizerError, byte_level};
use crate::ground::shown::quoted;
use steps::{Normalization, Room, Step};

/// Bytes of text that are encoded at once, at most: the crate's records of a text are some 180 times its length.
const MAX_TEXT: usize = 16 << 20;

/// Characters of a word that WordPiece may be asked to cut: it tries all parts of it.
const MAX_WORD: u64 = 1000;

/// The time that anything may take, and what each byte adds to it.
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_PER_BYTE: Duration = Duration::from_micros(100);

/// A `tokenizer.json` that is not GPT-2's scheme.
pub struct Other {
    library: Arc<Library>,
    /// What differs from GPT-2's scheme.
    pub why: String,
}

/// What runs on a thread of its own.
struct Library {
    /// All but normalisation, pre-tokenisation and decoding, which are the steps below.
    tokenizer: Tokenizer,
    normalizers: Vec<Step<NormalizerWrapper>>,
    pre_tokenizers: Vec<Step<PreTokenizerWrapper>>,
    decoders: Vec<Step<DecoderWrapper>>,
    /// The token that stands for text which the vocabulary lacks.
    unknown: Option<(TokenId, String)>,
    /// The bytes of each id, where tokens are bytes.
    bytes: HashMap<TokenId, Vec<u8>>,
    /// One more than the highest id.
    len: usize,
}

impl Other {
    /// Prepares the tokenizer that `document` describes; `why` says what keeps it from being byte pairs.
    ///
    /// # Errors
    /// The crate cannot run it, or not in bounds.
    pub fn new(document: &Document, why: String) -> Result<Self, String> {
        let document = document.clone();
        let library = guard::run(2 * PATIENCE, move || Library::new(&document))??;
        Ok(Self { library: Arc::new(library), why })
    }

    /// One more than the highest id.
    pub fn len(&self) -> usize {
        self.library.len
    }

    /// The bytes of `id`, where tokens are bytes.
    pub fn token_bytes(&self, id: TokenId) -> Option<&[u8]> {
        self.library.bytes.get(&id).map(Vec::as_slice)
    }

    /// The token of `id` as the vocabulary spells it.
    pub fn token(&self, id: TokenId) -> Option<String> {
        self.library.tokenizer.id_to_token(id)
    }

    /// The text of `ids`.
    ///
    /// # Errors
    /// The decoder failed.
    pub fn decode(&self, ids: &[TokenId]) -> Result<String, TokenizerError> {
        let tokens: Vec<String> = ids.iter().filter_map(|&id| self.token(id)).collect();
        let len = tokens.iter().map(String::len).sum();
        let library = Arc::clone(&self.library);
        guard::run(patience(len), move || library.decode(tokens)).and_then(|text| text).map_err(TokenizerError::Failed)
    }

    /// The ids of `text`, without the special tokens that a template would add.
    ///
    /// # Errors
    /// A character of the normalised text, other than white space, is part of no token, or of the token for unknown
    /// text; the text is too long, or becomes too long.
    pub fn encode(&self, text: &str) -> Result<Vec<TokenId>, TokenizerError> {
        if text.len() > MAX_TEXT {
            return Err(TokenizerError::Failed(format!(
                "the text has {} bytes, and a tokenizer that is not GPT-2's scheme takes {MAX_TEXT} at a time: cut it up",
                text.len()
            )));
        }
        let (library, text) = (Arc::clone(&self.library), text.to_owned());
        guard::run(patience(text.len()), move || library.encode(&text)).map_err(TokenizerError::Failed)?
    }
}

fn patience(bytes: usize) -> Duration {
    PATIENCE + PATIENCE_PER_BYTE.saturating_mul(u32::try_from(bytes).unwrap_or(u32::MAX))
}

impl Library {
    fn new(document: &Document) -> Result<Self, String> {
        let model = document.part("model");
        if model["dropout"].as_f64().is_some_and(|dropout| dropout != 0.0) {
            return Err(format!("its model sets dropout {}: a text would have other ids each time", model["dropout"]));
        }
        if let Some(chars) = model["max_input_chars_per_word"].as_u64().filter(|&chars| chars > MAX_WORD) {
            return Err(format!("max_input_chars_per_word is {chars}, more than {MAX_WORD}"));
        }
        // Lists within lists of steps take the crate exponential time to read: it gets what they come to.
        let normalizer = document.steps("normalizer", "normalizers")?;
        let pre_tokenizer = document.steps("pre_tokenizer", "pretokenizers")?;
        let decoder = document.steps("decoder", "decoders")?;
        let normalizers = normalizer.iter().map(|step| Step::new(step)).collect::<Result<Vec<_>, _>>()?;
        let pre_tokenizers = pre_tokenizer.iter().map(|step| Step::new(step)).collect::<Result<Vec<_>, _>>()?;
        let decoders = decoder.iter().map(|step| Step::new(step)).collect::<Result<Vec<_>, _>>()?;
        let mut added = document.added().to_vec();
        added.sort_by_key(|added| added.id);
        for Added { content, .. } in added.iter().filter(|added| added.normalized) {
            let normalization = Normalization::new(&normalizers, content.len());
            normalization.normalize(&mut content.as_str().into()).map_err(|error| error.to_string())?;
            normalization.finish().map_err(|why| format!("the added token {}: {why}", quoted(content)))?;
        }
        let mut json = json!({"version": "1.0", "added_tokens": added, "model": model});
        if !normalizer.is_empty() {
            json["normalizer"] = json!({"type": "Sequence", "normalizers": normalizer});
        }
        let json = serde_json::to_vec(&json).map_err(|error| error.to_string())?;
        let tokenizer = Tokenizer::from_bytes(&json).map_err(|error| error.to_string())?;
        for Added { id, content, .. } in added.iter().filter(|added| !added.content.is_empty()) {
            match tokenizer.token_to_id(content) {
                Some(given) if given == *id => {}
                Some(given) => {
                    let why = "the tokenizers library numbers added tokens in order";
                    return Err(format!(
                        "the added token {} has the id {id} and would get {given}: {why}",
                        quoted(content)
                    ));
                }
                None => return Err(format!("the added token {} is not taken", quoted(content))),
            }
        }
        // Tokens are spelled in the byte alphabet.
        let bytewise = matches!(&decoder[..], [step] if step["type"] == "ByteLevel");
        let added: HashSet<TokenId> = added.iter().map(|added| added.id).collect();
        let (mut bytes, mut len) = (HashMap::new(), 0);
        for (token, id) in tokenizer.get_vocab(true) {
            len = len.max(id as usize + 1);
            let spelled = match added.contains(&id) {
                true => Some(token.into_bytes()),
                false if bytewise => byte_level::to_bytes(&token),
                false => None,
            };
            bytes.extend(spelled.map(|spelled| (id, spelled)));
        }
        let unknown = unknown_token(document, &tokenizer);
        Ok(Self { tokenizer, normalizers, pre_tokenizers, decoders, unknown, bytes, len })
    }

    fn encode(&self, text: &str) -> Result<Vec<TokenId>, TokenizerError> {
        let normalization = Normalization::new(&self.normalizers, text.len());
        let mut pieces = self.tokenizer.get_added_vocabulary().extract_and_normalize(Some(&normalization), text);
        normalization.finish().map_err(TokenizerError::Failed)?;
        steps::pre_tokenize(&self.pre_tokenizers, &mut pieces, Room::of(text.len())).map_err(TokenizerError::Failed)?;
        let tokenized = pieces.tokenize(|piece| {
            let tokens = self.tokenizer.get_model().tokenize(piece.get())?;
            match self.find_uncovered(piece.get(), &tokens) {
                Some(at) => Err(TokenizerError::unrepresentable(text, place_in_original(piece, at, text)).into()),
                None => Ok(tokens),
            }
        });
        tokenized.map_err(|error| match error.downcast::<TokenizerError>() {
            Ok(error) => *error,
            Err(error) => TokenizerError::Failed(error.to_string()),
        })?;
        let pieces = pieces.get_splits(OffsetReferential::Normalized, OffsetType::None);
        Ok(pieces.into_iter().flat_map(|(.., tokens)| tokens.iter().flatten().map(|token| token.id)).collect())
    }

    fn decode(&self, tokens: Vec<String>) -> Result<String, String> {
        let separator = if self.decoders.is_empty() { " " } else { "" };
        Ok(steps::decode(&self.decoders, tokens)?.join(separator))
    }

    /// The first character of a piece, other than white space, that none of its tokens stands for.
    fn find_uncovered(&self, piece: &str, tokens: &[Token]) -> Option<usize> {
        let is_unknown = |token: &&Token| {
            let (start, end) = token.offsets;
            self.unknown.as_ref().is_some_and(|(id, text)| token.id == *id && piece.get(start..end) != Some(text))
        };
        if let Some(token) = tokens.iter().find(is_unknown) {
            return Some(token.offsets.0);
        }
        let lacks = piece.len() - covered(tokens).min(piece.len());
        if lacks == 0 {
            return None;
        }
        // BPE drops what it has no token for, and its offsets leave no gap there: each character tells by itself.
        let is_missing = |c: &char| {
            let mut buffer = [0; 4];
            let tokens = self.tokenizer.get_model().tokenize(c.encode_utf8(&mut buffer));
            tokens.is_ok_and(|tokens| covered(&tokens) < c.len_utf8())
        };
        let chars: HashSet<char> = piece.chars().collect();
        let missing: HashSet<char> = chars.into_iter().filter(is_missing).collect();
        let all = piece.char_indices().filter(|(_, c)| missing.contains(c));
        let first = all.clone().find(|(_, c)| !c.is_whitespace()).map(|(at, _)| at);
        let explained: usize = all.map(|(_, c)| c.len_utf8()).sum();
        first.or(if explained == lacks { None } else { Some(0) })
    }
}

/// Bytes from a piece's start that its tokens stand for.
fn covered(tokens: &[Token]) -> usize {
    tokens
        .iter()
        .fold(0, |covered, token| if token.offsets.0 <= covered { covered.max(token.offsets.1) } else { covered })
}

/// Where the character at byte `at` of a piece comes from in `text`.
fn place_in_original(piece: &NormalizedString, at: usize, text: &str) -> usize {
    let end = piece.get()[at..].chars().next().map_or(at, |c| at + c.len_utf8());
    let start = piece.convert_offsets(Range::Normalized(at..end)).map_or(0, |range| range.start);
    text.floor_char_boundary((piece.offsets_original().0 + start).min(text.len().saturating_sub(1)))
}

/// The token that stands for text which the vocabulary lacks, and its id.
fn unknown_token(document: &Document, tokenizer: &Tokenizer) -> Option<(TokenId, String)> {
    let model = document.part("model");
    let token = match &model["unk_id"] {
        Value::Number(id) => tokenizer.id_to_token(u32::try_from(id.as_u64()?).ok()?)?,
        _ => model["unk_token"].as_str()?.to_owned(),
    };
    Some((tokenizer.token_to_id(&token)?, token))
}
