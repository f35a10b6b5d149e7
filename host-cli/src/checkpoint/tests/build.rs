//! Writes one tiny model in any layout, with whatever a test wants changed.

use crate::checkpoint::{Checkpoint, CheckpointError, Layout, Options};
use emberlm_core::blob::{Presence, Slot};
use emberlm_core::config::Config;
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use tempfile::TempDir;

/// The tiny model's shape.
pub const CONFIG: Config =
    Config { n_vocab: 7, n_ctx: 5, n_embd: 4, n_layer: 2, n_ff: 16, ..Config::GPT2 }.with_heads(2);

/// Every tensor that it may have.
fn slots() -> impl Iterator<Item = Slot> {
    Slot::all(&CONFIG).filter(|slot| slot.presence(&CONFIG) != Presence::Never)
}

/// A tensor to be written.
#[derive(Clone, Debug)]
pub struct Stored {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

impl Stored {
    pub fn f32(shape: &[usize], elements: &[f32]) -> Self {
        assert_eq!(shape.iter().product::<usize>(), elements.len());
        let bytes = elements.iter().flat_map(|x| x.to_le_bytes()).collect();
        Self { dtype: Dtype::F32, shape: shape.to_vec(), bytes }
    }

    fn elements(&self) -> Vec<f32> {
        self.bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    /// The same tensor in a half-precision type.
    pub fn narrowed(&self, dtype: Dtype) -> Self {
        let narrow = |x: f32| match dtype {
            Dtype::F16 => f16::from_f32(x).to_le_bytes(),
            Dtype::BF16 => bf16::from_f32(x).to_le_bytes(),
            _ => unreachable!("only half-precision types narrow"),
        };
        let bytes = self.elements().into_iter().flat_map(narrow).collect();
        Self { dtype, shape: self.shape.clone(), bytes }
    }
}

/// The value at an index of a canonical tensor: exact in f32, f16 and bf16, and different for neighbours.
pub fn value(slot: Slot, index: usize) -> f32 {
    let mixed = (slot.index() * 7919 + index * 104_729 + index * index * 31) % 251;
    (mixed as f32 - 125.0) / 64.0
}

/// A canonical tensor, row-major.
pub fn canonical(slot: Slot) -> Vec<f32> {
    let (rows, cols) = slot.shape(&CONFIG);
    (0..rows as usize * cols as usize).map(|index| value(slot, index)).collect()
}

/// A checkpoint to be written: tensors by name, and `config.json`.
#[derive(Clone, Debug)]
pub struct Draft {
    pub tensors: BTreeMap<String, Stored>,
    pub config: Value,
    pub metadata: HashMap<String, String>,
}

impl Draft {
    /// The tiny model with every tensor that the layout knows, but an untied head's bias.
    pub fn new(layout: &Layout, prefix: &str) -> Self {
        let map = layout.name_map().unwrap();
        let mut tensors = BTreeMap::new();
        for slot in slots() {
            if slot == Slot::LmHeadBias || (slot == Slot::LmHead && *layout == Layout::HuggingFace) {
                continue;
            }
            let place = map.place(slot, prefix).unwrap();
            let source = if slot == Slot::LmHead && *layout == Layout::NanoGpt { Slot::Wte } else { slot };
            let elements = canonical(source);
            let (rows, cols) = slot.shape(&CONFIG);
            let (rows, cols) = (rows as usize / place.names.len(), cols as usize);
            for (part, name) in place.names.iter().enumerate() {
                let stored = if !slot.is_matrix() {
                    let len = elements.len() / place.names.len();
                    Stored::f32(&[len], &elements[part * len..(part + 1) * len])
                } else if place.orientation == crate::checkpoint::Orientation::InOut {
                    let flipped: Vec<f32> =
                        (0..rows * cols).map(|index| elements[index % rows * cols + index / rows]).collect();
                    Stored::f32(&[cols, rows], &flipped)
                } else {
                    let len = rows * cols;
                    Stored::f32(&[rows, cols], &elements[part * len..(part + 1) * len])
                };
                tensors.insert(name.clone(), stored);
            }
        }
        let config = match layout {
            Layout::HuggingFace => json!({
                "vocab_size": 7, "n_positions": 5, "n_ctx": 5, "n_embd": 4, "n_head": 2, "n_layer": 2, "n_inner": null,
                "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "model_type": "gpt2",
                "scale_attn_weights": true, "tie_word_embeddings": true,
            }),
            Layout::NanoGpt => json!({
                "vocab_size": 7, "block_size": 5, "n_embd": 4, "n_head": 2, "n_layer": 2, "bias": true, "dropout": 0.0,
            }),
            _ => json!({
                "vocab_size": 7, "context_length": 5, "emb_dim": 4, "n_heads": 2, "n_layers": 2, "drop_rate": 0.1,
                "qkv_bias": true,
            }),
        };
        Self { tensors, config, metadata: HashMap::new() }
    }

