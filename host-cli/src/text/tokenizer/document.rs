//! What a `tokenizer.json` says, read from one or made of a `vocab.json` and a `merges.txt`.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use emberlm_core::config::{MAX_COUNT, TokenId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::byte_level;
use crate::ground::files::json;
use crate::ground::shown::quoted;

/// Ids that may stand for nothing, at most, besides as many as there are tokens.
const MAX_GAP: usize = 1 << 16;

/// Steps of one kind, at most.
const MAX_STEPS: usize = 64;

/// What a `tokenizer.json` says.
#[derive(Clone, Debug)]
pub struct Document {
    /// All but the added tokens.
    parts: Map<String, Value>,
    added: Vec<Added>,
    /// Where each of them is, by its text.
    places: HashMap<String, usize>,
    /// The token that texts begin with.
    begin: Begin,
}

/// The token that texts begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Begin {
    /// Its id.
    pub token: Option<TokenId>,
    /// Whether it is put before a text.
    pub is_added: bool,
}

/// A token that is matched in a text before the model sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Added {
    /// Its id.
    pub id: TokenId,
    /// Its text.
    pub content: String,
    /// It is not matched within a word.
    pub single_word: bool,
    /// It takes the white space before it.
    pub lstrip: bool,
    /// It takes the white space behind it.
    pub rstrip: bool,
    /// It is matched in normalised text.
    pub normalized: bool,
    /// It is no text, but says something of it.
    pub special: bool,
}

/// An added token as files spell it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct RawAdded {
    id: Option<TokenId>,
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    normalized: Option<bool>,
    #[serde(default)]
    special: bool,
}

impl RawAdded {
    /// A token that says no more than its text.
    pub fn plain(content: &str) -> Self {
        Self { content: content.to_owned(), ..Self::default() }
    }

    /// Its text.
    pub fn content(&self) -> &str {
        &self.content
    }

    /// The token, with an id from elsewhere; special if `special` or the file says so.
    pub fn with_id(&self, id: TokenId, special: bool) -> Added {
        let special = special || self.special;
        let &Self { single_word, lstrip, rstrip, .. } = self;
        let normalized = self.normalized.unwrap_or(!special);
        Added { id, content: self.content.clone(), single_word, lstrip, rstrip, normalized, special }
    }
}

impl Document {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// It is no JSON object, an added token is none, or ids are out of all proportion.
    pub fn of_json(json: &[u8]) -> Result<Self, String> {
        let mut parts: Map<String, Value> = json::parse(json)?;
        let added: Option<Vec<RawAdded>> = match parts.remove("added_tokens") {
            Some(list) => serde_json::from_value(list).map_err(|error| format!("added_tokens: {error}"))?,
            None => None,
        };
        let with_id = |raw: &RawAdded| {
            let id = raw.id.ok_or_else(|| format!("the added token {} has no id", quoted(&raw.content)))?;
            Ok(raw.with_id(id, false))
        };
        Self::new(parts, added.iter().flatten().map(with_id).collect::<Result<_, String>>()?)
    }

    /// The document that stands for a `vocab.json` and a `merges.txt`.
    ///
    /// A token that no merge makes, and whose name is its own text, is special, as `<|endoftext|>` is.
    ///
    /// # Errors
    /// They are no such files.
    pub fn of_vocab_and_merges(vocab: &[u8], merges: &str) -> Result<Self, String> {
        let vocab: HashMap<String, TokenId> = json::parse(vocab)?;
        let lines = merges.lines().filter(|line| !line.is_empty() && !line.starts_with("#version"));
        let merges = lines.map(split_pair).collect::<Result<Vec<_>, _>>()?;
        let made: HashSet<String> = merges.iter().map(|(left, right)| format!("{left}{right}")).collect();
        let is_text = |name: &str| byte_level::to_bytes(name).is_some_and(|bytes| bytes == name.as_bytes());
        let is_special = |name: &str| name.chars().count() > 1 && !made.contains(name) && is_text(name);
        let special = vocab.iter().filter(|(name, _)| is_special(name));
        let added = special.map(|(name, &id)| RawAdded::plain(name).with_id(id, true)).collect();
        let Value::Object(parts) = serde_json::json!({
            "version": "1.0",
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
            "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
            "model": {"type": "BPE", "vocab": vocab, "merges": merges},
        }) else {
            return Err("it is no object".into());
        };
        Self::new(parts, added)
    }

    fn new(parts: Map<String, Value>, added: Vec<Added>) -> Result<Self, String> {
        let places = added.iter().enumerate().map(|(place, added)| (added.content.clone(), place)).collect();
        let mut document = Self { parts, added, places, begin: Begin::default() };
        document.check_ids()?;
        let around = document.around();
        let token = around.first().filter(|around| around.is_before).and_then(|around| document.id_of(&around.token));
        document.begin = Begin { token, is_added: token.is_some() };
        Ok(document)
    }

    /// The token that texts begin with.
    pub const fn begin(&self) -> Begin {
        self.begin
    }

    /// Says which token texts begin with.
    pub const fn set_begin(&mut self, begin: Begin) {
        self.begin = begin;
    }

    /// The tokens that the post-processor puts around a text, in their order.
    pub fn around(&self) -> Vec<Around> {
        let mut around = Vec::new();
        tokens_around(self.part("post_processor"), &mut around);
        around
    }

    /// A part by its key; null where there is none.
    pub fn part(&self, key: &str) -> &Value {
        self.parts.get(key).unwrap_or(&Value::Null)
    }

