//! Reads a checkpoint folder (model.safetensors, config.json) into the oracle.
//!
//! The layout shows in the names and in the config: `tok_emb` is the from-scratch book's, `block_size` nanoGPT's,
//! and anything else Hugging Face's, whose matrices are `[in, out]` and have to be transposed.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use crate::oracle::{Activation, Block, Choices, Linear, Matrix, Model, Norm};

/// Reads the checkpoint in `folder`.
///
/// # Panics
/// If it is not one of the three layouts, or something is missing or misshapen: the callers are tests.
pub fn read(folder: &Path) -> Model {
    let bytes = fs::read(folder.join("model.safetensors")).expect("a readable checkpoint");
    let tensors = Tensors::parse(&bytes);
    let config = fs::read_to_string(folder.join("config.json")).expect("a readable config");
    let config: Value = serde_json::from_str(&config).expect("a JSON config");
    if tensors.has("tok_emb.weight") {
        from_scratch(&tensors, &config)
    } else if config.get("block_size").is_some() {
        gpt2(&tensors, &config, Tensors::matrix)
    } else {
        gpt2(&tensors, &config, Tensors::transposed)
    }
}

/// Hugging Face's and nanoGPT's names; `matrix` reads a weight as `[out, in]`.
fn gpt2(tensors: &Tensors, config: &Value, matrix: fn(&Tensors, &str) -> Matrix) -> Model {
    let prefix = if tensors.has("wte.weight") { "" } else { "transformer." };
    let linear = |name: &str| Linear {
        weight: matrix(tensors, &format!("{name}.weight")),
        bias: tensors.optional_vector(&format!("{name}.bias")),
    };
    let norm = |name: &str| Norm {
        weight: Some(tensors.vector(&format!("{name}.weight"))),
        bias: tensors.optional_vector(&format!("{name}.bias")),
    };
    let block = |i: u64| {
        let at = format!("{prefix}h.{i}");
        Block {
            ln_1: norm(&format!("{at}.ln_1")),
            c_attn: linear(&format!("{at}.attn.c_attn")),
            attn_proj: linear(&format!("{at}.attn.c_proj")),
            ln_2: norm(&format!("{at}.ln_2")),
            c_fc: linear(&format!("{at}.mlp.c_fc")),
            mlp_proj: linear(&format!("{at}.mlp.c_proj")),
        }
    };
    let wpe = tensors.matrix(&format!("{prefix}wpe.weight"));
    Model {
        n_ctx: wpe.len(),
        n_head: number(config, "n_head") as usize,
        epsilon: config.get("layer_norm_epsilon").map_or(1e-5, |e| e.as_f64().unwrap()),
        activation: match config.get("activation_function").map(|name| name.as_str().unwrap()) {
            Some("gelu_new") => Activation::GeluTanh,
            Some("gelu") | None => Activation::GeluErf,
            Some(other) => panic!("no activation {other}"),
        },
        wte: tensors.matrix(&format!("{prefix}wte.weight")),
        wpe,
        blocks: (0..number(config, "n_layer")).map(block).collect(),
        ln_f: norm(&format!("{prefix}ln_f")),
        lm_head: tensors.has("lm_head.weight").then(|| tensors.matrix("lm_head.weight")),
        lm_head_bias: tensors.optional_vector("lm_head.bias"),
        choices: Choices::GPT2,
    }
}

