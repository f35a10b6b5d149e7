//! Reads checkpoints of other families than GPT-2 into the oracle, as Hugging Face names them.
//!
//! Nothing is folded into a weight: what a family does otherwise, the oracle does.

use std::f64::consts::TAU;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::checkpoint::{Tensors, number};
use crate::oracle::{Activation, Block, Choices, Linear, Model, Norm, OtherNorms};

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
        Some("llama" | "mistral" | "qwen2" | "qwen3" | "gemma3_text") => llama(&tensors, &config),
        Some("opt") => opt(&tensors, &config),
        Some("gpt_neox") => gpt_neox(&tensors, &config),
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

fn opt(tensors: &Tensors, config: &Value) -> Model {
    let block = |i: u64| {
        let at = format!("model.decoder.layers.{i}");
        Block {
            ln_1: norm(tensors, &format!("{at}.self_attn_layer_norm")),
            c_attn: stacked(tensors, &["q", "k", "v"].map(|part| format!("{at}.self_attn.{part}_proj"))),
            attn_proj: stacked(tensors, &[format!("{at}.self_attn.out_proj")]),
            ln_2: norm(tensors, &format!("{at}.final_layer_norm")),
            c_fc: stacked(tensors, &[format!("{at}.fc1")]),
            mlp_proj: stacked(tensors, &[format!("{at}.fc2")]),
        }
    };
    Model {
        n_ctx: number(config, "max_position_embeddings") as usize,
        n_head: number(config, "num_attention_heads") as usize,
        epsilon: 1e-5,
        activation: activation(&config["activation_function"]),
        wte: tensors.matrix("model.decoder.embed_tokens.weight"),
        // The first two are of no position.
        wpe: tensors.matrix("model.decoder.embed_positions.weight").split_off(2),
        blocks: (0..number(config, "num_hidden_layers")).map(block).collect(),
        ln_f: norm(tensors, "model.decoder.final_layer_norm"),
        lm_head: None,
        lm_head_bias: None,
        choices: Choices::GPT2,
    }
}

fn gpt_neox(tensors: &Tensors, config: &Value) -> Model {
    let n_head = number(config, "num_attention_heads") as usize;
    let head_dim = number(config, "hidden_size") as usize / n_head;
    // Head by head its query, its key and its value.
    fn apart<T: Clone>(rows: &[T], head_dim: usize) -> Vec<T> {
        let of = |part: usize| rows.chunks(3 * head_dim).flat_map(move |head| &head[part * head_dim..][..head_dim]);
        (0..3).flat_map(of).cloned().collect()
    }
    let block = |i: u64| {
        let at = format!("gpt_neox.layers.{i}");
        let fused = stacked(tensors, &[format!("{at}.attention.query_key_value")]);
        Block {
            ln_1: norm(tensors, &format!("{at}.input_layernorm")),
            c_attn: Linear {
                weight: apart(&fused.weight, head_dim),
                bias: fused.bias.map(|bias| apart(&bias, head_dim)),
            },
            attn_proj: stacked(tensors, &[format!("{at}.attention.dense")]),
            ln_2: norm(tensors, &format!("{at}.post_attention_layernorm")),
            c_fc: stacked(tensors, &[format!("{at}.mlp.dense_h_to_4h")]),
            mlp_proj: stacked(tensors, &[format!("{at}.mlp.dense_4h_to_h")]),
        }
    };
    let n_layer = number(config, "num_hidden_layers");
    let rope = &config["rope_parameters"];
    let part = rope["partial_rotary_factor"].as_f64().expect("a part of a head");
    Model {
        n_ctx: number(config, "max_position_embeddings") as usize,
        n_head,
        epsilon: config["layer_norm_eps"].as_f64().expect("an epsilon"),
        activation: activation(&config["hidden_act"]),
        wte: tensors.matrix("gpt_neox.embed_in.weight"),
        wpe: Vec::new(),
        blocks: (0..n_layer).map(block).collect(),
        ln_f: norm(tensors, "gpt_neox.final_layer_norm"),
        lm_head: Some(tensors.matrix("lm_head.weight")),
        lm_head_bias: None,
        choices: Choices {
            turns: vec![turns(rope, (head_dim as f64 * part) as usize); n_layer as usize],
            parallel: config["use_parallel_residual"].as_bool().expect("whether blocks are parallel"),
            ..Choices::GPT2
        },
    }
}

