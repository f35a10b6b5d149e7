//! The keys of `config.json` as layouts and retellings spell them, and which of them change what a model computes.

use super::error::CheckpointError;
use crate::ground::files::Wanted;
use crate::ground::files::read::{self, MOST_OF_CONFIG};
use crate::ground::shown;
use emberlm_core::config::{Gelu, TokenId};
use serde_json::{Map, Value};
use std::path::Path;

/// Spellings of `n_vocab`.
pub const N_VOCAB: &[&str] = &["vocab_size", "n_vocab"];
/// Spellings of `n_ctx`.
pub const N_CTX: &[&str] = &[
    "n_positions",
    "n_ctx",
    "block_size",
    "context_length",
    "context_size",
    "ctx_len",
    "max_position_embeddings",
    "max_seq_len",
    "max_seq_length",
];
/// Spellings of `n_embd`.
pub const N_EMBD: &[&str] = &["n_embd", "emb_dim", "embed_dim", "embedding_dim", "hidden_size", "d_model"];
/// Spellings of `n_head`.
pub const N_HEAD: &[&str] = &["n_head", "n_heads", "num_heads", "num_attention_heads"];
/// Spellings of `n_layer`.
pub const N_LAYER: &[&str] = &["n_layer", "n_layers", "num_layers", "num_hidden_layers"];
/// Spellings of `n_ff`; null stands for 4 `n_embd`.
pub const N_FF: &[&str] = &["n_inner", "n_ff", "d_ff", "ff_dim", "ffn_dim", "mlp_dim", "intermediate_size"];
/// Spellings of the number of key and value heads, which must equal `n_head`.
pub const N_KV_HEAD: &[&str] = &["num_key_value_heads", "n_kv_head", "n_kv_heads", "num_kv_heads"];
/// Spellings of `head_dim`, which must equal `n_embd / n_head`.
pub const HEAD_DIM: &[&str] = &["head_dim"];
/// Spellings of `layer_norm_epsilon`.
pub const EPSILON: &[&str] = &["layer_norm_epsilon", "layer_norm_eps", "norm_eps", "ln_eps", "epsilon", "eps"];
/// Spellings of the activation function.
pub const ACTIVATION: &[&str] = &["activation_function", "hidden_act", "activation", "act_fn"];
/// Spellings of whether the head shares the token embedding.
pub const TIED: &[&str] = &["tie_word_embeddings", "tie_weights", "weight_tying", "tied_embeddings"];
/// Whether query, key and value have biases.
pub const QKV_BIAS: &[&str] = &["qkv_bias"];
/// nanoGPT's word for all biases, layer norms' included.
pub const BIAS: &[&str] = &["bias"];

/// The token that texts begin with.
const BOS: &str = "bos_token_id";

/// Every key whose value is read.
const READ: [&[&str]; 13] =
    [N_VOCAB, N_CTX, N_EMBD, N_HEAD, N_LAYER, N_FF, N_KV_HEAD, HEAD_DIM, EPSILON, ACTIVATION, TIED, QKV_BIAS, BIAS];

/// Keys that must be true where they are present.
const MUST_BE_ON: &[&str] = &["scale_attn_weights"];

/// Keys that name a computation this project does not have: they must be false, null, zero or empty.
const MUST_BE_OFF: &[&str] = &[
    "add_cross_attention",
    "alibi",
    "attention_scale",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "is_encoder_decoder",
    "logit_scale",
    "logits_scaling",
    "multi_query",
    "n_experts",
    "num_experts",
    "num_local_experts",
    "parallel_attn",
    "parallel_residual",
    "partial_rotary_factor",
    "pruned_heads",
    "qk_norm",
    "quantization_config",
    "rope",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "rotary_dim",
    "rotary_pct",
    "scale_attn_by_inverse_layer_idx",
    "sliding_window",
    "use_alibi",
    "use_parallel_residual",
    "use_qk_norm",
    "use_rope",
    "use_sliding_window",
    "window_size",
];

/// Keys with the only values under which the model is a GPT-2.
const ONE_OF: &[(&str, &[&str])] = &[
    ("model_type", &["gpt2", "gpt", "nanogpt"]),
    ("norm_type", &["layernorm", "layer_norm", "LayerNorm"]),
    ("position_embedding_type", &["absolute", "learned"]),
];

/// Keys of training, generation and bookkeeping: none changes the logits.
const HARMLESS: &[&str] = &[
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_name_or_path",
    "architectures",
    "attn_implementation",
    "auto_map",
    "chunk_size_feed_forward",
    "cross_attention_hidden_size",
    "do_sample",
    "drop_rate",
    "dropout",
    "dtype",
    "finetuning_task",
    "flash_attn",
    "gradient_checkpointing",
    "id2label",
    "initializer_range",
    "is_decoder",
    "keys_to_ignore_at_inference",
    "label2id",
    "layer_types",
    "max_length",
    "n_special",
    "name",
    "num_labels",
    "output_attentions",
    "output_hidden_states",
    "predict_special_tokens",
    "problem_type",
    "reorder_and_upcast_attn",
    "return_dict",
    "seed",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "use_bfloat16",
    "use_cache",
];