/// The from-scratch book's names; queries, keys and values become one matrix.
fn from_scratch(tensors: &Tensors, config: &Value) -> Model {
    let linear = |name: &str| Linear {
        weight: tensors.matrix(&format!("{name}.weight")),
        bias: tensors.optional_vector(&format!("{name}.bias")),
    };
    let norm = |name: &str| Norm {
        weight: Some(tensors.vector(&format!("{name}.scale"))),
        bias: Some(tensors.vector(&format!("{name}.shift"))),
    };
    let block = |i: u64| {
        let at = format!("trf_blocks.{i}");
        let qkv = ["W_query", "W_key", "W_value"].map(|name| linear(&format!("{at}.att.{name}")));
        Block {
            ln_1: norm(&format!("{at}.norm1")),
            c_attn: Linear {
                weight: qkv.iter().flat_map(|part| part.weight.clone()).collect(),
                bias: qkv
                    .iter()
                    .map(|part| part.bias.clone())
                    .collect::<Option<Vec<_>>>()
                    .map(|biases| biases.concat()),
            },
            attn_proj: linear(&format!("{at}.att.out_proj")),
            ln_2: norm(&format!("{at}.norm2")),
            c_fc: linear(&format!("{at}.ff.layers.0")),
            mlp_proj: linear(&format!("{at}.ff.layers.2")),
        }
    };
    let wpe = tensors.matrix("pos_emb.weight");
    Model {
        n_ctx: wpe.len(),
        n_head: number(config, "n_heads") as usize,
        epsilon: 1e-5,
        activation: Activation::GeluTanh,
        wte: tensors.matrix("tok_emb.weight"),
        wpe,
        blocks: (0..number(config, "n_layers")).map(block).collect(),
        ln_f: norm("final_norm"),
        lm_head: Some(tensors.matrix("out_head.weight")),
        lm_head_bias: None,
        choices: Choices::GPT2,
    }
}

pub(crate) fn number(config: &Value, key: &str) -> u64 {
    config[key].as_u64().unwrap_or_else(|| panic!("no {key} in the config"))
}

/// Every tensor of a safetensors file, widened to f64.
pub struct Tensors(HashMap<String, (Vec<usize>, Vec<f64>)>);

impl Tensors {
    /// Reads the bytes of a safetensors file.
    pub fn parse(bytes: &[u8]) -> Self {
        let file = SafeTensors::deserialize(bytes).expect("a safetensors file");
        let entries = file
            .iter()
            .map(|(name, view)| (name.to_owned(), (view.shape().to_vec(), widen(view.dtype(), view.data()))));
        Self(entries.collect())
    }

    /// Whether there is a tensor of that name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Shape and elements of a tensor.
    pub fn get(&self, name: &str) -> (&[usize], &[f64]) {
        let (shape, elements) = self.0.get(name).unwrap_or_else(|| panic!("no tensor {name}"));
        (shape, elements)
    }

    /// A tensor of two dimensions, row by row.
    pub fn matrix(&self, name: &str) -> Matrix {
        let (shape, elements) = self.get(name);
        let &[_, columns] = shape else { panic!("{name} is not a matrix") };
        elements.chunks(columns).map(<[f64]>::to_vec).collect()
    }

    fn transposed(&self, name: &str) -> Matrix {
        transpose(&self.matrix(name))
    }

    pub(crate) fn vector(&self, name: &str) -> Vec<f64> {
        let (shape, elements) = self.get(name);
        assert_eq!(shape.len(), 1, "{name} is not a vector");
        elements.to_vec()
    }

    pub(crate) fn optional_vector(&self, name: &str) -> Option<Vec<f64>> {
        self.has(name).then(|| self.vector(name))
    }
}

/// Rows become columns.
pub fn transpose(matrix: &Matrix) -> Matrix {
    (0..matrix[0].len()).map(|column| matrix.iter().map(|row| row[column]).collect()).collect()
}

fn widen(dtype: Dtype, data: &[u8]) -> Vec<f64> {
    match dtype {
        Dtype::F32 => data.as_chunks().0.iter().map(|&b| f64::from(f32::from_le_bytes(b))).collect(),
        Dtype::F16 => data.as_chunks().0.iter().map(|&b| f64::from(f16::from_le_bytes(b))).collect(),
        Dtype::BF16 => data.as_chunks().0.iter().map(|&b| f64::from(bf16::from_le_bytes(b))).collect(),
        other => panic!("no reader for {other:?}"),
    }
}