/// Llama, Mistral, Qwen and Gemma.
fn llama(tensors: &Tensors, config: &Value) -> Model {
    let is_gemma = config["model_type"] == "gemma3_text";
    let norm = |name: &str| {
        let mut norm = norm(tensors, name);
        norm.weight.iter_mut().flatten().filter(|_| is_gemma).for_each(|weight| *weight += 1.0);
        norm
    };
    let before_mlp = if is_gemma { "pre_feedforward_layernorm" } else { "post_attention_layernorm" };
    let block = |i: u64| {
        let at = format!("model.layers.{i}");
        Block {
            ln_1: norm(&format!("{at}.input_layernorm")),
            c_attn: stacked(tensors, &["q", "k", "v"].map(|part| format!("{at}.self_attn.{part}_proj"))),
            attn_proj: stacked(tensors, &[format!("{at}.self_attn.o_proj")]),
            ln_2: norm(&format!("{at}.{before_mlp}")),
            c_fc: stacked(tensors, &["gate", "up"].map(|part| format!("{at}.mlp.{part}_proj"))),
            mlp_proj: stacked(tensors, &[format!("{at}.mlp.down_proj")]),
        }
    };
    let (n_layer, n_head) = (number(config, "num_hidden_layers"), number(config, "num_attention_heads") as usize);
    let wte = tensors.matrix("model.embed_tokens.weight");
    let n_embd = wte[0].len();
    let head_dim = config.get("head_dim").and_then(Value::as_u64).map_or(n_embd / n_head, |dim| dim as usize);
    let window = config.get("sliding_window").and_then(Value::as_u64).map(|window| window as usize);
    // Where layers differ, the config calls each by its kind.
    let kind = |layer: u64| if is_gemma { config["layer_types"][layer as usize].as_str() } else { None };
    let rope = |layer: u64| kind(layer).map_or(&config["rope_parameters"], |kind| &config["rope_parameters"][kind]);
    let slides = |layer: u64| kind(layer).is_none_or(|kind| kind == "sliding_attention");
    let has_head_norms = tensors.has("model.layers.0.self_attn.q_norm.weight");
    let of_heads = |layer: u64| ["q", "k"].map(|part| norm(&format!("model.layers.{layer}.self_attn.{part}_norm")));
    let behind = |layer: u64| {
        ["post_attention", "post_feedforward"].map(|name| norm(&format!("model.layers.{layer}.{name}_layernorm")))
    };
    let layers = 0..n_layer;
    Model {
        n_ctx: number(config, "max_position_embeddings") as usize,
        n_head,
        epsilon: config["rms_norm_eps"].as_f64().expect("an epsilon"),
        activation: activation(config.get("hidden_activation").unwrap_or(&config["hidden_act"])),
        wte,
        wpe: Vec::new(),
        blocks: layers.clone().map(block).collect(),
        ln_f: norm("model.norm"),
        lm_head: tensors.has("lm_head.weight").then(|| tensors.matrix("lm_head.weight")),
        lm_head_bias: None,
        choices: Choices {
            norms: OtherNorms {
                heads: layers.clone().filter(|_| has_head_norms).map(of_heads).collect(),
                after: layers.clone().filter(|_| is_gemma).map(behind).collect(),
                ..OtherNorms::NONE
            },
            rms_norm: true,
            n_kv_head: Some(number(config, "num_key_value_heads") as usize),
            head_dim: Some(head_dim),
            turns: layers.clone().map(|layer| turns(rope(layer), head_dim)).collect(),
            windows: layers.clone().map(|layer| window.filter(|_| slides(layer))).collect(),
            scales: match config.get("query_pre_attn_scalar").and_then(Value::as_f64) {
                Some(scalar) => vec![Some(1.0 / scalar.sqrt()); n_layer as usize],
                None => Vec::new(),
            },
            gated: true,
            embedding_scale: if is_gemma { f64::from((n_embd as f64).sqrt() as f32) } else { 1.0 },
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
        Some("gelu_new" | "gelu_pytorch_tanh") => Activation::GeluTanh,
        Some("gelu") => Activation::GeluErf,
        Some("relu") => Activation::Relu,
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
