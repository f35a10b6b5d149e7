//! The files that lie beside a tokenizer's and change what it does: `added_tokens.json`, `special_tokens_map.json` and
//! `tokenizer_config.json`.
//!
//! Whatever they add to the vocabulary is added; what this project does not do is said in a note.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use emberlm_core::config::TokenId;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::TokenizerError;
use super::document::{Begin, Document, RawAdded};
use crate::ground::files::read::{self, MOST_OF_TOKENIZER};
use crate::ground::shown::{self, quoted};

/// The files' names.
pub const ADDED_TOKENS: &str = "added_tokens.json";
pub const SPECIAL_TOKENS_MAP: &str = "special_tokens_map.json";
pub const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

/// The keys under which special tokens have a role.
const ROLES: [&str; 9] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
    "additional_special_tokens",
    "extra_special_tokens",
];

/// Keys that put tokens around a text, and the roles of those.
const ADD_BOS: &str = "add_bos_token";
const ADD_EOS: &str = "add_eos_token";
const BOS: &str = "bos_token";
const EOS: &str = "eos_token";

/// Tokenizers that are GPT-2's scheme where they consist of a `vocab.json` and a `merges.txt`.
const GPT2_LIKE: [&str; 9] =
    ["GPT2", "Roberta", "Bart", "Longformer", "LED", "Blenderbot", "CodeGen", "GPTNeoX", "PreTrained"];

/// Tokens that are not there, each with a note of its own.
const NOTED: usize = 5;

/// What is read of a tokenizer's folder.
#[derive(Default)]
struct Companions {
    added: Map<String, Value>,
    special: Map<String, Value>,
    config: Map<String, Value>,
}

/// Has `document` say what the files in `folder` add to it. `is_made` is of a document made of `vocab.json` and
/// `merges.txt`. Returns what is said of the files and not done.
///
/// # Errors
/// A file cannot be read, or contradicts the document.
pub fn apply(document: &mut Document, folder: &Path, is_made: bool) -> Result<Vec<String>, TokenizerError> {
    let files = Companions {
        added: object(folder, ADDED_TOKENS)?,
        special: object(folder, SPECIAL_TOKENS_MAP)?,
        config: object(folder, TOKENIZER_CONFIG)?,
    };
    let broken = |why: String| TokenizerError::Broken { origin: shown::path(folder).to_string(), why };
    let mut notes = Vec::new();
    files.add_tokens(document, &mut notes).map_err(broken)?;
    document.check_ids().map_err(broken)?;
    files.set_prefix_space(document, is_made, &mut notes);
    files.note_scheme(document, is_made, &mut notes);
    files.set_begin(document, &mut notes);
    files.note_around(document, &mut notes);
    Ok(notes)
}

/// The names of those of the files that lie in `folder`.
pub fn names_in(folder: &Path) -> Vec<&'static str> {
    let names = [ADDED_TOKENS, SPECIAL_TOKENS_MAP, TOKENIZER_CONFIG];
    names.into_iter().filter(|name| read::is_there(&folder.join(name))).collect()
}

/// A file's object; empty where there is no file.
fn object(folder: &Path, name: &str) -> Result<Map<String, Value>, TokenizerError> {
    let path = folder.join(name);
    if read::is_there(&path) { Ok(read::json(&path, MOST_OF_TOKENIZER)?) } else { Ok(Map::new()) }
}

impl Companions {
    fn add_tokens(&self, document: &mut Document, notes: &mut Vec<String>) -> Result<(), String> {
        let roles = self.roles()?;
        let by_content: HashMap<&str, &RawAdded> =
            roles.iter().rev().map(|(.., token)| (token.content(), token)).collect();
        if let Some(decoder) = self.config.get("added_tokens_decoder").filter(|decoder| !decoder.is_null()) {
            let wrong = |why: &str| format!("{TOKENIZER_CONFIG}: added_tokens_decoder {why}");
            for (id, token) in decoder.as_object().ok_or_else(|| wrong("is no object"))? {
                let id = id.parse().map_err(|_| wrong(&format!("names {}, which is no id", quoted(id))))?;
                let token: RawAdded = parse(token).map_err(|why| wrong(&why))?;
                document.add(token.with_id(id, false)).map_err(|why| wrong(&why))?;
            }
        }
        for (content, id) in &self.added {
            let id: TokenId = parse(id).map_err(|why| format!("{ADDED_TOKENS}: {}: {why}", quoted(content)))?;
            if !document.is_added(content) {
                let token = match by_content.get(content.as_str()) {
                    Some(token) => token.with_id(id, true),
                    None => RawAdded::plain(content).with_id(id, false),
                };
                document.add(token).map_err(|why| format!("{ADDED_TOKENS}: {why}"))?;
            } else if document.id_of(content) != Some(id) {
                let known = document.id_of(content).unwrap_or_default();
                return Err(format!("{ADDED_TOKENS}: {} has the id {id}, and elsewhere {known}", quoted(content)));
            }
        }
        let mut missing = HashSet::new();
        for (file, role, token) in &roles {
            let content = token.content();
            match document.id_of(content) {
                _ if content.is_empty() => {}
                Some(id) if !document.is_added(content) => document.add(token.with_id(id, true))?,
                Some(_) => {}
                None if missing.insert(content) && missing.len() <= NOTED => {
                    let content = quoted(content);
                    notes.push(format!("{file}: {role} {content} is no token of the vocabulary, and is not added"));
                }
                None => {}
            }
        }
        if missing.len() > NOTED {
            notes.push(format!("{} more tokens with a role are not of the vocabulary", missing.len() - NOTED));
        }
        Ok(())
    }

