//! What an initialised checkpoint is to look like: a name, or a JSON file.

use crate::checkpoint::family::Family;
use crate::checkpoint::{CheckpointError, ConfigFile, Layout, keys};
use crate::ground::shown;
use emberlm_core::config::{Activation, Config, Gelu, Layers, Mlp, NormKind, Norms, Positions, Rotary, Windows};
use serde_json::{Value, json};
use std::path::Path;

/// The model to be initialised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InitConfig {
    /// Whose names its files use.
    pub family: Family,
    /// Sizes and choices.
    pub model: Config,
    /// Of rotary positions, the base of the frequencies.
    pub rope_theta: f64,
    /// Whether query, key and value have biases, in GPT-2.
    pub qkv_bias: bool,
    /// Whether the head shares the token embedding.
    pub tied: bool,
}

/// GPT-2's sizes as published, and minGPT's small ones: `n_vocab`, `n_ctx`, `n_embd`, `n_head`, `n_layer`.
type Sizes = [u32; 5];

/// Those with a tied head and biases everywhere, as published.
const GPT2: [(&str, Sizes); 4] = [
    ("gpt2", [50257, 1024, 768, 12, 12]),
    ("gpt2-medium", [50257, 1024, 1024, 16, 24]),
    ("gpt2-large", [50257, 1024, 1280, 20, 36]),
    ("gpt2-xl", [50257, 1024, 1600, 25, 48]),
];

/// Those with a head of its own, and queries, keys and values without biases: minGPT's with GPT-2's vocabulary, and the
/// bundled models'.
const RETOLD: [(&str, Sizes); 6] = [
    ("gpt2-124m", [50257, 1024, 768, 12, 12]),
    ("gpt-mini", [50257, 256, 192, 6, 6]),
    ("gpt-micro", [50257, 256, 128, 4, 4]),
    ("gpt-nano", [50257, 256, 48, 3, 3]),
    ("nano-bpe512", [512, 128, 128, 4, 4]),
    ("nano-char", [65, 128, 128, 4, 4]),
];

/// The TinyStories models (Eldan and Li, 2023), GPT-Neos whose every second layer sees 256 positions.
const TINY_STORIES: [(&str, Sizes); 5] = [
    ("tinystories-1m", [50257, 2048, 64, 16, 8]),
    ("tinystories-3m", [50257, 2048, 128, 16, 8]),
    ("tinystories-8m", [50257, 2048, 256, 16, 8]),
    ("tinystories-28m", [50257, 2048, 512, 16, 8]),
    ("tinystories-33m", [50257, 2048, 768, 16, 4]),
];

/// Llamas with a tied head: sizes, heads of keys and values, width of the MLP, the base of rotary positions. llama2.c's
/// stories, and SmolLM2's smallest.
const LLAMAS: [(&str, Sizes, u32, u32, f64); 5] = [
    ("stories260k", [512, 512, 64, 8, 5], 4, 172, 1e4),
    ("stories15m", [32000, 256, 288, 6, 6], 6, 768, 1e4),
    ("stories42m", [32000, 1024, 512, 8, 8], 8, 1376, 1e4),
    ("stories110m", [32000, 1024, 768, 12, 12], 12, 2048, 1e4),
    ("smollm2-135m", [49152, 8192, 576, 9, 30], 3, 1536, 1e5),
];

fn find(list: &[(&str, Sizes)], name: &str) -> Option<Sizes> {
    list.iter().find(|(known, _)| *known == name).map(|&(_, sizes)| sizes)
}

fn gpt2([n_vocab, n_ctx, n_embd, n_head, n_layer]: Sizes) -> Config {
    Config { n_vocab, n_ctx, n_embd, n_layer, n_ff: 4 * n_embd, ..Config::GPT2 }.with_heads(n_head)
}

