//! Hugging Face's files: `tokenizer.json`, and `vocab.json` with `merges.txt`.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;
use tokenizers::{DecoderWrapper, Tokenizer};

use super::byte_pairs::BytePairs;
use super::{TokenizerError, byte_level};
use crate::shown;
use emberlm_core::config::{MAX_COUNT, TokenId};

/// A `tokenizer.json` that is not GPT-2's scheme; the `tokenizers` crate runs it as it is.
pub struct Other {
    tokenizer: Tokenizer,
    unknown: Option<String>,
    /// The bytes of each id, where tokens are bytes.
    bytes: Vec<Option<Vec<u8>>>,
    /// What differs from GPT-2's scheme.
    pub why: String,
}

impl Other {
    /// Prepares the tokenizer that `json` describes; `why` says what keeps it from being [`BytePairs`].
    ///
    /// # Errors
    /// The crate cannot read it.
    pub fn new(json: &[u8], why: String) -> Result<Self, String> {
        let mut tokenizer = Tokenizer::from_bytes(json).map_err(|error| error.to_string())?;
        tokenizer.with_padding(None).with_truncation(None).map_err(|error| error.to_string())?;
        let added = tokenizer.get_added_tokens_decoder();
        let bytewise = matches!(tokenizer.get_decoder(), Some(DecoderWrapper::ByteLevel(_)));
        let mut bytes = Vec::new();
        for (token, id) in tokenizer.get_vocab(true) {
            if id >= MAX_COUNT {
                return Err(format!("the id {id} is beyond any vocabulary"));
            }
            let id = id as usize;
            bytes.resize(bytes.len().max(id + 1), None);
            bytes[id] = match added.get(&(id as TokenId)) {
                Some(added) => Some(added.content.clone().into_bytes()),
                None if bytewise => byte_level::to_bytes(&token),
                None => None,
            };
        }
        Ok(Self { unknown: unknown_token(&tokenizer), tokenizer, bytes, why })
    }

    /// One more than the highest id.
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes of `id`, where tokens are bytes.
    pub fn token_bytes(&self, id: TokenId) -> Option<&[u8]> {
        self.bytes.get(id as usize)?.as_deref()
    }

    /// The token of `id` as the vocabulary spells it.
    pub fn token(&self, id: TokenId) -> Option<String> {
        self.tokenizer.id_to_token(id)
    }

    /// The text of `ids`.
    ///
    /// # Errors
    /// The crate's decoder failed.
    pub fn decode(&self, ids: &[TokenId]) -> Result<String, TokenizerError> {
        self.tokenizer.decode(ids, false).map_err(|error| TokenizerError::Failed(error.to_string()))
    }

    /// The ids of `text`, without the special tokens that a template would add.
    ///
    /// # Errors
    /// A character other than white space is part of no token, or of the token for unknown text.
    pub fn encode(&self, text: &str) -> Result<Vec<TokenId>, TokenizerError> {
        let encoding = self.tokenizer.encode(text, false).map_err(|error| TokenizerError::Failed(error.to_string()))?;
        let mut covered = 0;
        for (token, &(start, end)) in encoding.get_tokens().iter().zip(encoding.get_offsets()) {
            let gap = text.get(covered..start).unwrap_or_default();
            if let Some(at) = gap.find(|c: char| !c.is_whitespace()) {
                return Err(TokenizerError::unrepresentable(text, covered + at));
            }
            if Some(token) == self.unknown.as_ref() && text.get(start..end) != Some(token) {
                return Err(TokenizerError::unrepresentable(text, start));
            }
            covered = covered.max(end);
        }
        match text[covered..].find(|c: char| !c.is_whitespace()) {
            Some(at) => Err(TokenizerError::unrepresentable(text, covered + at)),
            None => Ok(encoding.get_ids().to_vec()),
        }
    }
}

/// The token that stands for text which the vocabulary lacks.
fn unknown_token(tokenizer: &Tokenizer) -> Option<String> {
    let model = serde_json::to_value(tokenizer.get_model()).ok()?;
    match &model["unk_id"] {
        Value::Number(id) => tokenizer.id_to_token(u32::try_from(id.as_u64()?).ok()?),
        _ => model["unk_token"].as_str().map(str::to_owned),
    }
}

/// The parts of a `tokenizer.json` that decide whether it is GPT-2's scheme.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    added_tokens: Vec<Added>,
    model: Model,
}

