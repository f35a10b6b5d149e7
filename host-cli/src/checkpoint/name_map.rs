//! Name maps: which name a checkpoint gives each canonical tensor.
//!
//! The built-in layouts are name maps themselves (`layouts/*.json`); a retelling that renames modules is read through
//! a map of its own. A map is one JSON object:
//!
//! - `description`: what the layout is called in reports.
//! - `orientation`: `"out_in"` (PyTorch's `Linear`) or `"in_out"` (GPT-2's `Conv1D`): how the four matrices of a block
//!   are stored.
//! - `tensors`: from canonical name to the file's. Canonical names are [`Slot`]'s: `wte.weight`, `wpe.weight`,
//!   `ln_e.weight`, `ln_e.bias`, `ln_f.weight`, `ln_f.bias`, `lm_head.weight`, `lm_head.bias`, and for each block
//!   `h.{layer}.` followed by `ln_1.weight`, `ln_1.bias`, `attn.c_attn.weight`, `attn.c_attn.bias`, `attn.c_proj.weight`,
//!   `attn.c_proj.bias`, `ln_2.weight`, `ln_2.bias`, `mlp.c_fc.weight`, `mlp.c_fc.bias`, `mlp.c_proj.weight`,
//!   `mlp.c_proj.bias`, and where there are such norms `attn.q_norm.weight`, `attn.k_norm.weight`, `ln_attn.weight`,
//!   `ln_attn.bias`, `ln_mlp.weight`, `ln_mlp.bias`.
//!   `{layer}` stands for the block's number, counted from 0, on both sides. A value is a name; or, for `c_attn`, a
//!   list of the query's, the key's and the value's name where they are stored apart, and for the `c_fc` of a gated MLP
//!   one of the gate's and the hidden layer's (`up_proj`); or `{"name": NAME, "orientation": ...}` where one matrix (the
//!   head's, for instance) is stored otherwise. Names of optional tensors (every bias, the head) may be left out, and
//!   `wpe.weight` where positions are rotary.
//! - `model_type`: the family whose checkpoints have these names, where the configuration does not say it: `gpt2` (the
//!   default), `gpt_neo`, `opt`, `microgpt`, `gpt_neox`, `llama`, `mistral`, `qwen2`, `qwen3`, `gemma3_text`.
//! - `norms`: what no name shows of norms, where it is not as in the family: `kind` (`"layer"` or `"rms"`), `scale` (whether
//!   they have weights), and where they are: `before` attention and the MLP, `after` either, of the `embedding`, of the
//!   `heads`' queries and keys, `last` before the head.
//! - `norm_offset`: what is added to the stored weights of norms; 0 by default, 1 in Gemma.
//! - `parallel`: whether attention and MLP have the same input, where the configuration does not say it.
//! - `logit_softcap`, `attn_logit_softcap`: the bounds of logits and of attention's scores in a model that has them, which
//!   no tensor shows. Such a model is refused.
//! - `position_offset`: rows of `wpe` in front of position 0's; 0 by default, 2 in OPT.
//! - `rotary_pairs`: which elements of a head's rows of the query and the key rotate together: `"halves"` (the default;
//!   the first with the first of the second half) or `"adjacent"`.
//! - `qkv_rows`: how rows of a fused `c_attn` lie: `"stacked"` (the default; all of the query, then all of the key, then all of
//!   the value), or `"by_head"` (head by head, the rows of its query, its key and its value).
//! - `aliases`: from other names that tensors have in some files to those in `tensors`.
//! - `skip`: names of buffers that are no weights, such as causal masks; `{layer}` matches any number.
//! - `prefixes`: what `{prefix}` may stand for in the names; the first one under which the file has a block holds.
//! - `lm_head_absent`: `"tied"` if a file without the head shares `wte`, `"refused"` (the default) if that is a fault.
//!   A map that names no head is tied.
//! - `defaults`: `activation_function` and `layer_norm_epsilon`, for configurations that do not say.
//!
//! A fused `c_fc` of a gated MLP holds the gate, then the hidden layer.
//!
//! `{prefix}` and `{layer}` stand at most once in a name, and `{layer}` not beside a digit. A map is at most 1 MiB long,
//! with at most 64 prefixes and 1024 names to skip, and no name comes to more than 1024 bytes. Names are compared without
//! the wrappers that training leaves in them (`_orig_mod.`, `module.`), on both sides.

