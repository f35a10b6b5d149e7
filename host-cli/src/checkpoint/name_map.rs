//! Name maps: which name a checkpoint gives each canonical tensor.
//!
//! The built-in layouts are name maps themselves (`layouts/*.json`); a retelling that renames modules is read through
//! a map of its own. A map is one JSON object:
//!
//! - `description`: what the layout is called in reports.
//! - `orientation`: `"out_in"` (PyTorch's `Linear`) or `"in_out"` (GPT-2's `Conv1D`): how the four matrices of a block
//!   are stored.
//! - `tensors`: from canonical name to the file's. Canonical names are [`Slot`]'s: `wte.weight`, `wpe.weight`,
//!   `ln_f.weight`, `ln_f.bias`, `lm_head.weight`, `lm_head.bias`, and for each block `h.{layer}.` followed by
//!   `ln_1.weight`, `ln_1.bias`, `attn.c_attn.weight`, `attn.c_attn.bias`, `attn.c_proj.weight`, `attn.c_proj.bias`,
//!   `ln_2.weight`, `ln_2.bias`, `mlp.c_fc.weight`, `mlp.c_fc.bias`, `mlp.c_proj.weight`, `mlp.c_proj.bias`.
//!   `{layer}` stands for the block's number, counted from 0, on both sides. A value is a name; or, for `c_attn`, a
//!   list of the query's, the key's and the value's name where they are stored apart; or
//!   `{"name": NAME, "orientation": ...}` where one matrix (the head's, for instance) is stored otherwise. Names of
//!   optional tensors (every bias, the head) may be left out.
//! - `skip`: names of buffers that are no weights, such as causal masks; `{layer}` matches any number.
//! - `prefixes`: what `{prefix}` may stand for in the names; the first one under which the file has a block holds.
//! - `lm_head_absent`: `"tied"` if a file without the head shares `wte`, `"refused"` (the default) if that is a fault.
//!   A map that names no head is tied.
//! - `defaults`: `activation_function` and `layer_norm_epsilon`, for configurations that do not say.
//!
//! A fused `c_attn` holds all of the query, then all of the key, then all of the value.

use crate::files::json;
use crate::shown;
use emberlm_core::blob::{LayerSlot, Slot};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// How a matrix is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Orientation {
    /// A row for each output: PyTorch's `Linear`, and the canonical form.
    OutIn,
    /// A row for each input: GPT-2's `Conv1D`.
    InOut,
}

/// What a file without a head means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadAbsent {
    /// The head shares the token embedding.
    Tied,
    /// The file lacks a tensor.
    #[default]
    Refused,
}

/// What a layout assumes where the configuration is silent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// As configurations spell it (`gelu_new`, `gelu`).
    pub activation_function: Option<String>,
    /// Added to the variance in layer normalisation.
    pub layer_norm_epsilon: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Entry {
    Name(String),
    Split([String; 3]),
    Oriented { name: String, orientation: Orientation },
}

impl Entry {
    fn names(&self) -> &[String] {
        match self {
            Self::Name(name) | Self::Oriented { name, .. } => std::slice::from_ref(name),
            Self::Split(names) => names,
        }
    }
}

/// A layout's names; the schema is this module's documentation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameMap {
    /// What the layout is called in reports.
    pub description: String,
    /// How the matrices of a block are stored.
    pub orientation: Orientation,
    /// What a file without a head means.
    #[serde(default)]
    pub lm_head_absent: HeadAbsent,
    /// What is assumed where the configuration is silent.
    #[serde(default)]
    pub defaults: Defaults,
    #[serde(default)]
    prefixes: Vec<String>,
    tensors: BTreeMap<String, Entry>,
    #[serde(default)]
    skip: Vec<String>,
}

/// A canonical tensor's place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// One name, or those of the query, the key and the value.
    pub names: Vec<String>,
    /// How a matrix is stored; without meaning for vectors.
    pub orientation: Orientation,
}

const LAYER: &str = "{layer}";
const PREFIX: &str = "{prefix}";

/// A slot's canonical name with `{layer}` for its block.
fn pattern(slot: Slot) -> String {
    match slot {
        Slot::Layer(_, slot) => Slot::Layer(0, slot).to_string().replacen("h.0.", "h.{layer}.", 1),
        other => other.to_string(),
    }
}

/// One of each kind of slot.
fn kinds() -> impl Iterator<Item = Slot> {
    [Slot::Wte, Slot::Wpe, Slot::LnFWeight, Slot::LnFBias, Slot::LmHead, Slot::LmHeadBias]
        .into_iter()
        .chain(LayerSlot::ALL.map(|slot| Slot::Layer(0, slot)))
}

