//! Tiny random models of other families than GPT-2, and their checkpoint folders.

use std::fs;
use std::io;
use std::path::Path;

use rand::SeedableRng;
use rand_pcg::Pcg64;
use serde_json::{Value, json};

use crate::hf_writer::{Writer, activation};
use crate::models::Draw;
use crate::oracle::{Activation, Block, Choices, Linear, Model, Norm};

/// Positions that these models know.
const N_CTX: usize = 64;

/// The shape of a Llama or a Mistral.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Llama {
    /// Number of tokens.
    pub n_vocab: usize,
    /// Width.
    pub n_embd: usize,
    /// Blocks.
    pub n_layer: usize,
    /// Heads of queries.
    pub n_head: usize,
    /// Heads of keys and values; divides `n_head`.
    pub n_kv_head: usize,
    /// Width of a head; even.
    pub head_dim: usize,
    /// Width of the MLP.
    pub n_ff: usize,
    /// Whether the head is the embedding.
    pub tied: bool,
    /// Whether attention's matrices have biases.
    pub attention_bias: bool,
    /// Whether the MLP's have.
    pub mlp_bias: bool,
    /// The gate's.
    pub activation: Activation,
}

impl Llama {
    /// Two layers, three heads that share keys and values, none of whose widths is another.
    pub const SMALL: Self = Self {
        n_vocab: 37,
        n_embd: 20,
        n_layer: 2,
        n_head: 3,
        n_kv_head: 1,
        head_dim: 10,
        n_ff: 28,
        tied: false,
        attention_bias: false,
        mlp_bias: false,
        activation: Activation::Silu,
    };

    /// A model of this shape whose pairs turn by 10000^(-2i/d); the same seed gives the same model.
    pub fn model(&self, seed: u64) -> Model {
        let mut draw = Draw(Pcg64::seed_from_u64(seed));
        let Self { n_vocab, n_embd, n_ff, head_dim, .. } = *self;
        let (queries, qkv) = (self.n_head * head_dim, (self.n_head + 2 * self.n_kv_head) * head_dim);
        let turns = (0..head_dim / 2).map(|i| 10_000f64.powf(-2.0 * i as f64 / head_dim as f64)).collect();
        Model {
            n_ctx: N_CTX,
            n_head: self.n_head,
            epsilon: 1e-5,
            activation: self.activation,
            wte: draw.matrix(n_vocab, n_embd, 0.5),
            wpe: Vec::new(),
            blocks: (0..self.n_layer)
                .map(|_| Block {
                    ln_1: draw.norm(n_embd, false),
                    c_attn: draw.linear(qkv, n_embd, self.attention_bias),
                    attn_proj: draw.linear(n_embd, queries, self.attention_bias),
                    ln_2: draw.norm(n_embd, false),
                    c_fc: draw.linear(2 * n_ff, n_embd, self.mlp_bias),
                    mlp_proj: draw.linear(n_embd, n_ff, self.mlp_bias),
                })
                .collect(),
            ln_f: draw.norm(n_embd, false),
            lm_head: (!self.tied).then(|| draw.linear(n_vocab, n_embd, false).weight),
            lm_head_bias: None,
            choices: Choices {
                rms_norm: true,
                n_kv_head: Some(self.n_kv_head),
                head_dim: Some(head_dim),
                turns: vec![turns; self.n_layer],
                gated: true,
                ..Choices::GPT2
            },
        }
    }

    /// A `config.json` that says all of it, in the newer keys.
    pub fn config(&self, model_type: &str) -> Value {
        json!({
            "model_type": model_type,
            "vocab_size": self.n_vocab,
            "max_position_embeddings": N_CTX,
            "hidden_size": self.n_embd,
            "intermediate_size": self.n_ff,
            "num_hidden_layers": self.n_layer,
            "num_attention_heads": self.n_head,
            "num_key_value_heads": self.n_kv_head,
            "head_dim": self.head_dim,
            "hidden_act": activation(self.activation),
            "rms_norm_eps": 1e-5,
            "tie_word_embeddings": self.tied,
            "rope_parameters": { "rope_type": "default", "rope_theta": 10000.0 },
        })
    }
}

/// Writes a Llama or what has its names, with the norms that Qwen 3 or Gemma 3 has beside, as Hugging Face names its
/// tensors, and `config` beside it. Of Gemma's norms, those of models with norms behind attention, 1 is not stored.
///
/// # Errors
/// The folder cannot be written to.
pub fn write_llama(model: &Model, config: &Value, folder: &Path) -> io::Result<()> {
    let mut tensors = Writer::default();
    let (queries, keys) = (model.n_head * model.head_dim(), model.n_kv_head() * model.head_dim());
    let norms = &model.choices.norms;
    let is_gemma = !norms.after.is_empty();
    let stored = |norm: &Norm| {
        let weight =
            norm.weight.as_ref().map(|weight| weight.iter().map(|w| w - f64::from(u8::from(is_gemma))).collect());
        Norm { weight, bias: norm.bias.clone() }
    };
    let before_mlp = if is_gemma { "pre_feedforward_layernorm" } else { "post_attention_layernorm" };
    tensors.matrix("model.embed_tokens.weight", &model.wte);
    for (i, block) in model.blocks.iter().enumerate() {
        let at = format!("model.layers.{i}");
        tensors.norm(&format!("{at}.input_layernorm"), &stored(&block.ln_1));
        for (name, norm) in ["q", "k"].iter().zip(norms.heads.get(i).into_iter().flatten()) {
            tensors.norm(&format!("{at}.self_attn.{name}_norm"), &stored(norm));
        }
        for (name, norm) in ["attention", "feedforward"].iter().zip(norms.after.get(i).into_iter().flatten()) {
            tensors.norm(&format!("{at}.post_{name}_layernorm"), &stored(norm));
        }
        let parts = [("q", queries), ("k", keys), ("v", keys)];
        apart(&mut tensors, &block.c_attn, &parts.map(|(name, n)| (format!("{at}.self_attn.{name}_proj"), n)));
        tensors.linear(&format!("{at}.self_attn.o_proj"), &block.attn_proj);
        tensors.norm(&format!("{at}.{before_mlp}"), &stored(&block.ln_2));
        let parts = ["gate", "up"].map(|name| (format!("{at}.mlp.{name}_proj"), model.n_ff()));
        apart(&mut tensors, &block.c_fc, &parts);
        tensors.linear(&format!("{at}.mlp.down_proj"), &block.mlp_proj);
    }
    tensors.norm("model.norm", &stored(&model.ln_f));
    if let Some(head) = &model.lm_head {
        tensors.matrix("lm_head.weight", head);
    }
    tensors.write(&folder.join("model.safetensors"))?;
    fs::write(folder.join("config.json"), config.to_string())
}

