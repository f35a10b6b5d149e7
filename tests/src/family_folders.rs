//! Checkpoint folders of families with norms elsewhere, parallel blocks, or positions and projections stored otherwise.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

use crate::family_models::apart;
use crate::hf_writer::Writer;
use crate::oracle::{Linear, Model};

/// Writes an OPT as Hugging Face names its tensors behind `prefix`, two rows in front of its positions', and `config` beside
/// it.
///
/// # Errors
/// The folder cannot be written to.
pub fn write_opt(model: &Model, prefix: &str, config: &Value, folder: &Path) -> io::Result<()> {
    let mut tensors = Writer::default();
    let spare = vec![vec![100.0; model.n_embd()]; 2];
    tensors.matrix(&format!("{prefix}embed_tokens.weight"), &model.wte);
    tensors.matrix(&format!("{prefix}embed_positions.weight"), &[spare, model.wpe.clone()].concat());
    for (i, block) in model.blocks.iter().enumerate() {
        let at = format!("{prefix}layers.{i}");
        tensors.norm(&format!("{at}.self_attn_layer_norm"), &block.ln_1);
        let parts = ["q", "k", "v"].map(|name| (format!("{at}.self_attn.{name}_proj"), model.n_embd()));
        apart(&mut tensors, &block.c_attn, &parts);
        tensors.linear(&format!("{at}.self_attn.out_proj"), &block.attn_proj);
        tensors.norm(&format!("{at}.final_layer_norm"), &block.ln_2);
        tensors.linear(&format!("{at}.fc1"), &block.c_fc);
        tensors.linear(&format!("{at}.fc2"), &block.mlp_proj);
    }
    tensors.norm(&format!("{prefix}final_layer_norm"), &model.ln_f);
    if let Some(head) = &model.lm_head {
        tensors.matrix("lm_head.weight", head);
    }
    finish(&tensors, config, folder)
}

/// Writes a GPT-NeoX as Hugging Face names its tensors, its head as `head`, with the buffers that older files have, and
/// `config` beside it.
///
/// # Errors
/// The folder cannot be written to.
pub fn write_neox(model: &Model, head: &str, config: &Value, folder: &Path) -> io::Result<()> {
    let mut tensors = Writer::default();
    let head_dim = model.head_dim();
    tensors.matrix("gpt_neox.embed_in.weight", &model.wte);
    for (i, block) in model.blocks.iter().enumerate() {
        let at = format!("gpt_neox.layers.{i}");
        tensors.norm(&format!("{at}.input_layernorm"), &block.ln_1);
        let fused = Linear {
            weight: by_head(&block.c_attn.weight, head_dim),
            bias: block.c_attn.bias.as_ref().map(|bias| by_head(bias, head_dim)),
        };
        tensors.linear(&format!("{at}.attention.query_key_value"), &fused);
        tensors.linear(&format!("{at}.attention.dense"), &block.attn_proj);
        tensors.norm(&format!("{at}.post_attention_layernorm"), &block.ln_2);
        tensors.linear(&format!("{at}.mlp.dense_h_to_4h"), &block.c_fc);
        tensors.linear(&format!("{at}.mlp.dense_4h_to_h"), &block.mlp_proj);
        for buffer in ["bias", "masked_bias", "rotary_emb.inv_freq"] {
            tensors.optional_vector(&format!("{at}.attention.{buffer}"), Some(&vec![1.0]));
        }
    }
    tensors.norm("gpt_neox.final_layer_norm", &model.ln_f);
    tensors.matrix(head, model.lm_head.as_ref().expect("a head of its own"));
    finish(&tensors, config, folder)
}

/// Writes a microgpt by its own names, `{layer}` in which is the block's number, and `config` beside it.
///
/// # Errors
/// The folder cannot be written to.
pub fn write_microgpt(model: &Model, block_name: &str, config: &Value, folder: &Path) -> io::Result<()> {
    let mut tensors = Writer::default();
    tensors.matrix("wte", &model.wte);
    tensors.matrix("wpe", &model.wpe);
    for (i, block) in model.blocks.iter().enumerate() {
        let at = block_name.replace("{layer}", &i.to_string());
        for (name, rows) in ["wq", "wk", "wv"].iter().zip(block.c_attn.weight.chunks(model.n_embd())) {
            tensors.matrix(&format!("{at}.attn_{name}"), &rows.to_vec());
        }
        tensors.matrix(&format!("{at}.attn_wo"), &block.attn_proj.weight);
        tensors.matrix(&format!("{at}.mlp_fc1"), &block.c_fc.weight);
        tensors.matrix(&format!("{at}.mlp_fc2"), &block.mlp_proj.weight);
    }
    tensors.matrix("lm_head", model.lm_head.as_ref().expect("a head of its own"));
    finish(&tensors, config, folder)
}

/// Queries, keys and values above one another, head by head.
fn by_head<T: Clone>(rows: &[T], head_dim: usize) -> Vec<T> {
    let n = rows.len() / 3;
    let of = |head: usize| (0..3).flat_map(move |part| rows[part * n + head * head_dim..][..head_dim].to_vec());
    (0..n / head_dim).flat_map(of).collect()
}

fn finish(tensors: &Writer, config: &Value, folder: &Path) -> io::Result<()> {
    tensors.write(&folder.join("model.safetensors"))?;
    fs::write(folder.join("config.json"), config.to_string())
}