impl NameMap {
    /// Reads and checks a map.
    ///
    /// # Errors
    /// One line that says what is damaged, unknown or missing.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let map: Self = json::parse(text)?;
        for key in map.tensors.keys() {
            if !kinds().any(|slot| pattern(slot) == *key) {
                return Err(format!("`{}` is no canonical tensor", shown::value(key)));
            }
        }
        for slot in kinds() {
            let key = pattern(slot);
            let Some(entry) = map.tensors.get(&key) else {
                if slot.is_optional() {
                    continue;
                }
                return Err(format!("`{key}` is not mapped"));
            };
            let names = entry.names();
            if let Some(name) = names.iter().find(|name| name.contains(LAYER) != matches!(slot, Slot::Layer(..))) {
                return Err(format!(
                    "`{key}`: `{}` must hold {LAYER} exactly if the tensor is a block's",
                    shown::value(name)
                ));
            }
            let splits = matches!(slot, Slot::Layer(_, LayerSlot::AttnQkvWeight | LayerSlot::AttnQkvBias));
            if names.len() > 1 && !splits {
                return Err(format!("`{key}`: only c_attn can be split in three"));
            }
        }
        Ok(map)
    }

    /// What `{prefix}` may stand for.
    pub fn prefixes(&self) -> impl Iterator<Item = &str> {
        let none = self.prefixes.is_empty().then_some("");
        self.prefixes.iter().map(String::as_str).chain(none)
    }

    /// Where a tensor lies under a prefix; `None` if the layout never has it.
    pub fn place(&self, slot: Slot, prefix: &str) -> Option<Place> {
        let layer = match slot {
            Slot::Layer(layer, _) => layer.to_string(),
            _ => String::new(),
        };
        let spell = |name: &String| name.replace(PREFIX, prefix).replace(LAYER, &layer);
        let in_block = if matches!(slot, Slot::Layer(..)) { self.orientation } else { Orientation::OutIn };
        let (names, orientation) = match self.tensors.get(&pattern(slot))? {
            Entry::Name(name) => (vec![spell(name)], in_block),
            Entry::Split(names) => (names.iter().map(spell).collect(), in_block),
            Entry::Oriented { name, orientation } => (vec![spell(name)], *orientation),
        };
        Some(Place { names, orientation })
    }

    /// Whether a name is a buffer's that holds no weights.
    pub fn skips(&self, name: &str, prefix: &str) -> bool {
        self.skip.iter().any(|pattern| match spelled(pattern, prefix).split_once(LAYER) {
            None => spelled(pattern, prefix) == name,
            Some((before, after)) => number_between(name, before, after).is_some(),
        })
    }

    /// The block that a name belongs to.
    pub fn block_of(&self, name: &str, prefix: &str) -> Option<u32> {
        let patterns = self.tensors.values().flat_map(Entry::names);
        patterns
            .filter_map(|pattern| {
                let pattern = spelled(pattern, prefix);
                let (before, after) = pattern.split_once(LAYER)?;
                number_between(name, before, after)
            })
            .next()
    }
}

fn spelled<'a>(pattern: &'a str, prefix: &str) -> Cow<'a, str> {
    if pattern.contains(PREFIX) { Cow::Owned(pattern.replace(PREFIX, prefix)) } else { Cow::Borrowed(pattern) }
}

/// The number that stands between two parts of a name.
fn number_between(name: &str, before: &str, after: &str) -> Option<u32> {
    let digits = name.strip_prefix(before)?.strip_suffix(after)?;
    let canonical = digits == "0" || !digits.starts_with('0');
    if canonical && digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRATCH: &str = include_str!("layouts/scratch.json");

    fn scratch_without(key: &str) -> Vec<u8> {
        let mut map: serde_json::Value = serde_json::from_str(SCRATCH).unwrap();
        map["tensors"].as_object_mut().unwrap().remove(key).unwrap();
        serde_json::to_vec(&map).unwrap()
    }

    fn scratch_with(key: &str, value: serde_json::Value) -> Vec<u8> {
        let mut map: serde_json::Value = serde_json::from_str(SCRATCH).unwrap();
        map["tensors"][key] = value;
        serde_json::to_vec(&map).unwrap()
    }

    #[test]
    fn places_spell_prefix_and_layer() {
        let hf = NameMap::parse(include_bytes!("layouts/hf.json")).unwrap();
        let slot = Slot::Layer(11, LayerSlot::FcWeight);
        let place = hf.place(slot, "transformer.").unwrap();
        assert_eq!(place.names, ["transformer.h.11.mlp.c_fc.weight"]);
        assert_eq!(place.orientation, Orientation::InOut);
        assert_eq!(hf.place(slot, "").unwrap().names, ["h.11.mlp.c_fc.weight"]);
        assert_eq!(hf.place(Slot::LmHead, "transformer.").unwrap().names, ["lm_head.weight"]);
        assert_eq!(hf.place(Slot::LmHead, "").unwrap().orientation, Orientation::OutIn);
        assert_eq!(hf.block_of("transformer.h.7.ln_1.weight", "transformer."), Some(7));
        assert_eq!(hf.block_of("h.7.ln_1.weight", "transformer."), None);
        assert!(hf.skips("transformer.h.3.attn.bias", "transformer."));
        assert!(!hf.skips("transformer.h.3.attn.c_attn.bias", "transformer."));
        assert!(!hf.skips("transformer.h.03.attn.bias", "transformer."));
    }

    #[test]
    fn split_projections_and_single_orientations_are_read() {
        let scratch = NameMap::parse(SCRATCH.as_bytes()).unwrap();
        let place = scratch.place(Slot::Layer(2, LayerSlot::AttnQkvBias), "").unwrap();
        assert_eq!(place.names[1], "trf_blocks.2.att.W_key.bias");
        let head = serde_json::json!({"name": "unembed", "orientation": "in_out"});
        let map = NameMap::parse(&scratch_with("lm_head.weight", head)).unwrap();
        assert_eq!(map.place(Slot::LmHead, "").unwrap().orientation, Orientation::InOut);
        let map = NameMap::parse(&scratch_without("lm_head.bias")).unwrap();
        assert_eq!(map.place(Slot::LmHeadBias, ""), None);
    }

    #[test]
    fn faulty_maps_name_the_key() {
        let cases = [
            (b"{".to_vec(), "EOF"),
            (scratch_without("wpe.weight"), "`wpe.weight` is not mapped"),
            (scratch_with("wte", "x".into()), "`wte` is no canonical tensor"),
            (scratch_with("h.{layer}.ln_1.weight", "norm".into()), "must hold {layer}"),
            (scratch_with("wte.weight", "tok.{layer}".into()), "must hold {layer}"),
            (scratch_with("ln_f.weight", serde_json::json!(["a", "b", "c"])), "only c_attn"),
        ];
        for (text, expected) in cases {
            let error = NameMap::parse(&text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