    /// The steps of a part: none for null, those of sequences within sequences in their order. `list` is the key under which
    /// a sequence has them.
    ///
    /// # Errors
    /// There are too many.
    pub fn steps(&self, key: &str, list: &str) -> Result<Vec<&Value>, String> {
        let (mut steps, mut left) = (Vec::new(), vec![self.part(key)]);
        while let Some(value) = left.pop() {
            match value.get(list) {
                Some(Value::Array(parts)) => left.extend(parts.iter().rev()),
                _ if value.is_null() => {}
                _ => steps.push(value),
            }
            if left.len() + steps.len() > MAX_STEPS {
                return Err(format!("it has more than {MAX_STEPS} {list}"));
            }
        }
        Ok(steps)
    }

    /// A part by its key, to be changed.
    pub fn part_mut(&mut self, key: &str) -> &mut Value {
        self.parts.entry(key).or_insert(Value::Null)
    }

    /// The added tokens.
    pub fn added(&self) -> &[Added] {
        &self.added
    }

    /// Whether a token is an added one.
    pub fn is_added(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// The id of a token by its name.
    pub fn id_of(&self, name: &str) -> Option<TokenId> {
        let added = self.places.get(name).map(|&place| self.added[place].id);
        added.or_else(|| match self.part("model").get("vocab")? {
            Value::Object(vocab) => vocab.get(name)?.as_u64()?.try_into().ok(),
            Value::Array(list) => {
                let at = list.iter().position(|entry| entry.get(0).and_then(Value::as_str) == Some(name))?;
                at.try_into().ok()
            }
            _ => None,
        })
    }

    /// Adds a token, or has it as `token` where it is one already. [`Document::check_ids`] is due afterwards.
    ///
    /// # Errors
    /// It has another id.
    pub fn add(&mut self, token: Added) -> Result<(), String> {
        let Added { id, content, .. } = &token;
        if let Some(known) = self.id_of(content).filter(|known| known != id) {
            return Err(format!("{} has the id {id}, and elsewhere {known}", quoted(content)));
        }
        match self.places.get(content) {
            Some(&place) => self.added[place] = token,
            None => {
                self.places.insert(content.clone(), self.added.len());
                self.added.push(token);
            }
        }
        Ok(())
    }

    /// Checks that ids are of a vocabulary: few of them stand for nothing, and none for two tokens.
    ///
    /// # Errors
    /// The first id that is not.
    pub fn check_ids(&self) -> Result<(), String> {
        let wrong = |error: serde_json::Error| format!("its vocabulary: {error}");
        let mut names: HashMap<TokenId, Cow<'_, str>> = HashMap::new();
        match self.part("model").get("vocab") {
            Some(Value::Array(list)) => {
                let name = |entry: &'_ Value| Cow::Owned(entry[0].as_str().unwrap_or_default().to_owned());
                names.extend((0..).zip(list.iter().map(name)));
            }
            Some(vocab) => {
                let vocab = HashMap::<Cow<'_, str>, TokenId>::deserialize(vocab).map_err(wrong)?;
                for (name, id) in vocab {
                    if let Some(other) = names.get(&id) {
                        let (first, second) = (name.as_ref().min(other), name.as_ref().max(other));
                        return Err(format!(
                            "the id {id} stands for two tokens, {} and {}",
                            quoted(first),
                            quoted(second)
                        ));
                    }
                    names.insert(id, name);
                }
            }
            None => {}
        }
        for added in &self.added {
            match names.insert(added.id, Cow::Borrowed(&added.content)) {
                Some(other) if *other != added.content => {
                    return Err(format!(
                        "the id {} stands for two tokens, {} and {}",
                        added.id,
                        quoted(&other),
                        quoted(&added.content)
                    ));
                }
                _ => {}
            }
        }
        let highest = names.keys().copied().max().unwrap_or(0);
        if highest >= MAX_COUNT || highest as usize > 2 * names.len() + MAX_GAP {
            return Err(format!("the id {highest} is far beyond its {} tokens", names.len()));
        }
        Ok(())
    }
}

/// A token that is put before or behind a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Around {
    /// Its text.
    pub token: String,
    /// Whether the text comes behind it.
    pub is_before: bool,
}

/// The tokens that a post-processor adds to a single text.
fn tokens_around(processor: &Value, around: &mut Vec<Around>) {
    let mut push = |token: &Value, is_before| {
        around.extend(token.as_str().map(|token| Around { token: token.to_owned(), is_before }));
    };
    match processor["type"].as_str() {
        Some("TemplateProcessing") => {
            let parts = processor["single"].as_array().map_or(&[][..], Vec::as_slice);
            let text = parts.iter().position(|part| !part["Sequence"].is_null()).unwrap_or(parts.len());
            let ids = parts.iter().map(|part| &part["SpecialToken"]["id"]);
            ids.enumerate().for_each(|(place, id)| push(id, place < text));
        }
        Some("BertProcessing" | "RobertaProcessing") => {
            push(&processor["cls"][0], true);
            push(&processor["sep"][0], false);
        }
        Some("Sequence") => {
            processor["processors"].as_array().into_iter().flatten().for_each(|part| tokens_around(part, around));
        }
        _ => {}
    }
}

/// The two tokens of a merge in one line.
pub fn split_pair(line: &str) -> Result<(&str, &str), String> {
    line.split_once(' ').ok_or_else(|| format!("the merge {} is not two tokens", quoted(line)))
}
