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
//!   list of the query's, the key's and the value's name where they are stored apart, and for the `c_fc` of a gated MLP
//!   one of the gate's and the hidden layer's (`up_proj`); or `{"name": NAME, "orientation": ...}` where one matrix (the
//!   head's, for instance) is stored otherwise. Names of optional tensors (every bias, the head) may be left out, and
//!   `wpe.weight` where positions are rotary.
//! - `model_type`: the family whose checkpoints have these names, where the configuration does not say it: `gpt2` (the
//!   default), `gpt_neo`, `llama`, `mistral`.
//! - `rotary_pairs`: which elements of a head's rows of the query and the key rotate together: `"halves"` (the default;
//!   the first with the first of the second half) or `"adjacent"`.
//! - `skip`: names of buffers that are no weights, such as causal masks; `{layer}` matches any number.
//! - `prefixes`: what `{prefix}` may stand for in the names; the first one under which the file has a block holds.
//! - `lm_head_absent`: `"tied"` if a file without the head shares `wte`, `"refused"` (the default) if that is a fault.
//!   A map that names no head is tied.
//! - `defaults`: `activation_function` and `layer_norm_epsilon`, for configurations that do not say.
//!
//! A fused `c_attn` holds all of the query, then all of the key, then all of the value; a fused `c_fc` of a gated MLP the
//! gate, then the hidden layer.
//!
//! `{prefix}` and `{layer}` stand at most once in a name, and `{layer}` not beside a digit. A map is at most 1 MiB long,
//! with at most 64 prefixes and 1024 names to skip, and no name comes to more than 1024 bytes. Names are compared without
//! the wrappers that training leaves in them (`_orig_mod.`, `module.`), on both sides.

use super::architecture::is_optional;
use super::family::Family;
use super::patterns::LAYER;
use crate::ground::files::json;
use crate::ground::shown;
use emberlm_core::blob::{LayerSlot, Presence, Slot};
use emberlm_core::config::Config;
use serde::Deserialize;
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

/// Which elements of a head rotate together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotaryPairs {
    /// Each of the first half with its like of the second: the canonical form.
    #[default]
    Halves,
    /// Each with its neighbour.
    Adjacent,
}

/// What a layout assumes where the configuration is silent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// As configurations spell it (`gelu_new`, `gelu`).
    pub activation_function: Option<String>,
    /// The norms' epsilon.
    pub layer_norm_epsilon: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "a tensor's value is a name, a list of names that are stored apart, or an object of `name` and `orientation`"
)]
enum Entry {
    Name(String),
    Split(Vec<String>),
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
    /// Which elements of a head rotate together.
    #[serde(default)]
    pub rotary_pairs: RotaryPairs,
    #[serde(default)]
    model_type: Option<String>,
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
    /// One name, or those of the query, the key and the value, or of the gate and the hidden layer.
    pub names: Vec<String>,
    /// How a matrix is stored; without meaning for vectors.
    pub orientation: Orientation,
}

const PREFIX: &str = "{prefix}";

/// The most bytes of a map.
const MOST_BYTES: usize = 1 << 20;
/// The most prefixes.
const MOST_PREFIXES: usize = 64;
/// The most names to skip.
const MOST_SKIPPED: usize = 1024;
/// The most bytes of a name, its prefix included.
const MOST_OF_NAME: usize = 1024;

/// A slot's canonical name with `{layer}` for its block.
fn pattern(slot: Slot) -> String {
    match slot {
        Slot::Layer(_, slot) => Slot::Layer(0, slot).to_string().replacen("h.0.", "h.{layer}.", 1),
        other => other.to_string(),
    }
}

/// One of each kind of slot.
fn kinds() -> impl Iterator<Item = Slot> {
    let one_layer = Config { n_layer: 1, ..Config::GPT2 };
    Slot::all(&one_layer).filter(move |slot| slot.presence(&one_layer) != Presence::Never)
}