impl InitConfig {
    /// Every name that [`InitConfig::named`] knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let llamas = LLAMAS.iter().map(|llama| llama.0);
        GPT2.iter().chain(&RETOLD).chain(&TINY_STORIES).map(|(name, _)| *name).chain(llamas)
    }

    /// A GPT-2 in the from-scratch layout, with queries, keys and values without biases, and a head of its own.
    pub const fn of_gpt2(model: Config) -> Self {
        Self { family: Family::Gpt2, model, rope_theta: 1e4, qkv_bias: false, tied: false }
    }

    /// A configuration by name: sizes and choices as published, GPT-2's with `n_ff` of 4 `n_embd`.
    pub fn named(name: &str) -> Option<Self> {
        if let Some(sizes) = find(&GPT2, name) {
            return Some(Self { qkv_bias: true, tied: true, ..Self::of_gpt2(gpt2(sizes)) });
        }
        if let Some(sizes) = find(&RETOLD, name) {
            return Some(Self::of_gpt2(gpt2(sizes)));
        }
        if let Some(sizes) = find(&TINY_STORIES, name) {
            let windows = Windows { layers: Layers::repeating(&[false, true]), len: 256 };
            let model = Config { windows, ..gpt2(sizes) };
            return Some(Self { family: Family::GptNeo, tied: true, ..Self::of_gpt2(model) });
        }
        let &(_, sizes, n_kv_head, n_ff, rope_theta) = LLAMAS.iter().find(|llama| llama.0 == name)?;
        let like = gpt2(sizes);
        let model = Config {
            n_kv_head,
            n_ff,
            norms: Norms { kind: NormKind::Rms, ..like.norms },
            positions: Positions::Rotary(Rotary { dim: like.head_dim, second: Layers::NONE }),
            mlp: Mlp { activation: Activation::Silu, gated: true },
            ..like
        };
        Some(Self { family: Family::Llama, rope_theta, tied: true, ..Self::of_gpt2(model) })
    }

    /// A configuration from a JSON file in any layout's keys. Sizes must be said, but for `n_ff`; what else is not said
    /// is as in the named configurations.
    ///
    /// # Errors
    /// The file cannot be read, lacks a size, or says something that an initialised model would not follow.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let file = ConfigFile::read(path)?;
        let refused = |key: &str, why: String| Err(CheckpointError::Key { key: key.to_owned(), why });
        if let Some(family) = file.family()?.filter(|&family| family != Family::Gpt2) {
            let why = format!("{} is initialised by name only, and gpt2 by a file too", family.name());
            return refused(keys::MODEL_TYPE, why);
        }
        if let Some(key) = file.check_meaning(Family::Gpt2)?.first() {
            return refused(key, "is not known, so that the model would not follow it".to_owned());
        }
        match file.attention_scales()? {
            (true, false) => {}
            (false, _) => return refused(keys::SCALED, "false is not supported, only true".to_owned()),
            (true, true) => return refused(keys::BY_LAYER, "true is not supported".to_owned()),
        }
        let activation = file.activation()?.map_or(Activation::Gelu(Gelu::Tanh), |said| said.value);
        let size = |key: &'static str, keys: &[&str]| match file.count(keys)? {
            Some(said) => Ok(said.value),
            None => {
                let why = format!("{} does not say it ({})", shown::path(path), keys.join(", "));
                Err(CheckpointError::MissingKey { key, why })
            }
        };
        let n_embd = size("n_embd", keys::N_EMBD)?;
        let model = Config {
            n_vocab: size("n_vocab", keys::N_VOCAB)?,
            n_ctx: size("n_ctx", keys::N_CTX)?,
            n_embd,
            n_layer: size("n_layer", keys::N_LAYER)?,
            n_ff: file.count(keys::N_FF)?.map_or(n_embd.saturating_mul(4), |said| said.value),
            norms: Norms { epsilon: file.epsilon()?.map_or(1e-5, |said| said.value as f32), ..Config::GPT2.norms },
            mlp: Mlp { activation, gated: false },
            ..Config::GPT2
        };
        let n_head = size("n_head", keys::N_HEAD)?;
        if n_head == 0 || !n_embd.is_multiple_of(n_head) {
            return refused(keys::N_HEAD[0], format!("{n_head} does not divide n_embd {n_embd}"));
        }
        let model = model.with_heads(n_head);
        model.validate()?;
        let flag = |keys| file.flag(keys).map(|said| said.is_some_and(|said| said.value));
        Ok(Self { qkv_bias: flag(keys::QKV_BIAS)?, tied: flag(keys::TIED)?, ..Self::of_gpt2(model) })
    }

    /// The layout of its tensors, and the prefix of their names.
    pub const fn layout(&self) -> (Layout, &'static str) {
        match self.family {
            Family::Gpt2 => (Layout::Scratch, ""),
            Family::GptNeo => (Layout::GptNeo, "transformer."),
            _ => (Layout::Llama, "model."),
        }
    }

    /// The `config.json` that says all of it, in the layout's keys.
    pub fn to_json(&self) -> Value {
        let model = &self.model;
        let epsilon = shortest(model.norms.epsilon);
        match self.family {
            Family::Gpt2 => json!({
                "vocab_size": model.n_vocab,
                "context_length": model.n_ctx,
                "emb_dim": model.n_embd,
                "n_heads": model.n_head,
                "n_layers": model.n_layer,
                "n_ff": model.n_ff,
                "drop_rate": 0.1,
                "qkv_bias": self.qkv_bias,
                "tie_word_embeddings": self.tied,
                "activation_function": keys::activation_name(model.mlp.activation),
                "layer_norm_epsilon": epsilon,
            }),
            Family::GptNeo => json!({
                "model_type": self.family.name(),
                "vocab_size": model.n_vocab,
                "max_position_embeddings": model.n_ctx,
                "hidden_size": model.n_embd,
                "num_heads": model.n_head,
                "num_layers": model.n_layer,
                "intermediate_size": model.n_ff,
                "attention_types": [[["global", "local"], model.n_layer / 2]],
                "window_size": model.windows.len,
                "activation_function": keys::activation_name(model.mlp.activation),
                "layer_norm_epsilon": epsilon,
            }),
            _ => json!({
                "model_type": self.family.name(),
                "vocab_size": model.n_vocab,
                "max_position_embeddings": model.n_ctx,
                "hidden_size": model.n_embd,
                "num_attention_heads": model.n_head,
                "num_key_value_heads": model.n_kv_head,
                "num_hidden_layers": model.n_layer,
                "intermediate_size": model.n_ff,
                "hidden_act": keys::activation_name(model.mlp.activation),
                "rms_norm_eps": epsilon,
                "rope_theta": self.rope_theta,
                "tie_word_embeddings": self.tied,
            }),
        }
    }
}