    /// The Hugging Face draft that the refusals start from.
    pub fn hf() -> Self {
        Self::new(&Layout::HuggingFace, "transformer.")
    }

    /// Writes some of the tensors to a file.
    pub fn write_tensors(&self, path: &Path, keep: impl Fn(&str) -> bool) {
        let kept = self.tensors.iter().filter(|(name, _)| keep(name));
        let views = kept
            .map(|(name, stored)| (name, TensorView::new(stored.dtype, stored.shape.clone(), &stored.bytes).unwrap()));
        let metadata = (!self.metadata.is_empty()).then(|| self.metadata.clone());
        safetensors::serialize_to_file(views, metadata, path).unwrap();
    }

    /// Writes `model.safetensors` and `config.json` into a new folder.
    pub fn write(&self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        self.write_tensors(&folder.path().join("model.safetensors"), |_| true);
        self.write_config(folder.path());
        folder
    }

    pub fn write_config(&self, folder: &Path) {
        std::fs::write(folder.join("config.json"), self.config.to_string()).unwrap();
    }

    /// Writes and opens.
    pub fn open(&self) -> Result<Checkpoint, CheckpointError> {
        self.open_with(&Options::default())
    }

    pub fn open_with(&self, options: &Options) -> Result<Checkpoint, CheckpointError> {
        Checkpoint::open(self.write().path(), options)
    }

    /// Why the draft is refused: one line.
    pub fn refusal(&self) -> String {
        let error = self.open().expect_err("the draft is faulty").to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    }

    pub fn set(&mut self, key: &str, value: Value) -> &mut Self {
        self.config[key] = value;
        self
    }

    pub fn unset(&mut self, key: &str) -> &mut Self {
        self.config.as_object_mut().unwrap().remove(key).unwrap();
        self
    }

    pub fn remove(&mut self, name: &str) -> Stored {
        self.tensors.remove(name).unwrap_or_else(|| panic!("{name} is not there"))
    }

    /// Gives every tensor another name.
    pub fn rename(&mut self, rename: impl Fn(&str) -> String) -> &mut Self {
        self.tensors = std::mem::take(&mut self.tensors).into_iter().map(|(name, t)| (rename(&name), t)).collect();
        self
    }
}

/// Holds every slot of a checkpoint against the tiny model.
pub fn assert_canonical(checkpoint: &Checkpoint) {
    for slot in slots() {
        let tied_or_biasless = matches!(slot, Slot::LmHead | Slot::LmHeadBias);
        let Some(tensor) = checkpoint.tensor(slot) else {
            assert!(tied_or_biasless, "{slot} is absent");
            continue;
        };
        let (rows, cols) = slot.shape(&CONFIG);
        assert_eq!((tensor.rows, tensor.cols), (rows as usize, cols as usize), "{slot}");
        assert_eq!(tensor.data.as_ref(), canonical(slot), "{slot}");
    }
}