impl NameMap {
    /// Reads and checks a map.
    ///
    /// # Errors
    /// One line that says what is damaged, unknown or missing.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        if text.len() > MOST_BYTES {
            return Err(format!("it has {} bytes, and a name map at most {MOST_BYTES}", text.len()));
        }
        let map: Self = json::parse(text)?;
        map.check_sizes()?;
        for key in map.tensors.keys() {
            if !kinds().any(|slot| pattern(slot) == *key) {
                return Err(format!("`{}` is no canonical tensor", shown::value(key)));
            }
        }
        let family = map.family()?;
        for slot in kinds() {
            let key = pattern(slot);
            let Some(entry) = map.tensors.get(&key) else {
                if is_optional(slot) || (slot == Slot::Wpe && family.is_llama_like()) {
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
            let parts = match slot {
                Slot::Layer(_, LayerSlot::AttnQkvWeight | LayerSlot::AttnQkvBias) => 3,
                Slot::Layer(_, LayerSlot::FcWeight | LayerSlot::FcBias) if family.is_llama_like() => 2,
                _ => 1,
            };
            if names.len() != 1 && names.len() != parts {
                return Err(format!("`{key}`: only c_attn can be split in three, and the c_fc of a gated MLP in two"));
            }
        }
        Ok(map)
    }

    /// The family whose checkpoints have these names.
    ///
    /// # Errors
    /// Another is named; never after [`NameMap::parse`].
    pub fn family(&self) -> Result<Family, String> {
        let Some(named) = &self.model_type else { return Ok(Family::Gpt2) };
        Family::named(named)
            .ok_or_else(|| format!("model_type `{}` is not supported ({})", shown::value(named), Family::words()))
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

    /// The names of a block's tensors under a prefix, with `{layer}` for its number.
    pub fn block_patterns<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = String> + 'a {
        let names = self.tensors.values().flat_map(Entry::names).filter(|name| name.contains(LAYER));
        names.map(move |name| name.replace(PREFIX, prefix))
    }

    /// The names of buffers that hold no weights under a prefix; `{layer}` is any number.
    pub fn skip_patterns<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = String> + 'a {
        self.skip.iter().map(move |name| name.replace(PREFIX, prefix))
    }

    /// Bounds the time and the memory that names take.
    fn check_sizes(&self) -> Result<(), String> {
        for (what, have, most) in
            [("prefixes", self.prefixes.len(), MOST_PREFIXES), ("names to skip", self.skip.len(), MOST_SKIPPED)]
        {
            if have > most {
                return Err(format!("it has {have} {what}, and a name map at most {most}"));
            }
        }
        if let Some(prefix) = self.prefixes.iter().find(|prefix| prefix.contains(['{', '}'])) {
            return Err(format!("the prefix `{}` holds braces", shown::value(prefix)));
        }
        let prefix_bytes = self.prefixes.iter().map(String::len).max().unwrap_or(0);
        for name in self.tensors.values().flat_map(Entry::names).chain(&self.skip) {
            let (prefixes, layers) = (name.matches(PREFIX).count(), name.matches(LAYER).count());
            if prefixes > 1 || layers > 1 {
                return Err(format!("`{}` holds {PREFIX} or {LAYER} more than once", shown::value(name)));
            }
            let bytes = name.len() + prefixes * prefix_bytes;
            if bytes > MOST_OF_NAME {
                return Err(format!(
                    "`{}` comes to {bytes} bytes, and a name to at most {MOST_OF_NAME}",
                    shown::value(name)
                ));
            }
            let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
            if let Some((before, after)) = name.split_once(LAYER)
                && (is_digit(before.as_bytes().last()) || is_digit(after.as_bytes().first()))
            {
                return Err(format!(
                    "`{}` has a digit beside {LAYER}: which are the block's is not clear",
                    shown::value(name)
                ));
            }
        }
        Ok(())
    }
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
        assert!(hf.block_patterns("transformer.").any(|name| name == "transformer.h.{layer}.ln_1.weight"));
        assert!(hf.skip_patterns("").any(|name| name == "h.{layer}.attn.bias"));
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
    fn maps_without_bounds_are_refused() {
        let with = |key: &str, value: serde_json::Value| {
            let mut map: serde_json::Value = serde_json::from_str(SCRATCH).unwrap();
            map[key] = value;
            NameMap::parse(&serde_json::to_vec(&map).unwrap()).map(|_| ())
        };
        let many = |n: usize| (0..n).map(|i| format!("p{i}.")).collect::<Vec<_>>().into();
        assert_eq!(with("prefixes", many(64)), Ok(()));
        assert!(with("prefixes", many(65)).unwrap_err().contains("65 prefixes"));
        assert!(with("prefixes", many(200_000)).unwrap_err().contains("a name map at most"));
        assert!(with("skip", many(1025)).unwrap_err().contains("1025 names to skip"));
        assert!(with("prefixes", vec!["x".repeat(900_000)].into()).is_ok(), "no name has a prefix");
        let long = serde_json::json!(["x".repeat(1000)]);
        let bomb = |name: &str| {
            let mut map: serde_json::Value = serde_json::from_str(SCRATCH).unwrap();
            (map["prefixes"], map["tensors"]["wte.weight"]) = (long.clone(), name.into());
            NameMap::parse(&serde_json::to_vec(&map).unwrap()).map(|_| ())
        };
        assert_eq!(bomb("{prefix}wte"), Ok(()));
        assert!(bomb("{prefix}wte.which.is.one.of.the.long.names").unwrap_err().contains("at most 1024"));
        assert!(with("prefixes", vec!["{layer}."].into()).unwrap_err().contains("braces"));
        assert!(bomb("{prefix}{prefix}").unwrap_err().contains("more than once"));
        for name in ["h.{layer}.{layer}", "h.1{layer}.w", "h.{layer}0.w"] {
            assert!(NameMap::parse(&scratch_with("h.{layer}.ln_1.weight", name.into())).is_err(), "{name}");
        }
    }

    #[test]
    fn maps_of_rotary_models_need_no_rows_of_positions_and_may_split_a_gated_mlp() {
        const META: &str = include_str!("layouts/meta.json");
        let map = NameMap::parse(META.as_bytes()).unwrap();
        assert_eq!((map.family(), map.rotary_pairs), (Ok(Family::Llama), RotaryPairs::Adjacent));
        assert_eq!(map.place(Slot::Wpe, ""), None);
        let place = map.place(Slot::Layer(3, LayerSlot::FcWeight), "").unwrap();
        assert_eq!(place.names, ["layers.3.feed_forward.w1.weight", "layers.3.feed_forward.w3.weight"]);
        let with = |key: &str, value: serde_json::Value| {
            let mut map: serde_json::Value = serde_json::from_str(META).unwrap();
            map[key] = value;
            NameMap::parse(&serde_json::to_vec(&map).unwrap()).unwrap_err()
        };
        assert_eq!(with("model_type", "gpt2".into()), "`wpe.weight` is not mapped");
        assert!(with("model_type", "opt".into()).starts_with("model_type `opt` is not supported (gpt2, "));
        let gate_alone = serde_json::json!(["layers.{layer}.w1", "layers.{layer}.w3"]);
        let error = NameMap::parse(&scratch_with("h.{layer}.mlp.c_fc.weight", gate_alone)).unwrap_err();
        assert!(error.contains("the c_fc of a gated MLP in two"), "{error}");
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