/// The f64 that prints as the f32 does: 1e-5, not 9.999999747378752e-6.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &Value) -> Result<InitConfig, CheckpointError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, value.to_string()).unwrap();
        InitConfig::read(&path)
    }

    #[test]
    fn every_name_is_a_model_that_its_json_describes() {
        for name in InitConfig::names() {
            let config = InitConfig::named(name).unwrap();
            config.model.validate().unwrap();
            if config.family == Family::Gpt2 {
                assert_eq!(read(&config.to_json()).unwrap(), config, "{name}");
            } else {
                assert!(read(&config.to_json()).unwrap_err().to_string().contains("by name only"), "{name}");
            }
        }
        assert_ne!(InitConfig::named("gpt2-124m"), InitConfig::named("gpt2"));
        assert_eq!(InitConfig::named("gpt3"), None);
    }

    #[test]
    fn files_may_use_any_layouts_keys() {
        let config = read(&json!({
            "vocab_size": 7, "block_size": 5, "n_embd": 4, "n_head": 2, "n_layer": 1, "n_inner": 6,
            "activation_function": "gelu", "layer_norm_epsilon": 1e-6, "qkv_bias": true, "tie_word_embeddings": true,
        }))
        .unwrap();
        assert_eq!((config.model.n_ctx, config.model.n_ff), (5, 6));
        assert_eq!(config.model.mlp.activation, Activation::Gelu(Gelu::Erf));
        assert!(config.qkv_bias && config.tied);
    }

    #[test]
    fn files_that_cannot_be_followed_are_refused() {
        let with = |key: &str, value: Value| {
            let mut config = InitConfig::named("gpt-nano").unwrap().to_json();
            config[key] = value;
            read(&config).unwrap_err().to_string()
        };
        assert!(with("emb_dim", Value::Null).starts_with("`n_embd` is not known"));
        assert!(with("n_heads", json!(5)).contains("5 does not divide n_embd 48"));
        assert!(with("swish_beta", json!(1)).starts_with("config key `swish_beta`"));
    }
}
