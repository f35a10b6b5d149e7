//! The keys of `config.json` as layouts and retellings spell them, and which of them change what a model computes.

mod names;
mod rope;
mod spans;

pub use names::*;

use super::architecture::Activation;
use super::error::CheckpointError;
use super::family::Family;
use crate::ground::files::Wanted;
use crate::ground::files::read::{self, MOST_OF_CONFIG};
use crate::ground::shown;
use emberlm_core::config::{Gelu, TokenId};
use serde_json::{Map, Value};
use std::path::Path;

/// A value and the key that said it.
#[derive(Clone, Debug, PartialEq)]
pub struct Said<T> {
    /// The key as the file spells it.
    pub key: String,
    /// Its value.
    pub value: T,
}

/// A `config.json`; the default one says nothing.
#[derive(Debug, Default)]
pub struct ConfigFile(Map<String, Value>);

fn refused(key: &str, why: impl Into<String>) -> CheckpointError {
    CheckpointError::Key { key: key.to_owned(), why: why.into() }
}

/// A value as the file spells it, cut where it is long.
fn short(value: &Value) -> String {
    shown::value(&value.to_string()).to_string()
}

/// Whether a value switches its key off.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(items) => items.is_empty(),
    }
}

impl ConfigFile {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// The file cannot be read or holds something else.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let damaged = |path, why| CheckpointError::ConfigFile { path, why };
        let object = read::json(path, MOST_OF_CONFIG)
            .map_err(|error| Wanted::Config.explain(path, CheckpointError::of_json(error, damaged)))?;
        Ok(Self(object))
    }

    /// What says these keys, where no file does.
    pub const fn of(keys: Map<String, Value>) -> Self {
        Self(keys)
    }

    /// The family that `model_type` names; null counts as absent.
    ///
    /// # Errors
    /// It names another.
    pub fn family(&self) -> Result<Option<Family>, CheckpointError> {
        let Some(value) = self.0.get(MODEL_TYPE).filter(|value| !value.is_null()) else { return Ok(None) };
        match value.as_str().and_then(Family::named) {
            Some(family) => Ok(Some(family)),
            None => Err(refused(MODEL_TYPE, format!("{} is not supported ({})", short(value), Family::words()))),
        }
    }

    /// Refuses what the model would compute otherwise than this project, and names the keys it does not know.
    ///
    /// GPT-2's retellings have keys of their own, so that those are only named. Where other families ask for something
    /// that is not known, it is refused.
    ///
    /// # Errors
    /// The first key that changes the meaning.
    pub fn check_meaning(&self, family: Family) -> Result<Vec<&str>, CheckpointError> {
        let mut unknown = Vec::new();
        for (key, value) in &self.0 {
            let key = key.as_str();
            let fault = match names::meaning(key, family) {
                Meaning::Read | Meaning::Harmless => None,
                Meaning::Off => (!is_off(value)).then(String::new),
                Meaning::On => (*value != Value::Bool(true)).then(|| ", only true".to_owned()),
                Meaning::OneOf(words) => {
                    let is_one = value.is_null() || value.as_str().is_some_and(|text| words.contains(&text));
                    (!is_one).then(|| format!(" ({})", words.join(", ")))
                }
                Meaning::Unknown if family == Family::Gpt2 || is_off(value) => {
                    unknown.push(key);
                    None
                }
                Meaning::Unknown => {
                    let advice = "take it out of the config if it changes nothing";
                    return Err(refused(
                        key,
                        format!("{} is asked for, and the key is not known: {advice}", short(value)),
                    ));
                }
            };
            if let Some(fault) = fault {
                return Err(refused(key, format!("{} is not supported{fault}", short(value))));
            }
        }
        Ok(unknown)
    }

    /// The value of a quantity under whichever of its spellings; null counts as absent.
    fn said(&self, keys: &[&str]) -> Result<Option<Said<&Value>>, CheckpointError> {
        let mut found: Option<Said<&Value>> = None;
        for key in keys {
            let Some(value) = self.0.get(*key).filter(|value| !value.is_null()) else { continue };
            match &found {
                Some(first) if first.value != value => {
                    return Err(refused(
                        key,
                        format!("{} conflicts with `{}`, {}", short(value), first.key, short(first.value)),
                    ));
                }
                Some(_) => {}
                None => found = Some(Said { key: (*key).to_owned(), value }),
            }
        }
        Ok(found)
    }

    fn convert<T>(
        &self,
        keys: &[&str],
        need: &str,
        convert: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<Said<T>>, CheckpointError> {
        let Some(Said { key, value }) = self.said(keys)? else { return Ok(None) };
        match convert(value) {
            Some(value) => Ok(Some(Said { key, value })),
            None => Err(refused(&key, format!("{} is not {need}", short(value)))),
        }
    }

    /// A count.
    ///
    /// # Errors
    /// Two spellings disagree, or the value is no whole number below 2^32.
    pub fn count(&self, keys: &[&str]) -> Result<Option<Said<u32>>, CheckpointError> {
        self.convert(keys, "a whole number below 2^32", |value| value.as_u64()?.try_into().ok())
    }

    /// The key of a quantity whose value is null and that no other spelling says.
    pub fn null(&self, keys: &[&str]) -> Option<String> {
        let null = keys.iter().find(|key| self.0.get(**key).is_some_and(Value::is_null))?;
        let said = keys.iter().any(|key| self.0.get(*key).is_some_and(|value| !value.is_null()));
        (!said).then(|| (*null).to_owned())
    }

    /// A flag.
    ///
    /// # Errors
    /// Two spellings disagree, or the value is neither true nor false.
    pub fn flag(&self, keys: &[&str]) -> Result<Option<Said<bool>>, CheckpointError> {
        self.convert(keys, "true or false", Value::as_bool)
    }

    /// The id of the token that texts begin with; `None` where it is no id at all.
    pub fn bos(&self) -> Option<TokenId> {
        self.0.get(BOS)?.as_u64()?.try_into().ok()
    }

    /// The norms' epsilon.
    ///
    /// # Errors
    /// Two spellings disagree, or the value is no number.
    pub fn epsilon(&self) -> Result<Option<Said<f64>>, CheckpointError> {
        self.convert(EPSILON, "a number", Value::as_f64)
    }

    /// The activation function.
    ///
    /// # Errors
    /// Two spellings disagree, or the function is none of those that are known.
    pub fn activation(&self) -> Result<Option<Said<Activation>>, CheckpointError> {
        let Some(Said { key, value }) =
            self.convert(ACTIVATION, "a name", |value| value.as_str().map(str::to_owned))?
        else {
            return Ok(None);
        };
        match activation_named(&value) {
            Some(value) => Ok(Some(Said { key, value })),
            None => {
                Err(refused(&key, format!("activation `{}` is not supported ({ACTIVATIONS})", shown::value(&value))))
            }
        }
    }

    /// Whether attention's scores are divided by the root of `head_dim`, and whether by the layer's number too.
    ///
    /// # Errors
    /// A value is neither true nor false.
    pub fn attention_scales(&self) -> Result<(bool, bool), CheckpointError> {
        let flag = |key: &str, absent: bool| match self.0.get(key) {
            None => Ok(absent),
            Some(Value::Bool(value)) => Ok(*value),
            Some(value) => Err(refused(key, format!("{} is not true or false", short(value)))),
        };
        Ok((flag(SCALED, true)?, flag(BY_LAYER, false)?))
    }
}