/// Ends of harmless keys: dropout rates and special tokens.
const HARMLESS_ENDS: &[&str] = &["_pdrop", "_dropout", "_drop_rate", "dropout_rate", "_token_id"];

/// Beginnings of harmless keys: the classification head's.
const HARMLESS_BEGINNINGS: &[&str] = &["summary_", "drop_rate_"];

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

    /// Refuses what the model would compute otherwise than this project, and names the keys it does not know.
    ///
    /// # Errors
    /// The first key that changes the meaning.
    pub fn check_meaning(&self) -> Result<Vec<&str>, CheckpointError> {
        let mut unknown = Vec::new();
        for (key, value) in &self.0 {
            let key = key.as_str();
            if MUST_BE_ON.contains(&key) {
                if *value != Value::Bool(true) {
                    return Err(refused(key, format!("{} is not supported, only true", short(value))));
                }
            } else if MUST_BE_OFF.contains(&key) {
                if !is_off(value) {
                    return Err(refused(key, format!("{} is not supported", short(value))));
                }
            } else if let Some((_, allowed)) = ONE_OF.iter().find(|(name, _)| *name == key) {
                let known = value.is_null() || value.as_str().is_some_and(|text| allowed.contains(&text));
                if !known {
                    return Err(refused(key, format!("{} is not supported ({})", short(value), allowed.join(", "))));
                }
            } else if !READ.iter().any(|keys| keys.contains(&key)) && !is_harmless(key) {
                unknown.push(key);
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

    /// The layer norms' epsilon.
    ///
    /// # Errors
    /// Two spellings disagree, or the value is no number.
    pub fn epsilon(&self) -> Result<Option<Said<f64>>, CheckpointError> {
        self.convert(EPSILON, "a number", Value::as_f64)
    }

    /// The activation function.
    ///
    /// # Errors
    /// Two spellings disagree, or the function is none of GELU's two forms.
    pub fn gelu(&self) -> Result<Option<Said<Gelu>>, CheckpointError> {
        let Some(Said { key, value }) =
            self.convert(ACTIVATION, "a name", |value| value.as_str().map(str::to_owned))?
        else {
            return Ok(None);
        };
        match gelu_named(&value) {
            Some(value) => Ok(Some(Said { key, value })),
            None => {
                Err(refused(&key, format!("activation `{}` is not supported (gelu_new, gelu)", shown::value(&value))))
            }
        }
    }
}

/// The form of GELU that a configuration's word stands for.
///
/// `gelu_fast` and `gelu_accurate` are the tanh form with the constant spelled to fewer or more digits, the same in
/// f32.
pub fn gelu_named(name: &str) -> Option<Gelu> {
    match name {
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_tanh" | "gelu_fast" | "gelu_accurate" => Some(Gelu::Tanh),
        "gelu" | "gelu_python" | "gelu_erf" => Some(Gelu::Erf),
        _ => None,
    }
}

fn is_harmless(key: &str) -> bool {
    HARMLESS.contains(&key)
        || HARMLESS_ENDS.iter().any(|end| key.ends_with(end))
        || HARMLESS_BEGINNINGS.iter().any(|beginning| key.starts_with(beginning))
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
            (json!({"scale_attn_weights": false}), "scale_attn_weights"),
            (json!({"scale_attn_by_inverse_layer_idx": true}), "scale_attn_by_inverse_layer_idx"),
            (json!({"add_cross_attention": true}), "add_cross_attention"),
            (json!({"rope_theta": 10000.0}), "rope_theta"),
            (json!({"pruned_heads": {"1": [0]}}), "pruned_heads"),
            (json!({"model_type": "gpt_bigcode"}), "model_type"),
            (json!({"norm_type": "rmsnorm"}), "norm_type"),
        ];
        for (value, key) in cases {
            let error = config(value).check_meaning().unwrap_err().to_string();
            assert!(error.starts_with(&format!("config key `{key}`: ")), "{error}");
        }
    }

    #[test]
    fn harmless_keys_pass_and_unknown_ones_are_named() {
        let harmless = json!({
            "reorder_and_upcast_attn": true, "attn_pdrop": 0.1, "scale_attn_weights": true, "drop_rate_emb": 0.1,
            "eos_token_id": 3, "summary_type": "x", "model_type": "gpt2", "rope_theta": null, "n_embd": 4,
        });
        assert_eq!(config(harmless).check_meaning().unwrap(), Vec::<&str>::new());
        assert_eq!(config(json!({"swish_beta": 2, "n_layer": 1})).check_meaning().unwrap(), ["swish_beta"]);
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
        for (name, gelu) in [("gelu_new", Gelu::Tanh), ("gelu_pytorch_tanh", Gelu::Tanh), ("gelu", Gelu::Erf)] {
            assert_eq!(config(json!({"activation_function": name})).gelu().unwrap().unwrap().value, gelu);
        }
        for name in ["relu", "silu", "quick_gelu", "tanh"] {
            let error = config(json!({"hidden_act": name})).gelu().unwrap_err().to_string();
            assert!(error.contains(&format!("`hidden_act`: activation `{name}`")), "{error}");
        }
    }
}
