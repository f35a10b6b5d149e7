//! Keys by the families that have them, and configurations as they are found.

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

#[test]
fn configurations_as_they_are_found_are_understood() {
    // Configurations like those of TinyStories-1M (fewer layers), TinyLlama-1.1B, SmolLM2-135M and Mistral-7B.
    let tiny_stories = json!({
        "activation_function": "gelu_new", "architectures": ["GPTNeoForCausalLM"], "attention_dropout": 0,
        "attention_layers": ["global", "local"], "attention_types": [[["global", "local"], 1]],
        "bos_token_id": 50256, "embed_dropout": 0, "eos_token_id": 50256, "gradient_checkpointing": false,
        "hidden_size": 64, "initializer_range": 0.02, "intermediate_size": null, "layer_norm_epsilon": 1e-5,
        "max_position_embeddings": 2048, "model_type": "gpt_neo", "num_heads": 16, "num_layers": 2, "resid_dropout": 0,
        "summary_activation": null, "summary_first_dropout": 0.1, "summary_proj_to_labels": true,
        "summary_type": "cls_index", "summary_use_proj": true, "torch_dtype": "float32",
        "transformers_version": "4.28.1", "use_cache": true, "vocab_size": 50257, "window_size": 256,
    });
    let tiny_llama = json!({
        "architectures": ["LlamaForCausalLM"], "attention_bias": false, "bos_token_id": 1, "eos_token_id": 2,
        "hidden_act": "silu", "hidden_size": 2048, "initializer_range": 0.02, "intermediate_size": 5632,
        "max_position_embeddings": 2048, "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 22,
        "num_key_value_heads": 4, "pretraining_tp": 1, "rms_norm_eps": 1e-5, "rope_scaling": null,
        "rope_theta": 10000.0, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
        "transformers_version": "4.35.0", "use_cache": true, "vocab_size": 32000,
    });
    let smol_lm2 = json!({
        "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 0,
        "eos_token_id": 0, "hidden_act": "silu", "hidden_size": 576, "initializer_range": 0.041666666666666664,
        "intermediate_size": 1536, "is_llama_config": true, "max_position_embeddings": 8192, "mlp_bias": false,
        "model_type": "llama", "num_attention_heads": 9, "num_hidden_layers": 30, "num_key_value_heads": 3,
        "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_interleaved": false, "rope_scaling": null,
        "rope_theta": 100000, "tie_word_embeddings": true, "torch_dtype": "bfloat16", "transformers.js_config":
        {"dtype": "q4f16"}, "transformers_version": "4.40.1", "use_cache": true, "vocab_size": 49152,
    });
    let mistral = json!({
        "architectures": ["MistralForCausalLM"], "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
        "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 14336, "max_position_embeddings": 32768,
        "model_type": "mistral", "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
        "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 4096, "tie_word_embeddings": false,
        "torch_dtype": "bfloat16", "transformers_version": "4.34.0.dev0", "use_cache": true, "vocab_size": 32000,
    });
    for (value, family) in [
        (tiny_stories, Family::GptNeo),
        (tiny_llama, Family::Llama),
        (smol_lm2, Family::Llama),
        (mistral, Family::Mistral),
    ] {
        let file = config(value);
        assert_eq!(file.family().unwrap(), Some(family));
        assert_eq!(file.check_meaning(family).unwrap(), Vec::<&str>::new());
        let n_layer = file.count(N_LAYER).unwrap().unwrap().value;
        let mut notes = Vec::new();
        file.windows(family, n_layer, &mut notes).unwrap();
        if family.is_llama_like() {
            assert!(!file.frequencies(family, 64, &mut notes).unwrap().0.is_empty());
        }
        assert_eq!(notes, [""; 0]);
    }
}