#[derive(Deserialize)]
struct Added {
    id: TokenId,
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    vocab: HashMap<String, TokenId>,
    #[serde(default)]
    merges: Vec<Merge>,
    #[serde(flatten)]
    rest: HashMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair(String, String),
    Line(String),
}

/// The byte pairs of a `tokenizer.json`.
///
/// # Errors
/// What differs from GPT-2's scheme.
pub fn byte_pairs(json: &[u8]) -> Result<BytePairs, String> {
    let file: File = serde_json::from_slice(json).map_err(|error| format!("its model is not a BPE ({error})"))?;
    if file.model.kind.as_deref().is_some_and(|kind| kind != "BPE") {
        return Err(format!("its model is {} and not BPE", shown::value(&file.model.kind.unwrap_or_default())));
    }
    if !file.normalizer.is_null() {
        return Err("it normalises text".into());
    }
    let pre = &file.pre_tokenizer;
    if pre["type"] != "ByteLevel" || pre["add_prefix_space"] != false || pre["use_regex"] == false {
        return Err("it does not cut text by GPT-2's pattern alone".into());
    }
    for (key, value) in &file.model.rest {
        let unused = match value {
            Value::Null | Value::Bool(false) => true,
            Value::String(text) => text.is_empty(),
            Value::Number(number) => number.as_f64() == Some(0.0),
            _ => false,
        };
        // Without an unknown token there is nothing to fuse.
        if !unused && key != "fuse_unk" {
            return Err(format!("its model sets {}", shown::value(key)));
        }
    }
    if file.added_tokens.iter().any(|added| added.single_word || added.lstrip || added.rstrip) {
        return Err("an added token takes white space or whole words only".into());
    }
    let merges = file.model.merges.iter().map(Merge::parts).collect::<Result<Vec<_>, _>>()?;
    let added = file.added_tokens.iter().map(|added| (added.id, added.content.as_str())).collect();
    let pairs = assemble(&file.model.vocab, &merges, &added)?;
    let specials = pairs.specials();
    if let Some(id) = specials.iter().find(|id| !added.contains_key(id)) {
        return Err(format!("token {id} is made by no merge"));
    }
    match added.iter().find(|(id, content)| content.len() > 1 && !specials.contains(id)) {
        Some((_, content)) => Err(format!("merges make the added token \"{}\" too", shown::value(content))),
        None => Ok(pairs),
    }
}

/// The byte pairs of a `vocab.json` and a `merges.txt`.
///
/// # Errors
/// What keeps them from being byte pairs.
pub fn byte_pairs_of_files(vocab: &[u8], merges: &str) -> Result<BytePairs, String> {
    let vocab: HashMap<String, TokenId> = serde_json::from_slice(vocab).map_err(|error| error.to_string())?;
    let merges = merges
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("#version"))
        .map(split_pair)
        .collect::<Result<Vec<_>, _>>()?;
    // A special token such as `<|endoftext|>` stands in vocab.json as text; its characters are in the alphabet too.
    assemble(&vocab, &merges, &HashMap::new())
}

impl Merge {
    fn parts(&self) -> Result<(&str, &str), String> {
        match self {
            Self::Pair(left, right) => Ok((left, right)),
            Self::Line(line) => split_pair(line),
        }
    }
}

fn split_pair(line: &str) -> Result<(&str, &str), String> {
    line.split_once(' ').ok_or_else(|| format!("the merge \"{}\" is not two tokens", shown::value(line)))
}