/// The activations that configurations may name.
pub const ACTIVATIONS: &str = "gelu, gelu_new, gelu_pytorch_tanh, relu, silu, swish";

/// The activation that a configuration's word stands for.
///
/// `gelu_fast` and `gelu_accurate` are the tanh form with the constant spelled to fewer or more digits, the same in
/// f32.
pub fn activation_named(name: &str) -> Option<Activation> {
    match name {
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_tanh" | "gelu_fast" | "gelu_accurate" => {
            Some(Activation::Gelu(Gelu::Tanh))
        }
        "gelu" | "gelu_python" | "gelu_erf" => Some(Activation::Gelu(Gelu::Erf)),
        "relu" => Some(Activation::Relu),
        "silu" | "swish" => Some(Activation::Silu),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(value: Value) -> ConfigFile {
        ConfigFile(value.as_object().unwrap().clone())
    }

    #[test]
    fn keys_that_change_the_meaning_are_refused_by_name() {
        let cases = [
            (json!({"add_cross_attention": true}), "add_cross_attention"),
            (json!({"rope_theta": 10000.0}), "rope_theta"),
            (json!({"pruned_heads": {"1": [0]}}), "pruned_heads"),
            (json!({"norm_type": "rmsnorm"}), "norm_type"),
        ];
        for (value, key) in cases {
            let error = config(value).check_meaning(Family::Gpt2).unwrap_err().to_string();
            assert!(error.starts_with(&format!("config key `{key}`: ")), "{error}");
        }
    }

    #[test]
    fn harmless_keys_pass_and_unknown_ones_are_named() {
        let harmless = json!({
            "reorder_and_upcast_attn": true, "attn_pdrop": 0.1, "scale_attn_weights": true, "drop_rate_emb": 0.1,
            "eos_token_id": 3, "summary_type": "x", "model_type": "gpt2", "rope_theta": null, "n_embd": 4,
        });
        assert_eq!(config(harmless).check_meaning(Family::Gpt2).unwrap(), Vec::<&str>::new());
        assert_eq!(config(json!({"swish_beta": 2, "n_layer": 1})).check_meaning(Family::Gpt2).unwrap(), ["swish_beta"]);
    }

    #[test]
    fn synonyms_are_found_and_must_agree() {
        let said = |key: &str, value| Some(Said { key: key.to_owned(), value });
        assert_eq!(config(json!({"context_length": 7})).count(N_CTX).unwrap(), said("context_length", 7));
        assert_eq!(config(json!({"n_ctx": 7, "n_positions": 7})).count(N_CTX).unwrap(), said("n_positions", 7));
        let error = config(json!({"n_ctx": 7, "n_positions": 8})).count(N_CTX).unwrap_err().to_string();
        assert_eq!(error, "config key `n_ctx`: 7 conflicts with `n_positions`, 8");
        for bad in [json!(-1), json!(1.5), json!("7"), json!(4_294_967_296_u64)] {
            let error = config(json!({ "n_head": bad })).count(N_HEAD).unwrap_err().to_string();
            assert!(error.starts_with("config key `n_head`: "), "{error}");
        }
        assert_eq!(config(json!({"n_inner": null})).count(N_FF).unwrap(), None);
        assert_eq!(config(json!({"n_inner": null})).null(N_FF).unwrap(), "n_inner");
        assert_eq!(config(json!({"n_inner": null, "d_ff": 4})).null(N_FF), None);
        let error = config(json!({"qkv_bias": 1})).flag(QKV_BIAS).unwrap_err().to_string();
        assert_eq!(error, "config key `qkv_bias`: 1 is not true or false");
    }

    #[test]
    fn activations_are_known_by_name_or_refused() {
        let named = [
            ("gelu_new", Activation::Gelu(Gelu::Tanh)),
            ("gelu_pytorch_tanh", Activation::Gelu(Gelu::Tanh)),
            ("gelu", Activation::Gelu(Gelu::Erf)),
            ("relu", Activation::Relu),
            ("silu", Activation::Silu),
            ("swish", Activation::Silu),
        ];
        for (name, activation) in named {
            assert_eq!(config(json!({"activation_function": name})).activation().unwrap().unwrap().value, activation);
        }
        for name in ["relu6", "mish", "quick_gelu", "tanh"] {
            let error = config(json!({"hidden_act": name})).activation().unwrap_err().to_string();
            assert!(error.contains(&format!("`hidden_act`: activation `{name}`")), "{error}");
        }
    }

    #[test]
    fn a_familys_keys_are_anothers_refusal() {
        let cases = [
            (json!({"rope_theta": 1e4, "sliding_window": null}), Family::Llama, None),
            (json!({"rope_theta": 1e4, "sliding_window": 7}), Family::Llama, Some("sliding_window")),
            (json!({"rope_theta": 1e4, "sliding_window": 7}), Family::Mistral, None),
            (json!({"attention_bias": true}), Family::Mistral, Some("attention_bias")),
            (json!({"attention_bias": true, "mlp_bias": true}), Family::Llama, None),
            (json!({"window_size": 7}), Family::GptNeo, None),
            (json!({"window_size": 7}), Family::Llama, Some("window_size")),
            (json!({"scale_attn_weights": true}), Family::GptNeo, None),
            (json!({"scale_attn_weights": false}), Family::GptNeo, Some("scale_attn_weights")),
            (json!({"scale_attn_weights": false}), Family::Gpt2, None),
            (json!({"residual_multiplier": 0.5}), Family::Llama, Some("residual_multiplier")),
            (json!({"residual_multiplier": null}), Family::Llama, None),
            (json!({"rope_interleaved": true}), Family::Llama, Some("rope_interleaved")),
            (json!({"norm_type": "layernorm"}), Family::Llama, Some("norm_type")),
        ];
        for (value, family, key) in cases {
            let said = config(value.clone());
            match (said.check_meaning(family), key) {
                (Ok(_), None) => {}
                (Err(error), Some(key)) => {
                    let error = error.to_string();
                    assert!(error.starts_with(&format!("config key `{key}`: ")), "{error}");
                }
                (outcome, _) => panic!("{value} of {family:?}: {outcome:?}"),
            }
        }
        assert_eq!(config(json!({"model_type": "swish"})).family().unwrap_err().kind(), "config_key");
        assert_eq!(config(json!({"model_type": "mistral"})).family().unwrap(), Some(Family::Mistral));
        assert_eq!(config(json!({"model_type": null})).family().unwrap(), None);
    }
}