/// Writes a Llama under names of its own, its queries, keys and values in one matrix, its gate and hidden layer in one, with
/// the pairs of a head side by side; `config` and a map of the names (`map.json`) beside it.
///
/// # Errors
/// The folder cannot be written to.
pub fn write_llama_renamed(model: &Model, config: &Value, folder: &Path) -> io::Result<()> {
    let mut tensors = Writer::default();
    let turned = (model.n_head + model.n_kv_head()) * model.head_dim();
    tensors.matrix("emb", &model.wte);
    for (i, block) in model.blocks.iter().enumerate() {
        let (head, rest) = block.c_attn.weight.split_at(turned);
        let adjacent = head.chunks(model.head_dim()).flat_map(|head| {
            let (left, right) = head.split_at(head.len() / 2);
            left.iter().zip(right).flat_map(|(a, b)| [a.clone(), b.clone()])
        });
        tensors.matrix(&format!("b{i}.qkv"), &adjacent.chain(rest.iter().cloned()).collect());
        tensors.matrix(&format!("b{i}.o"), &block.attn_proj.weight);
        tensors.matrix(&format!("b{i}.gate_up"), &block.c_fc.weight);
        tensors.matrix(&format!("b{i}.down"), &block.mlp_proj.weight);
        tensors.optional_vector(&format!("b{i}.norm1"), block.ln_1.weight.as_ref());
        tensors.optional_vector(&format!("b{i}.norm2"), block.ln_2.weight.as_ref());
    }
    tensors.optional_vector("norm", model.ln_f.weight.as_ref());
    if let Some(head) = &model.lm_head {
        tensors.matrix("head", head);
    }
    tensors.write(&folder.join("model.safetensors"))?;
    fs::write(folder.join("config.json"), config.to_string())?;
    let map = json!({
        "description": "a test's", "orientation": "out_in", "model_type": "llama", "rotary_pairs": "adjacent",
        "tensors": {
            "wte.weight": "emb", "ln_f.weight": "norm", "lm_head.weight": "head",
            "h.{layer}.ln_1.weight": "b{layer}.norm1", "h.{layer}.ln_2.weight": "b{layer}.norm2",
            "h.{layer}.attn.c_attn.weight": "b{layer}.qkv", "h.{layer}.attn.c_proj.weight": "b{layer}.o",
            "h.{layer}.mlp.c_fc.weight": "b{layer}.gate_up", "h.{layer}.mlp.c_proj.weight": "b{layer}.down",
        },
        "defaults": { "activation_function": "silu", "layer_norm_epsilon": 1e-5 },
    });
    fs::write(folder.join("map.json"), map.to_string())
}

/// Writes a model as Hugging Face names the tensors of a GPT-Neo, and `config` beside it.
///
/// # Errors
/// The folder cannot be written to.
pub fn write_neo(model: &Model, config: &Value, folder: &Path) -> io::Result<()> {
    let mut tensors = Writer::default();
    tensors.matrix("transformer.wte.weight", &model.wte);
    tensors.matrix("transformer.wpe.weight", &model.wpe);
    for (i, block) in model.blocks.iter().enumerate() {
        let at = format!("transformer.h.{i}");
        tensors.norm(&format!("{at}.ln_1"), &block.ln_1);
        let parts = ["q", "k", "v"].map(|name| (format!("{at}.attn.attention.{name}_proj"), model.n_embd()));
        apart(&mut tensors, &block.c_attn, &parts);
        tensors.linear(&format!("{at}.attn.attention.out_proj"), &block.attn_proj);
        tensors.norm(&format!("{at}.ln_2"), &block.ln_2);
        tensors.linear(&format!("{at}.mlp.c_fc"), &block.c_fc);
        tensors.linear(&format!("{at}.mlp.c_proj"), &block.mlp_proj);
    }
    tensors.norm("transformer.ln_f", &model.ln_f);
    tensors.write(&folder.join("model.safetensors"))?;
    fs::write(folder.join("config.json"), config.to_string())
}

/// Writes so many rows each under names of their own.
pub(crate) fn apart(tensors: &mut Writer, linear: &Linear, parts: &[(String, usize)]) {
    let mut first = 0;
    for (name, n) in parts {
        let part = Linear {
            weight: linear.weight[first..first + n].to_vec(),
            bias: linear.bias.as_ref().map(|bias| bias[first..first + n].to_vec()),
        };
        tensors.linear(name, &part);
        first += n;
    }
}
