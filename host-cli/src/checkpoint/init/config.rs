//! What an initialised checkpoint is to look like: a name, or a JSON file.

use crate::checkpoint::family::Family;
use crate::checkpoint::{CheckpointError, ConfigFile, keys};
use crate::ground::shown;
use emberlm_core::config::{Activation, Config, Gelu, Mlp, Norms};
use serde_json::{Value, json};
use std::path::Path;

/// The shape of a model to be initialised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InitConfig {
    /// Sizes, activation and epsilon.
    pub model: Config,
    /// Whether query, key and value have biases.
    pub qkv_bias: bool,
    /// Whether the head shares the token embedding.
    pub tied: bool,
}

/// A size that has a name: `n_vocab`, `n_ctx`, `n_embd`, `n_head`, `n_layer`.
type Named = (&'static str, [u32; 5]);

/// GPT-2's sizes, minGPT's small ones with GPT-2's vocabulary, and those of the bundled models.
const NAMED: [Named; 10] = [
    ("gpt2-124m", [50257, 1024, 768, 12, 12]),
    ("gpt2", [50257, 1024, 768, 12, 12]),
    ("gpt2-medium", [50257, 1024, 1024, 16, 24]),
    ("gpt2-large", [50257, 1024, 1280, 20, 36]),
    ("gpt2-xl", [50257, 1024, 1600, 25, 48]),
    ("gpt-mini", [50257, 256, 192, 6, 6]),
    ("gpt-micro", [50257, 256, 128, 4, 4]),
    ("gpt-nano", [50257, 256, 48, 3, 3]),
    ("nano-bpe512", [512, 128, 128, 4, 4]),
    ("nano-char", [65, 128, 128, 4, 4]),
];

impl InitConfig {
    /// Every name that [`InitConfig::named`] knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMED.iter().map(|(name, _)| *name)
    }

    /// A configuration by name: tanh GELU, epsilon 1e-5, `n_ff` of 4 `n_embd`, no query, key and value biases, a head
    /// of its own.
    pub fn named(name: &str) -> Option<Self> {
        let (_, [n_vocab, n_ctx, n_embd, n_head, n_layer]) = *NAMED.iter().find(|(known, _)| *known == name)?;
        let model = Config { n_vocab, n_ctx, n_embd, n_layer, n_ff: 4 * n_embd, ..Config::GPT2 }.with_heads(n_head);
        Some(Self { model, qkv_bias: false, tied: false })
    }

    /// A configuration from a JSON file in any layout's keys. Sizes must be said, but for `n_ff`; what else is not said
    /// is as in the named configurations.
    ///
    /// # Errors
    /// The file cannot be read, lacks a size, or says something that an initialised model would not follow.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let file = ConfigFile::read(path)?;
        let refused = |key: &str, why: String| Err(CheckpointError::Key { key: key.to_owned(), why });
        if let Some(key) = file.check_meaning(Family::Gpt2)?.first() {
            return refused(key, "is not known, so that the model would not follow it".to_owned());
        }
        if let Some(family) = file.family()?.filter(|&family| family != Family::Gpt2) {
            return refused(keys::MODEL_TYPE, format!("{} is not initialised, only gpt2", family.name()));
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
        Ok(Self { model, qkv_bias: flag(keys::QKV_BIAS)?, tied: flag(keys::TIED)? })
    }

    /// The `config.json` that says all of it, in the from-scratch layout's keys.
    pub fn to_json(&self) -> Value {
        let model = &self.model;
        json!({
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
            "layer_norm_epsilon": shortest(model.norms.epsilon),
        })
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
            assert_eq!(read(&config.to_json()).unwrap(), config, "{name}");
        }
        assert_eq!(InitConfig::named("gpt2-124m"), InitConfig::named("gpt2"));
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