use super::architecture::{is_norm_weight, is_optional};
use super::family::Family;
use super::patterns::LAYER;
use super::stored::SaidNorms;
pub use super::stored::{HeadAbsent, Orientation, QkvRows, RotaryPairs};
use crate::ground::files::json;
use crate::ground::shown;
use emberlm_core::blob::{LayerSlot, Presence, Slot};
use emberlm_core::config::{Config, NormKind, Norms};
use serde::Deserialize;
use std::collections::BTreeMap;

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
    /// How rows of a fused `c_attn` lie.
    #[serde(default)]
    pub qkv_rows: QkvRows,
    /// Added to the stored weights of norms.
    #[serde(default)]
    pub norm_offset: f64,
    /// Rows of positions in front of the first one's.
    #[serde(default)]
    pub position_offset: u32,
    /// Whether attention and MLP have the same input.
    #[serde(default)]
    pub parallel: Option<bool>,
    #[serde(default)]
    norms: SaidNorms,
    #[serde(default)]
    logit_softcap: Option<f64>,
    #[serde(default)]
    attn_logit_softcap: Option<f64>,
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
    aliases: BTreeMap<String, String>,
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
pub(super) fn pattern(slot: Slot) -> String {
    match slot {
        Slot::Layer(_, slot) => Slot::Layer(0, slot).to_string().replacen("h.0.", "h.{layer}.", 1),
        other => other.to_string(),
    }
}

/// One of each kind of slot.
pub(super) fn kinds() -> impl Iterator<Item = Slot> {
    Slot::all(&Config { n_layer: 1, ..Config::GPT2 })
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
        for (key, said) in [("logit_softcap", map.logit_softcap), ("attn_logit_softcap", map.attn_logit_softcap)] {
            if let Some(cap) = said.filter(|&cap| cap != 0.0) {
                return Err(format!("`{key}`: {cap} is asked for, and no bound of logits or scores is supported"));
            }
        }
        if !map.norm_offset.is_finite() {
            return Err(format!("`norm_offset`: {} is no number to add", map.norm_offset));
        }
        let family = map.family()?;
        // Shifts are there for any kind of norm: they may be mapped, and need not.
        let norms = Norms { kind: NormKind::Layer, ..map.norms(family) };
        let config = Config { n_layer: 1, norms, ..Config::GPT2 };
        for slot in kinds() {
            let key = pattern(slot);
            let is_there = slot.presence(&config) != Presence::Never;
            let Some(entry) = map.tensors.get(&key) else {
                let scales_nothing = is_norm_weight(slot) && !map.norms_scale(family);
                let has_no_rows = slot == Slot::Wpe && family.is_rotary();
                if !is_there || is_optional(slot) || scales_nothing || has_no_rows {
                    continue;
                }
                return Err(format!("`{key}` is not mapped"));
            };
            if !is_there {
                return Err(format!("`{key}` is mapped, and by family and `norms` there is no such norm"));
            }
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
            if names.len() == 3 && map.qkv_rows == QkvRows::ByHead {
                return Err(format!("`{key}`: rows that lie by head are in one matrix, and three are named"));
            }
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

    /// The norms of a family's models with these names, of no epsilon of their own.
    pub fn norms(&self, family: Family) -> Norms {
        self.norms.over(family.norms())
    }

    /// Whether these have weights.
    pub fn norms_scale(&self, family: Family) -> bool {
        self.norms.scale.unwrap_or_else(|| family.norms_scale())
    }

    /// The names that tensors have in some files, and those that they have here.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &str)> {
        self.aliases.iter().map(|(alias, name)| (alias.as_str(), name.as_str()))
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
mod tests;
