//! The model of a `tokenizer.json`: a BPE.

use std::collections::HashMap;

use emberlm_core::config::TokenId;
use serde::Deserialize;
use serde_json::Value;

use super::document::split_pair;
use crate::ground::shown::value as shown;

/// A BPE.
#[derive(Deserialize)]
pub struct Model {
    /// Tokens by their names.
    pub vocab: HashMap<String, TokenId>,
    #[serde(default)]
    merges: Vec<Merge>,
    /// The token for what is unknown.
    pub unk_token: Option<String>,
    /// Whether unknown characters in a row are one token.
    #[serde(default, deserialize_with = "or_default")]
    pub fuse_unk: bool,
    /// Whether characters without a token are bytes.
    #[serde(default, deserialize_with = "or_default")]
    pub byte_fallback: bool,
    /// Whether a piece that is a token is that token.
    #[serde(default, deserialize_with = "or_default")]
    pub ignore_merges: bool,
    #[serde(flatten)]
    rest: HashMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair(String, String),
    Line(String),
}

fn or_default<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl Model {
    /// Reads the model of a document.
    ///
    /// # Errors
    /// It is no BPE, or one of more than vocabulary and merges.
    pub fn read(model: &Value) -> Result<Self, String> {
        if let Some(kind) = model["type"].as_str().filter(|&kind| kind != "BPE") {
            return Err(format!("its model is {} and not BPE", shown(kind)));
        }
        let mut read = Self::deserialize(model).map_err(|error| format!("its model is not a BPE ({error})"))?;
        read.unk_token = read.unk_token.filter(|token| !token.is_empty());
        let is_unused = |value: &Value| match value {
            Value::Null | Value::Bool(false) => true,
            Value::String(text) => text.is_empty(),
            Value::Number(number) => number.as_f64() == Some(0.0),
            _ => false,
        };
        match read.rest.iter().filter(|(key, value)| *key != "type" && !is_unused(value)).map(|(key, _)| key).min() {
            Some(key) => Err(format!("its model sets {}", shown(key))),
            None => Ok(read),
        }
    }

    /// The names of the tokens that merge, by rank.
    ///
    /// # Errors
    /// One is not two tokens.
    pub fn merges(&self) -> Result<Vec<(&str, &str)>, String> {
        let mut pairs = Vec::with_capacity(self.merges.len());
        for merge in &self.merges {
            pairs.push(match merge {
                Merge::Pair(left, right) => (left.as_str(), right.as_str()),
                Merge::Line(line) => split_pair(line)?,
            });
        }
        Ok(pairs)
    }
}
