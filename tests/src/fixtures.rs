//! The files that tests read: golden fixtures and bundled models.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::checkpoint::Tensors;
use crate::oracle::Matrix;

/// The folders in `tests/fixtures`, one a checkpoint; `generate.py` there says what each is.
pub const NAMES: [&str; 8] = [
    "hf-tied",
    "hf-untied-ragged",
    "hf-bare-names-f16",
    "hf-gelu-erf",
    "nanogpt-no-bias",
    "nanogpt-bias",
    "scratch-no-qkv-bias",
    "scratch-qkv-bias",
];

/// Those of other families than GPT-2.
pub const FAMILIES: [&str; 10] = [
    "neo-local",
    "llama-gqa",
    "llama-tied",
    "llama3-rope",
    "mistral-window",
    "opt",
    "neox-parallel",
    "qwen2-bias",
    "qwen3-qknorm",
    "gemma3",
];

/// The folders in `models`.
pub const BUNDLED: [&str; 2] = ["shakespeare-char", "shakespeare-bpe512"];

/// What PyTorch computed in float64 for one fixture.
#[derive(Debug, Deserialize)]
pub struct Golden {
    /// `[batch, n_ctx + 1]` token ids.
    pub tokens: Vec<Vec<u32>>,
    /// `[batch, n_ctx]` nats: `nll[b][t]` is of `tokens[b][t + 1]`.
    pub nll: Vec<Vec<f64>>,
    /// Their mean.
    pub loss: f64,
    /// Its exponential.
    pub perplexity: f64,
    /// `[batch, n_ctx, n_vocab]`, rounded to float32.
    #[serde(skip)]
    pub logits: Vec<Matrix>,
}

/// Reads the golden files of the fixture `name`.
pub fn golden(name: &str) -> Golden {
    let folder = path(name);
    let json = fs::read_to_string(folder.join("golden.json")).expect("a readable golden.json");
    let mut golden: Golden = serde_json::from_str(&json).expect("golden.json has tokens, nll, loss, perplexity");
    let bytes = fs::read(folder.join("logits.safetensors")).expect("readable logits");
    let tensors = Tensors::parse(&bytes);
    let (shape, elements) = tensors.get("logits");
    let &[_, n_ctx, n_vocab] = shape else { panic!("the logits of {name} have shape {shape:?}") };
    golden.logits =
        elements.chunks(n_ctx * n_vocab).map(|row| row.chunks(n_vocab).map(<[f64]>::to_vec).collect()).collect();
    golden
}

/// The folder of the fixture `name`.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// The folder of the bundled model `name`.
pub fn bundled(name: &str) -> PathBuf {
    models().join(name)
}

/// The bundled text.
pub fn as_you_like_it() -> String {
    fs::read_to_string(models().join("as-you-like-it.txt")).expect("the bundled text")
}

/// PyTorch's figures for the bundled model `name` on the bundled text: an entry of `models/reference.json`.
pub fn reference(name: &str) -> Value {
    let json = fs::read_to_string(models().join("reference.json")).expect("a readable reference.json");
    let mut all: Value = serde_json::from_str(&json).expect("reference.json is JSON");
    all["models"][name].take()
}

/// The ids of `text` in the tokens of `shakespeare-char`.
pub fn char_ids(text: &str) -> Vec<u32> {
    let json = fs::read_to_string(bundled("shakespeare-char").join("chars.json")).expect("a readable chars.json");
    let chars: Vec<char> = serde_json::from_str(&json).expect("chars.json lists characters");
    let id = |c| chars.iter().position(|&known| known == c).expect("a character that was trained on");
    text.chars().map(|c| id(c) as u32).collect()
}

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
}
