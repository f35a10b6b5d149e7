//! Writes a model as a checkpoint folder in Hugging Face's layout, so that tests go the way that users go.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize_to_file};
use serde_json::json;

use crate::checkpoint::transpose;
use crate::oracle::{Activation, Linear, Matrix, Model, Norm};

/// Writes `model.safetensors` (f32, Conv1D weights `[in, out]`) and `config.json` into `folder`.
///
/// A bias that the model lacks is left out; Hugging Face's own writer always has all of them but the head's.
pub fn write(model: &Model, folder: &Path) -> io::Result<()> {
    let mut tensors = Writer::default();
    tensors.matrix("transformer.wte.weight", &model.wte);
    tensors.matrix("transformer.wpe.weight", &model.wpe);
    for (i, block) in model.blocks.iter().enumerate() {
        let at = format!("transformer.h.{i}");
        tensors.norm(&format!("{at}.ln_1"), &block.ln_1);
        tensors.conv1d(&format!("{at}.attn.c_attn"), &block.c_attn);
        tensors.conv1d(&format!("{at}.attn.c_proj"), &block.attn_proj);
        tensors.norm(&format!("{at}.ln_2"), &block.ln_2);
        tensors.conv1d(&format!("{at}.mlp.c_fc"), &block.c_fc);
        tensors.conv1d(&format!("{at}.mlp.c_proj"), &block.mlp_proj);
    }
    tensors.norm("transformer.ln_f", &model.ln_f);
    if let Some(head) = &model.lm_head {
        tensors.matrix("lm_head.weight", head);
    }
    tensors.optional_vector("lm_head.bias", model.lm_head_bias.as_ref());
    tensors.write(&folder.join("model.safetensors"))?;
    fs::write(folder.join("config.json"), config(model))
}

fn config(model: &Model) -> String {
    let config = json!({
        "model_type": "gpt2",
        "vocab_size": model.n_vocab(),
        "n_positions": model.n_ctx,
        "n_embd": model.n_embd(),
        "n_head": model.n_head,
        "n_layer": model.blocks.len(),
        "n_inner": model.n_ff(),
        "activation_function": activation(model.activation),
        "layer_norm_epsilon": model.epsilon,
        "tie_word_embeddings": model.lm_head.is_none(),
    });
    config.to_string()
}

/// The name of an activation function.
pub(crate) const fn activation(activation: Activation) -> &'static str {
    match activation {
        Activation::GeluTanh => "gelu_new",
        Activation::GeluErf => "gelu",
        Activation::Relu => "relu",
        Activation::ReluSquared => "relu2",
        Activation::Silu => "silu",
    }
}

/// Tensors by name: shape, and little-endian f32 bytes.
#[derive(Default)]
pub(crate) struct Writer(HashMap<String, (Vec<usize>, Vec<u8>)>);

impl Writer {
    pub(crate) fn matrix(&mut self, name: &str, rows: &Matrix) {
        self.insert(name, vec![rows.len(), rows[0].len()], &rows.concat());
    }

    pub(crate) fn optional_vector(&mut self, name: &str, vector: Option<&Vec<f64>>) {
        if let Some(vector) = vector {
            self.insert(name, vec![vector.len()], vector);
        }
    }

    fn conv1d(&mut self, name: &str, linear: &Linear) {
        self.matrix(&format!("{name}.weight"), &transpose(&linear.weight));
        self.optional_vector(&format!("{name}.bias"), linear.bias.as_ref());
    }

    pub(crate) fn linear(&mut self, name: &str, linear: &Linear) {
        self.matrix(&format!("{name}.weight"), &linear.weight);
        self.optional_vector(&format!("{name}.bias"), linear.bias.as_ref());
    }

    pub(crate) fn norm(&mut self, name: &str, norm: &Norm) {
        self.optional_vector(&format!("{name}.weight"), norm.weight.as_ref());
        self.optional_vector(&format!("{name}.bias"), norm.bias.as_ref());
    }

    fn insert(&mut self, name: &str, shape: Vec<usize>, elements: &[f64]) {
        let bytes = elements.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect();
        self.0.insert(name.to_owned(), (shape, bytes));
    }

    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let views = self.0.iter().map(|(name, (shape, bytes))| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes).expect("as many bytes as the shape says");
            (name, view)
        });
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        serialize_to_file(views, Some(metadata), path).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint;
    use crate::models::Spec;

    #[test]
    fn what_is_written_is_read_back() {
        for spec in Spec::catalogue() {
            let model = spec.model(3);
            let folder = tempfile::tempdir().unwrap();
            write(&model, folder.path()).unwrap();
            assert_eq!(checkpoint::read(folder.path()), model, "{spec:?}");
        }
    }
}
