//! Reads checkpoints of other families than GPT-2 into the oracle: GPT-Neo, Llama and Mistral, as Hugging Face names them.
//!
//! Nothing is folded into a weight: what a family does otherwise, the oracle does.

use std::f64::consts::TAU;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::checkpoint::{Tensors, number};
use crate::oracle::{Activation, Block, Choices, Linear, Model, Norm};

/// Reads `model.safetensors` and `config.json` of a folder.
///
/// # Panics
/// If the files are not a checkpoint of those families: the callers are tests.
pub fn read(folder: &Path) -> Model {
    let bytes = fs::read(folder.join("model.safetensors")).expect("a readable checkpoint");
    let tensors = Tensors::parse(&bytes);
    let config = fs::read_to_string(folder.join("config.json")).expect("a readable config");
    let config: Value = serde_json::from_str(&config).expect("a JSON config");
    match config["model_type"].as_str() {
        Some("gpt_neo") => gpt_neo(&tensors, &config),
        Some("llama" | "mistral") => llama(&tensors, &config),
        other => panic!("no family {other:?}"),
    }
}

fn gpt_neo(tensors: &Tensors, config: &Value) -> Model {
    let block = |i: u64| {
        let at = format!("transformer.h.{i}");
        Block {
            ln_1: norm(tensors, &format!("{at}.ln_1")),
            c_attn: stacked(tensors, &["q", "k", "v"].map(|part| format!("{at}.attn.attention.{part}_proj"))),
            attn_proj: stacked(tensors, &[format!("{at}.attn.attention.out_proj")]),
            ln_2: norm(tensors, &format!("{at}.ln_2")),
            c_fc: stacked(tensors, &[format!("{at}.mlp.c_fc")]),
            mlp_proj: stacked(tensors, &[format!("{at}.mlp.c_proj")]),
        }
    };
    let n_layer = number(config, "num_layers");
    let window = number(config, "window_size") as usize;
    let kinds = config["attention_layers"].as_array().expect("a kind for each layer");
    Model {
        n_ctx: number(config, "max_position_embeddings") as usize,
        n_head: number(config, "num_heads") as usize,
        epsilon: config["layer_norm_epsilon"].as_f64().expect("an epsilon"),
        activation: activation(&config["activation_function"]),
        wte: tensors.matrix("transformer.wte.weight"),
        wpe: tensors.matrix("transformer.wpe.weight"),
        blocks: (0..n_layer).map(block).collect(),
        ln_f: norm(tensors, "transformer.ln_f"),
        lm_head: None,
        lm_head_bias: None,
        choices: Choices {
            windows: kinds.iter().map(|kind| (kind == "local").then_some(window)).collect(),
            scales: vec![Some(1.0); n_layer as usize],
            ..Choices::GPT2
        },
    }
}

fn llama(tensors: &Tensors, config: &Value) -> Model {
    let block = |i: u64| {
        let at = format!("model.layers.{i}");
        Block {
            ln_1: norm(tensors, &format!("{at}.input_layernorm")),
            c_attn: stacked(tensors, &["q", "k", "v"].map(|part| format!("{at}.self_attn.{part}_proj"))),
            attn_proj: stacked(tensors, &[format!("{at}.self_attn.o_proj")]),
            ln_2: norm(tensors, &format!("{at}.post_attention_layernorm")),
            c_fc: stacked(tensors, &["gate", "up"].map(|part| format!("{at}.mlp.{part}_proj"))),
            mlp_proj: stacked(tensors, &[format!("{at}.mlp.down_proj")]),
        }
    };
    let (n_layer, n_head) = (number(config, "num_hidden_layers"), number(config, "num_attention_heads") as usize);
    let head_dim = number(config, "head_dim") as usize;
    let window = config.get("sliding_window").and_then(Value::as_u64).map(|window| window as usize);
    Model {
        n_ctx: number(config, "max_position_embeddings") as usize,
        n_head,
        epsilon: config["rms_norm_eps"].as_f64().expect("an epsilon"),
        activation: activation(&config["hidden_act"]),
        wte: tensors.matrix("model.embed_tokens.weight"),
        wpe: Vec::new(),
        blocks: (0..n_layer).map(block).collect(),
        ln_f: norm(tensors, "model.norm"),
        lm_head: tensors.has("lm_head.weight").then(|| tensors.matrix("lm_head.weight")),
        lm_head_bias: None,
        choices: Choices {
            rms_norm: true,
            n_kv_head: Some(number(config, "num_key_value_heads") as usize),
            head_dim: Some(head_dim),
            turns: vec![turns(&config["rope_parameters"], head_dim); n_layer as usize],
            windows: vec![window; n_layer as usize],
            gated: true,
            ..Choices::GPT2
        },
    }
}

/// The angle that each pair turns by from one position to the next.
pub fn turns(rope: &Value, head_dim: usize) -> Vec<f64> {
    let said = |key: &str| rope[key].as_f64().unwrap_or_else(|| panic!("no {key} in {rope}"));
    let plain = (0..head_dim / 2).map(|i| said("rope_theta").powf(-2.0 * i as f64 / head_dim as f64));
    match rope["rope_type"].as_str() {
        Some("default") => plain.collect(),
        Some("linear") => plain.map(|turn| turn / said("factor")).collect(),
        Some("llama3") => {
            let (factor, n_ctx) = (said("factor"), said("original_max_position_embeddings"));
            let (low, high) = (said("low_freq_factor"), said("high_freq_factor"));
            let scaled = |turn: f64| {
                let wavelength = TAU / turn;
                let smooth = ((n_ctx / wavelength - low) / (high - low)).clamp(0.0, 1.0);
                turn * (smooth + (1.0 - smooth) / factor)
            };
            plain.map(scaled).collect()
        }
        other => panic!("no kind {other:?}"),
    }
}

fn activation(name: &Value) -> Activation {
    match name.as_str() {
        Some("gelu_new") => Activation::GeluTanh,
        Some("silu") => Activation::Silu,
        other => panic!("no activation {other:?}"),
    }
}

fn norm(tensors: &Tensors, name: &str) -> Norm {
    Norm {
        weight: Some(tensors.vector(&format!("{name}.weight"))),
        bias: tensors.optional_vector(&format!("{name}.bias")),
    }
}

/// Matrices above one another.
fn stacked(tensors: &Tensors, names: &[String]) -> Linear {
    let biases: Option<Vec<_>> = names.iter().map(|name| tensors.optional_vector(&format!("{name}.bias"))).collect();
    Linear {
        weight: names.iter().flat_map(|name| tensors.matrix(&format!("{name}.weight"))).collect(),
        bias: biases.map(|biases| biases.concat()),
    }
}