/// Turns names in the byte alphabet into bytes and ids. `added` tokens are spelled as text.
fn assemble(
    vocab: &HashMap<String, TokenId>,
    merges: &[(&str, &str)],
    added: &HashMap<TokenId, &str>,
) -> Result<BytePairs, String> {
    let highest = vocab.values().chain(added.keys()).copied().max().unwrap_or(0);
    if highest >= MAX_COUNT {
        return Err(format!("the id {highest} is beyond any vocabulary"));
    }
    let mut tokens: Vec<Vec<u8>> = vec![Vec::new(); highest as usize + 1];
    for (name, &id) in vocab.iter().filter(|(_, id)| !added.contains_key(id)) {
        let bytes = byte_level::to_bytes(name)
            .ok_or_else(|| format!("the token \"{}\" is not made of bytes", shown::value(name)))?;
        if !std::mem::replace(&mut tokens[id as usize], bytes).is_empty() {
            return Err(format!("the id {id} stands for two tokens"));
        }
    }
    for (&id, content) in added {
        tokens[id as usize] = content.as_bytes().to_vec();
    }
    let id_of = |name: &str| {
        vocab.get(name).copied().ok_or_else(|| format!("the merge part \"{}\" is no token", shown::value(name)))
    };
    let merges =
        merges.iter().map(|(left, right)| Ok((id_of(left)?, id_of(right)?))).collect::<Result<Vec<_>, String>>()?;
    BytePairs::new(tokens, merges).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::bpe::Bpe;
    use super::*;
    use serde_json::json;

    /// A tokenizer.json of the letters a, b, space and one merge.
    fn file() -> Value {
        json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
            "added_tokens": [{"id": 5, "content": "<é>", "single_word": false, "lstrip": false, "rstrip": false,
                              "normalized": false, "special": true}],
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true},
            "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
            "model": {"type": "BPE", "dropout": null, "unk_token": null, "fuse_unk": false,
                      "vocab": {"a": 0, "b": 1, "Ġ": 2, "ab": 3, "Ġab": 4}, "merges": [["a", "b"], ["Ġ", "ab"]]}
        })
    }

    fn bytes(value: &Value) -> Vec<u8> {
        serde_json::to_vec(value).unwrap()
    }

    #[test]
    fn both_spellings_of_merges_are_read() {
        let mut lines = file();
        lines["model"]["merges"] = json!(["a b", "Ġ ab"]);
        let pairs = byte_pairs(&bytes(&file())).unwrap();
        assert_eq!(byte_pairs(&bytes(&lines)).unwrap(), pairs);
        assert_eq!(pairs.merges(), [(0, 1), (2, 3)]);
        assert_eq!(pairs.tokens()[4], b" ab");
        assert_eq!(pairs.specials(), [5]);
    }

    #[test]
    fn byte_pairs_and_the_crate_give_the_same_ids() {
        let json = bytes(&file());
        let bpe = Bpe::new(byte_pairs(&json).unwrap()).unwrap();
        let other = Other::new(&json, String::new()).unwrap();
        for text in ["ab ab", "<é>ab", "  abb a", "ba<é> <é>"] {
            assert_eq!(bpe.encode(text).unwrap(), other.encode(text).unwrap(), "{text:?}");
        }
        assert_eq!(other.token_bytes(4), Some(b" ab".as_slice()));
        assert_eq!(other.token_bytes(5), Some("<é>".as_bytes()));
        assert!(matches!(other.encode("ab c"), Err(TokenizerError::Unrepresentable { c: 'c', .. })));
    }

    #[test]
    fn whatever_is_not_the_scheme_is_said() {
        let mut cases = Vec::new();
        let mut change = |pointer: &str, value: Value, why: &str| {
            let mut file = file();
            *file.pointer_mut(pointer).unwrap() = value;
            cases.push((file, why.to_owned()));
        };
        change("/normalizer", json!({"type": "Lowercase"}), "it normalises text");
        change("/pre_tokenizer/add_prefix_space", json!(true), "it does not cut text by GPT-2's pattern alone");
        change("/pre_tokenizer/type", json!("Metaspace"), "it does not cut text by GPT-2's pattern alone");
        change("/model/unk_token", json!("a"), "its model sets unk_token");
        change("/model/dropout", json!(0.1), "its model sets dropout");
        change("/model/type", json!("WordPiece"), "its model is WordPiece and not BPE");
        change("/added_tokens/0/lstrip", json!(true), "an added token takes white space or whole words only");
        change("/model/merges", json!(["a b"]), "token 4 is made by no merge");
        change("/model/merges", json!(["a c"]), "the merge part \"c\" is no token");
        change("/model/vocab/b", json!(0), "the id 0 stands for two tokens");
        for (file, why) in cases {
            assert_eq!(byte_pairs(&bytes(&file)), Err(why));
        }
    }

    #[test]
    fn vocab_and_merges_name_the_same_pairs() {
        let vocab = br#"{"a": 0, "b": 1, "\u0120": 2, "ab": 3, "\u0120ab": 4, "<|end|>": 5}"#;
        let pairs = byte_pairs_of_files(vocab, "#version: 0.2\na b\n\u{120} ab\n").unwrap();
        assert_eq!(pairs.merges(), [(0, 1), (2, 3)]);
        assert_eq!(pairs.specials(), [5]);
        assert!(byte_pairs_of_files(vocab, "ab\n").is_err_and(|why| why == "the merge \"ab\" is not two tokens"));
    }
}