    /// The tokens that have a role, each with the file and the key that say so.
    fn roles(&self) -> Result<Vec<(&'static str, &'static str, RawAdded)>, String> {
        let mut roles = Vec::new();
        for (file, object) in [(TOKENIZER_CONFIG, &self.config), (SPECIAL_TOKENS_MAP, &self.special)] {
            for role in ROLES {
                let values = match object.get(role) {
                    Some(Value::Array(values)) => values.iter().collect(),
                    Some(Value::Object(named)) if !named.contains_key("content") => named.values().collect(),
                    Some(Value::Null) | None => Vec::new(),
                    Some(value) => vec![value],
                };
                for value in values {
                    let token = match value {
                        Value::String(content) => RawAdded::plain(content),
                        value => parse(value).map_err(|why| format!("{file}: {role}: {why}"))?,
                    };
                    roles.push((file, role, token));
                }
            }
        }
        Ok(roles)
    }

    fn set_prefix_space(&self, document: &mut Document, is_made: bool, notes: &mut Vec<String>) {
        let Some(asked) = self.config.get("add_prefix_space").and_then(Value::as_bool) else { return };
        let pre_tokenizer = document.part_mut("pre_tokenizer");
        if is_made {
            pre_tokenizer["add_prefix_space"] = asked.into();
        } else if let Some(said) = find(pre_tokenizer, "add_prefix_space").and_then(Value::as_bool)
            && said != asked
        {
            let which = "what tokenizer.json says is done";
            notes.push(format!("{TOKENIZER_CONFIG}: add_prefix_space is {asked}, in tokenizer.json {said}: {which}"));
        }
    }

    /// Notes what says that text goes through more than the document has.
    fn note_scheme(&self, document: &Document, is_made: bool, notes: &mut Vec<String>) {
        for key in ["do_lower_case", "strip_accents"] {
            if self.config.get(key) == Some(&Value::Bool(true)) && document.part("normalizer").is_null() {
                notes.push(format!("{TOKENIZER_CONFIG}: {key} is not done: the tokenizer has no normaliser"));
            }
        }
        let class = self.config.get("tokenizer_class").and_then(Value::as_str).unwrap_or("GPT2");
        if is_made && !GPT2_LIKE.iter().any(|known| class.starts_with(known)) {
            notes.push(format!(
                "{TOKENIZER_CONFIG}: the tokenizer_class is {}, and the files are read as GPT-2's",
                shown::value(class)
            ));
        }
    }

    /// The token of a role, and its id.
    fn role<'f>(&'f self, document: &Document, role: &'f str) -> (&'f str, Option<TokenId>) {
        let token = self.config.get(role).or_else(|| self.special.get(role)).unwrap_or(&Value::Null);
        let token = token.as_str().or_else(|| token["content"].as_str()).unwrap_or(role);
        (token, document.id_of(token))
    }

    /// Has the document begin texts as it is asked to.
    fn set_begin(&self, document: &mut Document, notes: &mut Vec<String>) {
        let (named, id) = self.role(document, BOS);
        let (own, asked) = (document.begin(), self.config.get(ADD_BOS).and_then(Value::as_bool));
        let token = own.token.or(id);
        let is_added = asked.unwrap_or(own.is_added) && token.is_some();
        if asked == Some(true) && token.is_none() {
            notes.push(format!("{TOKENIZER_CONFIG}: {ADD_BOS} is not done: no {} is added to a text", quoted(named)));
        }
        document.set_begin(Begin { token, is_added });
    }

    /// Notes tokens that would be put around a text and are not.
    fn note_around(&self, document: &Document, notes: &mut Vec<String>) {
        if self.config.get(ADD_EOS) == Some(&Value::Bool(true)) {
            let (token, _) = self.role(document, EOS);
            notes.push(format!("{TOKENIZER_CONFIG}: {ADD_EOS} is not done: no {} is added to a text", quoted(token)));
            return;
        }
        let mut tokens: Vec<String> = document.around().into_iter().map(|around| around.token).collect();
        if tokens
            .first()
            .is_some_and(|token| document.id_of(token).is_some_and(|id| Some(id) == document.begin().token))
        {
            tokens.remove(0);
        }
        tokens.dedup();
        let is_told = self.config.get(ADD_BOS) == Some(&Value::Bool(true)) && document.begin().token.is_none();
        if !tokens.is_empty() && !is_told {
            let tokens = tokens.iter().map(|token| quoted(token)).collect::<Vec<_>>().join(", ");
            notes.push(format!("the post_processor of tokenizer.json is not run: {tokens} are not added to a text"));
        }
    }
}

/// The first value under `key` in `value`, at any depth.
fn find<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    match value {
        Value::Object(map) => map.get(key).or_else(|| map.values().find_map(|value| find(value, key))),
        Value::Array(list) => list.iter().find_map(|value| find(value, key)),
        _ => None,
    }
}

fn parse<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    T::deserialize(value).map_err(|error| error.to_string())
}
